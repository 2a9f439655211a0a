"""Graph neural networks that are accurate, quick and small: three objectives on NAS-Bench-Graph (Qin et al., 2022).

An architecture has four layers, each one of nine operations, linked in one of nine ways; all of them were trained on
ogbn-arxiv. The result of a search is a front: for each network on it, none is better in all three respects.
usage: graph_networks.py [PLOT [EVALUATIONS]]

Needs the table: pip install 'pgjax-search[bench,plot]'.
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
from tables import GRAPH_OPERATIONS, LINKS, graph_objectives

import pgjax as pg
from pgjax import search
from pgjax.search.multiobjective import hypervolume, nondominated_ranks

BATCH = 10


class Choice(pg.Object):
    index: float


class Network(pg.Object):
    links: Choice
    layers: list[Choice]

    def __str__(self) -> str:
        layers = ' '.join(GRAPH_OPERATIONS[int(layer.index)] for layer in self.layers)
        return f'{layers}, linked {LINKS[int(self.links.index)]}'


def one_of_nine() -> Choice:
    return pg.oneof([Choice(index=float(i)) for i in range(9)])


SPACE = pg.search_space(Network(links=one_of_nine(), layers=[one_of_nine() for _ in range(4)]))
VALUES = graph_objectives('arxiv')  # latency and parameters negative
OBJECTIVES = [pg.maximize('accuracy'), pg.minimize('latency'), pg.minimize('parameters')]
CONTROLLER = search.Dedup(search.SEMO(batch_size=BATCH, initial_size=50))


def evaluate(network, key):
    """What training this network gave; NaN for one without a layer, which is a failed trial."""
    del key
    digits = jnp.stack([network.links.index, *(layer.index for layer in network.layers)]).astype(jnp.int32)
    accuracy, latency, parameters = jnp.asarray(VALUES, jnp.float32)[digits @ np.array([9**4, 9**3, 9**2, 9, 1])]
    return {'accuracy': accuracy, 'latency': -latency, 'parameters': -parameters}


def front(values: np.ndarray) -> np.ndarray:
    """The rows that no other row dominates, which may be of any number."""
    return np.unique(values[np.asarray(nondominated_ranks(values)) == 0], axis=0)


def main(plot: str = 'runs/graph_networks.png', *, evaluations: int = 2000) -> float:
    loop = search.compile(SPACE, evaluate, CONTROLLER, objectives=OBJECTIVES, tile=BATCH, batch='vmap')
    result = jax.device_get(jax.jit(lambda key: loop(key, evaluations // BATCH))(jax.random.key(0)))
    found = result.fitness.reshape(-1, 3)
    trained = np.isfinite(found).all(-1)
    dna = jax.tree.map(lambda x: x.reshape(len(found), -1)[trained], result.dna)
    found = found[trained]

    best = true_front()
    low, high = best.min(0), best.max(0)  # volumes are above the worst corner of the true front
    share = float(hypervolume((front(found) - low) / (high - low), np.zeros(3)))
    share /= float(hypervolume((best - low) / (high - low), np.zeros(3)))
    rows = np.flatnonzero(np.asarray(nondominated_ranks(found)) == 0)
    rows = rows[np.unique(found[rows], axis=0, return_index=True)[1]]  # many encodings are the same network
    print(f'{evaluations:,} of {SPACE.size:,} networks: a front of {len(rows)}, {share:.2%} of the best hypervolume')
    for row in rows[np.argsort(-found[rows, 0])][:5]:
        accuracy, latency, parameters = found[row] * (100, -1e3, -1)
        print(f'  {accuracy:.2f} %, {latency:.2f} ms, {parameters:.3f} M parameters: {SPACE.decode(dna[row])}')
    save_plot(found, best, plot)
    return share


def true_front() -> np.ndarray:
    """Of all networks: those that no block of the table beats, then those that none of these beats."""
    values = VALUES[np.isfinite(VALUES).all(-1)].astype(np.float32)
    blocks = np.array_split(values, 40)
    return front(np.concatenate([front(block) for block in blocks]))


def save_plot(found: np.ndarray, best: np.ndarray, path: str) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    axes.scatter(-found[:, 1] * 1e3, 100 * found[:, 0], s=4, color='lightgray', label='tried')
    axes.scatter(-best[:, 1] * 1e3, 100 * best[:, 0], s=18, facecolors='none', edgecolors='gray', label='true front')
    kept = front(found)
    colours = axes.scatter(-kept[:, 1] * 1e3, 100 * kept[:, 0], s=12, c=np.log10(-kept[:, 2]), label='found front')
    figure.colorbar(colours, label='log10 of parameters')
    axes.set(xscale='log', xlabel='latency (ms)', ylabel='accuracy (%)', ylim=(100 * best[:, 0].min(), None))
    axes.legend()
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches='tight')
    pyplot.close(figure)
    print(f'plot: {path}')


if __name__ == '__main__':
    main(*sys.argv[1:2], evaluations=int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
