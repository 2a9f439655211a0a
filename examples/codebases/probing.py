"""Team B looks at features: other experiments, another way to write networks."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax

import pgjax as pg

from .datasets import DATASETS, Dataset, forward

nn = pg.wrap_module(linen)


@pg.wrap
class Tower(linen.Module):
    stem: linen.Module
    hidden: Sequence[int]
    head: linen.Module

    @linen.compact
    def __call__(self, images):
        x = linen.relu(self.stem(images)).reshape(len(images), -1)
        for width in self.hidden:
            x = linen.tanh(linen.Dense(width)(x))
        return self.head(x)


class Probe(pg.Object):
    """A network, and the data whose images it is tried on."""

    data: Dataset
    net: Any

    def scores(self) -> jax.Array:
        return forward(self.net, self.data.batch(seed=0, count=2)[0])


tower = Probe(
    data=DATASETS['cifar10'],
    net=Tower(stem=nn.Conv(features=8, kernel_size=(5, 5), strides=2), hidden=[32], head=nn.Dense(10)),
)
