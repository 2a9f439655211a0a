"""Damages studies and cuts their power, and counts what is lost: nothing may be lost silently.

usage: python benchmarks/reliability.py damage [--every 1]
       python benchmarks/reliability.py power [--number 200]       (as root, on Linux)

`damage` flips one bit of every byte of a small study, cuts every file at every length, empties and deletes it: loading
must refuse, or warn and fall back, or give the very same study. `power` runs a study on a disk image, stops it at
random moments and copies what has reached the image: what a disk holds after a power cut. Mounted elsewhere, each copy
must hold all that was saved, unharmed.
"""

import argparse
import collections
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search

SPACE = pg.Dict(width=pg.oneof([3, 5]), scale=pg.floatv(1e-3, 1.0, scale='log'), mix=pg.floatv(0.0, 1.0))
CONTROLLERS = {
    'random': search.Random(batch_size=8),
    'regularized': search.RegularizedEvolution(population_size=24, tournament_size=4, batch_size=16),
}


def evaluate(exp, key):
    x = jax.random.normal(key, (7, exp.width)) * exp.scale
    return {'score': jax.nn.logsumexp(jnp.tanh(x @ jnp.ones((exp.width, 33)) + exp.mix))}


def study_at(path, controller):
    return search.Study(SPACE, CONTROLLERS[controller], objectives=['score'], seed=7, path=path, tile=8, batch='vmap')


def digest(study):
    """SHA-256 of all that is reproducible: the history but for wall time, and the controller's state."""
    return sha256(history(study), *map(jnp.asarray, jax.tree.leaves(study.state)))


def history(study, number=None):
    """The bytes of the columns for the first trials, without wall time."""
    columns = study.history.columns
    return np.frombuffer(b''.join(columns[c][:number].tobytes() for c in sorted(columns) if c != 'seconds'), np.uint8)


def sha256(*arrays):
    return hashlib.sha256(b''.join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


class Announced(search.Progress):
    """Says after each generation, just before it is saved, how many there are."""

    def __init__(self):
        super().__init__(enabled=False)

    def update(self, study, compiles):
        print(study.generation, flush=True)


def child(path, controller):
    study_at(path, controller).run(evaluate, 100_000, progress=Announced(), checkpoint_seconds=0.0)


def power_cuts(number):
    """Cuts the power `number` times, by copies of the image of a disk on which a study is running."""
    if os.geteuid() != 0:
        raise SystemExit('A disk image is mounted by root alone: sudo python benchmarks/reliability.py power')
    folder = pathlib.Path(tempfile.mkdtemp())
    image, copy, disk, other = (folder / name for name in ('image', 'copy', 'disk', 'other'))
    with image.open('wb') as file:
        file.truncate(1 << 27)
    subprocess.run(['mkfs.ext4', '-q', '-F', image], check=True)
    generator, began, found = random.Random(0), time.perf_counter(), []
    environment = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'}
    command = [sys.executable, __file__, 'child', disk / 'study', 'regularized']
    with mounted(image, disk), subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            announced = [int(process.stdout.readline())]
            threading.Thread(target=lambda: announced.extend(map(int, process.stdout)), daemon=True).start()
            for _ in range(number):
                time.sleep(generator.random() * 0.3)
                saved = announced[-1] - 2  # what lies in the pipe was announced before what is announced next
                process.send_signal(signal.SIGSTOP)
                shutil.copyfile(image, copy)
                process.send_signal(signal.SIGCONT)
                with mounted(copy, other), warnings.catch_warnings():
                    warnings.simplefilter('error')
                    study = search.Study.load(other / 'study')
                assert study.generation >= saved, f'generation {saved} was saved and {study.generation} is there'
                found.append((study.generation, len(study.history), sha256(history(study))))
        finally:
            process.kill()
    straight = study_at(None, 'regularized').run(evaluate, max(found)[0], progress=False)
    for generation, trials, got in found:
        assert got == sha256(history(straight, trials)), f'generation {generation} differs from a run that went on'
    shutil.rmtree(folder)
    seconds = time.perf_counter() - began
    print(f'{number} power cuts over {max(found)[0]} generations, nothing lost, same bytes; {seconds:.0f} s')


@contextlib.contextmanager
def mounted(image, folder):
    folder.mkdir(exist_ok=True)
    subprocess.run(['mount', '-o', 'loop', image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', folder], check=True)


def damage(every):
    """Damages a small study in every way and at every place, or at one of `every` places."""
    folder = pathlib.Path(tempfile.mkdtemp())
    study = study_at(folder / 'study', 'random')
    for _ in range(2):
        study = study.run(evaluate, 1, progress=False)
    truth, earlier = digest(study), digest(study_at(None, 'random').run(evaluate, 1, progress=False))
    found, began = collections.Counter(), time.perf_counter()
    for file in sorted(p for p in (folder / 'study').rglob('*') if p.is_file()):
        content = file.read_bytes()
        for position in range(0, len(content), every):
            flipped = content[position] ^ 1 << position % 8
            written = content[:position] + bytes([flipped]) + content[position + 1 :]
            found['flip', answer(folder, file, written, truth, earlier)] += 1
            found['cut', answer(folder, file, content[:position], truth, earlier)] += 1
        found['zero', answer(folder, file, bytes(len(content)), truth, earlier)] += 1
        found['delete', answer(folder, file, None, truth, earlier)] += 1
        file.write_bytes(content)
    shutil.rmtree(folder)
    for (what, result), number in sorted(found.items()):
        print(f'{what:7} {result:22} {number}')
    print(f'{sum(found.values())} damages in {time.perf_counter() - began:.0f} s')
    assert not any(result == 'SILENTLY DIFFERENT' for _, result in found)


def answer(folder, file, content, truth, earlier):
    """What loading says to a file with other content."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            got = digest(search.Study.load(folder / 'study'))
        except pg.PgjaxError:
            return 'refused'
    if got == truth:
        return 'harmless'
    return 'warned and fell back' if got == earlier and caught else 'SILENTLY DIFFERENT'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_subparsers(dest='mode')
    modes.add_parser('damage').add_argument('--every', type=int, default=1)
    modes.add_parser('power').add_argument('--number', type=int, default=200)
    running = modes.add_parser('child')
    running.add_argument('path')
    running.add_argument('controller')
    arguments = parser.parse_args()
    if arguments.mode == 'child':
        child(arguments.path, arguments.controller)
    elif arguments.mode == 'power':
        power_cuts(arguments.number)
    else:
        damage(getattr(arguments, 'every', 97))


if __name__ == '__main__':
    main()
