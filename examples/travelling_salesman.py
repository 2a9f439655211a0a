"""The travelling salesman: the shortest round trip through the 52 places of berlin52 (optimum 7,542).

A tour is one permutation. Children are made by order crossover, and by reversing a stretch of the tour or moving one
place, which change two or three of its edges. usage: travelling_salesman.py [PLOT [GENERATIONS]]

The places are those of TSPLIB (Reinelt, 1991), where distances are rounded to whole numbers.
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search
from pgjax.search.evolution import Evolution, mutators, recombinators, selectors

OPTIMUM, SEARCHES = 7542, 4
PLACES = np.array(
    [
        (565, 575), (25, 185), (345, 750), (945, 685), (845, 655), (880, 660), (25, 230), (525, 1000), (580, 1175),
        (650, 1130), (1605, 620), (1220, 580), (1465, 200), (1530, 5), (845, 680), (725, 370), (145, 665), (415, 635),
        (510, 875), (560, 365), (300, 465), (520, 585), (480, 415), (835, 625), (975, 580), (1215, 245), (1320, 315),
        (1250, 400), (660, 180), (410, 250), (420, 555), (575, 665), (1150, 1160), (700, 580), (685, 595), (685, 610),
        (770, 610), (795, 645), (720, 635), (760, 650), (475, 960), (95, 260), (875, 920), (700, 500), (555, 815),
        (830, 485), (1170, 65), (830, 610), (605, 625), (595, 360), (1340, 725), (1740, 245),
    ]
)  # fmt: skip
DISTANCES = jnp.asarray(np.round(np.linalg.norm(PLACES[:, None] - PLACES[None], axis=-1)), jnp.float32)


SPACE = pg.search_space(pg.permutate([float(place) for place in range(len(PLACES))]))


def evaluate(tour, key):
    del key
    order = jnp.stack(tour).astype(jnp.int32)
    return {'length': DISTANCES[order, jnp.roll(order, -1)].sum()}


def salesman(population: int = 128) -> Evolution:
    parents = selectors.Tournament(population // 2, size=3)
    crossed = parents >> recombinators.Order() >> mutators.Invert()
    changed = parents >> mutators.Invert() + mutators.Insert()
    return Evolution(
        population_init=population,
        reproduction=crossed + changed,
        population_update=selectors.Top(population),
        batch_size=3 * (population // 2),
    )


def main(plot: str = 'runs/travelling_salesman.png', *, generations: int = 2000) -> float:
    controller = salesman()
    size = controller.batch_size
    loop = search.compile(SPACE, evaluate, controller, objectives=[pg.minimize('length')], tile=size, batch='vmap')

    @jax.jit
    def best_of(key):
        result = loop(key, generations)
        lengths = result.metrics['length'].reshape(-1)
        tour = result.dna.choices.reshape(len(lengths), -1)[lengths.argmin()]
        return result.metrics['length'].min(1), tour  # of each generation, and of all

    searches = [jax.device_get(best_of(key)) for key in jax.random.split(jax.random.key(0), SEARCHES)]
    lengths, tour = min(searches, key=lambda search: search[0].min())
    best = float(lengths.min())
    assert sorted(tour) == list(range(len(PLACES))), 'a tour visits every place once'
    tours = f'{SEARCHES * generations * size:,}'
    print(f'shortest of {tours} tours: {best:.0f}, {100 * (best / OPTIMUM - 1):.1f} % over the optimum')
    save_plot(tour, np.minimum.accumulate(lengths), plot)
    return best


def save_plot(tour: np.ndarray, shortest: np.ndarray, path: str) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, (way, progress) = pyplot.subplots(1, 2, figsize=(10, 4))
    way.plot(*PLACES[np.append(tour, tour[0])].T, marker='o', markersize=3)
    way.set(title=f'berlin52, length {shortest[-1]:.0f}')
    progress.semilogx(1 + np.arange(len(shortest)), shortest)
    progress.axhline(OPTIMUM, linestyle='--', color='gray')
    progress.set(xlabel='generation', ylabel='shortest tour')
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches='tight')
    pyplot.close(figure)
    print(f'plot: {path}')


if __name__ == '__main__':
    main(*sys.argv[1:2], generations=int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
