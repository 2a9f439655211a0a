"""`study.json`: one document with its own SHA-256, and what else may lie in a study's directory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

from pgjax._errors import (
    EncodeError,
    StudyCorruptError,
    StudyExistsError,
    StudyNotFoundError,
    StudyVersionError,
    shorten,
    show,
)
from pgjax.io._files import TEMPORARY, pack_json, read_error, unpack_json
from pgjax.io._storage import Storage

FORMAT = 'pgjax study'
VERSION = 1
MAX_DOCUMENT = 1 << 28  # bytes of study.json
_STEP = re.compile(r'step-(\d{10,18})')


def steps_in(files: Storage) -> list[int]:
    """The numbers of the committed checkpoints, ascending."""
    return sorted(int(match[1]) for name in files.bundles('checkpoints') if (match := _STEP.fullmatch(name)))


def seal(document: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """The content of study.json, with the SHA-256 of its parts that matter."""
    content = {'format': FORMAT, 'version': VERSION, 'id': identity, 'document': dict(document)}
    return content | {'sha256': hashlib.sha256(pack_json(content)).hexdigest()}


def read_document(files: Storage) -> dict[str, Any]:
    """The content of study.json, checked."""
    path, name = files.path, files.where('study.json')
    try:
        content = unpack_json(files.read('study.json', MAX_DOCUMENT))
        if not isinstance(content, dict):
            raise ValueError('it is not a JSON object')
        sealed = {key: value for key, value in content.items() if key != 'sha256'}
        expected, found = content.get('sha256'), hashlib.sha256(pack_json(sealed)).hexdigest()
    except StudyNotFoundError:  # out of reach
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        if steps_in(files):
            raise damage_error(path, 'study.json', 'a file', 'none') from error
        names = show(foreign(files))
        raise StudyNotFoundError(
            f'There is no study at {path}'
            + (f' (it holds {names})' if names != '[]' else '')
            + '; check the path. Study(..., create=True) starts one there.'
        ) from error
    except (OSError, ValueError, EncodeError) as error:
        raise read_error(name, error) or damage_error(name, 'content', 'JSON with its SHA-256', str(error)) from error
    if content.get('format') != FORMAT or expected != found:
        raise damage_error(name, 'SHA-256', show(expected), found)
    kinds = {'version': int, 'id': str, 'document': dict}
    if wrong := [key for key, kind in kinds.items() if type(content.get(key)) is not kind]:
        raise damage_error(name, 'content', 'a version, an id and a document', f'no {" and no ".join(wrong)}')
    if content['version'] > VERSION:
        raise StudyVersionError(
            f'{path} has study format {content["version"]}; this version of pgjax reads up to format '
            f'{VERSION}. Install the newer version to read it.'
        )
    return content


def foreign(files: Storage) -> list[str]:
    """Up to five names there that are not what an interrupted `create` leaves; its own name if it is a file."""
    try:
        names = files.names()
    except NotADirectoryError:
        return [os.path.basename(files.path)]
    left = [f for f in ('checkpoints', 'history') if f in names and not files.names(f)]
    return [n for n in names if n not in (*left, 'lock') and not n.endswith(TEMPORARY)][:5]


def refuse_foreign(files: Storage) -> None:
    """Raises StudyExistsError unless a study can be started there."""
    path, names = files.path, foreign(files)
    if 'study.json' in names:
        raise StudyExistsError(f'{path} holds a study already; open it, or choose another path.')
    if names:
        raise StudyExistsError(f'{path} is not empty and not a study: it holds {show(names)}. Choose another path.')


def damage_error(path: str, where: str, expected: str, found: str) -> StudyCorruptError:
    return StudyCorruptError(f'{path} is damaged: {where}: expected {expected}, found {shorten(found, 160)}.')
