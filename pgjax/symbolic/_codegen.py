"""Writes the methods of a symbolic class as source, compiled once: constructor, field checkers, copier.

Only field names (identifiers by Python's own grammar) and the templates below enter the source. What the
constructor checks inline, a rebind checks with the very same expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgjax._errors import FieldValueError, show
from pgjax.symbolic._bind import bind
from pgjax.symbolic._field import REQUIRED, Field
from pgjax.symbolic._placeholder import Placeholder

FACTORY: Any = type('Factory', (), {'__repr__': lambda _: '<factory>', '__slots__': ()})()


def write_methods(cls: Any) -> None:
    """Gives a class with fields its methods; those that edits need are compiled when the first edit asks for them.

    Sets:
      `__init__(self, ...)`: checks each argument with an inline test, and calls only where that fails.
      `__pg_fit__`: by field, a function from a new value to the one to store.
      `__pg_edit__`: a copier `(node, name, value) -> node`, the names of fields that look inside their values,
        and whether a copy is all that an edit further down takes.
    """
    cls.__init__ = _write_init(cls)
    cls.__pg_placeholder__ = issubclass(cls, Placeholder)
    cls.__pg_fit__ = _WhenAsked('__pg_fit__', _write_fits)
    cls.__pg_edit__ = _WhenAsked('__pg_edit__', _write_edit)


class _WhenAsked:
    """A class attribute that is made at its first read."""

    def __init__(self, name: str, make: Callable[[Any], Any]):
        self._name, self._make = name, make

    def __get__(self, node: Any, owner: Any) -> Any:
        made = self._make(owner)
        setattr(owner, self._name, made)
        return made


def _write_init(cls: Any) -> Any:
    from pgjax.symbolic._object import refuse_arguments, refuse_missing, set_state

    fields: dict[str, Field] = cls.__pg_fields__
    names = {**_names(cls), '_required': REQUIRED, '_bind': bind, '_cls': cls, '_set_state': set_state}
    names.update(_refuse_arguments=refuse_arguments, _refuse_missing=refuse_missing)
    arguments, tests = [], []
    for index, (name, field) in enumerate(fields.items()):
        names[f'_default_{index}'] = FACTORY if field.info.default_factory is not None else field.info.default
        arguments.append(f'{name}=_default_{index}')
        if field.required:
            tests.append(f'if {name} is _required: _refuse_missing(_cls, {_missing_expression(fields)})')
        test, call = _test(field, names), f'{name} = _check_{index}({name})'
        tests.append(f'if not ({test}): {call}' if test else call)
    body = [
        'if _extra or _unknown: _refuse_arguments(_cls, _extra, _unknown)',
        *tests,
        f'_set_state(_self, {{{", ".join(f"{name!r}: {name}" for name in fields)}}})',
        *(['_bind(_self)'] if cls.__pg_derives__ else []),
    ]
    header = f'def __init__({", ".join(["_self", *arguments, "*_extra", "**_unknown"])}):'
    init = _compiled(cls, [header, *body], names)['__init__']
    init.__qualname__ = f'{cls.__qualname__}.__init__'
    return init


def _write_fits(cls: Any) -> dict[str, Callable[[Any], Any]]:
    fields, names, lines = cls.__pg_fields__, _names(cls), []
    for index, (name, field) in enumerate(fields.items()):
        test = _test(field, names)
        lines.append(
            f'def _fit_{index}({name}): return {f"{name} if {test} else " if test else ""}_check_{index}({name})'
        )
    exec(compile('\n'.join(lines), f'<checkers of {cls.__name__}>', 'exec'), names)
    return {name: names[f'_fit_{index}'] for index, name in enumerate(fields)}


def _write_edit(cls: Any) -> tuple[Callable[..., Any], frozenset[str], bool]:
    from pgjax.symbolic._object import set_state

    fields: dict[str, Field] = cls.__pg_fields__
    parts = ', '.join(f'{name!r}: _state[{name!r}]' for name in fields)
    body = [
        '_state = _node.__dict__',
        # What is remembered about a node (its hash, its flat form) stands beside its fields and stays behind.
        f'_copy = _state.copy() if len(_state) == {len(fields)} else {{{parts}}}',
        '_copy[_name] = _value',
        '_made = _new(_cls)',
        '_set_state(_made, _copy)',
        'return _made',
    ]
    names = {'_new': object.__new__, '_cls': cls, '_set_state': set_state}
    copy = _compiled(cls, ['def _copied(_node, _name, _value):', *body], names)['_copied']
    deep = frozenset(name for name, field in fields.items() if field.frozen or not field.spec.shallow)
    return copy, deep, not (cls.__pg_derives__ or cls.__pg_placeholder__)


def _names(cls: Any) -> dict[str, Any]:
    """What the written code may call; builtins under names that no field can have."""
    checkers = {f'_check_{index}': _checker(cls, field) for index, field in enumerate(cls.__pg_fields__.values())}
    return {'_bool': bool, '_int': int, '_float': float, **checkers}


def _test(field: Field, names: dict[str, Any]) -> str | None:
    """The inline test that a value of a field may be stored as it is."""
    return None if field.frozen else field.spec.fast(field.name, names)


def _compiled(cls: Any, lines: list[str], names: dict[str, Any]) -> dict[str, Any]:
    exec(compile('\n '.join(lines), f'<methods of {cls.__name__}>', 'exec'), names)
    return names


def _missing_expression(fields: dict[str, Field]) -> str:
    pairs = ', '.join(f'({name!r}, {name})' for name, field in fields.items() if field.required)
    return f'[n for n, v in ({pairs},) if v is _required]'


def _checker(cls: Any, field: Field) -> Any:
    """The slow path of one argument: factories, placeholders, coercion and errors."""
    where = (field.name, (cls.__name__, None))
    spec, factory = field.spec, field.info.default_factory

    def check(value: Any) -> Any:
        if value is FACTORY:
            return spec.check(factory(), where)  # type: ignore[misc]
        value = spec.check(value, where)
        if field.frozen and value != field.info.default:
            raise FieldValueError(
                f'{cls.__name__}.{field.name} is Final with the value {show(field.info.default)}, got {show(value)}.'
            )
        return value

    return check
