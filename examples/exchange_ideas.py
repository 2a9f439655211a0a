"""ML ideas exchanged as code: the figures of https://arxiv.org/abs/2302.01918, as a program that runs.

Teams write experiments (`codebases/`); others write ideas, here, and have not seen those experiments. An idea is a
patch: a rule with a name, applied to any experiment in one line. Networks are Flax's own modules, wrapped as they are.
"""

import itertools
import tempfile
from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from codebases.datasets import DATASETS, Dataset, forward
from codebases.language import Attention, FeedForward, Stack, Transformer, transformer
from codebases.probing import tower
from codebases.vision import Experiment, adamw, resnet

import pgjax as pg

nn = pg.wrap_module(linen)
sgd = pg.wrap(optax.sgd)


# Figure 2: a component, and the rule that puts it everywhere ----------------------------------------------------------


@pg.wrap
class SepConv(linen.Module):
    """A convolution of each channel by itself, then one across channels."""

    features: int
    kernel_size: Sequence[int]
    strides: int = 1

    @linen.compact
    def __call__(self, x):
        channels = x.shape[-1]
        x = linen.Conv(channels, self.kernel_size, self.strides, feature_group_count=channels, use_bias=False)(x)
        return linen.Conv(self.features, (1, 1))(x)


@pg.patcher
def apply_sepconv(exp):
    return pg.patch_on_type(exp, nn.Conv, value_fn=lambda c: SepConv(c.features, c.kernel_size, c.strides))


# Figure 3: rules that look at the experiment, that take arguments, that call each other -------------------------------


@pg.patcher
def change_dataset(exp, name: str):
    """Other data, and as many outputs as they have classes."""
    dataset = DATASETS[name]
    (place,) = pg.query(exp, where=lambda v: isinstance(v, Dataset)).paths
    last = pg.query(exp, where=lambda v: isinstance(v, nn.Dense)).paths[-1]
    return {place: dataset, last.child('features'): dataset.num_classes}


@pg.patcher
def scale_width(exp, k: float = 2.0):
    """More channels, or fewer, in convolutions of every kind."""

    def rule(path, value, parent):
        return round(k * value) if path.key == 'features' and hasattr(parent, 'kernel_size') else value

    return rule


class AutoML(pg.Object):
    """The most accurate of the experiments in a space that are cheap enough."""

    experiment: Experiment
    target_flops: float

    def run(self) -> tuple[Experiment, float]:
        affordable = [exp for exp in pg.iter(self.experiment) if exp.flops() <= self.target_flops]
        return max(((exp, exp.train()[1]) for exp in affordable), key=lambda found: found[1])


@pg.patcher
def search_for_width(exp, target_flops: float):
    """One factor for all widths, searched for."""
    factors = [2.0**e for e in (-2, -1, 0, 1, 2)]
    return [scale_width(pg.oneof(factors)), lambda path, value: value if path else AutoML(value, target_flops)]


# Figure 4: the ideas of which LaMDA is made ---------------------------------------------------------------------------


@pg.patcher
def remove_encoder(model):
    return {'encoder': pg.MISSING, 'decoder.cross_attention': pg.MISSING}


@pg.patcher
def relative_attention(model):
    return pg.patch_on_member(model, Attention, 'relative', True)


@pg.patcher
def gated_gelu(model):
    return pg.patch_on_type(model, FeedForward, value_fn=lambda f: f.rebind(activation=jax.nn.gelu, gated=True))


@pg.patcher
def scale_up(model, layers: int, width: int, heads: int):
    model = model.rebind({'width': width, 'decoder.depth': layers})
    model = pg.patch_on_key(model, 'heads', heads)
    return pg.patch_on_member(model, FeedForward, 'width', 8 * width)


LAMDA = ['remove_encoder', 'relative_attention', 'gated_gelu', 'scale_up?layers=2&width=32&heads=4']

LAMDA_BY_HAND = Transformer(
    vocabulary=100,
    width=32,
    decoder=Stack(
        depth=2,
        attention=Attention(heads=4, causal=True, relative=True),
        feed_forward=FeedForward(width=256, activation=jax.nn.gelu, gated=True),
    ),
)


# What comes of it -----------------------------------------------------------------------------------------------------


def main() -> None:
    print('Figure 2. SepConv for Conv, in one line that knows nothing of the model')
    separable = pg.patch(resnet, 'apply_sepconv')
    trained = {exp: exp.train() for exp in (resnet, separable)}
    for exp, (_, accuracy) in trained.items():
        print(f'  {exp.flops():9,.0f} FLOPs, accuracy {accuracy:.2f}  {exp.model.layers[0]}')

    print('Figure 3. Other data, other widths, and a search for widths')
    print(pg.diff(resnet, pg.patch(resnet, ['change_dataset?name=imagenet', scale_width(0.5)])))
    automl: Any = pg.patch(resnet, 'search_for_width?target_flops=2e5')
    best, accuracy = automl.run()
    print(f'  the best of {pg.search_space(automl).size} that can be afforded: {best.model.layers[0]}, {accuracy:.2f}')

    print('Figure 4. LaMDA is a Transformer and four patches')
    lamda = pg.patch(transformer, LAMDA)
    logits = forward(lamda, jnp.arange(6)[None])
    print(f'  {" >> ".join(pg.history(lamda))}')
    print(f'  equal to the one written by hand: {lamda == LAMDA_BY_HAND}; logits {logits.shape}')

    print('Figure 5. n patches for m experiments: n + m pieces of code')
    patches = ['apply_sepconv', 'scale_width?k=0.5', 'change_dataset?name=imagenet']
    experiments: dict[str, Any] = {'resnet': resnet, 'tower': tower}
    for name, uri in itertools.product(experiments, patches):
        patched = pg.patch(experiments[name], uri)
        changes = pg.diff(experiments[name], patched).changes
        print(f'  {name:8}{uri:32}{len(changes)} changes, scores {patched.scores().shape}')

    print('Figure 9. What is left open is searched; a part is released and used elsewhere; the whole is reproduced')
    optimizers = [
        adamw.rebind(learning_rate=pg.floatv(1e-3, 1e-1, scale='log')),
        sgd(pg.floatv(1e-2, 1.0, scale='log')),
    ]
    first = [resnet.model.layers[0], separable.model.layers[0]]
    tuned = pg.rebind(resnet, {'optimizer': pg.oneof(optimizers), 'model.layers[0]': pg.oneof(first), 'batch_size': 64})
    print(f'  decisions: {", ".join(decision.id for decision in pg.search_space(tuned).decisions)}')
    with tempfile.TemporaryDirectory() as folder:
        pg.save(separable.model, f'{folder}/model.json')
        reused = tower.rebind(net=pg.load(f'{folder}/model.json'))
        pg.Repository(folder).save(separable, name='separable')
        again = pg.Repository(folder).load('separable')
    print(f'  {type(reused.net).__name__} in a Probe, scores {reused.scores().shape}')
    same = jax.tree.all(jax.tree.map(np.array_equal, again.train()[0], trained[separable][0]))
    print(f'  trained again, every parameter is the same: {same}')


if __name__ == '__main__':
    main()
