"""A study in a process of its own, for tests that kill it: `study_child.main()` with PATH GENERATIONS SECONDS DEVICES.

It says when it begins and after each generation, and ends by printing the digest of what is reproducible.
"""

import hashlib
import os
import sys

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search


class Net(pg.Object):
    width: int
    scale: float
    mix: float = 0.5


SPACE = Net(width=pg.oneof([3, 5, 8]), scale=pg.floatv(1e-3, 1.0, scale='log'), mix=pg.floatv(0.0, 1.0))


def evaluate(exp, key):
    """A matrix product and a reduction, so that a batch of another size would show in the last bits."""
    x = jax.random.normal(key, (7, exp.width)) * exp.scale
    y = jnp.tanh(x @ jnp.ones((exp.width, 33)) + exp.mix)
    return {'score': jax.nn.logsumexp(y) - y.mean(), 'spread': y.std()}


def study_at(path=None, mesh=None):
    controller = search.RegularizedEvolution(population_size=24, tournament_size=4, batch_size=16)
    return search.Study(SPACE, controller, objectives=['score'], seed=7, path=path, tile=4, batch='vmap', mesh=mesh)


def digest(study):
    """SHA-256 over history (without wall time), best and controller state."""
    columns = {name: column for name, column in study.history.columns.items() if name != 'seconds'}
    total = hashlib.sha256()
    for name in sorted(columns):
        total.update(name.encode() + np.ascontiguousarray(columns[name]).tobytes())
    for leaf in jax.tree.leaves(study.state):
        total.update(np.asarray(leaf).tobytes())
    total.update(repr(study.best).encode())
    return total.hexdigest()


class Announced(search.Progress):
    """Says on standard output what a test waits for."""

    def __init__(self):
        super().__init__(enabled=False)

    def update(self, study, compiles):
        print('generation', study.generation, flush=True)


def main():
    path, generations, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    jax.config.update('jax_num_cpu_devices', int(sys.argv[4]))
    devices = jax.devices()
    mesh = None
    if len(devices) > 1:
        mesh = jax.make_mesh((len(devices),), ('pop',), axis_types=(jax.sharding.AxisType.Auto,))
    study = study_at(None if path == '-' else path, mesh)
    print('begins', study.generation, flush=True)
    if generations > study.generation:
        study = study.run(evaluate, generations - study.generation, progress=Announced(), checkpoint_seconds=seconds)
    print('digest', digest(study), flush=True)
