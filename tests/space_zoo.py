"""Spaces written once and built by any library: a zoo of hand-made ones, and a strategy for random nested ones."""

import dataclasses
from typing import Any

from hypothesis import strategies as st


@dataclasses.dataclass(frozen=True)
class OneOf:
    candidates: tuple[Any, ...]
    name: str | None = None


@dataclasses.dataclass(frozen=True)
class ManyOf:
    k: int
    candidates: tuple[Any, ...]
    distinct: bool = True
    sorted: bool = False
    name: str | None = None


@dataclasses.dataclass(frozen=True)
class FloatV:
    low: float
    high: float
    scale: str | None = None
    name: str | None = None


def build(spec: Any, library: Any) -> Any:
    """A template of `library`, which is pgjax or PyGlove: they share the vocabulary."""
    if isinstance(spec, OneOf):
        return library.oneof([build(c, library) for c in spec.candidates], name=spec.name)
    if isinstance(spec, ManyOf):
        candidates = [build(c, library) for c in spec.candidates]
        return library.manyof(spec.k, candidates, distinct=spec.distinct, sorted=spec.sorted, name=spec.name)
    if isinstance(spec, FloatV):
        return library.floatv(spec.low, spec.high, scale=spec.scale, name=spec.name)
    if isinstance(spec, dict):
        return library.Dict(**{key: build(part, library) for key, part in spec.items()})
    if isinstance(spec, list):
        return library.List([build(part, library) for part in spec])
    return spec


