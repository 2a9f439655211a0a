"""Signatures as fields: what `symbolize`, `functor`, `compound` and `wrap` make classes from."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pgjax._errors import ClassDefinitionError, FieldTypeError, FieldValueError
from pgjax.symbolic._annotation import to_spec
from pgjax.symbolic._field import REQUIRED, FieldInfo
from pgjax.symbolic._object import Object
from pgjax.symbolic._spec import Spec

Parameter = inspect.Parameter


@dataclasses.dataclass(frozen=True)
class Signature:
    """The parameters of a function or class as fields.

    Attributes:
      annotations: by field name.
      infos: defaults by field name, only where there are some.
      positional: names that must be passed by position.
      extra: name of the `*args` parameter, stored as a tuple.
      keywords: name of the `**kwargs` parameter, stored as a dict.
    """

    annotations: dict[str, Any]
    infos: dict[str, FieldInfo]
    positional: tuple[str, ...] = ()
    extra: str | None = None
    keywords: str | None = None

    def arguments(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Field values as the arguments of a call."""
        named = {n: v for n, v in values.items() if n not in (*self.positional, self.extra, self.keywords)}
        args = [values[name] for name in self.positional]
        if self.extra is not None and values[self.extra]:
            before = [n for n in self.annotations if n in named and n not in self.after_extra]
            args += [named.pop(name) for name in before]
            args += list(values[self.extra])
        if self.keywords is not None:
            named.update(values[self.keywords])
        return args, named

    @property
    def is_open_ended(self) -> bool:
        """Whether a call may have arguments that are no fields of their own."""
        return self.extra is not None or self.keywords is not None or bool(self.positional)

    def parts(self, values: dict[str, Any]) -> list[tuple[str | None, Any]]:
        """Field values as a call shows them: (keyword or None, value)."""
        args, named = self.arguments(values)
        parts: list[tuple[str | None, Any]] = [(None, value) for value in args]
        return parts + list(named.items())

    @property
    def after_extra(self) -> tuple[str, ...]:
        """Names of keyword-only parameters."""
        names = list(self.annotations)
        return tuple(names[names.index(self.extra) + 1 :]) if self.extra is not None else ()


def read_signature(
    target: Callable[..., Any],
    *,
    skip_first: bool = False,
    lenient: bool = False,
    factories: Mapping[str, FieldInfo] | None = None,
) -> Signature:
    """The parameters of `target` as fields.

    Args:
      target: a function.
      skip_first: leave out `self`.
      lenient: the code is another library's: an annotation that does not fit its own default, or that is no plain
        scalar or callable, is taken as Any, and private parameters with defaults are left out.
      factories: what stands for the defaults of some parameters.

    Raises:
      ClassDefinitionError: a parameter's name cannot be a field's.
    """
    factories = factories or {}
    annotations: dict[str, Any] = {}
    infos: dict[str, FieldInfo] = {}
    positional: list[str] = []
    extra = keywords = None
    try:
        constructor = _constructor(target)
        skip_first = skip_first or constructor is not target
        parameters = list(inspect.signature(constructor).parameters.values())[1 if skip_first else 0 :]
    except (TypeError, ValueError):
        raise ClassDefinitionError(f'{target!r} has no signature that can be read, so it has no fields.') from None
    hints = _hints(constructor)
    for parameter in parameters:
        name = parameter.name
        if name.startswith('_'):
            if parameter.default is not Parameter.empty and lenient:
                continue
            raise ClassDefinitionError(
                f'{target!r}: parameter {name!r} is private; a field needs a name without underscore.'
            )
        if parameter.kind is Parameter.VAR_POSITIONAL:
            extra, annotations[name], infos[name] = name, tuple[Any, ...], FieldInfo(default=())
            continue
        if parameter.kind is Parameter.VAR_KEYWORD:
            keywords, annotations[name], infos[name] = name, dict[str, Any], FieldInfo(default={})
            continue
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            positional.append(name)
        info = factories.get(name) or _info(parameter.default)
        annotation = hints.get(name, parameter.annotation)
        annotations[name] = _annotation(annotation, info, lenient)
        if info is not None:
            infos[name] = info
    return Signature(annotations, infos, tuple(positional), extra, keywords)


