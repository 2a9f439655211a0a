"""Mutators of arrangements: the slots of one `manyof` or permutation change places."""

from __future__ import annotations

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.evolution._genes import Where, genes_of
from pgjax.search.evolution._opening import fresh_points, open_genes
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._shelves import shelves_of
from pgjax.search.evolution.mutators._mutator import Mutator
from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform


class Arrangement(Mutator):
    """Moves what stands in the slots of one unsorted `manyof`, with everything decided below them.

    The group is uniform among those in use.

    Attributes:
      where: which decisions may move; a group moves if all its slots may.
    """

    where: Where = None

    @abc.abstractmethod
    def order(self, u: jax.Array, k: int) -> jax.Array:
        """int32[k], which slot each slot takes its content from, by float32[2], uniform in [0, 1)."""

    def mutate(self, key: jax.Array, dna: DNA, context: Context) -> DNA:
        """Children in which one group is arranged in another way."""
        noise_key, fresh_key = jax.random.split(key)
        fresh = fresh_points(context.space, fresh_key, dna.shape)
        noise = uniform(noise_key, (3, *dna.shape)).T
        return jax.vmap(lambda d, n, f: self._one(context.space, d, n, f))(dna, noise, fresh)

    def _one(self, space: Space, dna: DNA, noise: jax.Array, fresh: DNA | None) -> DNA:
        shelves = shelves_of(space, self.where)
        c = space.num_choices
        in_use: Any = space.active(dna) if genes_of(space).depth else np.ones(c + space.num_floats, bool)
        heads = np.concatenate([s.blocks[:, 0, 0] for s in shelves])
        usable = in_use[heads]
        number = jnp.sum(usable)
        chosen = jnp.argmax(jnp.cumsum(usable) > jnp.minimum((noise[0] * number).astype(jnp.int32), number - 1))
        source, start = jnp.arange(c + space.num_floats), 0
        for shelf in shelves:
            groups, k, _ = shelf.blocks.shape
            hit = (number > 0) & (chosen >= start) & (chosen < start + groups)
            block = jnp.asarray(shelf.blocks)[jnp.clip(chosen - start, 0, groups - 1)]  # [k, genes of a slot]
            moved = source.at[block].set(block[self.order(noise[1:], k)], unique_indices=True)
            source, start = jnp.where(hit, moved, source), start + groups
        child = DNA(dna.choices[source[:c]], dna.floats[source[c:] - c])
        return open_genes(space, child, jnp.asarray(in_use)[source], fresh)


class Swap(Arrangement, type_name='pgjax.search.evolution.mutators.Swap'):
    """Two slots change places."""

    def order(self, u: jax.Array, k: int) -> jax.Array:
        """The identity with two entries exchanged."""
        i, j = _two(u, k)
        slots = jnp.arange(k)
        return jnp.where(slots == i, j, jnp.where(slots == j, i, slots))


class Insert(Arrangement, type_name='pgjax.search.evolution.mutators.Insert'):
    """One slot's content is taken out and put in elsewhere; those between move up."""

    def order(self, u: jax.Array, k: int) -> jax.Array:
        """The entry of slot i at slot j."""
        i, j = _two(u, k)
        slots = jnp.arange(k)
        down = (slots >= i) & (slots < j)
        up = (slots > j) & (slots <= i)
        return jnp.where(slots == j, i, jnp.where(down, slots + 1, jnp.where(up, slots - 1, slots)))


class Invert(Arrangement, type_name='pgjax.search.evolution.mutators.Invert'):
    """The contents of the slots from one to another are put in reverse: the 2-opt move of a tour."""

    def order(self, u: jax.Array, k: int) -> jax.Array:
        """The entries of slots i to j, backwards."""
        i, j = _two(u, k)
        low, high, slots = jnp.minimum(i, j), jnp.maximum(i, j), jnp.arange(k)
        return jnp.where((slots >= low) & (slots <= high), low + high - slots, slots)


def _two(u: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """Two different slots, each pair equally likely."""
    first = jnp.minimum((u[0] * k).astype(jnp.int32), k - 1)
    shift = jnp.minimum((u[1] * (k - 1)).astype(jnp.int32), k - 2)
    return first, (first + 1 + shift) % k
