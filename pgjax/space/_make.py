"""The functions that make holes: `pg.oneof`, `pg.manyof`, `pg.floatv`, ... Bad arguments end here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from pgjax._errors import SpaceError, show
from pgjax._keypath import Path
from pgjax.space import _arguments
from pgjax.space._holes import Custom, Derived, FloatV, IntV, ManyOf, OneOf, Scale
from pgjax.space._trace import decide, is_running
from pgjax.symbolic._bind import is_open

T = TypeVar('T')


def oneof(candidates: Iterable[T], *, name: str | None = None, hints: Any = None) -> T | Any:
    """A hole for one of `candidates`.

    Arithmetic on it keeps the decision: `64 * pg.oneof([1, 2])` is a hole for 64 or 128, and all expressions of
    one hole object are decided together. The same hole put into two places is two decisions, unless it is named.

    Args:
      candidates: what may stand there, in the order that indices mean; each may hold more holes.
      name: holes of one name are one decision.
      hints: for `where` functions that split a space.

    Raises:
      SpaceError: no candidates, or something that is not a list of them.

    >>> import pgjax as pg
    >>> space = pg.search_space({'x': pg.oneof([1, 2, 3])})
    >>> [point['x'] for point in map(space.decode, space.iterate())]
    [1, 2, 3]
    """
    return decide(OneOf(name=name, hints=hints, candidates=_arguments.listed('oneof', candidates)))


def manyof(
    k: int,
    candidates: Iterable[T],
    distinct: bool = True,
    sorted: bool = False,
    *,
    name: str | None = None,
    hints: Any = None,
) -> list[T]:
    """A hole for a list of `k` of `candidates`.

    Args:
      k: the length of the list, at least 1.
      candidates: what may be chosen.
      distinct: no candidate is chosen twice.
      sorted: chosen in the order of `candidates`, so that order means nothing.
      name: as in `oneof`.
      hints: as in `oneof`.

    Raises:
      SpaceError: k is no positive int, or more distinct candidates are asked for than there are.

    >>> import pgjax as pg
    >>> pg.search_space(pg.Dict(w=pg.manyof(2, [32, 64, 128]))).size
    6
    """
    listed = _arguments.listed('manyof', candidates)
    k = _arguments.count('manyof', 'k', k, 1)
    if distinct and k > len(listed):
        raise SpaceError(
            f'manyof: cannot choose k={k} distinct of {len(listed)} candidates; pass distinct=False or more candidates.'
        )
    return decide(ManyOf(name=name, hints=hints, k=k, candidates=listed, distinct=distinct, sorted=sorted))


def permutate(candidates: Iterable[T], *, name: str | None = None, hints: Any = None) -> list[T]:
    """A hole for the candidates in some order.

    >>> import pgjax as pg
    >>> pg.search_space([pg.permutate('abcd')]).size
    24
    """
    listed = _arguments.listed('permutate', candidates)
    return manyof(len(listed), listed, name=name, hints=hints)


def subset(
    candidates: Iterable[T],
    min_k: int = 0,
    max_k: int | None = None,
    *,
    name: str | None = None,
    hints: Any = None,
) -> list[T]:
    """A hole for a list of between `min_k` and `max_k` of `candidates`, each at most once and in their order.

    It is a `oneof` over the length, each branch a sorted, distinct `manyof`. So the random length is uniform, and
    given it, the subset is.

    Args:
      candidates: what may be chosen.
      min_k: the smallest length.
      max_k: the largest length; all candidates where it is None.
      name: as in `oneof`.
      hints: as in `oneof`.

    Raises:
      SpaceError: the lengths are no ints in [0, number of candidates], or in the wrong order.

    >>> import pgjax as pg
    >>> space = pg.search_space(pg.Dict(s=pg.subset('abc', 1, 2)))
    >>> [''.join(space.decode(dna).s) for dna in space.iterate()]
    ['a', 'b', 'c', 'ab', 'ac', 'bc']
    """
    listed = _arguments.listed('subset', candidates)
    low = _arguments.count('subset', 'min_k', min_k, 0)
    high = len(listed) if max_k is None else _arguments.count('subset', 'max_k', max_k, 0)
    if not low <= high <= len(listed):
        raise SpaceError(
            f'subset: the lengths must satisfy 0 <= min_k <= max_k <= {len(listed)} (the number of candidates), '
            f'got min_k={low}, max_k={high}.'
        )
    lengths = [ManyOf(None, hints, k, listed, True, True) if k else [] for k in range(low, high + 1)]
    return decide(OneOf(name, hints, lengths))


def floatv(
    low: float,
    high: float,
    scale: Scale | None = None,
    *,
    step: float | None = None,
    name: str | None = None,
    hints: Any = None,
) -> float:
    """A hole for a float in [low, high].

    Args:
      low: smallest value.
      high: largest value.
      scale: 'linear' (or None); 'log', dense near `low`; 'rlog', dense near `high`; 'logit', dense near 0 and 1.
        Sampling and mutation are uniform on this scale (PyGlove samples linearly whatever the scale).
      step: only low, low + step, low + 2 step, ..., high are values; the gene is then their number, an int.
      name: as in `oneof`.
      hints: as in `oneof`.

    Raises:
      SpaceError: bounds that are not finite, in the wrong order, equal in float32 or beyond it, or outside what the
        scale covers; a step that does not lead from one to the other.

    >>> import pgjax as pg
    >>> pg.floatv(1e-4, 1e-1, scale='log')
    floatv(0.0001, 0.1, scale='log')
    """
    low, high = _arguments.bounds('floatv', low, high, (int, float, np.integer, np.floating))
    chosen = _arguments.scale_name('floatv', scale, low, high)
    _arguments.check_float32('floatv', float(low), float(high))
    if np.float32(low) == np.float32(high):
        raise SpaceError(f'floatv: the bounds are equal in float32 ({low!r} and {high!r}); write the value itself.')
    if step is not None:
        _arguments.check_step('floatv', float(low), float(high), step, chosen)
        step = float(step)
    return decide(FloatV(name=name, hints=hints, low=float(low), high=float(high), scale=chosen, step=step))


def intv(
    low: int,
    high: int,
    scale: Scale | None = None,
    *,
    step: int = 1,
    name: str | None = None,
    hints: Any = None,
) -> int:
    """A hole for an int in [low, high], both included.

    Args:
      low: smallest value.
      high: largest value.
      scale: how random values spread, as in `floatv`; every value keeps a positive probability.
      step: only low, low + step, ..., high are values.
      name: as in `oneof`.
      hints: as in `oneof`.

    Raises:
      SpaceError: bounds in the wrong order, beyond int32, or not positive on a log scale; a bad step.

    >>> import pgjax as pg
    >>> pg.search_space([pg.intv(50, 500)]).size, pg.search_space([pg.intv(8, 64, step=8)]).size
    (451, 8)
    """
    low, high = _arguments.bounds('intv', low, high, (int, np.integer))
    if not (low >= -(2**31) and high < 2**31 and high - low < _arguments.MOST_VALUES):
        raise SpaceError(
            f'intv: [{low}, {high}] does not fit int32, the type of genes; to enable x64 does not widen them. '
            'Decide a smaller number and derive the large one: 2 ** pg.intv(0, 40).'
        )
    chosen = _arguments.scale_name('intv', scale, low, high)
    if chosen == 'logit':
        raise SpaceError("intv: scale 'logit' is for floats between 0 and 1; use linear, log or rlog.")
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
        raise SpaceError(f'intv: step must be an int, got {type(step).__name__} {show(step)}.')
    if step != 1:
        _arguments.check_step('intv', int(low), int(high), step, chosen)
    return decide(IntV(name=name, hints=hints, low=int(low), high=int(high), scale=chosen, step=int(step)))


def custom(
    parts: Any,
    decode: Callable[[Any], T],
    encode: Callable[[T], Any] | None = None,
    *,
    name: str | None = None,
    hints: Any = None,
) -> T:
    """A hole for a decision of your own type, coded as the decisions of `parts`.

    Inside `pg.trace`, where holes are decided as soon as they are made, it is `decode` of the decided parts.

    Args:
      parts: a value with holes: what is decided, so that every controller can sample and mutate it.
      decode: makes the value of decided parts, on the host (and inside `jit` if it is written in jnp).
      encode: its inverse, needed by `space.encode` alone.
      name: customs of one name, parts and functions are decided together.
      hints: as in `oneof`.

    Raises:
      SpaceError: `decode` or `encode` cannot be called.

    >>> import pgjax as pg
    >>> point = [pg.intv(0, 9), pg.intv(0, 9)]
    >>> space = pg.search_space(pg.Dict(z=pg.custom(point, lambda p: complex(*p), lambda z: [z.real, z.imag])))
    >>> space.size, space.decode(space.nth(25)).z
    (100, (2+5j))
    """
    for what, fn in (('decode', decode), ('encode', encode)):
        if not (callable(fn) or (fn is None and what == 'encode')):
            raise SpaceError(f'custom: {what} must be a function, got {type(fn).__name__} {show(fn)}.')
    if is_running() and not is_open(parts):  # they were decided when they were evaluated, before this call
        return decode(parts)
    return decide(Custom(name=name, hints=hints, parts=parts, decode=decode, encode=encode))


def derive(fn: Callable[..., T], *paths: str) -> T:
    """A value computed from what stands at other paths, once their decisions are made.

    Args:
      fn: called with the values at `paths`; a pure function.
      *paths: where they stand, from the root of the template.

    Raises:
      SpaceError: no function, or no paths.

    >>> import pgjax as pg
    >>> template = pg.Dict(width=pg.oneof([32, 64]), hidden=pg.derive(lambda w: 4 * w, 'width'))
    >>> pg.materialize(template, {'width': 1})
    {'width': 64, 'hidden': 256}
    """
    if not callable(fn) or not paths:
        raise SpaceError(f'derive: pass a function and the paths of its arguments, got {show(fn)} and {show(paths)}.')
    return Derived(fn=fn, paths=tuple(str(Path.parse(p)) for p in paths))  # type: ignore[return-value]