def _constructor(target: Any) -> Any:
    """What shows the parameters: of a class whose `__new__` or metaclass passes any on, as Flax NNX's, `__init__`."""
    if not (isinstance(target, type) and inspect.isfunction(target.__init__)):
        return target
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    return target.__init__ if kinds == {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD} else target


def _hints(target: Any) -> dict[str, Any]:
    if isinstance(target, type) and inspect.isfunction(target.__init__):  # annotations of attributes may be others
        return _hints_of(target) | _hints_of(target.__init__)
    return _hints_of(target)


def _hints_of(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # a name that is not defined (yet); its string is read, if ever, when the class is used
        return {}


def _info(default: Any) -> FieldInfo | None:
    if default is Parameter.empty:
        return None
    if isinstance(default, FieldInfo):
        return default
    if isinstance(default, types.MappingProxyType):  # a dict that nothing can change, as fields are: of NNX's layers
        default = dict(default)
    return FieldInfo(default=default)


def _annotation(annotation: Any, info: FieldInfo | None, lenient: bool) -> Any:
    """The annotation that the field gets: at least Any, and wide enough for the parameter's own default."""
    if annotation is Parameter.empty:
        return Any
    if isinstance(annotation, str):
        return Any if lenient else annotation
    try:
        spec = to_spec(annotation)
    except TypeError:
        return Any
    if lenient and not _is_plain(spec):
        return Any
    default = info.default if info is not None else REQUIRED
    if default is not REQUIRED:
        try:
            spec.check(default, ('default', None))
        except (FieldTypeError, FieldValueError):
            if not lenient and default is not None:
                raise
            return annotation | None if default is None and not lenient else Any
    return annotation


def _is_plain(spec: Spec) -> bool:
    from pgjax.symbolic import _composite, _spec

    if isinstance(spec, _composite.UnionSpec):
        return all(_is_plain(option) for option in spec.options)
    if isinstance(spec, _spec.ClassSpec):
        return spec.cls in (str, bytes)
    scalars = (_spec.BoolSpec, _spec.IntSpec, _spec.FloatSpec, _spec.NoneSpec, _spec.LiteralSpec, _spec.CallableSpec)
    return isinstance(spec, scalars)


def make_class(
    name: str,
    bases: tuple[type, ...],
    signature: Signature,
    like: Any,
    attributes: dict[str, Any],
    *,
    type_name: str | None = None,
) -> Any:
    """A symbolic class with the fields of a signature.

    Args:
      name: the class's name.
      bases: among them a subclass of Object.
      signature: its fields.
      like: the function or class whose module and documentation it takes.
      attributes: methods and class attributes.
      type_name: the name under which it is stored, where that is not `module.qualname`.
    """
    namespace: dict[str, Any] = {
        '__module__': getattr(like, '__module__', __name__),
        '__qualname__': getattr(like, '__qualname__', name),
        '__doc__': getattr(like, '__doc__', None),
        '__annotations__': dict(signature.annotations),
        '__pg_signature__': signature,
        **signature.infos,
        **attributes,
    }
    options: dict[str, Any] = {'type_name': type_name} if type_name is not None else {}
    metaclass: Any = type(Object)
    cls = metaclass(name, bases, namespace, **options)
    if signature.is_open_ended:
        _gather_arguments(cls, signature)
    return cls


def _gather_arguments(cls: Any, signature: Signature) -> None:
    """Lets a constructor take `*args` and `**kwargs`, which become a tuple and a dict field."""
    store, named = cls.__init__, [n for n in signature.annotations if n not in (signature.extra, signature.keywords)]
    before = [n for n in named if n not in signature.after_extra]

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        values = dict(zip(before, args, strict=False))
        rest = args[len(before) :]
        if rest and signature.extra is not None:
            values[signature.extra] = rest
        elif rest:
            raise FieldTypeError(f'{cls.__name__} takes at most {len(before)} positional arguments, got {len(args)}.')
        known = {n: v for n, v in kwargs.items() if n in named}
        unknown = {n: v for n, v in kwargs.items() if n not in named}
        for clash in known.keys() & values.keys():
            raise FieldTypeError(f'{cls.__name__} got two values for {clash!r}.')
        if signature.keywords is not None and unknown:
            unknown = {signature.keywords: unknown}
        store(self, **values, **known, **unknown)

    cls.__init__ = __init__
