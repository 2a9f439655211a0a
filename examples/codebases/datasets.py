"""Made-up images, and networks run on them."""

import jax
import numpy as np

import pgjax as pg


class Dataset(pg.Object):
    """Images of a few classes, each a noisy copy of its class's pattern."""

    name: str
    num_classes: int
    size: int = 8

    def batch(self, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(images [count, size, size, 3], labels [count]), always the same for one seed."""
        patterns = np.random.default_rng(0).normal(size=(self.num_classes, self.size, self.size, 3))
        rng = np.random.default_rng([1, seed])
        labels = rng.integers(self.num_classes, size=count)
        images = patterns[labels] + 0.5 * rng.normal(size=(count, *patterns.shape[1:]))
        return images.astype(np.float32), labels


DATASETS = {each.name: each for each in (Dataset('cifar10', 10), Dataset('imagenet', 20))}


@jax.jit
def forward(model, inputs):
    """What a network that was not trained makes of its inputs; symbolic models are pytrees, so `jit` takes them."""
    return model.build().init_with_output(jax.random.key(0), inputs)[0]
