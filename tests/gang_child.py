"""One process of several that search together; what it finds, it prints as a line of JSON."""

import hashlib
import json
import os
import sys

import jax

import pgjax as pg
from pgjax import search

TEMPLATE = pg.Dict(x=pg.floatv(0.0, 1.0), n=pg.oneof([1, 2]))
CONTROLLER = search.RegularizedEvolution(population_size=8, batch_size=20)


def evaluate(exp, key):
    return {'y': exp.x * exp.n + jax.random.normal(key)}


def digest(study):
    history = study.history
    return hashlib.sha256(history.fitness.tobytes() + history.dna.floats.tobytes()).hexdigest()


def alone():
    return digest(search.run(TEMPLATE, evaluate, CONTROLLER, objectives='y', generations=3))


def together(process, path, mesh):
    study = search.Study(TEMPLATE, CONTROLLER, objectives='y', mesh=mesh, path=None if process else path)
    return digest(study.run(evaluate, 2, progress=False).run(evaluate, 1, progress=False))


def resumed(process, path, mesh):
    study = search.Study.load(path, mesh=mesh)
    return digest((study.fork() if process else study).run(evaluate, 1, progress=False))


def refused(process, path, mesh):
    try:
        return process and search.Study.load(path, mesh=mesh).run(evaluate, 1, progress=False)
    except pg.TopologyError as error:
        return str(error)


def elsewhere(process):
    mine = jax.sharding.Mesh(jax.devices()[:2], ('pop',))
    try:
        return process and search.run(TEMPLATE, evaluate, CONTROLLER, objectives='y', generations=1, mesh=mine)
    except pg.TopologyError as error:
        return str(error)


def main(process, port, path):
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
    mesh = jax.make_mesh((jax.device_count(),), ('pop',))
    gang = process, path, mesh
    found = [alone(), together(*gang), resumed(*gang), refused(*gang), elsewhere(process)]
    print('\n' + json.dumps(found), flush=True)
    os._exit(0)


if __name__ == '__main__':
    main(int(sys.argv[1]), *sys.argv[2:])
