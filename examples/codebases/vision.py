"""Team A trains image classifiers. A regular class becomes symbolic by one line (figure 6 of the paper)."""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Gt

import pgjax as pg

from .datasets import DATASETS, Dataset, forward

nn = pg.wrap_module(linen)  # Flax's modules as symbolic values: nn.Dense(10).build() is the real one
adamw = pg.wrap(optax.adamw)(learning_rate=1e-2)


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


@pg.symbolize
class Experiment:
    def __init__(
        self,
        dataset: Dataset,
        model: Any,
        loss: Callable = cross_entropy,
        optimizer: Any = adamw,
        steps: Annotated[int, Gt(0)] = 30,
        batch_size: int = 32,
    ):
        self.dataset, self.model, self.loss = dataset, model, loss
        self.steps, self.batch_size = steps, batch_size
        self.network, self.tx = model.build(), optimizer.build()

    def train(self, seed: int = 0) -> tuple[Any, float]:
        """The trained parameters, and the accuracy on images that were not trained on."""
        images, labels = self.dataset.batch(seed, 256)
        params = self.initial_params(jax.random.key(seed), images)
        state = self.tx.init(params)
        for number in range(self.steps):
            params, state = self.step(params, state, *self.dataset.batch(seed + 1 + number, self.batch_size))
        return params, float(np.mean(self.logits(params, images).argmax(-1) == labels))

    # An experiment is a pytree: `jit` takes it as it is, and compiles once for equal ones.
    @jax.jit
    def initial_params(self, key, images):
        return self.network.init(key, images[:1])

    @jax.jit
    def step(self, params, state, images, labels):
        gradient = jax.grad(lambda params: self.loss(self.network.apply(params, images), labels))(params)
        updates, state = self.tx.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    @jax.jit
    def logits(self, params, images):
        return self.network.apply(params, images)

    def scores(self) -> jax.Array:
        return forward(self.model, self.dataset.batch(seed=0, count=2)[0])

    def flops(self) -> float:
        """What one image costs, by the compiler's count; nothing runs."""
        image = jax.ShapeDtypeStruct((1, self.dataset.size, self.dataset.size, 3), jnp.float32)
        params = jax.eval_shape(self.network.init, jax.random.key(0), image)
        cost: Any = jax.jit(self.network.apply).lower(params, image).cost_analysis()
        return cost['flops']


@pg.wrap
class Residual(linen.Module):
    body: linen.Module

    @linen.compact
    def __call__(self, x):
        y = self.body(x)
        return linen.relu(y + (x if x.shape == y.shape else linen.Dense(y.shape[-1], use_bias=False)(x)))


@pg.wrap
class GlobalAverage(linen.Module):
    def __call__(self, x):
        return x.mean(axis=(1, 2))


convolution = functools.partial(nn.Conv, kernel_size=(3, 3))

resnet = Experiment(
    dataset=DATASETS['cifar10'],
    model=nn.Sequential(
        [
            convolution(8),
            Residual(nn.Sequential([convolution(16), jax.nn.relu, convolution(16)])),
            GlobalAverage(),
            nn.Dense(10),
        ]
    ),
)
