"""Fields of subclasses: they narrow what a base declares and never widen it; generic bases get their types."""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable
from typing import Any

from pgjax.symbolic import _composite, _spec
from pgjax.symbolic._spec import Spec


def admits(wide: Spec, narrow: Spec) -> bool:
    """Whether everything that `narrow` accepts is accepted by `wide`, as far as annotations tell.

    >>> from pgjax.symbolic._annotation import to_spec
    >>> admits(to_spec(int | None), to_spec(int)), admits(to_spec(int), to_spec(int | None))
    (True, False)
    """
    wide, narrow = _without_static(wide), _without_static(narrow)
    if wide == narrow or isinstance(wide, _spec.AnySpec):
        return True
    if isinstance(narrow, _composite.UnionSpec):
        return all(admits(wide, option) for option in narrow.options)
    if isinstance(wide, _composite.UnionSpec):
        return any(admits(option, narrow) for option in wide.options)
    if isinstance(wide, _composite.Constrained):
        return (
            isinstance(narrow, _composite.Constrained) and admits(wide.inner, narrow.inner) and _tighter(wide, narrow)
        )
    if isinstance(narrow, _composite.Constrained):
        return admits(wide, narrow.inner)
    if isinstance(narrow, _spec.LiteralSpec):
        return all(_accepts(wide, value) for value in narrow.values)
    compare = _BY_KIND.get(type(wide))
    return (type(wide) is type(narrow) and compare is not None and compare(wide, narrow)) or _converts(wide, narrow)


def _without_static(spec: Spec) -> Spec:
    return spec.inner if isinstance(spec, _composite.StaticSpec) else spec


def _accepts(spec: Spec, value: Any) -> bool:
    try:
        spec.accept(value, ('', None))
    except (TypeError, ValueError):
        return False
    return True


def _converts(wide: Spec, narrow: Spec) -> bool:
    """Numbers that become one another when they are stored, and classes whose objects can be called."""
    if isinstance(wide, _spec.ComplexSpec):
        return isinstance(narrow, (_spec.FloatSpec, _spec.IntSpec))
    if isinstance(wide, _spec.FloatSpec):
        return isinstance(narrow, _spec.IntSpec)
    if isinstance(wide, _spec.CallableSpec):
        return isinstance(narrow, _spec.TypeSpec) or (isinstance(narrow, _spec.ClassSpec) and _has_call(narrow.cls))
    return False


def _has_call(cls: type) -> bool:
    return any('__call__' in vars(c) for c in cls.__mro__)


def _tuples(wide: Any, narrow: Any) -> bool:
    if wide.variadic:
        return all(admits(wide.elements[0], element) for element in narrow.elements)
    return (
        not narrow.variadic
        and len(wide.elements) == len(narrow.elements)
        and all(map(admits, wide.elements, narrow.elements))
    )


_BY_KIND: dict[type, Callable[[Any, Any], bool]] = {
    _spec.BoolSpec: lambda wide, narrow: True,
    _spec.IntSpec: lambda wide, narrow: True,
    _spec.ClassSpec: lambda wide, narrow: issubclass(narrow.cls, wide.cls),
    _spec.TypeSpec: lambda wide, narrow: issubclass(narrow.base, wide.base),
    _composite.ListSpec: lambda wide, narrow: admits(wide.element, narrow.element),
    _composite.DictSpec: lambda wide, narrow: admits(wide.key, narrow.key) and admits(wide.value, narrow.value),
    _composite.TupleSpec: _tuples,
    _spec.ArraySpec: lambda wide, narrow: wide.name == 'Array',
}

_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    '>': operator.ge,
    '>=': operator.ge,
    '<': operator.le,
    '<=': operator.le,
}


def _tighter(wide: _composite.Constrained, narrow: _composite.Constrained) -> bool:
    """Whether each constraint of `wide` is there in `narrow` too, the same or a closer bound."""
    return all(any(_implies(new, old) for _, new, _ in narrow.tests) for _, old, _ in wide.tests)


def _implies(new: str, old: str) -> bool:
    if new == old:
        return True
    new_symbol, _, new_bound = new.partition(' ')
    old_symbol, _, old_bound = old.partition(' ')
    if old_symbol not in _BOUNDS or new_symbol.rstrip('=') != old_symbol.rstrip('='):
        return False
    try:
        new_value, old_value = float(new_bound), float(old_bound)
    except ValueError:
        return False
    if new_value == old_value:
        return '=' in old_symbol or '=' not in new_symbol
    return _BOUNDS[old_symbol](new_value, old_value)


def type_arguments(cls: type) -> dict[str, Any]:
    """Annotations of inherited fields in which a generic base's type variables got their types: `Base[int]`."""
    found: dict[str, Any] = {}
    for alias in vars(cls).get('__orig_bases__', ()):
        origin = typing.get_origin(alias)
        fields = getattr(origin, '__pg_fields__', None)
        variables = getattr(origin, '__parameters__', ())
        if not fields or not variables:
            continue
        types = dict(zip(variables, typing.get_args(alias), strict=False))
        for name, field in fields.items():
            annotation = substitute(field.annotation, types)
            if annotation is not field.annotation:
                found[name] = annotation
    return found


def substitute(annotation: Any, types: dict[Any, Any]) -> Any:
    """An annotation with type variables replaced; itself where it has none of them."""
    if isinstance(annotation, typing.TypeVar):
        return types.get(annotation, annotation)
    variables = getattr(annotation, '__parameters__', ())
    if isinstance(annotation, type) or not any(variable in types for variable in variables):
        return annotation
    return annotation[tuple(types.get(variable, variable) for variable in variables)]
