"""Values that stand where another value will be: the mark that fields and walks recognise."""

from __future__ import annotations

import typing
from typing import Any, ClassVar

if typing.TYPE_CHECKING:
    from pgjax.symbolic._spec import Location, Spec


class Placeholder:
    """Mixin of everything that may stand in a field in place of its value (holes, MISSING, inherited values).

    A placeholder is structure: JAX sees no leaf in it. A field that receives one asks it to `_conform`.
    `__pg_hole__` is whether it is a decision that a search makes (and not a missing or inherited value).
    """

    __slots__ = ()
    __pg_hole__: ClassVar[bool] = True

    def _conform(self, spec: Spec, where: Location) -> Any:
        """This placeholder, made to fit a field: what it may stand for is validated by `spec`."""
        del spec, where
        return self


class Missing(Placeholder):
    """The type of `MISSING`: a field without a value, in a partial object; in a rebind, a reset or a deletion."""

    __slots__ = ()
    __pg_hole__ = False
    _instance: Missing | None = None

    def __new__(cls) -> Missing:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return 'MISSING'

    def __reduce__(self) -> Any:
        return (Missing, ())

    def __bool__(self) -> bool:
        return False


MISSING: Any = Missing()
