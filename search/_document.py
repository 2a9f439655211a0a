"""`study.json`: what a study is, apart from how far it has come; and how two of them differ."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import jax

from pgjax._errors import PgjaxError, StudyCorruptError, StudyMismatchError, StudyVersionError, show
from pgjax.io import from_json, to_json
from pgjax.space import Space, search_space

FORMAT = 1
_IDENTITY = ('template', 'part', 'decisions', 'controller', 'objectives', 'seed', 'tile', 'batch')
_LATER = ('part', 'decisions')  # which the first studies did not write down
_PACKAGES = ('jax', 'jaxlib', 'numpy', 'tensorstore')


def make(
    *,
    template: Any,
    part: list[str] | None,
    decisions: list[str],
    controller: Any,
    objectives: Any,
    seed: int,
    tile: int,
    batch: str,
) -> dict[str, Any]:
    """The document of a new study: JSON values only.

    Args:
      template: of the space.
      part: the decisions, where they are not all that the template has.
      decisions: the ids of all decisions, in the order of the genes.
      controller: as for `Study`, as what follows.
      objectives: likewise.
      seed: likewise.
      tile: likewise.
      batch: 'vmap' or 'map'.
    """
    document: dict[str, Any] = {
        'format': FORMAT,
        'template': to_json(template, stamp=False),
        'part': part,
        'decisions': decisions,
        'controller': to_json(controller, stamp=False),
        'objectives': to_json(list(objectives), stamp=False),
        'seed': seed,
        'tile': tile,
        'batch': batch,
    }
    return {**document, 'fingerprint': fingerprint(document), 'packages': dict(packages())}


def part_of(space: Space) -> list[str] | None:
    """The decisions of a space that was made with `where`, None if it has all of its template."""
    return None if space == search_space(space.template) else [decision.id for decision in space.decisions]


def require_readable(path: str, document: Mapping[str, Any]) -> None:
    """Raises StudyVersionError or StudyCorruptError for the document of a newer version, or of no study."""
    version = document.get('format')
    if type(version) is int and version > FORMAT:
        raise StudyVersionError(
            f'{path} has a document of format {version}; this version of pgjax reads up to format {FORMAT}. Install '
            'the newer version to read it.'
        )
    if missing := [name for name in _IDENTITY if name not in document and name not in _LATER]:
        raise StudyCorruptError(f'{path}: the document is of no study: it lacks {", ".join(missing)}.')


def parse(document: dict[str, Any]) -> dict[str, Any]:
    """The parts of a stored document as objects."""
    return {
        'space': from_json(document['template']),
        'controller': from_json(document['controller']),
        'objectives': list(from_json(document['objectives'])),
        'seed': document['seed'],
        'tile': document['tile'],
        'batch': document['batch'],
    }


def fingerprint(document: dict[str, Any]) -> str:
    """SHA-256 of what makes two runs the same study."""
    identity = {name: document[name] for name in _IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@functools.cache
def packages() -> Mapping[str, str]:
    """The versions of what the numbers depend on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def environment() -> dict[str, Any]:
    """What bit-identity depends on besides the study itself."""
    device = jax.devices()[0]
    return {
        **packages(),
        'platform': device.platform,
        'device': device.device_kind,
        'machine': platform.machine(),
        'threads': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
    }


def refuse_mismatch(path: str, stored: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises StudyMismatchError naming the first difference, unless the documents are of one study."""
    stored = {'decisions': given['decisions'], **stored}  # which the first studies did not write down
    if any(stored.get(name) != given[name] for name in _IDENTITY):
        stored = _renamed(stored)
    for name in _IDENTITY:
        difference = _first_difference(name, stored.get(name), given[name])
        if difference is not None:
            where, old, new = difference
            raise StudyMismatchError(
                f'{path} holds another study: {where} is {show(old)} there and {show(new)} here. '
                'Load it with search.Study.load(path), choose another path, or override the stored one by deleting it.'
            )


def _renamed(stored: dict[str, Any]) -> dict[str, Any]:
    """The document as it is written today: classes may have been renamed since, with an alias for the old name."""
    try:
        parts = parse(stored)
    except PgjaxError:
        return stored  # of other classes altogether
    kept = {name: stored.get(name) for name in ('part', 'decisions')}
    return {**stored, **make(template=parts.pop('space'), **kept, **parts)}


def _first_difference(path: str, old: Any, new: Any) -> tuple[str, Any, Any] | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            if key not in old or key not in new:
                return f'{path}.{key}', old.get(key, 'absent'), new.get(key, 'absent')
            found = _first_difference(f'{path}.{key}', old[key], new[key])
            if found:
                return found
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            found = _first_difference(f'{path}[{index}]', a, b)
            if found:
                return found
        return None
    return None if old == new and type(old) is type(new) else (path, old, new)
