"""Patches as values: symbolic objects that change other values when they are called, and chains of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pgjax._errors import UriError, show
from pgjax.edit._engine import patch
from pgjax.edit._uri import from_uri, to_uri
from pgjax.symbolic import List, Object, format_

T = TypeVar('T')


class Patch(Object, type_name='pgjax.Patch'):
    """A change that can be applied to many values. It is a value itself: it prints, compares, hashes and is stored.

    `p(x)` is `pg.patch(x, p)`; `p >> q` is the chain of both, where `q` is any rule that `pg.patch` takes.
    `str(p)` is its canonical URI where it has one.

    >>> import pgjax as pg
    >>> longer = pg.lens('steps').over(lambda steps: 2 * steps)
    >>> longer(pg.Dict(steps=10)), isinstance(longer, pg.Patch)
    ({'steps': 20}, True)
    """

    __pg_patch__ = True
    __pg_whole__ = False  # whether a hole is patched itself, and not each of its candidates

    def __call__(self, x: T) -> T:
        """A patched copy of `x`; see `pg.patch`."""
        return patch(x, self)

    def __rshift__(self, other: Any) -> Chain:
        return Chain([*_links(self), *_links(other)])

    def __rrshift__(self, other: Any) -> Chain:
        return Chain([*_links(other), *_links(self)])

    def __str__(self) -> str:
        try:
            return to_uri(self)
        except UriError:
            return format_(self)

    def _rewrite(self, target: Any) -> Any:
        """What to do with a value: another rule, or a `Value`. Must not be called but by the engine."""
        raise NotImplementedError

    def _checks(self) -> list[Callable[[Any], Any]]:
        """Validators of the final value."""
        return []

    def _chained(self) -> Sequence[Any] | None:
        """The rules to apply instead of this patch, if that is all it does."""
        return None


class Chain(Patch, type_name='pgjax.Chain'):
    """Rules one after the other; made by `>>`.

    Attributes:
      patches: rules that `pg.patch` takes, the first one first.

    >>> import pgjax as pg
    >>> chain = pg.lens('steps').to(10) >> {'lr': 0.1}
    >>> chain(pg.Dict(steps=1, lr=1.0))
    {'steps': 10, 'lr': 0.1}
    """

    patches: list[Any] = ()  # type: ignore[assignment]

    def _chained(self) -> Sequence[Any]:
        return self.patches

    def _uri_parts(self) -> Sequence[Any]:
        if len(self.patches) < 2:
            raise UriError(f'A chain of {len(self.patches)} patches has no URI.')
        for part in self.patches:
            if not hasattr(part, '_uri_parts') or isinstance(part, Chain):
                raise UriError(
                    f'A chain has a URI if all of its patches have; {type(part).__name__} {show(part)} has none.'
                )
        return self.patches

    def __str__(self) -> str:
        return ' >> '.join(map(str, self.patches))


def _links(rule: Any) -> list[Any]:
    """The rules in a rule, so that chains of chains are flat."""
    if isinstance(rule, Chain):
        return list(rule.patches)
    if type(rule) in (list, tuple, List):
        return [link for part in rule for link in _links(part)]
    if isinstance(rule, str):
        return _links(from_uri(rule))
    return [] if rule is None else [rule]
