"""The controllers in loops: alone, or with decoding and evaluation by `search.compile`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import pgjax as pg
from loops.by_hand import ARITY, Run, fitness_of
from loops.peers import CELLS
from pgjax import search
from pgjax.search.evolution import Evolution, mutators, recombinators, selectors


def choices(genes: int) -> pg.Space:
    return pg.search_space([pg.oneof([float(v) for v in range(ARITY)]) for _ in range(genes)])


def controller_alone(controller: search.Controller, genes: int, generations: int) -> Run:
    """Ask, a fitness that costs one reduction, tell."""
    space = choices(genes)

    def step(state: Any, key: jax.Array) -> Any:
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, fitness_of(dna.choices)[:, None]), None

    def run(key: jax.Array) -> Any:
        return jax.lax.scan(step, controller.init(space, key), jax.random.split(key, generations))[0]

    return jax.jit(run)


def without_elitism(size: int) -> Evolution:
    """The operators of `by_hand.genetic` from the algebra."""
    return Evolution(
        batch_size=size,
        population_init=size,
        reproduction=selectors.Tournament(size, size=2) >> recombinators.Uniform(children=2) >> mutators.Uniform(),
        population_update=selectors.Last(size),
    )


def nsga2(size: int, genes: int, generations: int) -> Run:
    """The problem of `peers.pymoo_nsga2`, evaluated on decoded experiments."""

    def counts(exp: Any, key: jax.Array) -> Any:
        return {'zeros': sum(value == 0 for value in exp), 'ones': sum(value == 1 for value in exp)}

    controller = search.NSGA2(population_size=size, batch_size=size)
    objectives = ['zeros', 'ones']
    loop = search.compile(choices(genes), counts, controller, objectives=objectives, tile=size, batch='vmap')
    return jax.jit(lambda key: loop(key, generations).state.fitness)


def map_elites(size: int, genes: int, generations: int) -> Run:
    """The problem of `peers.qdax_map_elites`, evaluated on decoded experiments."""

    def evaluate(exp: Any, key: jax.Array) -> Any:
        return {'f': -sum((value - 0.5) ** 2 for value in exp), 'x': exp[0], 'y': exp[1]}

    template = [pg.floatv(0.0, 1.0) for _ in range(genes)]
    controller = search.MapElites(bins=CELLS, batch_size=size, initial_size=size)
    loop = search.compile(template, evaluate, controller, objectives=['f', 'x', 'y'], tile=size, batch='vmap')
    return jax.jit(lambda key: loop(key, generations).state.fitness)


def on_table(table: Any, controller: search.Controller, seeds: int, generations: int) -> Run:
    """Searches of a table side by side: the best of each."""
    size = controller.batch_size
    loop = search.compile(table.template, table.evaluate, controller, objectives=['value'], tile=size, batch='vmap')
    each = lambda key: loop(key, generations).fitness.max()  # noqa: E731  what is vmapped
    return jax.jit(lambda key: jax.vmap(each)(jax.random.split(key, seeds)))


def bayesian_ask(observations: int) -> Callable[[jax.Array], Any]:
    """One proposal, after so many were told."""
    controller, space = search.Bayesian(), choices(6)

    def step(state: Any, key: jax.Array) -> Any:
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, fitness_of(dna.choices)[:, None]), None

    keys = jax.random.split(jax.random.key(1), observations)
    state = jax.jit(lambda: jax.lax.scan(step, controller.init(space, keys[0]), keys)[0])()
    ask = jax.jit(lambda state, key: controller.ask(space, state, key))
    return lambda key: ask(state, key)


def named_controllers() -> dict[str, search.Controller]:
    """Every controller that `search` exports, with its defaults; wrappers around random search."""
    inner = search.Random(batch_size=4)
    needs = {
        'Dedup': lambda: search.Dedup(inner),
        'Prior': lambda: search.Prior(inner, [[0.0] * 100]),
        'Chain': lambda: search.Chain([inner, search.HillClimb(batch_size=4)], [8]),
        'Portfolio': lambda: search.Portfolio([inner, search.HillClimb(batch_size=4)]),
        'Islands': lambda: search.Islands(search.Genetic()),
    }
    found = {}
    for name in search.__all__:
        kind = getattr(search, name)
        if isinstance(kind, type) and issubclass(kind, search.Controller) and kind is not search.Controller:
            found[name] = needs.get(name, kind)()
    return found


def step_of(controller: search.Controller, genes: int) -> Any:
    """An ask and a tell, lowered and not yet compiled: by calling it."""
    space = choices(genes)
    objectives = {'NSGA2': 2, 'SEMO': 2, 'MapElites': 3}.get(type(controller).__name__, 1)
    state = controller.init(space, jax.random.key(0), objectives)

    def step(state: Any, key: jax.Array) -> Any:
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, jnp.repeat(fitness_of(dna.choices)[:, None], objectives, 1))

    return lambda: jax.jit(step).lower(state, jax.random.key(1)).compile()
