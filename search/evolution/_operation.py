"""Operations: from a population to a population. Selectors, mutators, recombinators and their compositions are such."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pgjax.search.evolution._population import FIRST_MADE, Population, concatenate, narrow
from pgjax.search.evolution._schedule import Number
from pgjax.space import DNA, Space
from pgjax.symbolic import Object


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """What operations know besides the population. They return it with what they changed.

    Attributes:
      step: int32[], how often children were made before.
      made: int32[], how many individuals were made in this step.
      memory: the global state, by name: arrays and populations of fixed shape.
      space: static.
    """

    step: jax.Array
    made: jax.Array
    memory: Mapping[str, Any]
    space: Space = dataclasses.field(metadata={'static': True})

    @classmethod
    def start(cls, space: Space, step: Any = 0, memory: Mapping[str, Any] | None = None) -> Context:
        """The context in which a step begins."""
        return cls(jnp.int32(step), jnp.int32(0), dict(memory or {}), space)


class Operation(Object):
    """From a population to a population of a size known from that of the first: pure and jittable.

    Operations compose: `a >> b` one after the other, `a + b` both and their results together, `a | b`, `a & b`,
    `a - b` and `a ^ b` as sets of individuals, `~a` what a leaves out, `a * 3` three times over, `a ** 3` three
    times in a row, `a[2:5]` some of the result. A function of a population is taken as an operation where one
    stands beside it.
    """

    __iter__ = __contains__ = None  # else Python would take op[0], op[1], ... and come to no end

    @abc.abstractmethod
    def apply(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """The new population, those that are there first, and the context with what was changed in it.

        Args:
          key: consumed.
          population: N rows.
          context: where it happens.
        """

    def merge(self, key: jax.Array, old: Population, new: Population, context: Context) -> tuple[Population, Context]:
        """Survival: `apply` on old and new individuals together. `new` has no absent rows."""
        return self.apply(key, concatenate([old, new]), context)

    if TYPE_CHECKING:  # the algebra gives these to this class; see `_algebra.py`

        def __rshift__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __rrshift__(self, other: Callable[..., Any]) -> Operation: ...
        def __add__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __radd__(self, other: Callable[..., Any]) -> Operation: ...
        def __or__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __ror__(self, other: Callable[..., Any]) -> Operation: ...
        def __and__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __rand__(self, other: Callable[..., Any]) -> Operation: ...
        def __sub__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __rsub__(self, other: Callable[..., Any]) -> Operation: ...
        def __xor__(self, other: Operation | Callable[..., Any]) -> Operation: ...
        def __rxor__(self, other: Callable[..., Any]) -> Operation: ...
        def __mul__(self, times: int) -> Operation: ...
        def __rmul__(self, times: int) -> Operation: ...
        def __pow__(self, times: int) -> Operation: ...
        def __invert__(self) -> Operation: ...
        def __neg__(self) -> Operation: ...
        def __getitem__(self, rows: int | slice) -> Operation: ...
        def with_prob(self, probability: Number) -> Operation: ...
        def if_true(self, predicate: Callable[..., Any]) -> Operation: ...
        def if_false(self, predicate: Callable[..., Any]) -> Operation: ...
        def for_each(self, each: Operation | Callable[..., Any]) -> Operation: ...
        def until_change(self, max_attempts: int = 10) -> Operation: ...
        def as_global_state(self, name: str) -> Operation: ...


def born(
    dna: DNA, parents: jax.Array, mask: jax.Array, context: Context, num_objectives: int
) -> tuple[Population, Context]:
    """N new individuals: untold, each with a number of its own.

    Args:
      dna: int32[N, C] and float32[N, F], canonical.
      parents: int32[N, 2], trials.
      mask: bool[N], true for the first rows.
      context: counts them.
      num_objectives: M.
    """
    size = mask.shape[0]
    made = Population(  # the barrier lets XLA write bytes where it would write integers, for all who read them
        genes=jax.lax.optimization_barrier(narrow(context.space, dna)),
        fitness=jnp.full((size, num_objectives), -jnp.inf, jnp.float32),
        trial=FIRST_MADE + context.made + jnp.arange(size, dtype=jnp.int32),
        parents=parents,
        generation=jnp.full(size, context.step + 1),
        mask=mask,
    )
    return made, dataclasses.replace(context, made=context.made + size)
