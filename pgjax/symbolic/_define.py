"""Makes a class symbolic: reads its annotations, checks its defaults, writes its constructor, registers it."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from typing import Any

from pgjax._errors import ClassDefinitionError, FieldTypeError, FieldValueError, show
from pgjax.symbolic import _registry
from pgjax.symbolic._annotation import resolve_annotations, to_spec
from pgjax.symbolic._bind import derived
from pgjax.symbolic._codegen import FACTORY, write_methods
from pgjax.symbolic._composite import StaticSpec
from pgjax.symbolic._field import REQUIRED, Field, FieldInfo
from pgjax.symbolic._narrow import admits, type_arguments
from pgjax.symbolic._spec import Kind, Spec


def define(cls: Any, frame: types.FrameType, override: bool = False, type_name: str | None = None) -> None:
    """Turns a new subclass of Object into a symbolic class.

    Annotations that name something not defined yet are read at first use.

    Raises:
      ClassDefinitionError: see design: a default of the wrong type, a reserved name, a name conflict.
    """
    if '__init__' in vars(cls) and not getattr(cls, '__pg_explicit_init__', False):
        raise ClassDefinitionError(
            f'{cls.__name__} defines __init__, which pgjax writes from the fields. ' + _cure_for_init(cls)
        )
    own = _own_names(cls)
    _refuse_reserved(cls, own)
    cls.__pg_type_name__ = _registry.type_name(cls, type_name)
    try:
        _complete(cls, frame)
    except NameError as error:
        unresolved = str(error)

        def pending() -> None:
            try:
                _complete(cls, None)
            except NameError:
                names = {n: cls.__annotations__.get(n) for n in own}
                field = next((n for n, a in names.items() if isinstance(a, str)), '?')
                raise ClassDefinitionError(
                    f'{cls.__name__}: the annotation of field {field!r} cannot be resolved: {unresolved}. '
                    'Define or import that name in the module of the class.'
                ) from None
            cls.__pg_pending__ = None

        cls.__pg_pending__ = staticmethod(pending)
        cls.__pg_fields__ = {}
        cls.__init__ = _deferred_init
    from pgjax.symbolic._object import register_pytree

    if not inspect.isabstract(cls):
        _registry.register(cls, override=override, explicit=type_name is not None)
    register_pytree(cls)


def _cure_for_init(cls: Any) -> str:
    plain = getattr(cls, '__pg_plain__', None)
    if plain is None:
        return 'Declare fields by annotations and derive state in _on_bound(self).'
    if '__pg_plain__' in vars(cls):
        return f'A base of {plain.__name__} writes it into every subclass, as that of Flax modules does: use pg.wrap.'
    return (
        f'{plain.__name__} is symbolic already: keep the regular class under a name of its own, derive from that, and '
        'make the subclass symbolic with pg.symbolize.'
    )


def finish(cls: Any) -> None:
    """Reads annotations that could not be read when the class was made."""
    if cls.__pg_pending__ is not None:
        cls.__pg_pending__()


def _deferred_init(self: Any, /, *args: Any, **fields: Any) -> None:
    finish(type(self))
    type(self).__init__(self, *args, **fields)


def _own_names(cls: Any) -> list[str]:
    names = []
    for name, annotation in inspect.get_annotations(cls).items():
        text = annotation if isinstance(annotation, str) else ''
        is_class_variable = typing.get_origin(annotation) is typing.ClassVar or annotation is typing.ClassVar
        if not name.startswith('_') and not is_class_variable and 'ClassVar' not in text.split('[')[0]:
            names.append(name)
    return names


def _refuse_reserved(cls: Any, names: list[str]) -> None:
    from pgjax.symbolic import _object

    base = getattr(_object, 'Object', None)
    if base is None:
        return
    reserved = sorted(name for name in {*dir(base), *cls.__pg_reserved__} if not name.startswith('_'))
    for name in names:
        if name in reserved:
            raise ClassDefinitionError(
                f'{cls.__name__}: the field name {name!r} would hide the public API; reserved names: '
                f'{", ".join(reserved)}. Choose another name.'
            )


def _complete(cls: Any, frame: types.FrameType | None) -> None:
    """Fields, constructor and signature of a class all of whose annotations can be read."""
    names = _own_names(cls)
    resolved = resolve_annotations(cls, names, frame)
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        finish_base = vars(base).get('__pg_own__')
        if finish_base:
            fields.update(finish_base)
    types_given = {name: a for name, a in type_arguments(cls).items() if name not in names}
    own = {name: _field(cls, name, a, fields.get(name)) for name, a in {**types_given, **resolved}.items()}
    fields.update(own)
    for name, existing in fields.items():  # a default given again without an annotation
        if name not in own and name in vars(cls) and not isinstance(vars(cls)[name], (types.MemberDescriptorType,)):
            own[name] = fields[name] = _with_default(cls, existing, vars(cls)[name])
    cls.__pg_own__ = own
    cls.__pg_fields__ = fields
    cls.__pg_kinds__ = tuple(f.spec.kind for f in fields.values())
    cls.__pg_derives__ = _derives(cls)
    cls.__match_args__ = tuple(fields)
    write_methods(cls)
    if cls.__pg_derives__ and not hasattr(cls, '__getattr__'):
        cls.__getattr__ = derived  # only here: a class without derived state keeps Python's fastest attribute reads
    cls.__signature__ = _OfClass(_signature(fields))
    for name in own:
        if name in vars(cls):
            delattr(cls, name)  # defaults live in fields: an object always has its own attribute


def _derives(cls: Any) -> bool:
    from pgjax.symbolic import _object

    base = getattr(_object, 'Object', None)
    return base is not None and cls._on_bound is not base._on_bound


def _field(cls: Any, name: str, annotation: Any, inherited: Field | None) -> Field:
    given = vars(cls).get(name, REQUIRED)
    info = given if isinstance(given, FieldInfo) else FieldInfo(default=given)
    try:
        spec: Spec = to_spec(annotation, info.traced, cls)
    except TypeError as error:
        raise ClassDefinitionError(f'{cls.__name__}.{name}: {error}.') from None
    if info.static:
        spec = StaticSpec(spec)
    final = typing.get_origin(annotation) is typing.Final
    if inherited is not None:
        info = _narrowed(cls, inherited, spec, info)
    return _with_default(cls, Field(name, spec, annotation, info, final), info.default)


def _narrowed(cls: Any, inherited: Field, spec: Spec, info: FieldInfo) -> FieldInfo:
    """The info of a field that is declared again: it keeps the base's default where that still fits."""
    name = inherited.name
    if inherited.frozen:
        raise ClassDefinitionError(f'{cls.__name__}.{name}: the field is Final in a base class.')
    if not admits(inherited.spec, spec):
        raise ClassDefinitionError(
            f'{cls.__name__}.{name}: declared {spec}, a base class declares {inherited.spec}. '
            'A subclass may narrow a field and never widen it, so that it fits wherever its base does.'
        )
    if info.default is not REQUIRED or info.default_factory is not None:
        return info
    default = inherited.info.default
    if default is not REQUIRED:
        try:
            default = spec.check(default, (name, None))
        except (FieldTypeError, FieldValueError):
            default = REQUIRED
    return dataclasses.replace(info, default=default, default_factory=inherited.info.default_factory)


