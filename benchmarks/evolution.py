"""Speed of evolution beside hand-written loops with the same operators, and evosax: `python benchmarks/evolution.py`.

Every loop runs whole generations inside one program, on 100 (or more) int32 genes of 5 values and a fitness that
costs one reduction. Numbers are minima over repeats, in turns, so that a busy machine hits all of them alike.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search
from pgjax.search.evolution import Evolution, mutators, recombinators, selectors

ARITY, GENERATIONS, REPEATS = 5, 50, 7


def fitness_of(choices: jax.Array) -> jax.Array:
    return jnp.sum(choices == 3, axis=-1, dtype=jnp.int32).astype(jnp.float32)


def ours(controller: search.Controller, genes: int) -> Callable[[jax.Array], Any]:
    """G generations of a controller."""
    space = pg.search_space([pg.oneof(list(range(ARITY))) for _ in range(genes)])

    def step(state: Any, key: jax.Array) -> Any:
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, fitness_of(dna.choices)[:, None]), None

    def run(key: jax.Array) -> Any:
        return jax.lax.scan(step, controller.init(space, key), jax.random.split(key, GENERATIONS))[0]

    return jax.jit(run)


def below(bits: jax.Array, bound: int) -> jax.Array:
    """uint32 bits scaled to [0, bound), bound <= 2**16."""
    return (((bits >> 16) * bound + (((bits & 0xFFFF) * bound) >> 16)) >> 16).astype(jnp.int32)


def mutated_by_hand(bits: jax.Array, choices: jax.Array) -> jax.Array:
    """One gene of each row to another value: two random words a child."""
    place, shift = below(bits[0], choices.shape[1]), 1 + below(bits[1], ARITY - 1)
    new = (jnp.take_along_axis(choices, place[:, None], 1)[:, 0] + shift) % ARITY
    return jnp.where(jnp.arange(choices.shape[1]) == place[:, None], new[:, None], choices)


def genetic_by_hand(size: int, genes: int) -> Callable[[jax.Array], Any]:
    """Tournaments of two, uniform crossover in pairs by random bits, one mutation; children replace their parents."""

    def step(state: Any, key: jax.Array) -> Any:
        choices, fitness = state
        rival_key, coin_key, mutate_key = jax.random.split(key, 3)
        a, b = below(jax.random.bits(rival_key, (2, size)), size)
        parents = choices[jnp.where(fitness[b] > fitness[a], b, a)].reshape(-1, 2, genes)
        words = jax.random.bits(coin_key, (size // 2, -(-genes // 32), 1))
        coins = ((words >> np.arange(32, dtype=np.uint32)) & 1).astype(bool).reshape(size // 2, -1)[:, :genes]
        swap = jnp.stack([coins, ~coins], 1)
        children = jnp.where(swap, parents[:, 1:], parents[:, :1]).reshape(size, genes)
        children = mutated_by_hand(jax.random.bits(mutate_key, (2, size)), children)
        return (children, fitness_of(children)), None

    def run(key: jax.Array) -> Any:
        choices = jax.random.randint(key, (size, genes), 0, ARITY)
        return jax.lax.scan(step, (choices, fitness_of(choices)), jax.random.split(key, GENERATIONS))[0]

    return jax.jit(run)


def regularized_by_hand(size: int, genes: int, tournament: int = 10) -> Callable[[jax.Array], Any]:
    """Tournaments, one mutation, the oldest are overwritten: batch and population of one size."""

    def step(state: Any, key: jax.Array) -> Any:
        choices, fitness = state
        rival_key, mutate_key = jax.random.split(key)
        rivals = below(jax.random.bits(rival_key, (tournament, size)), size)
        best = rivals[0]
        for rival in rivals[1:]:
            best = jnp.where(fitness[rival] > fitness[best], rival, best)
        children = mutated_by_hand(jax.random.bits(mutate_key, (2, size)), choices[best])
        return (children, fitness_of(children)), None

    def run(key: jax.Array) -> Any:
        choices = jax.random.randint(key, (size, genes), 0, ARITY)
        return jax.lax.scan(step, (choices, fitness_of(choices)), jax.random.split(key, GENERATIONS))[0]

    return jax.jit(run)


def evosax_simple(size: int, genes: int) -> Callable[[jax.Array], Any] | None:
    """Evosax's SimpleGA on as many floats, which is the nearest that it has."""
    try:
        from evosax.algorithms import SimpleGA
    except ImportError:
        return None
    algorithm = SimpleGA(population_size=size, solution=jnp.zeros(genes))
    params = algorithm.default_params

    def step(state: Any, key: jax.Array) -> Any:
        ask_key, tell_key = jax.random.split(key)
        population, state = algorithm.ask(ask_key, state, params)
        state, _ = algorithm.tell(tell_key, population, jnp.sum(population**2, -1), state, params)
        return state, None

    def run(key: jax.Array) -> Any:
        first = jax.random.uniform(key, (size, genes))
        state = algorithm.init(key, first, jnp.sum(first**2, -1), params)
        return jax.lax.scan(step, state, jax.random.split(key, GENERATIONS))[0]

    return jax.jit(run)


def milliseconds(runs: dict[str, Callable[[jax.Array], Any] | None]) -> dict[str, float]:
    """Of one generation of each, the least of some repeats in turns."""
    present = {name: run for name, run in runs.items() if run is not None}
    key, best = jax.random.key(0), dict.fromkeys(present, float('inf'))
    for run in present.values():
        jax.block_until_ready(run(key))
    for _ in range(REPEATS):
        for name, run in present.items():
            start = time.perf_counter()
            jax.block_until_ready(run(key))
            best[name] = min(best[name], (time.perf_counter() - start) / GENERATIONS * 1e3)
    return best


def generational(size: int) -> Evolution:
    """The operators of `genetic_by_hand` from the algebra."""
    children = recombinators.Uniform(children=2) >> mutators.Uniform()
    return Evolution(
        batch_size=size,
        population_init=size,
        reproduction=selectors.Tournament(size, size=2) >> children,
        population_update=selectors.Last(size),
    )


def main() -> None:
    for size, genes in [(256, 100), (4096, 100), (4096, 1000)]:
        regularized = search.RegularizedEvolution(population_size=size, tournament_size=10, batch_size=size)
        times = milliseconds(
            {
                'genetic, by hand': genetic_by_hand(size, genes),
                'genetic, of operations': ours(generational(size), genes),
                'genetic, Genetic (elitist)': ours(search.Genetic(population_size=size, batch_size=size), genes),
                'evosax SimpleGA': evosax_simple(size, genes),
                'regularized, by hand': regularized_by_hand(size, genes),
                'regularized': ours(regularized, genes),
            }
        )
        print(f'\n{size} x {genes} genes, ms per generation')
        for name, value in times.items():
            base = times['regularized, by hand' if name.startswith('regularized') else 'genetic, by hand']
            print(f'  {name:28} {value:8.3f}   {value / base:5.2f} of the hand-written loop')


if __name__ == '__main__':
    main()
