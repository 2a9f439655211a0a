"""Dynamic evaluation: the decisions that running code asks for, collected into a space and played back.

Inside `pg.trace` and `space.apply`, `pg.oneof(...)` and its kin do not make a hole: they return a value. Who
answers is looked up in a context variable, so that threads and tasks do not see each other's contexts. Nested
contexts are asked from the innermost out; one with a `where` passes on the holes it does not want.

A candidate that is a function without arguments is a branch: it is called only when it is chosen, and tracing
calls all of them, each once, so that the decisions inside every branch become conditional decisions.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pgjax._errors import SpaceError, show
from pgjax.space._decode import decode_one
from pgjax.space._dna import DNA
from pgjax.space._holes import Hole, ManyOf, OneOf
from pgjax.space._plan import Choice, Inner, Many, Node
from pgjax.symbolic import Dict

if TYPE_CHECKING:
    from pgjax.space._space import Space

Where = Callable[[Hole], bool] | None
_contexts: contextvars.ContextVar[tuple[_Context, ...]] = contextvars.ContextVar('pgjax_contexts', default=())


class _Context:
    """Somebody who answers for holes."""

    def __init__(self, where: Where):
        self.where = where

    def answer(self, hole: Hole) -> Any:
        raise NotImplementedError


def decide(hole: Hole) -> Any:
    """What a hole is while code runs: a decided value in a context that wants it, else the hole itself."""
    contexts = _contexts.get()
    for context in reversed(contexts):
        if context.where is None or context.where(hole):
            return context.answer(hole)
    return hole


def is_running() -> bool:
    """Whether somebody answers for holes here."""
    return bool(_contexts.get())


@contextlib.contextmanager
def _inside(context: _Context) -> Iterator[None]:
    token = _contexts.set((*_contexts.get(), context))
    try:
        yield
    finally:
        _contexts.reset(token)


def is_branch(candidate: Any) -> bool:
    """Whether a candidate is code to run when it is chosen: a Python function that needs no arguments."""
    if not isinstance(candidate, types.FunctionType):
        return False
    parameters = inspect.signature(candidate).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


class _Scope:
    """The decisions of the code of one branch: named by their holes, or else by their number."""

    def __init__(self) -> None:
        self.calls = 0
        self.asked: set[str] = set()

    def name(self, hole: Hole) -> str:
        self.calls += hole.name is None
        name = hole.name or f'decision_{self.calls - 1}'
        self.asked.add(name)
        return name


class _Collector(_Context):
    """Answers with first values, and remembers the holes."""

    def __init__(self, where: Where, require_names: bool):
        super().__init__(where)
        self.require_names = require_names
        self.scope, self.found = _Scope(), dict[str, Any]()
        self.values: dict[str, Any] = {}

    def answer(self, hole: Hole) -> Any:
        if self.require_names and hole.name is None:
            raise SpaceError(f'A decision without a name: {show(hole)}. Pass name=..., or require_names=False.')
        name = self.scope.name(hole)
        branches: list[Any] = []
        candidates = hole.candidates if isinstance(hole, (OneOf, ManyOf)) else ()
        if any(map(is_branch, candidates)):
            collected = [self.collect(c) if is_branch(c) else (c, c) for c in candidates]
            branches = [value for _, value in collected]
            hole = hole.rebind(candidates=[found for found, _ in collected], raise_on_no_change=False)
        known = self.found.setdefault(name, hole)
        if known is not hole and known != hole:
            raise SpaceError(
                f'Two decisions of the name {name!r} differ: {show(known)} and {show(hole)}. '
                'Give equal decisions one name, different ones different names.'
            )
        if known is not hole and name in self.values:
            return self.values[name]
        self.values[name] = self.first(hole, branches)
        return self.values[name]

    def first(self, hole: Hole, branches: list[Any]) -> Any:
        if isinstance(hole, OneOf) and branches:
            return branches[0]
        if isinstance(hole, ManyOf) and branches:
            return [branches[i if hole.distinct else 0] for i in range(hole.k)]
        from pgjax.space._space import Space

        space = Space(Dict._of({'value': hole}))
        return space.decode(space.first())['value']

    def collect(self, branch: Callable[[], Any]) -> tuple[Any, Any]:
        """The decisions inside a branch as a dictionary of holes, and the value that it returned."""
        outer = self.scope, self.found, self.values
        self.scope, self.found, self.values = _Scope(), {}, {}
        try:
            value = branch()
            return Dict._of(self.found), value
        finally:
            self.scope, self.found, self.values = outer


class _Player(_Context):
    """Answers with the decisions of a point."""

    def __init__(self, root: Node, choices: list[int], floats: list[float], where: Where):
        super().__init__(where)
        self.choices, self.floats = choices, floats
        self.scope, self.node = _Scope(), root

    def answer(self, hole: Hole) -> Any:
        name = self.scope.name(hole)
        node = dict(self.node.parts).get(name) if isinstance(self.node, Inner) else None
        if node is None:
            raise SpaceError(
                f'The code asks for the decision {name!r}, {show(hole)}, which pg.trace did not meet. Put code that '
                'only some decisions run into candidates that are functions: pg.oneof([lambda: ..., lambda: ...]).'
            )
        candidates = hole.candidates if isinstance(hole, (OneOf, ManyOf)) else ()
        lazy = any(map(is_branch, candidates))
        if isinstance(node, Choice) and len(candidates) != len(node.branches):
            raise SpaceError(
                f'The decision {name!r} had {len(node.branches)} candidates when it was traced, now {show(hole)}.'
            )
        if lazy and isinstance(node, Choice):
            return self.branch(node, candidates)
        if lazy and isinstance(node, Many):
            return [self.branch(slot, candidates) for slot in node.slots]
        return decode_one(node, self.choices, self.floats)

    def branch(self, node: Choice, candidates: Any) -> Any:
        index = self.choices[node.column]
        chosen = candidates[index]
        if not is_branch(chosen):
            return decode_one(node, self.choices, self.floats)
        outer = self.scope, self.node
        self.scope, self.node = _Scope(), node.branches[index]
        try:
            return self.run(chosen)
        finally:
            self.scope, self.node = outer

    def run(self, code: Callable[[], Any]) -> Any:
        """The result of code that must ask for every decision that was met in it."""
        result = code()
        parts = self.node.parts if isinstance(self.node, Inner) else ()
        missing = [name for name, _ in parts if name not in self.scope.asked]
        if missing:
            raise SpaceError(
                f'The code did not ask for the decision {missing[0]!r}, which pg.trace met: the point decides what '
                'nothing depends on. Run the code that was traced, and put code that only some decisions run into '
                'candidates that are functions: pg.oneof([lambda: ..., lambda: ...]).'
            )
        return result


def trace(fn: Callable[[], Any], where: Where = None, *, require_names: bool = False) -> Space:
    """The space of the decisions that code asks for while it runs.

    `fn` runs once, with the first value of each decision; candidates that are functions without arguments are
    branches, and all of them run. Decisions of one name are one decision.

    Args:
      fn: calls `pg.oneof`, `pg.floatv`, ... anywhere inside; each is a decision, not a hole.
      where: which of them belong to this space; others are left to a context further out.
      require_names: whether a decision without a name is an error.

    Returns:
      A space; `space.apply(dna, fn)` runs `fn` with the decisions of a point.

    Raises:
      SpaceError: no decision was met, two of one name differ, or one has no name and must have one.

    >>> import pgjax as pg
    >>> def program():
    ...   x = pg.oneof([lambda: pg.intv(10, 19, name='ten'), lambda: 2 * pg.oneof([1, 2])], name='x')
    ...   return x + pg.oneof([0, 100])
    >>> space = pg.trace(program)
    >>> space.size, [space.apply(space.nth(i), program) for i in (0, 3, 20, 23)]
    (24, [10, 111, 2, 104])
    """
    from pgjax.space._space import Space

    collector = _Collector(where, require_names)
    with _inside(collector):
        fn()
    if not collector.found:
        raise SpaceError(
            'There are no decision points: the code asked for none that `where` selects. Call pg.oneof, pg.floatv, '
            'pg.intv or pg.manyof inside the traced function; holes made before it runs are not its own.'
        )
    space = Space(Dict._of(collector.found))
    space.selects = where
    return space


def apply(space: Space, dna: DNA, fn: Callable[[], Any]) -> Any:
    """Runs `fn` with the decisions of a point; see `Space.apply`."""
    host = space.check(dna)
    player = _Player(space._layout.root, host.choices.tolist(), host.floats.tolist(), space.selects)
    with _inside(player):
        return player.run(fn)
