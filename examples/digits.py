"""Searches for an MLP that reads handwritten digits: hidden widths, activation and four training settings.

64 experiments train side by side in each generation, one compiled program for each structure. The study is kept
under `runs/digits`: run the file again and it goes on from where it stopped. usage: digits.py [PATH [GENERATIONS]]
"""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, Lt
from sklearn.datasets import load_digits

import pgjax as pg
from pgjax import search


class Experiment(pg.Object):
    """How one classifier is built and trained."""

    widths: list[int] = pg.field(default=(64,), doc='units of each hidden layer')
    activation: Callable = pg.field(default=jax.nn.relu, dispatch='switch')
    learning_rate: Annotated[float, Gt(0)] = 0.05
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    steps: int = 150
    batch: int = 64


SPACE = Experiment(
    widths=pg.oneof([[16], [32], [64], [128], [64, 32], [128, 64]]),
    activation=pg.oneof([jax.nn.relu, jax.nn.tanh, jax.nn.gelu, jax.nn.silu]),
    learning_rate=pg.floatv(1e-3, 1.0, scale='log'),
    momentum=pg.floatv(0.0, 0.99),
    weight_decay=pg.floatv(1e-6, 1e-1, scale='log'),
    label_smoothing=pg.floatv(0.0, 0.3),
)


def digits():
    """(images, labels) of the train, validation and test parts: 1,078, 359 and 360 images, always the same."""
    images, labels = load_digits(return_X_y=True)
    parts = np.split(np.random.default_rng(0).permutation(len(labels)), [1078, 1437])
    return [(jnp.asarray(images[p] / 16.0, jnp.float32), jnp.asarray(labels[p])) for p in parts]


TRAIN, VALIDATION, TEST = digits()


def evaluate(exp: Experiment, key: jax.Array) -> dict[str, jax.Array]:
    """Trains one experiment and measures it; pure, so that whole populations run under `vmap`."""
    hidden = [layer for width in exp.widths for layer in (nn.Dense(width), exp.activation)]
    model = nn.Sequential([*hidden, nn.Dense(10)])
    optimizer = optax.chain(optax.add_decayed_weights(exp.weight_decay), optax.sgd(exp.learning_rate, exp.momentum))
    init_key, batch_key = jax.random.split(key)
    params: Any = model.init(init_key, TRAIN[0][:1])

    def logits(params: Any, images: jax.Array) -> Any:
        return model.apply(params, images)

    def loss(params, images, labels):
        targets = optax.smooth_labels(jax.nn.one_hot(labels, 10), exp.label_smoothing)
        return optax.softmax_cross_entropy(logits(params, images), targets).mean()

    def step(carry, rows):
        params, state = carry
        grads = jax.grad(loss)(params, TRAIN[0][rows], TRAIN[1][rows])
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), None

    rows = jax.random.randint(batch_key, (exp.steps, exp.batch), 0, len(TRAIN[1]))
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), rows)

    def accuracy(part):
        return (logits(params, part[0]).argmax(-1) == part[1]).mean()

    return {'accuracy': accuracy(VALIDATION), 'test_accuracy': accuracy(TEST)}


def main(path: str = 'runs/digits', *, generations: int = 12) -> search.Study:
    controller = search.RegularizedEvolution(population_size=128, tournament_size=12, batch_size=64)
    study = search.Study(SPACE, controller, objectives=[pg.maximize('accuracy')], path=path, tile=8, batch='vmap')
    study = study.run(evaluate, generations=generations)
    best = study.best
    assert best is not None, 'every experiment failed'
    print(f'\nThe best of {len(study.history)} experiments:\n\n{pg.format(best.value, width=88)}\n')
    print('validation accuracy {accuracy:.4f}, test accuracy {test_accuracy:.4f}'.format(**best.metrics))
    print(f'report: {study.report(f"{path}/report.html")}')
    return study


if __name__ == '__main__':
    main(*sys.argv[1:2], generations=int(sys.argv[2]) if len(sys.argv) > 2 else 12)
