"""Fields of symbolic classes: what `pg.field(...)` declares and what a class remembers of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from pgjax._errors import ClassDefinitionError
from pgjax.symbolic._placeholder import MISSING
from pgjax.symbolic._spec import Spec

REQUIRED: Any = type('Required', (), {'__repr__': lambda _: '<required>', '__slots__': ()})()


@dataclasses.dataclass(frozen=True, slots=True)
class FieldInfo:
    """What `field(...)` returned, before the annotation is known."""

    default: Any = REQUIRED
    default_factory: Callable[[], Any] | None = None
    static: bool = False
    traced: bool = False
    dispatch: Literal['switch'] | None = None
    doc: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a symbolic class.

    Attributes:
      name: the attribute and constructor argument.
      spec: what its values must be, from the annotation.
      annotation: the annotation as it was written (resolved).
      info: default, kind and documentation.
      frozen: whether the annotation is `Final`: the value can be no other than the default.
    """

    name: str
    spec: Spec
    annotation: Any
    info: FieldInfo
    frozen: bool = False

    @property
    def required(self) -> bool:
        """Whether a constructor call must give a value."""
        return self.info.default is REQUIRED and self.info.default_factory is None

    @property
    def default(self) -> Any:
        """The default value, made anew where the field has a factory; MISSING where it is required."""
        if self.info.default_factory is not None:
            return self.spec.check(self.info.default_factory(), (self.name, None))
        return MISSING if self.required else self.info.default


def field(
    *,
    default: Any = REQUIRED,
    default_factory: Callable[[], Any] | None = None,
    static: bool = False,
    traced: bool = False,
    dispatch: Literal['switch'] | None = None,
    doc: str = '',
) -> Any:
    """Declares a field with more than an annotation.

    Args:
      default: the value where none is given.
      default_factory: makes the default; called once per object.
      static: the value is structure (part of the treedef and the jit cache key) even if it is a float.
      traced: an int or bool is a leaf, so that it may vary inside one compiled program.
      dispatch: 'switch' runs callables of one signature under `lax.switch` in a population.
      doc: what the field means, shown by help and reports.

    Raises:
      ClassDefinitionError: both a default and a factory, or both static and traced.

    >>> import pgjax as pg
    >>> class Layer(pg.Object):
    ...   units: int = pg.field(default=64, doc='outputs')
    >>> Layer()
    Layer(units=64)
    """
    if default is not REQUIRED and default_factory is not None:
        raise ClassDefinitionError('A field has a default or a default_factory, not both.')
    if static and traced:
        raise ClassDefinitionError('A field is static (structure) or traced (a leaf), not both.')
    if dispatch not in (None, 'switch'):
        raise ClassDefinitionError(f"dispatch is 'switch' or None, not {dispatch!r}.")
    return FieldInfo(default, default_factory, static, traced, dispatch, doc)