def plain(value: Any) -> Any:
    """A decoded value of either library as built-in containers."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


_OPTIMIZER = OneOf(({'lr': FloatV(1e-4, 1e-1, 'log')}, {'lr': FloatV(1e-3, 1.0), 'momentum': OneOf((0.0, 0.9))}))
_INNER = OneOf(('relu', {'slope': OneOf((0.1, 0.2, 0.3))}, 'tanh'))

ZOO: dict[str, Any] = {
    'oneof': {'x': OneOf((1, 2, 3))},
    'oneof_single': {'x': OneOf((7,))},
    'oneof_strings': {'x': OneOf(('a', 'b'))},
    'oneof_none': {'x': OneOf((None, True, 1.5))},
    'oneof_containers': {'x': OneOf(([1, 2], {'y': 3}, 4))},
    'two': {'x': OneOf((1, 2)), 'y': OneOf((3, 4, 5))},
    'constants_between': {'a': 1, 'x': OneOf((1, 2)), 'b': [1, {'c': 2}], 'y': OneOf((3, 4))},
    'list': [OneOf((1, 2)), 5, OneOf((3, 4))],
    'deep_list': {'x': [[OneOf((1, 2)), [OneOf((3, 4))]], OneOf((5, 6))]},
    'named': {'x': OneOf((1, 2), name='first'), 'y': OneOf((1, 2), name='second')},
    'nested': {'x': OneOf((1, OneOf((2, 3)), 4))},
    'nested_first': {'x': OneOf((OneOf((2, 3)), 1))},
    'nested_only': {'x': OneOf((OneOf((2, 3)),))},
    'nested_twice': {'x': OneOf((1, OneOf((2, OneOf((3, 4)), 5)), 6))},
    'nested_dict': {'x': OneOf(({'a': OneOf((1, 2)), 'b': OneOf((3, 4))}, {'a': 9, 'b': OneOf((5, 6, 7))}))},
    'nested_list': {'x': OneOf(([OneOf((1, 2)), OneOf((3, 4))], [], [OneOf((5, 6))]))},
    'nested_and_after': {'x': OneOf((1, OneOf((2, 3)))), 'y': OneOf((4, 5))},
    'nested_twins': {'x': OneOf((OneOf((1, 2)), OneOf((3, 4)))), 'y': OneOf((OneOf((5, 6)), OneOf((7, 8))))},
    'deep_5': {'x': OneOf((0, OneOf((1, OneOf((2, OneOf((3, OneOf((4, 5)))))))))) },
    'float': {'x': FloatV(0.0, 1.0)},
    'float_log': {'x': FloatV(1e-4, 1.0, 'log')},
    'float_rlog': {'x': FloatV(1e-4, 1.0, 'rlog')},
    'float_and_choice': {'x': FloatV(-1.0, 1.0), 'y': OneOf((1, 2))},
    'float_in_branch': {'x': OneOf((1, FloatV(0.0, 2.0), FloatV(5.0, 6.0)))},
    'floats_in_list': [FloatV(0.0, 1.0), FloatV(1.0, 2.0), FloatV(2.0, 3.0)],
    'optimizer': {'optimizer': _OPTIMIZER, 'steps': OneOf((10, 20))},
    'optimizers': {'a': _OPTIMIZER, 'b': _OPTIMIZER},
    'activation': {'layers': [_INNER, _INNER, _INNER]},
    'named_nested': {'x': OneOf((1, OneOf((2, 3), name='inner')), name='outer')},
    'named_float': {'x': FloatV(0.0, 1.0, name='rate'), 'y': OneOf((1, FloatV(0.0, 1.0, name='other')))},
    'manyof_named': {'x': ManyOf(2, (1, 2, 3), name='pair')},
    'manyof_one': {'x': ManyOf(1, (1, 2, 3))},
    'manyof_of_one': {'x': ManyOf(1, (1,))},
    'permutate_4': {'x': ManyOf(4, ('a', 'b', 'c', 'd'))},
    'permutate_nested': {'x': ManyOf(2, (OneOf((1, 2)), OneOf((3, 4, 5))))},
    'manyof_then_oneof': {'x': ManyOf(2, (1, 2, 3)), 'y': OneOf((1, 2))},
    'oneof_then_manyof': {'y': OneOf((1, 2)), 'x': ManyOf(2, (1, 2, 3))},
    'manyof_twice': {'x': ManyOf(2, (1, 2, 3)), 'y': ManyOf(2, (1, 2, 3), sorted=True)},
    'manyof_in_branch': {'x': OneOf((0, ManyOf(2, (1, 2, 3), sorted=True), ManyOf(1, (1, 2))))},
    'manyof_in_list': [ManyOf(2, (1, 2)), ManyOf(2, (1, 2), distinct=False)],
    'manyof_float': {'x': ManyOf(2, (FloatV(0.0, 1.0), 5, FloatV(1.0, 2.0)))},
    'manyof_dicts': {'x': ManyOf(2, ({'a': OneOf((1, 2))}, {'b': 3}, {'c': OneOf((4, 5, 6))}))},
    'manyof_of_manyof': {'x': ManyOf(2, (ManyOf(2, (1, 2)), 0, ManyOf(1, (3, 4))), sorted=True)},
    'oneof_of_manyofs': {'x': OneOf(tuple(ManyOf(k, (1, 2, 3), sorted=True) for k in (1, 2, 3)))},
}  # fmt: skip
for _distinct in (False, True):
    for _sorted in (False, True):
        _tag = f'{"d" if _distinct else ""}{"s" if _sorted else ""}' or 'free'
        ZOO[f'manyof_2_4_{_tag}'] = {'x': ManyOf(2, (1, 2, 3, 4), _distinct, _sorted)}
        ZOO[f'manyof_3_4_{_tag}'] = {'x': ManyOf(3, ('a', 'b', 'c', 'd'), _distinct, _sorted)}
        ZOO[f'manyof_nested_{_tag}'] = {'x': ManyOf(2, (1, OneOf((2, 3)), OneOf((4, 5, 6))), _distinct, _sorted)}
        ZOO[f'manyof_deep_{_tag}'] = {'x': ManyOf(2, (OneOf((1, OneOf((2, 3)))), 4, 5), _distinct, _sorted)}
        ZOO[f'manyof_branch_{_tag}'] = {'x': OneOf((0, {'y': ManyOf(2, (1, 2, 3), _distinct, _sorted)}, OneOf((8, 9))))}

FINITE = {name: spec for name, spec in ZOO.items() if 'Float' not in repr(spec)}

_constants = st.one_of(st.integers(-3, 3), st.booleans(), st.none(), st.sampled_from(['a', 'bc', '']))


def _grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def many(draw_from: tuple[tuple[Any, ...], bool, bool, int]) -> ManyOf:
        candidates, distinct, is_sorted, k = draw_from
        return ManyOf(min(k, len(candidates)) if distinct else k, candidates, distinct, is_sorted)

    candidates = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        candidates.map(OneOf),
        st.tuples(candidates, st.booleans(), st.booleans(), st.integers(1, 3)).map(many),
        st.dictionaries(st.sampled_from('abc'), inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3),
    )


def _has_hole(spec: Any) -> bool:
    return any(kind in repr(spec) for kind in ('OneOf', 'ManyOf', 'FloatV'))


def specs(floats: bool = True) -> st.SearchStrategy[Any]:
    """Random nested spaces with at least one decision."""
    bounds = st.sampled_from([(0.0, 1.0, None), (-2.0, 3.0, 'linear'), (1e-4, 1.0, 'log'), (0.01, 10.0, 'rlog')])
    leaves = st.one_of(_constants, bounds.map(lambda b: FloatV(*b))) if floats else _constants
    grown = st.recursive(leaves, _grow, max_leaves=8)
    return grown.filter(_has_hole).map(lambda spec: {'root': spec})
