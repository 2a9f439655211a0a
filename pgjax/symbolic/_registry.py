"""The names under which classes and functions are stored: the only door by which a file can name code.

A name gets here when the user's own code defines a symbolic class or calls `register`; loading looks names
up and does nothing else. Two classes of one name are an error, except where Python itself redefines a
class: in a notebook cell or a function body that runs again.
"""

from __future__ import annotations

import inspect
import pathlib
import sys
import threading
import types
from typing import Any

from pgjax._errors import ClassDefinitionError, did_you_mean

_LOCK = threading.Lock()
_CLASSES: dict[str, type] = {}
_FUNCTIONS: dict[str, Any] = {}
_FUNCTION_NAMES: dict[int, str] = {}

# Public functions of these modules may be stored by reference: arrays in, arrays out.
_LIBRARIES = ('jax.nn', 'jax.nn.initializers', 'jax.numpy', 'optax', 'flax.linen')
_SCRIPT = frozenset({'__main__', '__mp_main__'})  # modules that were started, not imported
_FILES = frozenset({'save', 'savez', 'load', 'fromfile', 'printoptions', 'set_printoptions'})


def type_name(cls: type, explicit: str | None = None) -> str:
    """The stored name of a class."""
    return explicit or f'{_module_name(cls.__module__)}.{cls.__qualname__}'


def _module_name(module: str) -> str:
    """What a script is called where others import it: what it stores must not depend on how it was started."""
    if module not in _SCRIPT:
        return module
    spec = getattr(sys.modules.get(module), '__spec__', None)
    file = getattr(sys.modules.get(module), '__file__', None)
    return spec.name if spec is not None else pathlib.Path(file).stem if file else module


def _of_script(*values: Any) -> bool:
    """Whether one of them stands in a script or notebook, where running again defines again."""
    return any(getattr(value, '__module__', None) in _SCRIPT for value in values)


def register(cls: type, *, override: bool = False, explicit: bool = False) -> None:
    """Lets files name `cls`.

    Raises:
      ClassDefinitionError: another class has that name already, and `override` is False.
    """
    name = cls.__pg_type_name__  # type: ignore[attr-defined]
    with _LOCK:
        other = _CLASSES.get(name)
        redefinition = '<locals>' in name or _of_script(cls, other)
        if other is not None and other is not cls and not override and (explicit or not redefinition):
            raise ClassDefinitionError(
                f'The type name {name!r} is taken by a class of module {other.__module__!r}; this one stands in '
                f"{cls.__module__!r}. Rename one, give it class {cls.__name__}(..., type_name='...'), or pass "
                'override=True to replace the first.'
            )
        _CLASSES[name] = cls


def register_function(function: Any, name: str | None = None) -> Any:
    """Lets files name a function (or any other constant): stored by this name, found by it on loading.

    Args:
      function: what the name stands for.
      name: defaults to `module.qualname`; needed for lambdas and local functions.

    Returns:
      `function`, so that this serves as a decorator.

    Raises:
      ClassDefinitionError: the name is taken by another function, or the function has no name of its own.

    >>> import pgjax as pg
    >>> double = pg.register_function(lambda x: 2 * x, name='doc.double')
    >>> pg.from_json(pg.to_json({'f': double})).f is double
    True
    """
    name = name or f'{_module_name(function.__module__)}.{function.__qualname__}'
    if '<' in name:
        raise ClassDefinitionError(f'{name!r} is no lasting name; call register_function(f, name="...").')
    with _LOCK:
        other = _FUNCTIONS.get(name, function)
        if other is not function and not _of_script(function, other):
            raise ClassDefinitionError(f'The function name {name!r} is taken by another function.')
        _FUNCTIONS[name] = function
        _FUNCTION_NAMES[id(function)] = name
    return function


