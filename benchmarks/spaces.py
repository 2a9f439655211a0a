"""Speed of search spaces beside PyGlove, ConfigSpace and hand-written kernels: `python benchmarks/spaces.py`.

The space has 104 decisions in 13 conditional blocks. All numbers are minima over repeats of one process; PyGlove
is timed on a few points, one at a time, as it works. A library that is not installed is left out.
"""

import importlib
import random
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg

BLOCKS, POINTS = 13, 4096
FILTERS = (16, 32, 64, 128, 256)


def template(library: Any) -> Any:
    """The same 104 decisions, 8 a block, 6 of them conditional, of any library with PyGlove's vocabulary."""

    def block() -> Any:
        conv = library.Dict(
            filters=library.oneof(list(FILTERS)), kernel=library.oneof([1, 3, 5]), act=library.oneof([0, 1, 2])
        )
        pool = library.Dict(mode=library.oneof([0, 1]), size=library.oneof([2, 3, 4]))
        attention = library.Dict(heads=library.oneof([1, 2, 4, 8]))
        return library.Dict(op=library.oneof([conv, pool, attention]), drop=library.oneof([0, 1, 2, 3, 4]))

    return library.Dict(blocks=library.List([block() for _ in range(BLOCKS)]))


def seconds(fn: Callable[[], Any], repeats: int = 30, on_host: bool = False) -> float:
    """The least time of a call, after one that compiles; waits for arrays unless all happens on the host."""
    wait = (lambda value: value) if on_host else jax.block_until_ready
    wait(fn())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        wait(fn())
        times.append(time.perf_counter() - start)
    return min(times)


def hand_written(space: pg.Space) -> Callable[[jax.Array], Any]:
    """Values and activity, written for this very space: reshapes instead of tables."""
    numbers = np.zeros((5, space.num_choices), np.float32)
    for d in space.decisions:
        plain = all(isinstance(c, int) for c in d.candidates)
        numbers[: len(d.candidates), d.column] = d.candidates if plain else range(len(d.candidates))

    def kernel(choices: jax.Array) -> Any:
        op = choices.reshape(-1, BLOCKS, 8)[:, :, 0]
        always = jnp.ones_like(op, bool)
        conv, pool, attention = op == 0, op == 1, op == 2
        active = jnp.stack([always, conv, conv, conv, pool, pool, attention, always], 2)
        values = jnp.broadcast_to(numbers[0], choices.shape)
        for index in range(1, 5):
            values = jnp.where(choices == index, numbers[index], values)
        return values, active.reshape(-1, space.num_choices)

    return jax.jit(kernel)


def measure_pyglove() -> dict[str, float]:
    """Seconds per point, and to build."""
    pyglove = importlib.import_module('pyglove')
    start = time.perf_counter()
    made = pyglove.template(template(pyglove))
    dna_spec = made.dna_spec()
    times = {'build': time.perf_counter() - start}
    rng = random.Random(0)
    times['random'] = seconds(lambda: dna_spec.random_dna(rng), 5, True)
    dna = dna_spec.random_dna(rng)
    times['decode'] = seconds(lambda: made.decode(dna), 5, True)
    value = made.decode(dna)
    times['encode'] = seconds(lambda: made.encode(value), 5, True)
    return times


def measure_configspace() -> dict[str, float]:
    """Seconds per point of its own batch sampling, in the same conditional space."""
    cs = importlib.import_module('ConfigSpace')
    space = cs.ConfigurationSpace(seed=0)
    start = time.perf_counter()
    for number in range(BLOCKS):
        op = cs.CategoricalHyperparameter(f'op{number}', [0, 1, 2])
        parts = {'filters': (0, FILTERS), 'kernel': (0, (1, 3, 5)), 'act': (0, (0, 1, 2)), 'mode': (1, (0, 1))}
        parts |= {'size': (1, (2, 3, 4)), 'heads': (2, (1, 2, 4, 8))}
        children = [cs.CategoricalHyperparameter(f'{name}{number}', list(c)) for name, (_, c) in parts.items()]
        space.add(op, cs.CategoricalHyperparameter(f'drop{number}', [0, 1, 2, 3, 4]), *children)
        for child, (index, _) in zip(children, parts.values(), strict=True):
            space.add(cs.EqualsCondition(child, op, index))
    times = {'build': time.perf_counter() - start}
    times['random'] = seconds(lambda: space.sample_configuration(POINTS), 3, True) / POINTS
    return times


