"""What a durable checkpoint costs, beside raw bytes and Orbax: `python benchmarks/checkpoints.py [--megabytes 500]`.

Wall time, the median of some rounds in which all write in turn to the same disk, as the syncing of a shared disk varies
by factors. "Raw" is the same bytes in one file, written, synced and renamed, with its folder synced: nothing that is
durable can cost less. What blocks a search is the fetching of its state to the host; the rest happens behind it.
"""

import argparse
import importlib.util
import os
import pathlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import io, search

SMALL_LEAVES = 500


def raw(path: pathlib.Path, arrays: dict[str, Any]) -> None:
    temporary = path.with_suffix('.tmp')
    with temporary.open('wb') as file:
        for array in arrays.values():
            file.write(np.asarray(array).data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def ours(path: pathlib.Path, arrays: dict[str, Any]) -> None:
    io.save_arrays(path, arrays, {})


def orbax() -> Callable[[pathlib.Path, dict[str, Any]], None]:
    import orbax.checkpoint

    checkpointer = orbax.checkpoint.StandardCheckpointer()

    def write(path: pathlib.Path, arrays: dict[str, Any]) -> None:
        checkpointer.save(path, arrays)
        checkpointer.wait_until_finished()

    return write


def compare(title: str, arrays: dict[str, Any], folder: pathlib.Path, rounds: int) -> None:
    writers = {'raw': raw, 'pgjax': ours}
    if importlib.util.find_spec('orbax') is not None:
        writers['Orbax'] = orbax()
    walls: dict[str, list[float]] = {name: [] for name in writers}
    for number in range(rounds + 1):  # the first is a warm-up
        for name, write in writers.items():
            path = (folder / f'{name}-{number}').resolve()
            start = time.perf_counter()
            write(path, arrays)
            walls[name].append(time.perf_counter() - start)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f'\n{title}: wall ms, the median of {rounds}')
    middle = {name: statistics.median(seconds[1:]) for name, seconds in walls.items()}
    for name, seconds in middle.items():
        ratio = statistics.median(np.array(walls[name][1:]) / walls['raw'][1:])
        print(f'  {name:6} {1e3 * seconds:10.1f}   {ratio:6.2f} of raw   {seconds / middle["pgjax"]:6.2f} of pgjax')


def blocked(leaves: int, rounds: int) -> None:
    """How long a search waits for its state to be fetched."""
    state = {f'leaf {i}': jnp.arange(100.0) + i for i in range(leaves)}
    jax.block_until_ready(state)
    times = []
    for _ in range(rounds):
        fresh = jax.block_until_ready(jax.tree.map(lambda x: x + 1.0, state))  # nothing of it was fetched before
        start = time.perf_counter()
        io.to_host(fresh)
        times.append(time.perf_counter() - start)
    print(f'  {leaves:5} leaves {1e3 * statistics.median(times):8.2f} ms blocked; allowed {2 + 0.005 * leaves:.2f}')


def interval(folder: pathlib.Path, seconds: float, rounds: int) -> None:
    """A run with a checkpoint every so often against one that writes at the end alone, in turns."""

    def evaluate(exp: Any, key: jax.Array) -> dict[str, jax.Array]:
        return {'y': jnp.linalg.eigh(jnp.eye(64) * exp.x)[0].sum()}

    def one(generations: int, every: float) -> float:
        path = tempfile.mkdtemp(dir=folder)
        study = search.Study({'x': pg.floatv(0.5, 1.0)}, search.Random(batch_size=64), objectives='y', path=path + '/a')
        start = time.perf_counter()
        study.run(evaluate, generations, progress=False, checkpoint_seconds=every)
        return time.perf_counter() - start

    one(3, 1e9)
    generations = int(5 * seconds / one(100, 1e9) * 100)
    extra = []
    for number in range(rounds):
        order = (seconds, 1e9) if number % 2 else (1e9, seconds)
        walls = {every: one(generations, every) for every in order}
        extra.append(100 * (walls[seconds] / walls[1e9] - 1))
    middle, error = statistics.median(extra), statistics.stdev(extra) / rounds**0.5
    print(f'\nA checkpoint every {seconds} s: {middle:+.2f} +- {error:.2f} % of the loop')
    print(f'so every 30 s, as by default: {middle * seconds / 30:+.3f} +- {error * seconds / 30:.3f} %')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--megabytes', type=int, default=500)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=1.0, help='between checkpoints')
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='pgjax-checkpoints-', dir='.'))
    generator = np.random.default_rng(0)
    try:
        large = {f'array {i}': generator.integers(0, 255, arguments.megabytes * 125_000, np.uint8) for i in range(8)}
        compare(f'{arguments.megabytes} MB in 8 arrays', large, folder, arguments.rounds)
        for size in (20_000, 400):
            small = {f'leaf {i}': generator.normal(size=size // 4).astype(np.float32) for i in range(SMALL_LEAVES)}
            compare(f'{SMALL_LEAVES} leaves of {size} bytes', small, folder, 4 * arguments.rounds)
        print('\nFetching the state')
        for leaves in (10, 100, 1000):
            blocked(leaves, 4 * arguments.rounds)
        interval(folder, arguments.seconds, 2 * arguments.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
