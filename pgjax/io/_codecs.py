"""Which classes besides symbolic ones have a stored form: registered ones, and those that fields declare.

An enum or NamedTuple that stands in an annotation of a registered symbolic class is known without being
registered: the annotation says that the user's own code has it. Nothing is ever imported to find one.
"""

from __future__ import annotations

import dataclasses
import enum
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ClassDefinitionError
from pgjax._keypath import Path
from pgjax.io._arrays import DTYPES
from pgjax.symbolic import Object, _registry

_LOCK = threading.Lock()
_BY_NAME: dict[str, Codec] = {}
_BY_CLASS: dict[type, Codec] = {}
_SEEN: set[type] = set()  # symbolic classes whose annotations have been looked through


@dataclasses.dataclass(frozen=True)
class Codec:
    """How objects of a class are stored.

    Attributes:
      cls: the class; its subclasses are not meant.
      name: under which files name it.
      encode: makes a value that has a stored form; None for enums and NamedTuples, which need none.
      decode: makes an object of what `encode` returned.
    """

    cls: type
    name: str
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None


def register_codec(
    cls: type,
    name: str | None = None,
    *,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> type:
    """Gives objects of a class a stored form; registering it again replaces the old one.

    Args:
      cls: an enum, a NamedTuple or a dataclass, or with `encode` and `decode` any class. Its subclasses need
        codecs of their own.
      name: under which files name the class; by default its module and qualified name.
      encode: turns an object into a value that can be stored (a dict, a tuple, an array, ...).
      decode: the inverse. It runs on data from files: it must not trust them.

    Returns:
      `cls`, so that this serves as a decorator.

    Raises:
      ClassDefinitionError: `cls` is symbolic already, needs functions that were not given, or another class
        has the name.

    >>> import fractions, pgjax.io
    >>> _ = pgjax.io.register_codec(fractions.Fraction, 'Fraction', encode=str, decode=fractions.Fraction)
    >>> pgjax.io.from_json(pgjax.io.to_json([fractions.Fraction(1, 3)]))
    [Fraction(1, 3)]
    """
    name = name or f'{cls.__module__}.{cls.__qualname__}'
    if issubclass(cls, Object):
        raise ClassDefinitionError(f'{cls.__name__} is a symbolic class: its fields are stored, without a codec.')
    if (encode is None) != (decode is None):
        raise ClassDefinitionError(f'The codec of {cls.__name__} needs both encode and decode, or neither.')
    if encode is None and not (issubclass(cls, enum.Enum) or is_named_tuple(cls)):
        encode, decode = _dataclass_codec(cls)
    other = _registry.find_class(name)
    with _LOCK:
        taken = other is not None or (name in _BY_NAME and _BY_NAME[name].cls.__qualname__ != cls.__qualname__)
        if taken or name in ('function', 'method', 'type'):
            raise ClassDefinitionError(f'The type name {name!r} is taken; register {cls.__name__} under another one.')
        _add(Codec(cls, name, encode, decode))
    return cls


def _add(codec: Codec) -> None:
    _BY_NAME[codec.name] = codec
    _BY_CLASS[codec.cls] = codec


def _dataclass_codec(cls: type) -> tuple[Any, Any]:
    if not needs_no_functions(cls):
        raise ClassDefinitionError(
            f'{cls.__name__} is no enum, NamedTuple or dataclass of init fields: pass encode= and decode= functions.'
        )
    names = [field.name for field in dataclasses.fields(cls)]
    return (lambda value: {name: getattr(value, name) for name in names}), (lambda values: cls(**values))


def needs_no_functions(cls: type) -> bool:
    """Whether `register_codec` knows by itself how objects of a class are stored."""
    if issubclass(cls, enum.Enum) or is_named_tuple(cls):
        return True
    return dataclasses.is_dataclass(cls) and all(field.init for field in dataclasses.fields(cls))


def is_named_tuple(cls: type) -> bool:
    """Whether a class was made by `typing.NamedTuple` or `collections.namedtuple`."""
    return issubclass(cls, tuple) and hasattr(cls, '_fields') and hasattr(cls, '_make')


def codec_of(cls: type) -> Codec | None:
    """The codec of a class, or None."""
    if cls not in _BY_CLASS:
        _look_through_annotations()
    return _BY_CLASS.get(cls)


def find_codec(name: str) -> Codec | None:
    """The codec of the class that files name `name`, or None."""
    if name not in _BY_NAME:
        _look_through_annotations()
    return _BY_NAME.get(name)


def _look_through_annotations() -> None:
    """Finds the enums and NamedTuples that fields of registered classes declare."""
    with _LOCK:
        for owner in [cls for cls in _registry.classes() if cls not in _SEEN]:
            if owner.__pg_pending__ is not None:  # type: ignore[attr-defined]
                continue
            _SEEN.add(owner)
            for field in owner.__pg_fields__.values():  # type: ignore[attr-defined]
                for cls in _classes_in(field.spec):
                    name = f'{cls.__module__}.{cls.__qualname__}'
                    if cls not in _BY_CLASS and (issubclass(cls, enum.Enum) or is_named_tuple(cls)):
                        _add(Codec(cls, name))


def _classes_in(spec: Any) -> list[type]:
    """The classes that a spec speaks of, at any depth."""
    found: list[type] = []
    pending: list[Any] = [spec]
    while pending:
        item = pending.pop()
        if isinstance(item, type):
            found.append(item)
        elif isinstance(item, (tuple, list)):
            pending.extend(item)
        elif isinstance(item, enum.Enum):
            found.append(type(item))
        elif dataclasses.is_dataclass(item):
            pending.extend(getattr(item, field.name) for field in dataclasses.fields(item))
    return found


def _plain_types() -> dict[str, type]:
    """Types that are values themselves: of Python, and the names of dtypes in NumPy, JAX and ml_dtypes."""
    found: dict[str, type] = {'pgjax.Object': Object, 'jax.Array': jax.Array, 'numpy.ndarray': np.ndarray}
    for cls in (int, float, bool, str, bytes, complex, list, dict, tuple, type(None), object):
        found[f'builtins.{cls.__name__}'] = cls
    for name, dtype in DTYPES.items():
        found[f'{dtype.type.__module__}.{dtype.type.__name__}'] = dtype.type
        scalar = getattr(jnp, 'bool_' if name == 'bool' else name, None)
        if isinstance(scalar, type):
            found[f'jax.numpy.{name}'] = scalar
    return found


_PLAIN_TYPES = _plain_types()
_PLAIN_TYPE_NAMES = {id(cls): name for name, cls in reversed(_PLAIN_TYPES.items())}  # by id: jnp.int8 == np.int8


def type_name(cls: type) -> str | None:
    """The name under which files store a class that is itself a value, or None where it has none."""
    name = getattr(cls, '__pg_type_name__', None) if isinstance(cls, type) and issubclass(cls, Object) else None
    if name is not None and _registry.find_class(name) is cls:
        return name
    if id(cls) in _PLAIN_TYPE_NAMES:
        return _PLAIN_TYPE_NAMES[id(cls)]
    codec = codec_of(cls)
    return codec.name if codec else None


def find_type(name: str) -> type | None:
    """The class that a file means by `name` where it stores a class as a value, or None."""
    found = _registry.find_class(name) or _PLAIN_TYPES.get(name)
    if found is None and (codec := find_codec(name)) is not None:
        found = codec.cls
    return found


register_codec(Path, 'pgjax.Path', encode=str, decode=Path.parse)
