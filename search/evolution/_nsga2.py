"""NSGA-II: elitist evolution towards a whole front."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._bits import by_bit, earlier, inhabited, packed
from pgjax.search._controller import Controller, State, blank, is_within, require, sanitize
from pgjax.search._keys import require_key
from pgjax.search.evolution._mutate import mutate
from pgjax.search.evolution._seeding import is_random, seeded
from pgjax.search.evolution.recombinators._recombinator import coins, exchange
from pgjax.search.evolution.selectors import draw_below
from pgjax.search.multiobjective import best_first
from pgjax.space import DNA, Space, concatenate
from pgjax.space._threefry import words


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NSGA2State:
    """A population of P individuals in the order of the crowded comparison, the best first.

    Attributes:
      dna: int32[P, C] and float32[P, F].
      fitness: float32[P, M], -inf where it failed, and in a slot never filled; those come last, in this order.
      fingerprint: uint32[P, 2], of the points.
      repeated: bool[P], whether an earlier slot has the same point.
      trial: int32[P], the id of the trial that filled the slot; -1 if none did.
      asked: int32[], the number of points asked for so far.
      told: int32[], the number of points told so far.
      parents: int32[B, 2], the trials from which the last batch was made; -1 for random points.
    """

    dna: DNA
    fitness: jax.Array
    fingerprint: jax.Array
    repeated: jax.Array
    trial: jax.Array
    asked: jax.Array
    told: jax.Array
    parents: jax.Array


class NSGA2(Controller, type_name='pgjax.search.NSGA2'):
    """NSGA-II (Deb, Pratap, Agarwal, Meyarivan, 2002, IEEE Transactions on Evolutionary Computation 6(2)).

    The first P points are random; those that others found count too. Then parents are the winners of binary tournaments
    by the crowded comparison (the lower front, in it the less crowded); each pair has two children, by crossover with
    probability `crossover_rate` and then a mutation each. Of the population and all new points the best P survive,
    front by front, and of the front that does not fit whole the least crowded. Ends of a front are infinitely far from
    everyone. Points that failed come last, and are in no tournament.

    Departures from the paper: a child that is the same point as another individual comes last in the sorting
    (`unique`; pymoo does likewise); crossover is uniform over decisions and mutation changes one of them, for
    spaces of any kind, where the paper has SBX and polynomial mutation for vectors of reals; of equally good
    individuals the one told earlier wins; `batch_size` may differ from P.

    Attributes:
      batch_size: B, children per `ask`.
      population_size: P.
      crossover_rate: the probability that a pair exchanges decisions.
      unique: whether equal points are ranked last.

    >>> from pgjax import search
    >>> search.NSGA2(population_size=50, batch_size=50).crossover_rate
    0.9
    """

    batch_size: int = 64
    population_size: int = 64
    crossover_rate: float = 0.9
    unique: bool = True

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> NSGA2State:
        """An empty population."""
        require_key(key, self)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        require(is_within(self.crossover_rate, 0, 1), self, 'crossover_rate', 'between 0 and 1')
        size = self.population_size
        return NSGA2State(
            dna=blank(space, size),
            fitness=jnp.full((size, num_objectives), -jnp.inf, jnp.float32),
            fingerprint=jnp.zeros((size, 2), jnp.uint32),
            repeated=jnp.zeros(size, bool),
            trial=jnp.full(size, -1, jnp.int32),
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 2), -1, jnp.int32),
        )

    def ask(self, space: Space, state: NSGA2State, key: jax.Array) -> tuple[DNA, NSGA2State]:
        """B points: random until P were asked for or told, then children; random also where all have failed."""
        require_key(key, self)
        random_key, select_key, cross_key, mutate_key = jax.random.split(key, 4)
        size = self.batch_size
        known = (state.fitness[:, 0] > -jnp.inf).sum()  # failed ones come last: they meet nobody
        pairs = -(-size // 2)
        rivals = draw_below(select_key, (2, 2, pairs), known, self.population_size)
        couples = rivals.min(0).T  # slots are in order of the crowded comparison: the lower one wins
        crossed = _crossed(space, cross_key, state.dna, couples, self.crossover_rate)[:size]
        is_seed = is_random(state, state.fitness, size=size, until=self.population_size)
        dna = seeded(space, random_key, is_seed, lambda: mutate(space, mutate_key, crossed))
        couples = jnp.stack([couples, couples[:, ::-1]], 1).reshape(2 * pairs, 2)[:size]
        parents = jnp.where(is_seed[:, None], -1, state.trial[couples])
        return dna, dataclasses.replace(state, asked=state.asked + size, parents=parents)

    def tell(self, space: Space, state: NSGA2State, dna: DNA, fitness: Any) -> State:
        """The best P of the population and the new points."""
        fitness = sanitize(fitness)
        number = len(fitness)
        everyone = concatenate([state.dna, jax.tree.map(jnp.asarray, dna)])
        values = jnp.concatenate([state.fitness, fitness])
        trial = jnp.concatenate([state.trial, (state.told + jnp.arange(number)).astype(jnp.int32)])
        fingerprint = space.fingerprint(dna)
        repeated = jnp.zeros(number, bool)
        if self.unique:
            repeated = repeats(fingerprint, state.fingerprint, state.trial >= 0)
        repeated = jnp.concatenate([state.repeated, repeated])
        tier = jnp.where(trial < 0, 3, jnp.where(values[:, 0] == -jnp.inf, 2, repeated))
        order = best_first(values, self.population_size, tier, tiers=4)
        return dataclasses.replace(
            state,
            dna=everyone[order],
            fitness=values[order],
            fingerprint=jnp.concatenate([state.fingerprint, fingerprint])[order],
            repeated=repeated[order],
            trial=trial[order],
            told=state.told + number,
        )


def repeats(new: jax.Array, known: jax.Array, exists: jax.Array) -> jax.Array:
    """bool[n]: which of the fingerprints uint32[n, 2] are known, uint32[P, 2] where bool[P], or come twice."""
    number = len(known)
    there = jnp.concatenate([exists, jnp.ones(len(new), bool)])
    rows = jnp.stack([*jnp.concatenate([known, new]).T, there.astype(jnp.uint32)])
    first, second, there = jax.lax.optimization_barrier(rows)  # or XLA would make them anew for each pair
    # Who is there, and earlier, is known of whole words: asked for each pair, it would keep XLA from using vectors.
    same = packed((by_bit(first, 0) == first[number:]) & (by_bit(second, 0) == second[number:]))
    return inhabited(same & earlier(len(there))[:, number:] & packed(by_bit(there, 0) > 0))


def _crossed(space: Space, key: jax.Array, dna: DNA, parents: jax.Array, rate: Any) -> DNA:
    """2 n points of n pairs of parents, rows int32[n, 2], the children of one pair together, before mutation."""
    genes, pairs = space.num_choices + space.num_floats, len(parents)
    bits = words(key, (pairs, 1 + -(-genes // 32)))  # one of whether, and one bit a gene of where
    exchanged = coins(bits[:, 1:], genes) & ((bits[:, :1] >> 8) * 2.0**-24 < rate)
    children = exchange(space, dna[parents], dna[parents[:, ::-1]], exchanged[:, None])
    return space.canonical(jax.tree.map(lambda x: x.reshape(2 * pairs, x.shape[-1]), children))
