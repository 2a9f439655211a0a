"""Python objectives for worker processes: a module of its own, so that spawned processes can import it."""

import os
import pathlib
import signal
import time

import jax
import numpy as np

import pgjax as pg


class Work(pg.Object):
    x: float
    n: int


TEMPLATE = Work(x=pg.floatv(0.0, 1.0), n=pg.intv(0, 9))


def score(exp, key):
    return {'y': exp.x * exp.n + 0.001 * float(jax.random.uniform(key)), 'n': exp.n}


def rude(exp, key):
    """Floods its output, leaves its folder, and seeds what is not its own."""
    print('x' * 2**20)
    os.chdir('/')
    np.random.seed(0)
    return score(exp, key)


def troubled(exp):
    """Every kind of trouble, by what is decided."""
    if exp.n == 0:
        raise ValueError('no such n')
    if exp.n == 1:
        time.sleep(3600)
    if exp.n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {'y': float('nan') if exp.n == 3 else exp.x}


def once(exp):
    """Takes its worker with it the first time only, for some; `PGJAX_MARKS` is where it remembers."""
    mark = pathlib.Path(os.environ['PGJAX_MARKS']) / f'{exp.x}'
    if exp.n == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {'y': exp.x}


def cannot_begin():
    os._exit(3)


def leaves(exp):
    raise SystemExit(3)