def _with_default(cls: Any, field: Field, default: Any) -> Field:
    """The field with a validated default."""
    info = field.info
    if isinstance(default, FieldInfo):
        info, default = default, default.default
    if default is not REQUIRED:
        try:
            default = field.spec.check(default, (field.name, (cls.__name__, None)))
        except (FieldTypeError, FieldValueError) as error:
            raise ClassDefinitionError(
                f'{cls.__name__}: the default of field {field.name!r}, declared {field.spec}, does not fit: '
                f'got {type(default).__name__} {show(default)}. {error}'
            ) from None
    info = FieldInfo(default, info.default_factory, info.static, info.traced, info.dispatch, info.doc)
    return Field(field.name, field.spec, field.annotation, info, field.frozen)


class _OfClass:
    """The signature of a class, its constructor's. An object has that of its call, which is another one."""

    def __init__(self, signature: inspect.Signature):
        self._signature = signature

    def __get__(self, instance: Any, owner: type) -> inspect.Signature | None:
        return self._signature if instance is None else instance.__pg_call_signature__


def _signature(fields: dict[str, Field]) -> inspect.Signature:
    parameters = []
    keyword_only = False
    for field in fields.values():
        default = inspect.Parameter.empty if field.required else field.info.default
        if field.info.default_factory is not None:
            default = FACTORY
        keyword_only = keyword_only or (field.required and any(p.default is not p.empty for p in parameters))
        kind = inspect.Parameter.KEYWORD_ONLY if keyword_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=field.annotation))
    return inspect.Signature(parameters)


def kind_of(cls: Any, name: str) -> Kind:
    """How a field of a class reaches JAX."""
    return cls.__pg_fields__[name].spec.kind
