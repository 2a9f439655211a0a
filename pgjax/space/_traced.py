"""Genes as values inside a compiled program, where a step costs more than the few numbers that it works on.

Decisions that are alike and have columns side by side are worked out together, so that a hundred choices among the same
numbers are one step of the program and not a hundred.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space._plan import Choice, Node, Number, Plain, read_by
from pgjax.space._scales import at_position

_FEW = 8  # candidates that are sooner compared with than looked up


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
    """Decisions that are alike, by their columns."""

    start: int
    stop: int


class TracedNumbers:
    """The numbers of one member of a plan, int32[C] and float32[F], traced. Nothing here is structural."""

    def __init__(self, root: Node, choices: jax.Array, floats: jax.Array):
        self.choices, self.floats = choices, floats
        self._runs = _runs(root)
        self._values: dict[_Run, jax.Array] = {}

    def index(self, column: int) -> jax.Array:
        """int32[], a choice itself."""
        return self.choices[column]

    def float(self, node: Number) -> jax.Array:
        """float32[], a number on a scale."""
        return self._in_run(node, self.floats, lambda genes: _on_scale(genes, node))

    def int(self, node: Number) -> jax.Array:
        """int32[] or float32[], a number of steps."""
        return self._in_run(node, self.choices, lambda genes: _steps(genes, node))

    def select(self, node: Choice, branches: tuple[Any, ...]) -> Any:
        """The chosen one of some values of one structure."""
        if node in self._runs:
            return self._in_run(node, self.choices, lambda genes: _look_up(branches, genes))
        index = self.choices[node.column]
        return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves])[index], *branches)

    def _in_run(self, node: Choice | Number, genes: jax.Array, values: Callable[[jax.Array], jax.Array]) -> jax.Array:
        run = self._runs[node]
        if run not in self._values:
            self._values[run] = values(jax.lax.slice_in_dim(genes, run.start, run.stop))
        return jax.lax.index_in_dim(self._values[run], node.column - run.start, keepdims=False)


def _on_scale(genes: jax.Array, node: Number) -> jax.Array:
    value = at_position(genes, node.low, node.high, node.scale, jnp.exp)
    return jnp.clip(value, node.low, node.high).astype(jnp.float32)


def _steps(genes: jax.Array, node: Number) -> jax.Array:
    value = genes * node.step + node.low
    return value.astype(jnp.float32) if node.as_float else value


def _look_up(table: tuple[Any, ...], genes: jax.Array) -> jax.Array:
    """The entries at some genes; Python's numbers stay weakly typed."""
    if len(table) > _FEW:
        return jnp.stack([jnp.asarray(x) for x in table])[genes]
    chosen = jnp.full(genes.shape, table[-1])
    for index in reversed(range(len(table) - 1)):
        chosen = jnp.where(genes <= index, table[index], chosen)
    return chosen


def _runs(root: Node) -> dict[Node, _Run]:
    """The run of each number and of each choice among numbers."""
    alike: dict[Hashable, dict[int, list[Node]]] = {}
    for node in _nodes(root):
        kind = _kind(node)
        if kind is not None:
            alike.setdefault(kind, {}).setdefault(node.column, []).append(node)
    found: dict[Node, _Run] = {}
    for members in alike.values():
        for _, side_by_side in itertools.groupby(enumerate(sorted(members)), lambda pair: pair[1] - pair[0]):
            columns = [column for _, column in side_by_side]
            run = _Run(columns[0], columns[-1] + 1)
            found.update((node, run) for column in columns for node in members[column])
    return found


def _kind(node: Choice | Number) -> Hashable:
    """Equal for numbers, and choices among numbers, that have the same values; None for other choices."""
    if isinstance(node, Number):  # as texts: 1, 1.0 and True are equal
        return node.kind, node.scale, node.as_float, *map(repr, (node.low, node.high, node.step))
    values: Sequence[Any] = node.branches.values if isinstance(node.branches, Plain) else (None,)
    return tuple(map(repr, values)) if all(isinstance(x, (int, float, np.number)) for x in values) else None


def _nodes(node: Node) -> Iterator[Choice | Number]:
    if isinstance(node, (Choice, Number)):
        yield node
    for part in read_by(node):
        yield from _nodes(part)
