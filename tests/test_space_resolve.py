"""Values that depend on where they stand, in spaces: filled in once all is decided, whoever decides it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search


class Optimizer(pg.Object):
    rate: float = pg.inherited()


class Head(pg.Object):
    units: int = pg.inferred(lambda root, path: 2 * root.classes)
    scale: float = pg.inferred(lambda root, path: root.rate / 2)


TEMPLATE = pg.Dict(
    classes=pg.oneof([5, 10]), rate=pg.floatv(0.0, 1.0), optimizer=Optimizer(), head=pg.oneof([Head(), None])
)


@pytest.fixture
def space():
    return pg.search_space(TEMPLATE)


def test_points_are_resolved(space):
    made = space.decode(pg.DNA([1, 0], [0.25]))
    assert made == pg.Dict(classes=10, rate=0.25, optimizer=Optimizer(0.25), head=Head(units=20, scale=0.125))
    assert pg.materialize(TEMPLATE, [1, 0.25, 0]) == made
    assert pg.is_concrete(made)


def test_points_are_found_again(space):
    dna = space.random(jax.random.key(0), (16,))
    for index, made in enumerate(space.decode(dna)):
        assert space.encode(made) == dna[index]
    open_ones = pg.Dict(classes=5, rate=0.5, optimizer=Optimizer(), head=Head())
    assert space.encode(open_ones) == pg.DNA([0, 0], [0.5])
    other = pg.Dict(classes=5, rate=0.5, optimizer=Optimizer(), head=Head(units=11))
    with pytest.raises(pg.DnaError, match=r'head\.units.*expected 10.*got 11'):
        space.encode(other)


def test_populations_are_resolved(space):
    dna = space.random(jax.random.key(1), (16,))
    groups = space.groups(dna)
    assert sorted(np.concatenate([g.indices for g in groups]).tolist()) == list(range(16))
    for group in groups:
        for row, member in zip(group.indices, pg.unstack(group.population), strict=True):
            made = space.decode(dna[row])
            assert jax.tree.structure(member) == jax.tree.structure(made)
            for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(made), strict=True):
                assert a == np.float32(b)


def test_structure_that_is_inferred_splits_a_population():
    class Net(pg.Object):
        rate: float = pg.floatv(0.0, 1.0)
        kind: str = pg.inferred(lambda root, path: 'fast' if root.rate > 0.5 else 'slow')

    groups = pg.search_space(Net()).groups(pg.DNA(np.zeros((3, 0), int), [[0.1], [0.9], [0.2]]))
    assert [(g.indices.tolist(), g.population.kind) for g in groups] == [([0, 2], 'slow'), ([1], 'fast')]


def test_traced_points_and_searches_are_resolved(space):
    plain = pg.search_space(pg.Dict(rate=pg.floatv(0.0, 1.0), optimizer=Optimizer()))
    dna = plain.random(jax.random.key(0), (4,))
    rates = jax.jit(jax.vmap(lambda dna: plain.decode(dna).optimizer.rate))(jax.tree.map(jnp.asarray, dna))
    np.testing.assert_allclose(rates, dna.floats[:, 0], rtol=1e-6)
    seen = []

    def evaluate(exp, key):
        seen.append(exp)
        return {'gap': abs(exp.rate - exp.optimizer.rate)}

    result = search.run(TEMPLATE, evaluate, search.Random(batch_size=4), objectives='gap', generations=2)
    assert (result.history.fitness == 0).all()
    assert all(pg.is_concrete(exp) for exp in seen)
