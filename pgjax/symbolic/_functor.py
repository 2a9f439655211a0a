"""Functions as objects: a call that is partly, or wholly, written down and not yet made."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, ClassVar

from pgjax._errors import (
    ClassDefinitionError,
    FieldTypeError,
    MissingFieldError,
    PlaceholderError,
    did_you_mean,
    show,
)
from pgjax.symbolic._bind import open_paths
from pgjax.symbolic._callables import Signature, make_class, read_signature
from pgjax.symbolic._compare import eq
from pgjax.symbolic._field import REQUIRED, FieldInfo
from pgjax.symbolic._object import Object, values_of
from pgjax.symbolic._placeholder import MISSING
from pgjax.symbolic._traced import note_traced
from pgjax.symbolic._update import updated


class Functor(Object):
    """A function with some of its arguments: the base of what `pg.functor` makes.

    Arguments that are not given yet hold `pg.MISSING`. The object is a pytree like any other, so that `jit`
    compiles a call of it and `grad` differentiates with respect to bound arrays.

    A subclass may declare fields and define `_call(self)` instead of decorating a function.

    >>> import pgjax as pg
    >>> class Scaled(pg.Functor):
    ...   x: float
    ...   by: float = 2.0
    ...   def _call(self):
    ...     return self.x * self.by
    >>> Scaled(3.0)(), Scaled.partial(by=10.0)(x=1.0)
    (6.0, 10.0)
    """

    __pg_function__: ClassVar[Callable[..., Any] | None] = None
    __pg_reserved__: ClassVar[frozenset[str]] = Object.__pg_reserved__ | {'override_args', 'ignore_extra_args'}
    __pg_signature__: ClassVar[Signature | None] = None

    def __call__(
        self, /, *args: Any, override_args: bool = False, ignore_extra_args: bool = False, **kwargs: Any
    ) -> Any:
        """Makes the call, with late arguments for what is not bound yet.

        Args:
          *args: fill the arguments that are not bound, in order.
          override_args: whether late arguments may replace bound ones.
          ignore_extra_args: whether arguments that the function does not have are dropped.
          **kwargs: late arguments by name.

        Raises:
          FieldTypeError: an argument is bound already (it holds something other than its default), or is unknown.
          MissingFieldError: arguments are still missing.
          PlaceholderError: an argument holds a hole or an inherited value.
        """
        target = self._with_late(args, kwargs, override_args, ignore_extra_args) if args or kwargs else self
        target._check_callable()
        try:
            return target._call()
        except Exception as error:
            note_traced(error, target)
            raise

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        """How the functor prints: without the arguments that it does not have yet."""
        values, signature = values_of(self), type(self).__pg_signature__
        if signature is not None and signature.is_open_ended and self.is_fully_bound:
            return type(self).__name__, signature.parts(values)
        return type(self).__name__, [(name, value) for name, value in values.items() if value is not MISSING]

    def _call(self) -> Any:
        function, signature = type(self).__pg_function__, type(self).__pg_signature__
        if function is None or signature is None:
            raise TypeError(f'{type(self).__name__} defines no _call(self).')
        args, kwargs = signature.arguments(values_of(self))
        return function(*args, **kwargs)

    def _with_late(self, args: tuple[Any, ...], kwargs: dict[str, Any], override: bool, ignore: bool) -> Functor:
        names = list(type(self).__pg_fields__)
        free = [name for name in (names if override else self._free()) if name not in kwargs]
        if len(args) > len(free) and not ignore:
            raise FieldTypeError(
                f'{type(self).__name__}: {len(args)} late positional arguments for {len(free)} that are not bound '
                f'({", ".join(free) or "none"}). Pass override_args=True to replace bound ones by name.'
            )
        late = {**dict(zip(free, args, strict=False)), **kwargs}
        for name in list(late):
            if name not in names and ignore:
                del late[name]
            elif name not in names:
                raise FieldTypeError(
                    f'{type(self).__name__} has no argument {name!r}; it has {", ".join(names)}.'
                    + did_you_mean(name, names)
                )
            elif not override and name in self.bound_args:
                raise FieldTypeError(
                    f'{type(self).__name__}: the argument {name!r} is bound already. '
                    'Pass override_args=True to replace it.'
                )
        return updated(self, late, {}, False)

    def _free(self) -> list[str]:
        """Arguments that late positional ones fill: the missing ones, then those that hold their defaults."""
        unbound = self.unbound_args
        return [n for n in type(self).__pg_fields__ if n in unbound] + [
            n for n in type(self).__pg_fields__ if n in self.default_args and n not in unbound
        ]

    @property
    def __pg_call_signature__(self) -> inspect.Signature:
        """Of a call with late positional arguments: what `inspect.signature` tells of the functor."""
        fields, unbound, kind = type(self).__pg_fields__, self.unbound_args, inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature(
            [
                inspect.Parameter(name, kind, annotation=fields[name].annotation)
                if name in unbound
                else inspect.Parameter(name, kind, annotation=fields[name].annotation, default=self.__dict__[name])
                for name in self._free()
            ]
        )

    def _check_callable(self) -> None:
        missing = self.unbound_args
        if missing:
            names = [name for name in type(self).__pg_fields__ if name in missing]
            raise MissingFieldError(
                f'{type(self).__name__}() cannot be called yet: missing {", ".join(names)}. '
                'Give them here or by rebind.'
            )
        if '_pg_closed' not in self.__dict__ and (paths := open_paths(self)):
            raise PlaceholderError(
                f'{type(self).__name__}() cannot be called while parts are open: {", ".join(paths)}. '
                'Decide them (materialize, rebind or resolve) first.'
            )

    @property
    def bound_args(self) -> set[str]:
        """Arguments that hold something other than their default."""
        return set(type(self).__pg_fields__) - self.unbound_args - self.default_args

    @property
    def unbound_args(self) -> set[str]:
        """Arguments without a value."""
        return {name for name in type(self).__pg_fields__ if self.__dict__[name] is MISSING}

    @property
    def default_args(self) -> set[str]:
        """Arguments that hold their default: an immutable object does not remember who put it there."""
        fields = type(self).__pg_fields__
        return {n for n in set(fields) - self.unbound_args if _holds_default(fields[n], self.__dict__[n])}

    @property
    def is_fully_bound(self) -> bool:
        """Whether a call needs no more arguments."""
        return not self.unbound_args


def _holds_default(field: Any, value: Any) -> bool:
    return not field.required and field.default is not MISSING and eq(field.default, value)


@typing.overload
def functor(function: Callable[..., Any]) -> Any: ...
@typing.overload
def functor(function: None = None, *, name: str | None = None) -> Callable[[Callable[..., Any]], Any]: ...
def functor(function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Makes a function a symbolic class: its objects are calls that have not been made.

    Annotations are enforced (PyGlove ignores them unless told); what has none takes anything.

    Args:
      function: the function; None where the decorator is written with parentheses.
      name: the stored name, where it is not `module.qualname`.

    Returns:
      A subclass of `Functor` whose fields are the function's parameters.

    >>> import pgjax as pg
    >>> @pg.functor
    ... def power(x: float, exponent: int = 2) -> float:
    ...   return x**exponent
    >>> cube = power(exponent=3)
    >>> cube
    power(exponent=3)
    >>> cube(2.0), power(3.0)(), cube(2.0, exponent=1, override_args=True)
    (8.0, 9.0, 2.0)
    """
    if function is None:
        return lambda given: functor(given) if name is None else _functor_class(given, name)
    return _functor_class(function, name)


def _functor_class(function: Callable[..., Any], name: str | None) -> Any:
    signature = read_signature(function)
    if not hasattr(function, '__name__'):
        raise ClassDefinitionError(
            f'functor takes a function, whose name the class gets; {show(function)} has none. '
            'Write a function that calls it.'
        )
    infos = dict(signature.infos)
    for parameter in signature.annotations:  # what a call needs may come late
        infos.setdefault(parameter, FieldInfo(default=MISSING))
        if infos[parameter].default is REQUIRED and infos[parameter].default_factory is None:
            infos[parameter] = FieldInfo(**{**_as_dict(infos[parameter]), 'default': MISSING})
    signature = Signature(signature.annotations, infos, signature.positional, signature.extra, signature.keywords)
    attributes = {'__pg_function__': staticmethod(function), '__wrapped__': staticmethod(function)}
    return make_class(function.__name__, (Functor,), signature, function, attributes, type_name=name)


def _as_dict(info: FieldInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in FieldInfo.__slots__}  # type: ignore[attr-defined]
