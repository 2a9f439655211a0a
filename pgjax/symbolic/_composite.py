"""Specs made of specs: unions, lists, dicts, tuples, constraints and static values."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from pgjax._errors import FieldTypeError, FieldValueError, show
from pgjax.symbolic._spec import Kind, Location, NoneSpec, Spec, describe, format_location, is_array


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class UnionSpec(Spec):
    """One of several specs: the first that accepts the value as it is, else the first that can convert it."""

    options: tuple[Spec, ...]

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        kinds = {option.kind for option in self.options if not isinstance(option, NoneSpec)}
        nullable = any(isinstance(option, NoneSpec) for option in self.options)
        if kinds == {Kind.STATIC} or (nullable and not kinds):
            return Kind.STATIC
        return Kind.BY_VALUE if nullable or kinds != {Kind.CHILD} else Kind.CHILD

    @property
    def shallow(self) -> bool:  # type: ignore[override]
        return all(option.shallow for option in self.options)

    def stored_as_is(self) -> frozenset[type]:
        return frozenset().union(*(option.stored_as_is() for option in self.options))

    def accept(self, value: Any, where: Location) -> Any:
        converted: list[Any] = []
        refused: list[Exception] = []
        for option in self.options:
            try:
                result = option.accept(value, where)
            except (FieldTypeError, FieldValueError) as error:
                refused.append(error)
                continue
            if result is value:
                return result
            converted.append(result)
        if converted:
            return converted[0]
        constraint = [error for error in refused if isinstance(error, FieldValueError)]
        raise constraint[0] if constraint else self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        tests = [option.fast(name, names) for option in self.options]
        return ' or '.join(f'({test})' for test in tests if test) or None

    def __str__(self) -> str:
        return ' | '.join(map(str, self.options))


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class ListSpec(Spec):
    """A list, stored as `pg.List`."""

    element: Spec

    @functools.cached_property
    def _exact(self) -> frozenset[type]:
        return self.element.stored_as_is()

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return Kind.CHILD if self.element.kind is Kind.CHILD else Kind.BY_VALUE

    @property
    def shallow(self) -> bool:  # type: ignore[override]
        return self.element.shallow

    def accept(self, value: Any, where: Location) -> Any:
        from pgjax.symbolic._containers import List

        if value.__class__ is not list and (not isinstance(value, (list, tuple)) or hasattr(value, '_fields')):
            raise self.refuse(value, where)
        if self._exact.issuperset(map(type, value)):
            return value if type(value) is List else tuple.__new__(List, value)
        items = [self.element.check(item, (index, where)) for index, item in enumerate(value)]
        if type(value) is List and all(map(_same, items, value)):
            return value
        return List._of(items)

    def __str__(self) -> str:
        return f'list[{self.element}]'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class DictSpec(Spec):
    """A dict, stored as `pg.Dict`."""

    key: Spec
    value: Spec

    @property
    def shallow(self) -> bool:  # type: ignore[override]
        return self.value.shallow

    def accept(self, value: Any, where: Location) -> Any:
        from pgjax.symbolic._containers import Dict

        if not isinstance(value, Mapping):
            raise self.refuse(value, where)
        items = {self.key.check(key, (key, where)): self.value.check(item, (key, where)) for key, item in value.items()}
        if type(value) is Dict and all(map(_same, items.values(), value.values())):
            return value
        return Dict._of(items)

    def __str__(self) -> str:
        return f'dict[{self.key}, {self.value}]'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class TupleSpec(Spec):
    """A tuple of given element types, or of any number of one type (`variadic`); a list given for one becomes one."""

    elements: tuple[Spec, ...]
    variadic: bool = False

    @property
    def shallow(self) -> bool:  # type: ignore[override]
        return all(element.shallow for element in self.elements)

    def accept(self, value: Any, where: Location) -> Any:
        if not isinstance(value, (tuple, list)):
            raise self.refuse(value, where)
        specs = self.elements * len(value) if self.variadic else self.elements
        if len(specs) != len(value):
            raise FieldValueError(
                f'{format_location(where)}: expected {self} of length {len(specs)}, got length {len(value)}.'
            )
        items = tuple(spec.check(item, (i, where)) for i, (spec, item) in enumerate(zip(specs, value, strict=True)))
        return value if type(value) is tuple and all(map(_same, items, value)) else items

    def __str__(self) -> str:
        return f'tuple[{", ".join(map(str, self.elements))}{", ..." if self.variadic else ""}]'


def _same(a: Any, b: Any) -> bool:
    return a is b


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class Constrained(Spec):
    """A spec with `annotated_types` constraints: each a test, its words, and its inline form if it has one."""

    inner: Spec
    tests: tuple[tuple[Callable[[Any], bool], str, str | None], ...]
    shallow = False

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return self.inner.kind

    def accept(self, value: Any, where: Location) -> Any:
        value = self.inner.accept(value, where)
        if is_array(value):
            return value  # values of arrays may be traced: a field's constraint is on what is known now
        for test, words, _ in self.tests:
            if not test(value):
                raise FieldValueError(
                    f'{format_location(where)}: {show(value)} is out of range: the value must be {words} '
                    f'(declared {self}).'
                )
        return value

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        inner = self.inner.fast(name, names)
        inline = [code for _, _, code in self.tests]
        if inner is None or None in inline or isinstance(self.inner, UnionSpec):
            return None
        return ' and '.join([inner, *(f'{name} {code}' for code in inline)])

    def __str__(self) -> str:
        return f'{self.inner} that is {" and ".join(words for _, words, _ in self.tests)}'


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class StaticSpec(Spec):
    """A value that is structure whatever its type (`pg.field(static=True)`): hashable, and no array."""

    inner: Spec
    kind = Kind.STATIC
    shallow = False

    def accept(self, value: Any, where: Location) -> Any:
        if is_array(value) or not _is_hashable(value := self.inner.accept(value, where)):
            raise FieldTypeError(
                f'{format_location(where)}: static fields are part of the jit cache key and must be hashable; '
                f'got {describe(value)}; make the field dynamic (drop static=True) or pass a Python value.'
            )
        return value

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        return self.inner.fast(name, names)

    def __str__(self) -> str:
        return f'static {self.inner}'
