"""Detours: inside a `with`, constructing one class makes another, in this thread or task only.

The first detour of a class gives it a `__new__` that asks a context variable. It stays for good, since Python
cannot give a class its plain constructor back: with no detour in the context it does what the class did before.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pgjax._errors import ClassDefinitionError

_NONE: Mapping[type, Callable[..., Any]] = types.MappingProxyType({})
_ROUTES: contextvars.ContextVar[Mapping[type, Callable[..., Any]]] = contextvars.ContextVar(
    'pgjax_detours', default=_NONE
)
_LOCK = threading.Lock()
_ROUTED: weakref.WeakSet[type] = weakref.WeakSet()


@contextlib.contextmanager
def detour(routes: Iterable[tuple[type, Callable[..., Any]]]) -> Iterator[None]:
    """Inside the `with`, code that says `A(...)` gets `B(...)`.

    Only this thread or asyncio task is concerned; scopes nest, the inner one wins; everything is undone at the end,
    exceptions included. While `B(...)` is made, `A(...)` is again the real A, unless B derives from A. For code
    that can be edited, `pg.wrap` and a patch are the plainer way.

    Args:
      routes: pairs (A, B): a class, and the class or function to call instead.

    Raises:
      ClassDefinitionError: A is no class, or one of an extension module, which cannot be detoured.

    >>> import pgjax as pg
    >>> class Dense(pg.Object):
    ...   units: int
    >>> class Sparse(pg.Object):
    ...   units: int
    >>> def build():
    ...   return Dense(8)
    >>> with pg.detour([(Dense, Sparse)]):
    ...   build()
    Sparse(units=8)
    >>> build()
    Dense(units=8)
    """
    pairs = list(routes)
    for source, _ in pairs:
        _make_routable(source)
    token = _ROUTES.set({**_ROUTES.get(), **dict(pairs)})
    try:
        yield
    finally:
        _ROUTES.reset(token)


def _make_routable(source: Any) -> None:
    if not isinstance(source, type):
        raise ClassDefinitionError(f'detour: {source!r} is no class; a detour leads from a class.')
    with _LOCK:
        if source in _ROUTED:
            return
        try:
            type.__setattr__(source, '__new__', _router(source, vars(source).get('__new__')))
        except TypeError:
            raise ClassDefinitionError(
                f'detour: {source.__name__} is built in or of an extension module and cannot be detoured.'
            ) from None
        _ROUTED.add(source)


def _router(source: type, own: Any) -> Any:
    """A `__new__` for `source` that follows the context's route, else does what the class's `own` did."""
    plain = own.__func__ if isinstance(own, staticmethod) else own

    def __new__(cls: type, /, *args: Any, **kwargs: Any) -> Any:
        routes = _ROUTES.get()
        if cls is not source or source not in routes:
            make = plain or super(source, cls).__new__
            return make(cls) if make is object.__new__ else make(cls, *args, **kwargs)
        destination = routes[source]
        if isinstance(destination, type) and issubclass(destination, source):
            # Python will call __init__ of what comes back, as for any instance of `source`: once is enough.
            return destination.__new__(destination, *args, **kwargs)
        token = _ROUTES.set({a: b for a, b in routes.items() if a is not source})
        try:
            return destination(*args, **kwargs)
        finally:
            _ROUTES.reset(token)

    return __new__
