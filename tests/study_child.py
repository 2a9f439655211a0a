"""A study in a process of its own, for `test_study_resume.py`, which kills it.

It says when it begins and after each generation, and ends with the digest of what is reproducible.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search


class Net(pg.Object):
    width: int
    scale: float
    mix: float = 0.5


FIXED = Net(width=5, scale=pg.floatv(1e-3, 1.0, scale='log'), mix=pg.floatv(0.0, 1.0))  # one structure: starts sooner
SPACE = Net(width=pg.oneof([3, 5, 8]), scale=pg.floatv(1e-3, 1.0, scale='log'), mix=pg.floatv(0.0, 1.0))


def evaluate(exp, key):
    """A matrix product and a reduction, so that a batch of another size would show in the last bits."""
    x = jax.random.normal(key, (7, exp.width)) * exp.scale
    y = jnp.tanh(x @ jnp.ones((exp.width, 33)) + exp.mix)
    return {'score': jax.nn.logsumexp(y) - y.mean(), 'spread': y.std()}


def study_at(path=None, mesh=None, template=SPACE):
    controller = search.RegularizedEvolution(population_size=24, tournament_size=4, batch_size=16)
    return search.Study(template, controller, objectives=['score'], seed=7, path=path, tile=4, batch='vmap', mesh=mesh)


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
    """Sends what a test waits for."""

    def __init__(self, connection):
        super().__init__(enabled=False)
        self.connection = connection

    def update(self, study, compiles):
        self.connection.send(('generation', study.generation))


def main(connection, path, generations, seconds, devices, compiled, template):
    jax.config.update('jax_num_cpu_devices', devices)
    jax.config.update('jax_compilation_cache_dir', compiled)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    mesh = None
    if devices > 1:
        mesh = jax.make_mesh((devices,), ('pop',), axis_types=(jax.sharding.AxisType.Auto,))
    study = study_at(path, mesh, template)
    connection.send(('begins', study.generation))
    if generations > study.generation:
        study = study.run(
            evaluate, generations - study.generation, progress=Announced(connection), checkpoint_seconds=seconds
        )
    connection.send(('digest', digest(study)))
