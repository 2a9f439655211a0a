"""The contract of controllers as a check: run it over a controller of your own in your tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import show
from pgjax.search._controller import Controller, State, form_of, noting_untraceable
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
    first = state
    ask, tell = _compiled(controller, space)
    for round_, round_key in enumerate(jax.random.split(key, 6)):
        dna, asked = ask(state, round_key)
        _check_proposals(controller, space, dna)
        # Traced anew: in a program that is run again, randomness from elsewhere would be a constant.
        again, _ = (ask if round_ else _compiled(controller, space)[0])(state, round_key)
        assert again == dna, 'ask is no pure function of state and key: draw every random number from the key'
        _check_like(first, asked, 'ask')
        told = dna if round_ % 2 else dna[: max(1, controller.batch_size // 2)]
        state = tell(asked, told, _fitness(round_, len(told), num_objectives))
        _check_like(first, state, 'tell')


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


def _compiled(controller: Controller, space: Space) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`ask` and `tell` over one space, each one program if the controller is traceable."""

    def ask(state: State, key: jax.Array) -> tuple[DNA, State]:
        with noting_untraceable(controller, 'ask'):
            asked = controller.ask(space, state, key)
        assert isinstance(asked, tuple) and len(asked) == 2, f'ask must give (dna, state), gave {show(asked)}'
        return asked

    def tell(state: State, dna: DNA, fitness: jax.Array) -> State:
        with noting_untraceable(controller, 'tell'):
            return controller.tell(space, state, dna, fitness)

    return (jax.jit(ask), jax.jit(tell)) if controller.traceable else (ask, tell)


def _check_like(first: State, state: State, method: str) -> None:
    """Asserts that a state has the structure, shapes and dtypes of the first one; names what has not."""
    before, after = jax.tree.structure(first), jax.tree.structure(state)
    assert before == after, f'{method} changed the structure of the state, from {before} to {after}'
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(state), strict=True):
        was, came = form_of(old), form_of(new)
        where = jax.tree_util.keystr(path)
        assert was == came, f'{method} changed the shape of the state: state{where} was {was} and is {came}'


def _check_same(compiled: Any, on_host: Any, what: str) -> None:
    assert _shapes(compiled) == _shapes(on_host), f'{what}: {_shapes(compiled)} compiled, {_shapes(on_host)} in NumPy'
    for path, leaf in jax.tree_util.tree_leaves_with_path(on_host):
        assert isinstance(leaf, (np.ndarray, np.generic)), f'{what}: {jax.tree_util.keystr(path)} is no array of NumPy'
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(compiled), jax.tree.leaves(on_host), strict=True):
        same = np.asarray(a).tobytes() == np.asarray(b).tobytes()
        assert same, f'{what}: {jax.tree_util.keystr(path)} is {a} compiled and {b} in NumPy'


def _check_proposals(controller: Controller, space: Space, dna: DNA) -> None:
    wanted = (controller.batch_size,)
    assert dna.shape == wanted, f'ask gave points of shape {dna.shape}; by its batch_size it is {wanted}'
    dtypes = dna.choices.dtype, dna.floats.dtype
    assert dtypes == (jnp.int32, jnp.float32), f'choices are int32 and floats float32; ask gave {dtypes}'
    host = jax.tree.map(np.asarray, dna)
    illegal = np.asarray(space.violations(host)).any(-1)
    assert not illegal.any(), f'ask proposed illegal points; space.repair makes them legal: {host[illegal.argmax()]}'
    assert host == jax.tree.map(np.asarray, space.canonical(host)), 'proposals are not canonical; see space.canonical'


def _fitness(round_: int, number: int, num_objectives: int) -> jax.Array:
    """Fitness with failures of each kind, and one round in which everything failed."""
    values = np.random.default_rng(round_).normal(size=(number, num_objectives)).astype(np.float32)
    values[0] = (np.nan, -np.inf, np.inf, 0.0, 0.0, 0.0)[round_]
    return jnp.full_like(values, np.nan) if round_ == 3 else jnp.asarray(values)


def _shapes(state: Any) -> Any:
    return jax.tree.structure(state), [(jnp.shape(x), jnp.result_type(x)) for x in jax.tree.leaves(state)]
