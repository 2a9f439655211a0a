"""Loops as one would write them by hand, without any library: whole generations inside one program.

They have the operators of the controllers beside which they are timed. `below` and the coins take one random word for
what `randint` and `bernoulli` take two or thirty-two for.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

ARITY = 5
Run = Callable[[jax.Array], Any]


def fitness_of(choices: jax.Array) -> jax.Array:
    return jnp.sum(choices == 3, axis=-1, dtype=jnp.int32).astype(jnp.float32)


def below(bits: jax.Array, bound: int) -> jax.Array:
    """uint32 bits scaled to [0, bound), bound <= 2**16."""
    return (((bits >> 16) * bound + (((bits & 0xFFFF) * bound) >> 16)) >> 16).astype(jnp.int32)


def mutated(bits: jax.Array, choices: jax.Array) -> jax.Array:
    """One gene of each row to another value: two random words a child."""
    place, shift = below(bits[0], choices.shape[1]), 1 + below(bits[1], ARITY - 1)
    new = (jnp.take_along_axis(choices, place[:, None], 1)[:, 0] + shift) % ARITY
    return jnp.where(jnp.arange(choices.shape[1]) == place[:, None], new[:, None], choices)


def generations_of(step: Callable[[Any, jax.Array], Any], size: int, genes: int, generations: int) -> Run:
    """G steps from a random population."""

    def run(key: jax.Array) -> Any:
        choices = jax.random.randint(key, (size, genes), 0, ARITY)
        first = choices, fitness_of(choices)
        return jax.lax.scan(lambda s, k: (step(s, k), None), first, jax.random.split(key, generations))[0]

    return jax.jit(run)


def crossed_children(state: Any, key: jax.Array) -> jax.Array:
    """Tournaments of two, uniform crossover in pairs by random bits, one mutation."""
    choices, fitness = state
    size, genes = choices.shape
    rival_key, coin_key, mutate_key = jax.random.split(key, 3)
    a, b = below(jax.random.bits(rival_key, (2, size)), size)
    parents = choices[jnp.where(fitness[b] > fitness[a], b, a)].reshape(-1, 2, genes)
    words = jax.random.bits(coin_key, (size // 2, -(-genes // 32), 1))
    coins = ((words >> np.arange(32, dtype=np.uint32)) & 1).astype(bool).reshape(size // 2, -1)[:, :genes]
    swap = jnp.stack([coins, ~coins], 1)
    children = jnp.where(swap, parents[:, 1:], parents[:, :1]).reshape(size, genes)
    return mutated(jax.random.bits(mutate_key, (2, size)), children)


def genetic(size: int, genes: int, generations: int) -> Run:
    """Children replace their parents."""

    def step(state: Any, key: jax.Array) -> Any:
        children = crossed_children(state, key)
        return children, fitness_of(children)

    return generations_of(step, size, genes, generations)


def elitist(size: int, genes: int, generations: int) -> Run:
    """The best of parents and children survive."""

    def step(state: Any, key: jax.Array) -> Any:
        children = crossed_children(state, key)
        fitness, best = jax.lax.top_k(jnp.concatenate([state[1], fitness_of(children)]), size)
        return jnp.concatenate([state[0], children])[best], fitness

    return generations_of(step, size, genes, generations)


def regularized(size: int, genes: int, generations: int, tournament: int = 10) -> Run:
    """Tournaments, one mutation, the oldest are overwritten: batch and population of one size."""

    def step(state: Any, key: jax.Array) -> Any:
        choices, fitness = state
        rival_key, mutate_key = jax.random.split(key)
        rivals = below(jax.random.bits(rival_key, (tournament, size)), size)
        best = rivals[0]
        for rival in rivals[1:]:
            best = jnp.where(fitness[rival] > fitness[best], rival, best)
        children = mutated(jax.random.bits(mutate_key, (2, size)), choices[best])
        return children, fitness_of(children)

    return generations_of(step, size, genes, generations)


def reinforce(size: int, genes: int, generations: int, rate: float, entropy: float, decay: float) -> Run:
    """One row of logits a gene, drawn by inverse distribution functions; the gradient in closed form; Adam."""
    optimizer = optax.adam(rate)

    def step(state: Any, key: jax.Array) -> Any:
        logits, memory, baseline = state
        logs = jax.nn.log_softmax(logits)
        p = jnp.exp(logs)
        total = jnp.cumsum(p, -1)[:, :-1]
        choices = (jax.random.uniform(key, (size, genes))[..., None] >= total).sum(-1, dtype=jnp.int32)
        fitness = fitness_of(choices)
        baseline = decay * baseline + (1 - decay) * fitness.mean()
        weight = (fitness - baseline) / size
        rise = (weight[:, None, None] * (choices[..., None] == jnp.arange(ARITY))).sum(0) - weight.sum() * p
        spread = entropy * (p * (p * logs).sum(-1, keepdims=True) - p * logs)
        updates, memory = optimizer.update(-(rise + spread), memory, logits)
        return (optax.apply_updates(logits, updates), memory, baseline), None

    def run(key: jax.Array) -> Any:
        logits = jnp.zeros((genes, ARITY))
        first = logits, optimizer.init(logits), jnp.float32(0)
        return jax.lax.scan(step, first, jax.random.split(key, generations))[0]

    return jax.jit(run)
