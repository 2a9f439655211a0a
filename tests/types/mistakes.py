"""Planted mistakes: type checkers object to every line marked `# error`, and to no other. The file is never run."""

from typing import Literal

import jax

import pgjax as pg
from pgjax import search


class Adam(pg.Object):
    lr: float = 1e-3
    b1: float = 0.9


class SGD(pg.Object):
    lr: float = 0.1


class Layer(pg.Object):
    units: int


class Experiment(pg.Object):
    layers: list[Layer]
    optimizer: Adam | SGD = Adam()
    schedule: Literal['constant', 'cosine'] = 'constant'
    steps: int = 200


class Backwards(pg.Object):
    steps: int = 'many'  # error


class Widened(Adam):
    lr: str = 'fast'  # error


exp = Experiment([Layer(64)], optimizer=SGD(0.1))

# Construction
Layer('64')  # error
Layer(units=None)  # error
Layer()  # error
Layer(64, 32)  # error
Layer(unit=64)  # error
Experiment([64])  # error
Experiment(Layer(64))  # error
Experiment([Layer(64)], optimizer=Layer(64))  # error
Experiment([Layer(64)], schedule='linear')  # error
Experiment([Layer(64)], steps=0.5)  # error

# Objects are frozen
exp.steps = 100  # error
exp.optimizer.lr = 0.01  # error
exp.layers[0].units += 1  # error

# Reading
print(exp.stepz)  # error
print(exp.optimizer.momentum)  # error
print(exp.layers[0].width)  # error
label: str = exp.steps  # error

# Typed lenses
exp.at(lambda e: e.optimiser)  # error
exp.at(lambda e: e.optimizer.rate).set(0.1)  # error
exp.at(lambda e: e.layers[0].width)  # error
exp.at(lambda e: e.steps).set('100')  # error
exp.at(lambda e: e.optimizer).set(Layer(1))  # error
exp.at(lambda e: e.steps).modify(str)  # error
print(exp.at(lambda e: e.steps).set(100).stepz)  # error
pg.at(exp, lambda e: e.layer)  # error

# Edits give back the same class
adam: Adam = exp.rebind(steps=3)  # error
sgd: SGD = pg.patch(exp, {'steps': 3})  # error
print(exp.rebind(steps=3).stepz)  # error
exp.rebind([('steps', 3)])  # error

print(pg.rebind(exp, steps=3).stepz)  # error
print(pg.patch_on_key(exp, 'steps', value=3).stepz)  # error

# Holes
Layer(units=pg.oneof(['a', 'b']))  # error
Layer(units=pg.oneof([8, 16.5]))  # error
Experiment([Layer(8)], optimizer=pg.oneof([Adam(), Layer(8)]))  # error
Experiment([Layer(8)], schedule=pg.oneof(['constant', 'linear']))  # error
Experiment(layers=pg.manyof(2, [8, 16]))  # error
Layer(units=pg.floatv(0.0, 1.0))  # error
pg.floatv(0.0, 1.0, scale='exponential')  # error
pg.intv('low', 10)  # error
exp.at(lambda e: e.optimizer).set(pg.oneof([Adam(), 3]))  # error
pg.oneof(3)  # error
pg.materialize(exp, [0]).stepz()  # error
next(pg.iter(exp)).stepz()  # error
pg.random_sample(exp, jax.random.key(0), 3)[0].stepz()  # error


# Patches
@pg.patcher
def mistaken_scale_width(exp: Experiment, scale: float = 2.0):
    return {'steps': int(exp.steps * scale)}


mistaken_scale_width(scale='twice')  # error
mistaken_scale_width(factor=2.0)  # error
print(mistaken_scale_width(2.0)(exp).stepz)  # error


@pg.symbolize
class Hello:
    def __init__(self, subject: str):
        self.greeting = f'Hello, {subject}!'


Hello(3)  # error
Hello('World').greet()  # error


# Searching
def evaluate(adam: Adam, key: jax.Array) -> dict[str, jax.Array]:
    del key
    return {'loss': adam.loss}  # error


search.Random(batch='4')  # error
search.Random(batch_size='4')  # error
pg.minimize(3)  # error
