"""Architecture search on NAS-Bench-201: 15,625 cells, each of them trained on CIFAR-10 (Dong and Yang, 2020).

A cell has six edges with one operation each. Twenty searches of every kind run side by side in one compiled program;
what they look up is the accuracy that training gave. usage: nas_bench_201.py [PLOT [EVALUATIONS]]

Needs the table: pip install 'pgjax-search[bench,plot]'.
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
from tables import CELL_OPERATIONS, nas_bench_201

import pgjax as pg
from pgjax import search

SEEDS = 20


class Operation(pg.Object):
    index: float

    @property
    def name(self) -> str:
        return CELL_OPERATIONS[int(self.index)]


class Cell(pg.Object):
    """The operations on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3."""

    edges: list[Operation]


def any_operation() -> Operation:
    return pg.oneof([Operation(index=float(i)) for i in range(len(CELL_OPERATIONS))])


TABLE = nas_bench_201('cifar10')
SPACE = pg.search_space(Cell(edges=[any_operation() for _ in range(6)]))
CONTROLLERS = {
    'random search': search.Random(batch_size=1),
    'local search': search.LocalSearch(batch_size=1),
    'regularized evolution': search.RegularizedEvolution(batch_size=1),
    'the same, without memory': search.RegularizedEvolution(batch_size=1, memory=0),
}


def evaluate(cell, key):
    """Validation accuracy in per cent, by lookup."""
    del key
    digits = jnp.stack([edge.index for edge in cell.edges]).astype(jnp.int32)
    return {'accuracy': jnp.asarray(TABLE.values, jnp.float32)[digits @ jnp.asarray(TABLE.strides, jnp.int32)]}


def searched(controller, evaluations: int):
    """Accuracies [S, evaluations] of S searches, and the best cell of all."""
    loop = search.compile(SPACE, evaluate, controller, objectives=[pg.maximize('accuracy')], tile=1, batch='vmap')

    @jax.jit
    @jax.vmap
    def run(key):
        result = loop(key, evaluations)
        return result.metrics['accuracy'][:, 0], result.dna

    accuracy, dna = jax.device_get(run(jax.random.split(jax.random.key(0), SEEDS)))
    seed, number = np.unravel_index(accuracy.argmax(), accuracy.shape)
    return accuracy, SPACE.decode(dna[seed, number, 0])


def main(plot: str = 'runs/nas_bench_201.png', *, evaluations: int = 500) -> dict[str, float]:
    curves, cells = {}, {}
    for name, controller in CONTROLLERS.items():
        accuracy, cells[name] = searched(controller, evaluations)
        curves[name] = TABLE.best - np.maximum.accumulate(accuracy, axis=1)
    regret = {name: float(curve[:, -1].mean()) for name, curve in curves.items()}
    print(f'mean regret of {SEEDS} searches after {evaluations} of {SPACE.size:,} cells (accuracy points):')
    for name, value in regret.items():
        print(f'  {name:26} {value:.3f}')
    best = cells[min(regret, key=regret.__getitem__)]
    print('best cell:', ', '.join(operation.name for operation in best.edges))
    save_plot(curves, plot)
    return regret


def save_plot(curves, path: str) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, curve in curves.items():
        mean, error = curve.mean(0), curve.std(0) / SEEDS**0.5
        number = 1 + np.arange(len(mean))
        axes.plot(number, mean, label=name)
        axes.fill_between(number, mean - error, mean + error, alpha=0.2)
    axes.set(xscale='log', yscale='log', ylim=(1e-2, None), xlabel='cells', ylabel='regret (accuracy points)')
    axes.legend()
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches='tight')
    pyplot.close(figure)
    print(f'plot: {path}')


if __name__ == '__main__':
    main(*sys.argv[1:2], evaluations=int(sys.argv[2]) if len(sys.argv) > 2 else 500)
