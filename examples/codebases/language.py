"""Team C builds Transformers, here a small one."""

import functools
from collections.abc import Callable

import flax.linen as linen
import jax
import jax.numpy as jnp

import pgjax as pg


@pg.wrap
class Attention(linen.Module):
    heads: int
    causal: bool = False
    relative: bool = False  # learn a number for each head and distance, as T5 does
    reach: int = 8

    @linen.compact
    def __call__(self, x, memory=None):
        bias = None
        if self.relative:
            table = self.param('distances', linen.initializers.normal(), (self.heads, 2 * self.reach + 1))
            distance = jnp.arange(x.shape[1])[None, :] - jnp.arange(x.shape[1])[:, None]
            bias = table[:, jnp.clip(distance, -self.reach, self.reach) + self.reach]
        mask = linen.make_causal_mask(x[..., 0]) if self.causal else None
        attend = functools.partial(linen.dot_product_attention, bias=bias)
        attention = linen.MultiHeadDotProductAttention(self.heads, attention_fn=attend)
        return attention(x, x if memory is None else memory, mask=mask)


@pg.wrap
class FeedForward(linen.Module):
    width: int
    activation: Callable = jax.nn.relu
    gated: bool = False

    @linen.compact
    def __call__(self, x):
        hidden = self.activation(linen.Dense(self.width)(x))
        return linen.Dense(x.shape[-1])(hidden * linen.Dense(self.width)(x) if self.gated else hidden)


@pg.wrap
class Stack(linen.Module):
    depth: int
    attention: linen.Module
    feed_forward: linen.Module
    cross_attention: linen.Module | None = None

    @linen.compact
    def __call__(self, x, memory=None):
        for layer in range(self.depth):
            x += self.attention.copy(name=f'attention_{layer}')(linen.LayerNorm()(x))
            if self.cross_attention is not None:
                x += self.cross_attention.copy(name=f'cross_attention_{layer}')(linen.LayerNorm()(x), memory)
            x += self.feed_forward.copy(name=f'feed_forward_{layer}')(linen.LayerNorm()(x))
        return x


@pg.wrap
class Transformer(linen.Module):
    vocabulary: int
    width: int
    decoder: linen.Module
    encoder: linen.Module | None = None

    @linen.compact
    def __call__(self, tokens, source=None):
        embed = linen.Embed(self.vocabulary, self.width)
        memory = None if self.encoder is None else self.encoder(embed(source))
        return embed.attend(self.decoder(embed(tokens), memory))


transformer = Transformer(
    vocabulary=100,
    width=16,
    encoder=Stack(depth=1, attention=Attention(heads=2), feed_forward=FeedForward(32)),
    decoder=Stack(1, Attention(2, causal=True), FeedForward(32), cross_attention=Attention(2)),
)
