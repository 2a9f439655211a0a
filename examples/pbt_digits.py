"""Population-based training on handwritten digits: learning rate, momentum and weight decay change as networks train.

16 networks train side by side in one compiled program. After every round the worst take over the weights of the best
and vary their settings, so the run ends with a trained network and the schedule that trained it. The same number of
updates is spent on 16 settings that never change, for comparison. usage: pbt_digits.py [PLOT [ROUNDS]]
"""

import os
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import pgjax as pg
from pgjax import search
from pgjax.search.population_training import PBTResult

STEPS = 50  # updates in a round
MODEL = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(10)])
SPACE = pg.Dict(
    learning_rate=pg.floatv(1e-3, 1.0, scale='log'),
    momentum=pg.floatv(0.5, 0.99, scale='rlog'),
    weight_decay=pg.floatv(1e-6, 1e-2, scale='log'),
)


def digits():
    """(images, labels) of the train, validation and test parts: 1,078, 359 and 360 images, always the same."""
    images, labels = load_digits(return_X_y=True)
    parts = np.split(np.random.default_rng(0).permutation(len(labels)), [1078, 1437])
    return [(jnp.asarray(images[p] / 16.0, jnp.float32), jnp.asarray(labels[p])) for p in parts]


TRAIN, VALIDATION, TEST = digits()


def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    logits: Any = MODEL.apply(params, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def init(exp: Any, key: jax.Array) -> Any:
    """Fresh weights, and no momentum yet."""
    params = MODEL.init(key, TRAIN[0][:1])
    return params, jax.tree.map(jnp.zeros_like, params)


def step(state: Any, exp: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
    """One update of one network, with the settings that it has just now."""
    params, velocity = state
    rows = jax.random.randint(key, (64,), 0, len(TRAIN[1]))
    grads = jax.grad(loss)(params, TRAIN[0][rows], TRAIN[1][rows])
    velocity = jax.tree.map(lambda v, g, p: exp.momentum * v + g + exp.weight_decay * p, velocity, grads, params)
    params = jax.tree.map(lambda p, v: p - exp.learning_rate * v, params, velocity)
    return (params, velocity), {'loss': loss(params, *VALIDATION), 'accuracy': accuracy(params, VALIDATION)}


def accuracy(params: Any, part: Any) -> jax.Array:
    logits: Any = MODEL.apply(params, part[0])
    return (logits.argmax(-1) == part[1]).mean()


def plot(path: str, result: PBTResult, schedule: Any) -> None:
    """Every member's validation loss over the rounds, and the settings on the way to the best network."""
    import matplotlib as mpl

    mpl.use('agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout='constrained')
    axes[0].plot(result.rounds.metrics['loss'], color='tab:gray', alpha=0.5, linewidth=0.8)
    axes[0].plot(np.nanmin(result.rounds.metrics['loss'], axis=1), color='tab:red', label='best')
    axes[0].set(xlabel=f'round of {STEPS} updates', ylabel='validation loss', yscale='log')
    axes[0].legend()
    for name in ('learning_rate', 'momentum', 'weight_decay'):
        axes[1].plot([exp[name] for exp in schedule], label=name)
    axes[1].set(xlabel='round', ylabel='settings of the best network', yscale='log')
    axes[1].legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(path: str = 'runs/pbt_digits.png', *, rounds: int = 20) -> None:
    training = search.Training(init=init, step=step, objectives=[pg.minimize('loss')])
    result = search.PBT(population_size=16, steps=STEPS, rounds=rounds).run(SPACE, training)
    unchanging = search.SuccessiveHalving(population_size=16, min_steps=STEPS * rounds, max_steps=STEPS * rounds)
    fixed = unchanging.run(SPACE, training).best
    best = result.best
    assert best is not None and fixed is not None, 'every network failed'
    schedule = pg.search_space(SPACE).decode(result.schedule(best.id))
    print(f'the best of 16 networks after {rounds} rounds of {STEPS} updates, and how it was trained:\n')
    print('round  learning_rate  momentum  weight_decay')
    for number in range(0, rounds, max(1, rounds // 10)):
        exp = schedule[number]
        print(f'{number:5}  {exp.learning_rate:13.4f}  {exp.momentum:8.3f}  {exp.weight_decay:12.1e}')
    for name, member in (('population-based training', best), ('settings that never change', fixed)):
        test = float(accuracy(member.state[0], TEST))
        print(
            f'\n{name}: validation loss {member.metrics["loss"]:.4f}, validation accuracy '
            f'{member.metrics["accuracy"]:.4f}, test accuracy {test:.4f}',
            end='',
        )
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    plot(path, result, schedule)
    print(f'\n\nplot: {path}')


if __name__ == '__main__':
    main(*sys.argv[1:2], rounds=int(sys.argv[2]) if len(sys.argv) > 2 else 20)
