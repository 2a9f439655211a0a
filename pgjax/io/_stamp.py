"""What a document says about itself: its format, its writer, and the table of its shared parts."""

from __future__ import annotations

from typing import Any

from pgjax._errors import DecodeError, LimitError, StudyVersionError, show
from pgjax._version import __version__
from pgjax.io._syntax import Fault

FORMAT = 1  # what this version writes, and the newest that it reads
_STAMPS = frozenset({'_pgjax', '_writer', '_shared', '_arrays'})


def stamps(stamp: bool) -> dict[str, Any]:
    """What a document begins with."""
    return {'_pgjax': FORMAT, '_writer': __version__} if stamp else {}


def document(root: Any, table: list[Any], head: dict[str, Any]) -> Any:
    """The document of an encoded value, its table and its stamp."""
    if table:
        head['_shared'] = table
    if not head:
        return root
    if root.__class__ is dict and '_type' in root:
        return {**head, **root}
    return {**head, '_value': root}


def split_stamp(value: Any) -> tuple[dict[str, Any], Any]:
    """The stamp of a document and the JSON value that it is about."""
    if value.__class__ is not dict or not ('_pgjax' in value or '_shared' in value or '_arrays' in value):
        return {}, value
    stamp = {key: value[key] for key in value.keys() & _STAMPS}
    stamp.setdefault('_pgjax', FORMAT)
    _check_stamp(stamp)
    rest = {key: item for key, item in value.items() if key not in _STAMPS}
    if '_value' not in rest or '_type' in rest:
        return stamp, rest
    if len(rest) > 1:
        raise Fault(DecodeError, f'a document has "_value" or fields, found both: {show(sorted(rest))}.')
    return stamp, rest['_value']


def _check_stamp(stamp: dict[str, Any]) -> None:
    version, writer = stamp['_pgjax'], stamp.get('_writer', 'an unknown version')
    if version.__class__ is not int or version < 1:
        raise Fault(DecodeError, f'the format of a document is a positive int, found {show(version)}.', '_pgjax')
    if version > FORMAT:
        raise Fault(
            StudyVersionError,
            f'the document has format {show(version)}, written by pgjax {show(writer)}; pgjax {__version__} supports '
            f'formats 1 to {FORMAT}. Install the newer version to read it.',
        )
    if stamp.get('_shared', []).__class__ is not list:
        raise Fault(DecodeError, f'the table of shared parts is a list, found {show(stamp["_shared"])}.', '_shared')


def limit_expansion(shared: list[Any], root: Any, most: int) -> None:
    """Refuses documents whose shared parts stand for too many: ten entries of ten references each are 10**10."""
    sizes: list[int] = []
    for entry in [*shared, root]:
        size = 0
        pending = [entry]
        while pending:
            part = pending.pop()
            size += 1
            if part.__class__ is dict:
                index = part.get('_ref')
                if index.__class__ is int and 0 <= index < len(sizes):
                    size += sizes[index]
                else:
                    pending.extend(part.values())
            elif part.__class__ is list:
                pending.extend(part)
        sizes.append(size)
        if size > most:
            text = f'size {size} values after its shared parts are put in place is over the limit of {most}.'
            raise Fault(LimitError, f'{text} If you trust it, raise it: max_nodes=...')