def register_alias(name: str, target: Any) -> Any:
    """Lets files name a class or function by an old name too, after it was renamed or moved.

    Args:
      name: the name in old files, such as 'my_project.old_module.Dense'.
      target: the symbolic class or the registered function that it means now.

    Returns:
      `target`.

    Raises:
      ClassDefinitionError: the name is taken by something else.

    >>> import pgjax as pg
    >>> class Dense(pg.Object):
    ...   units: int
    >>> _ = pg.register_alias('doc.FullyConnected', Dense)
    >>> pg.from_json({'_type': 'doc.FullyConnected', 'units': 8})
    Dense(units=8)
    """
    table = _CLASSES if isinstance(target, type) else _FUNCTIONS
    if isinstance(target, type) and not hasattr(target, '__pg_type_name__'):
        raise ClassDefinitionError(f'{target.__name__} is no symbolic class; only those have aliases.')
    with _LOCK:
        if table.get(name, target) is not target:
            raise ClassDefinitionError(f'The name {name!r} is taken by {table[name]!r}; it cannot be an alias too.')
        table[name] = target
    return target


def find_class(name: str) -> type | None:
    """The class stored under `name`, or None."""
    return _CLASSES.get(name)


def classes() -> list[type]:
    """All classes that files can name."""
    with _LOCK:
        return list(_CLASSES.values())


def suggest_class(name: str) -> str:
    """A hint at the closest registered name."""
    return did_you_mean(name, _CLASSES)


def function_name(function: Any) -> str | None:
    """The name under which files store `function`, or None where it has none."""
    name = _FUNCTION_NAMES.get(id(function))
    return name if name is not None else _library_name(function)


def find_function(name: str) -> Any:
    """The function stored under `name`, or None. Looks into modules that are imported already, and imports none."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    module_name, _, attribute = name.rpartition('.')
    return _library_members(module_name).get(attribute)


def _library_name(function: Any) -> str | None:
    for module_name in _LIBRARIES:
        members, names = _library(module_name)
        attribute = names.get(id(function))
        if attribute is not None and members[attribute] is function:
            return f'{module_name}.{attribute}'
    return None


def _library_members(module_name: str) -> dict[str, Any]:
    return _library(module_name)[0]


_LIBRARY_CACHE: dict[str, tuple[int, dict[str, Any], dict[int, str]]] = {}


def _library(module_name: str) -> tuple[dict[str, Any], dict[int, str]]:
    """Public functions of an allowed library module by name, and their names by id, if the user's code imported it.

    A function of several names is stored by its own, or else by the first.
    """
    module = sys.modules.get(module_name) if module_name in _LIBRARIES else None
    if not isinstance(module, types.ModuleType):
        return {}, {}
    known = _LIBRARY_CACHE.get(module_name)
    if known is None or known[0] != len(vars(module)):  # made once, and again where the module was not whole yet
        members = {
            attribute: member
            for attribute, member in list(vars(module).items())
            if not attribute.startswith('_') and attribute not in _FILES and _is_function(member)
        }
        names: dict[int, str] = {}
        for attribute, member in members.items():
            if names.setdefault(id(member), attribute) != attribute and getattr(member, '__name__', '') == attribute:
                names[id(member)] = attribute
        known = _LIBRARY_CACHE[module_name] = (len(vars(module)), members, names)
    return known[1], known[2]


def _is_function(member: Any) -> bool:
    return callable(member) and not isinstance(member, (type, types.ModuleType)) and not inspect.isclass(member)


class FunctionReference:
    """A function in a pickle: by the name under which files store it, since many of JAX's cannot be pickled."""

    __slots__ = ('name',)

    def __init__(self, name: str):
        self.name = name

    def __reduce__(self) -> Any:
        return (FunctionReference, (self.name,))


def to_portable(values: dict[Any, Any]) -> dict[Any, Any]:
    """`values` with functions that have a stored name replaced by references to it."""
    names = {key: function_name(v) for key, v in values.items() if callable(v) and not isinstance(v, type)}
    return {key: FunctionReference(names[key]) if names.get(key) else value for key, value in values.items()}  # type: ignore[arg-type]


def from_portable(values: dict[Any, Any]) -> dict[Any, Any]:
    """The inverse of `to_portable`."""
    return {k: find_function(v.name) if isinstance(v, FunctionReference) else v for k, v in values.items()}
