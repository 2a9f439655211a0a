"""No point twice: duplicates of what was proposed or told before are replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, parents_of, require
from pgjax.search._host import HostController
from pgjax.search._wrappers import _memory
from pgjax.search._wrappers._dedup_host import DedupOnHost, keys_of
from pgjax.search._wrappers._inner import refuse_host
from pgjax.search._wrappers._memory import Memory
from pgjax.space import DNA, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DedupState:
    """The state of a controller, and what must not be proposed again.

    Attributes:
      inner: of the controller.
      memory: fingerprints of the points proposed or told.
      parents: int32[B, K], of the last proposals.
      repeats: int32[], how many points were proposed again for want of new ones.
    """

    inner: Any
    memory: Memory
    parents: jax.Array
    repeats: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Draft:
    """A batch that is being mended.

    Attributes:
      attempt: int32[], how many batches were drawn for it.
      dna: int32[B, C] and float32[B, F].
      parents: int32[B, K].
      stale: bool[B], which rows are known, or equal to an earlier row.
      inner: the controller's state after the first batch.
    """

    attempt: jax.Array
    dna: DNA
    parents: jax.Array
    stale: jax.Array
    inner: Any


class Dedup(Controller, type_name='pgjax.search.Dedup'):
    """A controller that proposes no point twice, as far as its memory reaches.

    Rows of a batch that were proposed or told before, or equal an earlier row, are replaced by rows of further
    batches of the same controller in the same state, by other keys; where `attempts` batches do not suffice, by
    random points. Points are equal when their fingerprints are. Failed points count too.

    When the space is exhausted, or so nearly that `attempts` random batches bring nothing new either, a point goes
    out again, and `repeats` in the state counts it: so a batch is always full, and small spaces may be searched on.

    The memory is a hash table of fixed size. A bucket of it that is full forgets its oldest point, which may then
    be proposed again: with half of the memory in use that is one point in about a thousand.

    Attributes:
      controller: what proposes.
      memory: for how many points there is room; 8 bytes each.
      attempts: how many batches may be drawn for one.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> dedup = search.Dedup(search.Random(batch_size=3))
    >>> study = search.run([pg.oneof(range(6))], lambda exp, key: {'y': 1.0}, dedup, objectives='y', generations=2)
    >>> sorted(study.history.dna.choices[:, 0].tolist())
    [0, 1, 2, 3, 4, 5]
    """

    controller: Controller
    memory: int = 2**16
    attempts: int = 20

    if TYPE_CHECKING:

        def __init__(self, controller: Controller, memory: int = ..., attempts: int = ...): ...

    @property
    def batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the controller."""
        return self.controller.batch_size

    def resized(self, batch_size: int) -> Self:
        """The same with another batch size of the controller."""
        return self.rebind(controller=self.controller.resized(batch_size), raise_on_no_change=False)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> DedupState:
        """An empty memory."""
        refuse_host(self, [self.controller])
        require(self.memory >= 1, self, 'memory', 'at least 1')
        require(self.attempts >= 1, self, 'attempts', 'at least 1')
        inner = self.controller.init(space, key, num_objectives)
        parents = jnp.full_like(parents_of(inner, self.batch_size), -1)
        return DedupState(inner, _memory.empty(self.memory), parents, jnp.int32(0))

    def ask(self, space: Space, state: DedupState, key: jax.Array) -> tuple[DNA, DedupState]:
        """B points, new ones as far as there are any."""
        own_key, random_key = keys_of(key)

        def own(draft: _Draft) -> _Draft:
            draw = jax.random.fold_in(own_key, draft.attempt)
            dna, inner = self.controller.ask(space, state.inner, draw)
            first = draft.attempt == 0
            kept = jax.tree.map(lambda new, old: jnp.where(first, new, old), inner, draft.inner)
            made = self._mend(space, state.memory, draft, dna, parents_of(inner, self.batch_size))
            return dataclasses.replace(made, inner=kept)

        def random(draft: _Draft) -> _Draft:
            draw = jax.random.fold_in(random_key, draft.attempt)
            dna = space.random(draw, (self.batch_size,))
            return self._mend(space, state.memory, draft, dna, jnp.full_like(draft.parents, -1))

        blank = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: space.random(random_key, (self.batch_size,))))
        draft = _Draft(jnp.int32(0), blank, state.parents, jnp.ones(self.batch_size, bool), state.inner)
        draft = self._repeat(own, draft)
        draft = self._repeat(random, dataclasses.replace(draft, attempt=jnp.int32(0)))
        prints = space.fingerprint(draft.dna)
        return draft.dna, DedupState(
            inner=draft.inner,
            memory=_memory.remember(state.memory, prints, ~draft.stale),
            parents=draft.parents,
            repeats=state.repeats + draft.stale.sum(dtype=jnp.int32),
        )

    def on_host(self, space: Space) -> HostController | None:
        """In NumPy where the controller is."""
        inner = self.controller.on_host(space)
        return None if inner is None else DedupOnHost(self, inner, space)

    def tell(self, space: Space, state: DedupState, dna: DNA, fitness: Any) -> State:
        """The controller learns; points that it has not proposed are remembered too."""
        dna = jax.tree.map(jnp.asarray, dna)
        return dataclasses.replace(
            state,
            inner=self.controller.tell(space, state.inner, dna, fitness),
            memory=_memory.learn(state.memory, space.fingerprint(dna)),
        )

    def _repeat(self, draw: Callable[[_Draft], _Draft], draft: _Draft) -> _Draft:
        """Draws batches until no row is stale, or enough of them."""
        return jax.lax.while_loop(lambda d: (d.attempt < self.attempts) & d.stale.any(), draw, draft)

    def _mend(self, space: Space, memory: Memory, draft: _Draft, dna: DNA, parents: jax.Array) -> _Draft:
        """The draft with rows of another batch where its own are stale."""
        stale = draft.stale[:, None]
        mended = jax.tree.map(lambda new, old: jnp.where(stale, new, old), dna, draft.dna)
        prints = space.fingerprint(mended)
        repeats = _memory.repeats(prints, settled=~draft.stale)  # no good row gives way to a new one
        return dataclasses.replace(
            draft,
            attempt=draft.attempt + 1,
            dna=mended,
            parents=jnp.where(stale, parents, draft.parents),
            stale=_memory.contains(memory, prints) | repeats,
        )
