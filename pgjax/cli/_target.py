"""What a command works on: `FILE[:NAME]`, with patches and `path=value` overrides."""

from __future__ import annotations

import contextlib
import enum
import importlib.util
import inspect
import json
import os
import pathlib
import sys
import types
import typing
from collections.abc import Iterable
from typing import Any

from pgjax._errors import PgjaxError, did_you_mean, show
from pgjax._keypath import Path
from pgjax.edit import patch
from pgjax.io import load
from pgjax.symbolic import Dict, List, Object, get, rebind
from pgjax.symbolic._registry import find_function

_SYMBOLIC = (Object, Dict, List)
_CONSTANTS = {'None': None, 'True': True, 'False': False, 'none': None, 'true': True, 'false': False, 'null': None}


class TargetError(PgjaxError, ValueError):
    """A command was given something it cannot work on."""


def import_file(path: str) -> types.ModuleType:
    """Runs a Python file of the user as the module of its name, once.

    Raises:
      TargetError: there is no such file, or the name belongs to another module.
    """
    file = pathlib.Path(path)
    if not file.is_file():
        raise TargetError(f'There is no file {path!r} here ({os.getcwd()}).')
    name = file.stem
    loaded = sys.modules.get(name)
    if loaded is not None:
        if getattr(loaded, '__file__', None) == str(file.resolve()):
            return loaded
        raise TargetError(f'{path} would be the module {name!r}, which is loaded already from {loaded!r}. Rename it.')
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise TargetError(f'{path} is no Python file and no JSON file.')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.resolve().parent))  # as Python does for a script: its neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def find(target: str) -> Any:
    """The object that `FILE[:NAME]` means.

    Args:
      target: a Python file and the name of an object in it, or of a function that makes one; the name can be left
        out where there is one symbolic object. Or a JSON file that `pg.save` wrote.

    Raises:
      TargetError: nothing is meant by it, or too much.
    """
    path, colon, name = target.partition(':')
    if path.endswith('.json'):
        return load(path, unknown='keep')
    module = import_file(path)
    candidates = [n for n, v in vars(module).items() if not n.startswith('_') and isinstance(v, _SYMBOLIC)]
    if not colon:
        if len(candidates) != 1:
            known = ', '.join(candidates) or 'none'
            raise TargetError(f'{path} has {len(candidates)} symbolic objects ({known}); name one: {path}:NAME.')
        name = candidates[0]
    if not hasattr(module, name):
        raise TargetError(f'{path} has no {name!r}.{did_you_mean(name, vars(module))}')
    found = getattr(module, name)
    if inspect.isfunction(found):
        if needed := required(found):
            raise TargetError(f'{target} is a function that needs {", ".join(needed)}; expected one without arguments.')
        found = found()
    if not isinstance(found, _SYMBOLIC):
        raise TargetError(f'{target} is {show(found)}; expected a symbolic object or a function that makes one.')
    return found


def required(function: Any) -> list[str]:
    """Arguments that a call cannot do without."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def edited(value: Any, patches: Iterable[str], overrides: Iterable[str]) -> Any:
    """`value` after patches in their order, then overrides in theirs.

    Args:
      value: a symbolic object.
      patches: URIs of registered patchers.
      overrides: texts `path=value`.

    Raises:
      PgjaxError: one of them does not fit; its message says which and why.
    """
    value = patch(value, list(patches))
    for override in overrides:
        value = _override(value, override)
    return value


def _override(value: Any, override: str) -> Any:
    path, equals, text = override.partition('=')
    if not equals or not path:
        raise TargetError(f'An override is written path=value, got {override!r}.')
    fault: PgjaxError | None = None
    for reading in (*_members(value, path, text), *_readings(text)):
        try:
            return rebind(value, {path: reading}, raise_on_no_change=False)
        except PgjaxError as error:
            fault = fault or error
    assert fault is not None
    raise fault


def _members(value: Any, path: str, text: str) -> Iterable[Any]:
    """The members of that name in the enumerations that the field at `path` declares."""
    where = Path.parse(path)
    parent = get(value, where.parent, None)
    field = type(parent).__pg_fields__.get(str(where.key)) if isinstance(parent, Object) else None
    if field is not None:
        for kind in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, enum.Enum) and text in kind.__members__:
                yield kind[text]


def _readings(text: str) -> Iterable[Any]:
    """What a text may mean, the most specific first; the field's type decides. Nothing is evaluated."""
    if text in _CONSTANTS:
        yield _CONSTANTS[text]
    else:
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(text)
    if (function := find_function(text)) is not None:
        yield function
    yield text
