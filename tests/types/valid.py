"""Valid uses of the symbolic language and of search spaces: type checkers find nothing to object to.

The file also runs, so that what is accepted here is also true.
"""

import copy
import fractions
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, assert_type

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Gt

import pgjax as pg
from pgjax import search

T = TypeVar('T')


class Adam(pg.Object):
    lr: Annotated[float, Gt(0)] = 1e-3
    b1: float = 0.9


class SGD(pg.Object):
    lr: float = 0.1


class Layer(pg.Object):
    units: int
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu

    def doubled(self) -> Self:
        return self.rebind(units=2 * self.units)


class Experiment(pg.Object):
    layers: list[Layer]
    optimizer: Adam | SGD = Adam()
    schedule: Literal['constant', 'cosine'] = 'constant'
    widths: list[int] = pg.field(default=(64, 64), doc='of the hidden layers')
    tags: dict[str, str] = pg.field(default_factory=dict)
    steps: int = pg.field(default=200, traced=True)

    def total(self) -> int:
        return self.steps * len(self.layers)


class Wide(Experiment):
    scale: float = 2.0


class Box(pg.Object, Generic[T]):
    content: T


class Block(pg.Object):
    width: int = pg.inherited()
    depth: int = pg.inferred(lambda root, path: root.depth // 2)


# Construction, by position and by name; reading fields gives their types.
exp = Experiment([Layer(64), Layer(units=10, activation=jnp.tanh)], optimizer=SGD(0.1), steps=10)
assert_type(exp.optimizer, Adam | SGD)
assert_type(exp.layers[0].units, int)
assert_type(Wide([Layer(1)], scale=3).scale, float)
assert_type(Box(3).content, int)

# Editing gives back the same class.
assert_type(exp.rebind(steps=100), Experiment)
assert_type(exp.rebind({'layers[0].units': 128}), Experiment)
assert_type(exp.rebind(lambda path, value, parent: value * 2 if path.key == 'units' else value), Experiment)
assert_type(pg.rebind(exp, steps=100), Experiment)
assert_type(exp.layers[0].doubled(), Layer)
assert_type(Experiment.partial(steps=3), Experiment)
assert_type(copy.copy(exp), Experiment)

# Typed lenses: the part has its own type, and setting it gives back the whole.
assert_type(exp.at(lambda e: e.steps).get(), int)
assert_type(exp.at(lambda e: e.layers[0].units).set(32), Experiment)
assert_type(exp.at(lambda e: e.layers[1]).modify(Layer.doubled), Experiment)
assert_type(exp.at('optimizer.lr').set(0.01), Experiment)
assert_type(pg.at(exp, lambda e: e.widths).get(), list[int])

# Holes stand where values stand.
template = exp.rebind(steps=pg.intv(50, 500)).at(lambda e: e.optimizer).set(pg.oneof([Adam(), SGD()]))
searched = Experiment(
    layers=pg.manyof(2, [Layer(8), Layer(16)], distinct=False),
    optimizer=pg.oneof([Adam(lr=pg.floatv(1e-4, 1e-1, scale='log')), SGD(lr=pg.floatv(1e-3, 1.0))]),
    schedule=pg.oneof(['constant', 'cosine']),
    widths=pg.permutate([32, 64]),
)
assert_type(pg.materialize(template, {'steps': 100, 'optimizer': 1}), Experiment)
assert_type(pg.iter(template), Iterator[Experiment])
assert_type(pg.random_sample(searched, jax.random.key(0), 2), list[Experiment])
space = pg.search_space(searched)
assert_type(space.decisions[0].arity, int | None)


# Functions, classes and factories made symbolic.
@pg.symbolize
class Hello:
    def __init__(self, subject: str):
        self._greeting = f'Hello, {subject}!'

    def greet(self) -> str:
        return self._greeting


assert_type(Hello('World').greet(), str)
assert_type(pg.rebind(Hello('World'), subject='JAX').greet(), str)


@pg.functor
def power(x: float, exponent: int = 2) -> float:
    return x**exponent


@pg.compound
def Tower(depth: int = 2) -> Layer:
    return Layer(2**depth)


Fraction = pg.wrap(fractions.Fraction)
assert power(exponent=3)(2.0) == 8.0
assert Tower(depth=3).units == 8
assert Fraction(1, 2).rebind(denominator=3).build() == fractions.Fraction(1, 3)


@pg.patcher
def valid_scale_width(exp: Experiment, scale: float = 2.0):
    return pg.lens('**.units').modify(exp, lambda units: int(units * scale))


assert_type(valid_scale_width(scale=0.5)(exp), Experiment)
assert_type(pg.patch(exp, [valid_scale_width(0.5), 'valid_scale_width?scale=2', {'steps': 3}]), Experiment)
assert_type(pg.patch(exp, pg.diff(exp, exp.rebind(steps=1))), Experiment)
assert_type(pg.patch_on_key(exp, 'units', value=8), Experiment)
assert_type(valid_scale_width(0.5) >> {'steps': 4}, pg.Chain)
(pg.lens('layers[*]') >> pg.lens('units')).modify(exp, lambda units: units + 1)
pg.query(exp, where=lambda value: isinstance(value, Layer)).map(Layer.doubled)

# Containers, files and pictures.
settings = pg.Dict(lr=0.1, widths=[1, 2])
assert settings.lr == settings['lr'] == 0.1
assert_type(pg.List([1, 2]).rebind({0: 3}), pg.List[int])
assert pg.from_json_str(pg.to_json_str(exp)) == exp
assert_type(pg.view.to_html(exp), str)
assert_type(pg.view.compare(exp, exp.rebind(steps=1)), pg.view.Comparison)
assert_type(pg.stack([exp, exp]), Experiment)
assert_type(pg.unstack(pg.stack([exp, exp])), list[Experiment])
assert_type(pg.resolve(exp), Experiment)


# Objects are pytrees, so that the types of JAX's transformations are theirs.
def loss(adam: Adam, target: float) -> jax.Array:
    return jnp.square(adam.lr - target)


gradient: Any = jax.jit(jax.grad(loss))(Adam(), 0.0)
doubled: Adam = jax.tree.map(lambda leaf: 2 * leaf, Adam())

match exp:
    case Experiment(layers, Adam(lr=rate)):
        assert_type(rate, float)
    case Experiment(layers, SGD(rate)):
        assert_type(layers, list[Layer])


# Searching.
def evaluate(adam: Adam, key: jax.Array) -> dict[str, jax.Array]:
    del key
    return {'loss': jnp.square(adam.lr - 0.01)}


result = search.run(
    Adam(lr=pg.floatv(1e-4, 1e-1)),
    evaluate,
    search.Random(batch_size=4),
    objectives=[pg.minimize('loss')],
    generations=1,
)
best: Any = result.best

for point, feedback in pg.sample(Adam(lr=pg.floatv(1e-4, 1e-1)), search.Random(batch_size=4), num_trials=4):
    feedback.add_measure(np.float32(0.5))
    feedback(evaluate(point, feedback.key)['loss'])
