"""The contract of controllers as a check: run it over a controller of your own in your tests."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._controller import Controller, State
from pgjax.space import DNA, Space, floatv, intv, manyof, oneof, search_space
from pgjax.symbolic import Dict


def mixed_space() -> Space:
    """A conditional space with every kind of decision, and constrained groups."""
    deep = Dict(kind='deep', depth=intv(1, 5), rate=floatv(1e-3, 1.0, scale='log'), inner=oneof([1, 2, 3]))
    flat = Dict(kind='flat', width=floatv(0.0, 2.0))
    template = Dict(
        model=oneof([deep, flat]),
        order=manyof(3, [10, 20, 30]),
        pair=manyof(2, ['a', 'b', 'c', 'd'], sorted=True),
        flag=oneof([True, False]),
    )
    return search_space(template)


def check_controller(controller: Controller, space: Space | None = None, *, num_objectives: int = 1) -> None:
    """Asserts what callers of any controller rely on.

    Proposals are legal and canonical; equal keys give equal proposals; `ask` and `tell` jit, unless the controller
    says that it is not traceable; the structure, shapes and dtypes of the state never change; any number of points
    may be told, failed ones among them.

    Args:
      controller: to be checked.
      space: where; `mixed_space()` by default.
      num_objectives: M.

    Raises:
      AssertionError: the contract is broken; the message says where.

    >>> from pgjax import search
    >>> search.testing.check_controller(search.Random(batch_size=4))
    """
    space = mixed_space() if space is None else space
    key = jax.random.key(0)
    state = controller.init(space, key, num_objectives)
    shapes = _shapes(state)
    compiled = jax.jit if controller.traceable else lambda fn: fn
    ask = compiled(lambda s, k: controller.ask(space, s, k))
    tell = compiled(lambda s, d, f: controller.tell(space, s, d, f))
    for round_, round_key in enumerate(jax.random.split(key, 6)):
        dna, asked = ask(state, round_key)
        _check_proposals(controller, space, dna)
        again, _ = ask(state, round_key)
        assert again == dna, 'ask is no pure function of state and key'
        assert _shapes(asked) == shapes, 'ask changed the shape of the state'
        told = dna if round_ % 2 else dna[: max(1, controller.batch_size // 2)]
        state = tell(asked, told, _fitness(round_, len(told), num_objectives))
        assert _shapes(state) == shapes, 'tell changed the shape of the state'


def check_on_host(
    controller: Controller, space: Space, fitness: np.ndarray, *, seed: int = 0, start: State | None = None
) -> None:
    """Asserts that a controller does in NumPy what it does compiled, bit for bit.

    Args:
      controller: which has a form in NumPy over this space.
      space: where.
      fitness: float32[G, B, M], what it is told in G generations.
      seed: of the keys of its asks.
      start: the state that both begin with; the first one by default.

    Raises:
      AssertionError: a proposal or a state differs; the message says where.

    >>> from pgjax import search
    >>> search.testing.check_on_host(search.Random(batch_size=4), mixed_space(), np.zeros((3, 4, 1), np.float32))
    """
    host = controller.on_host(space)
    assert host is not None, 'there is no form in NumPy'
    keys = jax.random.split(jax.random.key(seed), len(fitness))
    state = controller.init(space, keys[0], fitness.shape[-1]) if start is None else start
    there = jax.device_get(state)
    for key, drawn, told in zip(keys, host.draw(keys), fitness, strict=True):
        dna, asked = _ask(space, controller, state, key)
        dna_there, asked_there = host.ask(there, drawn)
        _check_same(dna, dna_there, 'ask')
        _check_same(asked, asked_there, 'the state after ask')
        state, there = _tell(space, controller, asked, dna, told), host.tell(asked_there, dna_there, told)
        _check_same(state, there, 'the state after tell')


_ask = jax.jit(lambda space, controller, state, key: controller.ask(space, state, key), static_argnums=0)
_tell = jax.jit(
    lambda space, controller, state, dna, fitness: controller.tell(space, state, dna, fitness), static_argnums=0
)


def _check_same(compiled: Any, on_host: Any, what: str) -> None:
    assert _shapes(compiled) == _shapes(on_host), f'{what}: {_shapes(compiled)} compiled, {_shapes(on_host)} in NumPy'
    for path, leaf in jax.tree_util.tree_leaves_with_path(on_host):
        assert isinstance(leaf, (np.ndarray, np.generic)), f'{what}: {jax.tree_util.keystr(path)} is no array of NumPy'
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(compiled), jax.tree.leaves(on_host), strict=True):
        same = np.asarray(a).tobytes() == np.asarray(b).tobytes()
        assert same, f'{what}: {jax.tree_util.keystr(path)} is {a} compiled and {b} in NumPy'


def _check_proposals(controller: Controller, space: Space, dna: DNA) -> None:
    assert dna.shape == (controller.batch_size,), f'ask gave points of shape {dna.shape}'
    assert dna.choices.dtype == jnp.int32 and dna.floats.dtype == jnp.float32, 'genes have the wrong dtype'
    host = jax.tree.map(np.asarray, dna)
    assert not np.asarray(space.violations(host)).any(), 'ask proposed illegal points'
    assert host == jax.tree.map(np.asarray, space.canonical(host)), 'proposals are not canonical'


def _fitness(round_: int, number: int, num_objectives: int) -> jax.Array:
    """Fitness with failures of each kind, and one round in which everything failed."""
    values = np.random.default_rng(round_).normal(size=(number, num_objectives)).astype(np.float32)
    values[0] = (np.nan, -np.inf, np.inf, 0.0, 0.0, 0.0)[round_]
    return jnp.full_like(values, np.nan) if round_ == 3 else jnp.asarray(values)


def _shapes(state: Any) -> Any:
    return jax.tree.structure(state), [(jnp.shape(x), jnp.result_type(x)) for x in jax.tree.leaves(state)]
