"""`study.json`: one document with its own SHA-256, and what else may lie in a study's directory."""

from __future__ import annotations

import contextlib
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
from pgjax.io._files import TEMPORARY, pack_json, read_bytes, unpack_json

FORMAT = 'pgjax study'
VERSION = 1
MAX_DOCUMENT = 1 << 28  # bytes of study.json
_STEP = re.compile(r'step-(\d{10,18})')


def steps_in(path: str) -> list[int]:
    with contextlib.suppress(OSError), os.scandir(os.path.join(path, 'checkpoints')) as entries:
        found = ((_STEP.fullmatch(entry.name), entry) for entry in entries)
        return sorted(int(match[1]) for match, entry in found if match and entry.is_dir())
    return []


def seal(document: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """The content of study.json, with the SHA-256 of its parts that matter."""
    content = {'format': FORMAT, 'version': VERSION, 'id': identity, 'document': dict(document)}
    return content | {'sha256': hashlib.sha256(pack_json(content)).hexdigest()}


def read_document(path: str) -> dict[str, Any]:
    """The content of study.json, checked."""
    name = os.path.join(path, 'study.json')
    try:
        content = unpack_json(read_bytes(name, MAX_DOCUMENT))
        if not isinstance(content, dict):
            raise ValueError('it is not a JSON object')
        sealed = {key: value for key, value in content.items() if key != 'sha256'}
        expected, found = content.get('sha256'), hashlib.sha256(pack_json(sealed)).hexdigest()
    except (FileNotFoundError, NotADirectoryError) as error:
        if steps_in(path):
            raise damage_error(path, 'study.json', 'a file', 'none') from error
        names = show(foreign(path))
        raise StudyNotFoundError(
            f'There is no study at {path}'
            + (f' (it holds {names})' if names != '[]' else '')
            + '; check the path, or pass create=True to start one there.'
        ) from error
    except (OSError, ValueError, EncodeError) as error:
        raise damage_error(name, 'content', 'JSON with its SHA-256', str(error)) from error
    if content.get('format') != FORMAT or expected != found:
        raise damage_error(name, 'SHA-256', show(expected), found)
    if type(content['version']) is not int or content['version'] > VERSION:
        raise StudyVersionError(
            f'{path} has study format {show(content["version"])}; this version of pgjax reads up to format '
            f'{VERSION}. Install the newer version to read it.'
        )
    return content


def foreign(path: str) -> list[str]:
    """Up to five names at `path` that are not what an interrupted `create` leaves; its name if a file."""
    try:
        names = sorted(os.listdir(path))
    except NotADirectoryError:
        return [os.path.basename(path)]
    except (OSError, ValueError):
        return []
    left = [f for f in ('checkpoints', 'history') if f in names and not os.listdir(os.path.join(path, f))]
    return [n for n in names if n not in (*left, 'lock') and not n.endswith(TEMPORARY)][:5]


def refuse_foreign(path: str) -> None:
    names = foreign(path)
    if 'study.json' in names:
        raise StudyExistsError(f'{path} holds a study already; open it, or choose another path.')
    if names:
        raise StudyExistsError(f'{path} is not empty and not a study: it holds {show(names)}. Choose another path.')


def damage_error(path: str, where: str, expected: str, found: str) -> StudyCorruptError:
    return StudyCorruptError(f'{path} is damaged: {where}: expected {expected}, found {shorten(found, 160)}.')
