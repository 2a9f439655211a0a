"""DNA: a point of a search space as two small arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class DNA:
    """A point, or with leading axes many points, of a search space of C choices and F floats.

    Attributes:
      choices: int32[..., C], the index chosen at each choice (for `intv`, the distance from its low bound).
      floats: float32[..., F], the position of each float in the unit interval of its scale.

    >>> import pgjax as pg
    >>> pg.DNA(choices=[0, 2], floats=[0.5]).choices.shape
    (2,)
    """

    choices: Any
    floats: Any = ()

    def __post_init__(self) -> None:
        # JAX builds DNAs of anything (None, object()): only plain lists and tuples are made arrays here.
        if isinstance(self.choices, (list, tuple)):
            object.__setattr__(self, 'choices', _array(self.choices, np.int32))
        if isinstance(self.floats, (list, tuple)):
            object.__setattr__(self, 'floats', _array(self.floats, np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes: () for one point, (P,) for a population."""
        return tuple(self.choices.shape[:-1])

    def __getitem__(self, index: Any) -> DNA:
        """Points by position along the leading axes."""
        return DNA(self.choices[index], self.floats[index])

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError('A single DNA has no length.')
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DNA):
            return NotImplemented
        return bool(
            np.array_equal(np.asarray(self.choices), np.asarray(other.choices))
            and np.array_equal(np.asarray(self.floats), np.asarray(other.floats))
        )

    def __hash__(self) -> int:
        """Of the choices alone: zeros of either sign are equal floats. Inside `jit`, use `space.fingerprint`."""
        choices = np.asarray(self.choices)
        return hash((choices.shape, choices.astype(np.int64).tobytes()))


def _array(values: Any, dtype: Any) -> Any:
    """The array of a plain list; one of the wrong kind keeps its dtype, so that a check can refuse it."""
    if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(values)):
        return jax.numpy.asarray(values)
    array = np.asarray(values)
    fits = array.dtype != np.bool_ and np.can_cast(array.dtype, dtype, 'same_kind')
    return array.astype(dtype) if array.size == 0 or fits else array


def concatenate(parts: list[DNA]) -> DNA:
    """DNAs along their first leading axis."""
    return jax.tree.map(lambda *xs: jax.numpy.concatenate(xs), *parts)