def measure() -> dict[str, float]:
    """Seconds per call of pgjax, batched over POINTS points unless the name says `one`."""
    space = pg.search_space(template(pg))
    dna = jax.block_until_ready(space.random(jax.random.key(0), (POINTS,)))
    kernel = hand_written(space)
    ours = jax.jit(lambda dna: (space.values(dna), space.active(dna)))
    for a, b in zip(ours(dna), kernel(dna.choices), strict=True):
        np.testing.assert_array_equal(a, b)
    one = space.check(dna[0])
    value = space.decode(one)
    many = space.check(dna)
    shapes = pg.search_space(pg.Dict(depth=pg.intv(1, 6), width=pg.intv(1, 6), lr=pg.floatv(1e-4, 1e-1, scale='log')))
    mixed = shapes.check(shapes.random(jax.random.key(1), (POINTS,)))
    assert len(shapes.groups(mixed)) == 36
    return {
        'build one': seconds(lambda: pg.search_space(template(pg)), 30, True),
        'random': seconds(lambda: space.random(jax.random.key(1), (POINTS,))),
        'random bits alone': seconds(jax.jit(lambda: jax.random.bits(jax.random.key(1), (POINTS, space.num_choices)))),
        'decode with activity': seconds(lambda: ours(dna)),
        'the same by hand': seconds(lambda: kernel(dna.choices)),
        'canonical': seconds(lambda: space.canonical(dna)),
        'fingerprint': seconds(lambda: space.fingerprint(dna)),
        'decode one': seconds(lambda: space.decode(one), 2000, True),
        'encode one': seconds(lambda: space.encode(value), 50, True),
        'decode to objects': seconds(lambda: space.decode(many), 5, True),
        'groups of 36 structures': seconds(lambda: shapes.groups(mixed), 10),
    }


def line(what: str, found: float, goal: str, good: bool) -> None:
    """One row of the table of goals."""
    print(f'{what:48s} {found:14,.4g}   goal {goal:12s} {"met" if good else "MISSED"}')


def main() -> None:
    """Prints times, then ratios beside the goals."""
    ours = measure()
    for name, value in ours.items():
        print(f'{name:32s} {1e6 * value:14,.1f} us')
    others = {}
    for name, other in (('PyGlove', measure_pyglove), ('ConfigSpace', measure_configspace)):
        try:
            others[name] = other()
        except ImportError:
            print(f'{name} is not installed.')
    print()
    line('decode with activity / by hand', *_below(ours['decode with activity'] / ours['the same by hand'], 1.2))
    line('groups of 36 structures, ms', *_below(1e3 * ours['groups of 36 structures'], 20))
    if theirs := others.get('PyGlove'):
        decode, draw = ours['decode with activity'] / POINTS, ours['random'] / POINTS
        line('PyGlove decode / ours, batched, per point', *_above(theirs['decode'] / decode, 1e6))
        line('PyGlove random / ours, batched, per point', *_above(theirs['random'] / draw, 1e5))
        line('PyGlove decode / ours, one object', *_above(theirs['decode'] / ours['decode one'], 5000))
        line('PyGlove encode / ours, one object', *_above(theirs['encode'] / ours['encode one'], 1))
        line('PyGlove build / ours', *_above(theirs['build'] / ours['build one'], 50))
    if theirs := others.get('ConfigSpace'):
        line('ConfigSpace random / ours, per point', *_above(theirs['random'] * POINTS / ours['random'], 1))


def _below(value: float, goal: float) -> tuple[float, str, bool]:
    return value, f'<= {goal:g}', value <= goal


def _above(value: float, goal: float) -> tuple[float, str, bool]:
    return value, f'>= {goal:g}', value >= goal


if __name__ == '__main__':
    main()
