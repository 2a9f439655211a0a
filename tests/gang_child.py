"""One process of several that search together; what it finds, it prints as a line of JSON."""

import hashlib
import json
import os
import sys

import jax

process, port, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
jax.distributed.initialize(
    f'127.0.0.1:{port}',
    2,
    process,
    initialization_timeout=60,
    heartbeat_timeout_seconds=10,
    shutdown_timeout_seconds=10,
)

import pgjax as pg  # noqa: E402  the processes must know of each other first
from pgjax import search  # noqa: E402

TEMPLATE = pg.Dict(x=pg.floatv(0.0, 1.0), n=pg.oneof([1, 2]))
CONTROLLER = search.RegularizedEvolution(population_size=8, batch_size=20)
MESH = jax.make_mesh((jax.device_count(),), ('pop',))


def evaluate(exp, key):
    return {'y': exp.x * exp.n + jax.random.normal(key)}


def digest(study):
    history = study.history
    return hashlib.sha256(history.fitness.tobytes() + history.dna.floats.tobytes()).hexdigest()


def alone():
    return digest(search.run(TEMPLATE, evaluate, CONTROLLER, objectives='y', generations=3))


def together():
    study = search.Study(TEMPLATE, CONTROLLER, objectives='y', mesh=MESH, path=None if process else path)
    return digest(study.run(evaluate, 2, progress=False).run(evaluate, 1, progress=False))


def resumed():
    study = search.Study.load(path, mesh=MESH)
    return digest((study.fork() if process else study).run(evaluate, 1, progress=False))


def refused():
    try:
        return process and search.Study.load(path, mesh=MESH).run(evaluate, 1, progress=False)
    except pg.TopologyError as error:
        return str(error)


def elsewhere():
    mine = jax.sharding.Mesh(jax.devices()[:2], ('pop',))
    try:
        return process and search.run(TEMPLATE, evaluate, CONTROLLER, objectives='y', generations=1, mesh=mine)
    except pg.TopologyError as error:
        return str(error)


print('\n' + json.dumps([step() for step in (alone, together, resumed, refused, elsewhere)]), flush=True)
os._exit(0)
