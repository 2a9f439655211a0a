"""What stands for an object whose class nobody registered, where a document is read with `unknown='keep'`."""

from __future__ import annotations

from typing import Any

from pgjax.symbolic import Object, Placeholder
from pgjax.symbolic._object import values_of
from pgjax.symbolic._pytree import FlatForm


class UnknownObject(Placeholder, Object):
    """An object of a class that is not there: it prints, compares, is edited and is written back as it was.

    It may stand in any field, as structure: JAX sees no leaf in it, and nothing that needs the real object runs.

    Attributes:
      type_name: the stored name of its class.
      fields: its stored fields; those that could be read are real objects.

    >>> import pgjax.io
    >>> kept = pgjax.io.from_json({'_type': 'gone.Dense', 'units': 64}, unknown='keep')
    >>> kept
    UnknownObject('gone.Dense', units=64)
    >>> pgjax.io.to_json(kept, stamp=False)
    {'_type': 'gone.Dense', 'units': 64}
    """

    type_name: str
    fields: dict[str, Any]

    _pg_flat = FlatForm(lambda node: ((), tuple(values_of(node).values())))

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        """How it prints: as a call of the class that is not there."""
        return 'UnknownObject', [(None, self.type_name), *self.fields.items()]
