"""What is said about documents whose types or fields do not fit the classes that are there."""

from __future__ import annotations

from typing import Any

from pgjax._errors import (
    DecodeError,
    FieldTypeError,
    FieldValueError,
    LimitError,
    MissingFieldError,
    PgjaxError,
    UnknownFieldError,
    UnknownTypeError,
    did_you_mean,
    shorten,
    show,
)
from pgjax.io._syntax import Fault
from pgjax.symbolic import _registry

_FIELD_ERRORS = (FieldTypeError, FieldValueError, MissingFieldError, UnknownFieldError)
_UNPICKLE = '_OpaqueObject'  # how PyGlove marks a pickle


def unknown_field(cls: Any, key: str, writer: str) -> Fault:
    """The fault of a field that the class does not have; `writer` says who wrote the document."""
    names = list(cls.__pg_fields__)
    text = f'{cls.__name__} has no field {show(key)}; its fields are {shorten(", ".join(names)) or "none"}.'
    return Fault(UnknownFieldError, f'{text}{did_you_mean(key, names)} {writer}')


def unknown_type(name: str) -> Fault:
    """The fault of a name that nobody registered: what to import, or to write instead."""
    head = f'the "_type" {show(name)} is not registered.'
    if name == 'method' or name.endswith(_UNPICKLE):
        what = 'a method by name' if name == 'method' else 'a pickle'
        text = f'{head} PyGlove stores {what} so; pgjax never unpickles or calls.'
        return Fault(UnknownTypeError, text)
    module = name.rpartition('.')[0]
    cure = f'Import the module that defines it ({shorten(module, 60)}) before loading' if module else 'Define it first'
    rest = "pg.register_alias(old_name, cls) if it was renamed, or unknown='keep'."
    return Fault(UnknownTypeError, f'{head}{_registry.suggest_class(name)} {cure}; use {rest}')


def construction_fault(cls: Any, values: dict[str, Any], error: Exception) -> Fault:
    """The fault of values that a constructor refused, at the field that is to blame if there is one."""
    if isinstance(error, (MemoryError, RecursionError)):
        return Fault(LimitError, f'{cls.__name__} cannot be built: {type(error).__name__}.')
    for name, value in values.items():
        try:
            cls.__pg_fields__[name].spec.check(value, (name, None))
        except PgjaxError as refusal:
            text = str(refusal)
            return Fault(type(refusal), f'.{text}' if text.startswith(name) else f'.{name}: {text}')
        except Exception as refusal:
            return Fault(DecodeError, f'.{name}: {type(refusal).__name__}: {refusal}')
    if isinstance(error, _FIELD_ERRORS):
        return Fault(type(error), str(error))
    return Fault(DecodeError, f'{cls.__name__} refused the stored fields: {type(error).__name__}: {error}')
