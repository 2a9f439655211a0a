"""Patches: every kind of rule, all or nothing, validators, holes, chains, history, the registry; PyGlove agrees."""

import copy
import enum
import importlib.metadata
import pickle
from typing import Annotated, Any, Literal

import annotated_types
import jax
import jax.numpy as jnp
import pytest

import pgjax as pg
from pgjax._errors import (
    ClassDefinitionError,
    FieldTypeError,
    FieldValueError,
    MissingFieldError,
    PathError,
    PgjaxError,
    UnknownFieldError,
    UriError,
)
from pgjax.edit import (
    Chain,
    Patch,
    PatchError,
    diff,
    from_uri,
    history,
    lens,
    load_patchers,
    patch,
    patch_on_key,
    patch_on_member,
    patch_on_path,
    patch_on_type,
    patch_on_value,
    patcher,
    patchers,
    to_uri,
)


class Dense(pg.Object):
    units: int = 8
    rate: float = 0.1


class Exp(pg.Object):
    model: Any = Dense()
    lr: Annotated[float, annotated_types.Gt(0)] = 0.1
    steps: int = 10


@patcher(name='tp.scale')
def scale(exp, by: float = 2.0):
    """Scales every width.

    More words.
    """
    return lens('**.units').modify(exp, lambda u: u * by if isinstance(u, pg.edit.Patch) else u * int(by))


@patcher(name='tp.lr')
def lr(exp, value: float):
    return {'lr': value}


@patcher(name='tp.both')
def both(exp, rate: float = 0.5, by: int = 3):
    return [lr(rate), f'tp.scale?{by}', lambda path, v: 99 if path.key == 'steps' else v]


def positive_steps(exp):
    if exp.steps < 0:
        raise ValueError(f'negative steps: {exp.steps}')


@patcher(name='tp.steps', validate=positive_steps)
def steps(exp, n: int):
    return exp.rebind(steps=n)


EXP = Exp()


@pytest.mark.parametrize(
    'rule, expected',
    [
        (None, EXP),
        ([], EXP),
        ([None, [], [[None]]], EXP),
        ({}, EXP),
        ({'lr': 0.1}, EXP),
        ({'lr': 0.5, 'model.units': 1}, Exp(Dense(1), 0.5)),
        ({'': 5}, 5),
        (pg.Dict({'lr': 0.5}), Exp(lr=0.5)),
        (lambda path, v: v + 1 if path.key == 'units' else v, Exp(Dense(9))),
        (lambda path, v, parent: v + 1 if isinstance(parent, Dense) and path.key == 'units' else v, Exp(Dense(9))),
        ('tp.lr?0.5', Exp(lr=0.5)),
        ('tp.lr?0.5 >> tp.scale', Exp(Dense(16), 0.5)),
        (lr(0.5), Exp(lr=0.5)),
        (both(), Exp(Dense(24), 0.5, 99)),
        ([lr(0.5), [scale(), ['tp.scale?3']], {'steps': 1}], Exp(Dense(48), 0.5, 1)),
        (lr(1) >> scale() >> {'steps': 1}, Exp(Dense(16), 1.0, 1)),
        (lens('lr').to(0.3), Exp(lr=0.3)),
        (diff(Exp(), Exp(lr=0.3)), Exp(lr=0.3)),
        ((lr(0.2), lr(0.3)), Exp(lr=0.3)),
    ],
)
def test_every_kind_of_rule(rule, expected):
    before = copy.deepcopy(EXP)
    assert patch(EXP, rule) == expected
    assert before == EXP


def test_rules_that_change_nothing_return_the_value_itself():
    for rule in (None, [], {}, {'lr': 0.1}, lens('lr').to(0.1), lr(0.1), lambda path, v: v):
        assert patch(EXP, rule) is EXP


def test_a_patch_is_one_thing_however_it_is_given():
    assert scale(by=3)(EXP) == patch(EXP, scale(3)) == patch(EXP, 'tp.scale?by=3') == patch(EXP, 'tp.scale?3')


def test_patches_are_symbolic_values():
    p = scale(by=3)
    assert isinstance(p, pg.Object) and isinstance(p, Patch)
    assert p == scale(3.0) and p != scale() and hash(p) == hash(scale(3))
    assert repr(p) == 'scale(by=3.0)' and str(p) == 'tp.scale?by=3.0'
    assert p.rebind(by=4).by == 4.0
    assert pickle.loads(pickle.dumps(p)) == p
    assert type(p).__pg_type_name__ == 'tp.scale'
    assert jax.tree.leaves(p) == [3.0]
    assert pg.eq(patch(p, {'by': 5.0}), scale(5))
    with pytest.raises(FieldTypeError, match='by'):
        scale(by='wide')
    with pytest.raises(UnknownFieldError):
        scale(wide=1)


def test_annotations_are_enforced_and_partial_patches_say_what_is_missing():
    partial = lr.partial()  # type: ignore[attr-defined]
    assert partial.value is pg.MISSING and str(partial) == repr(partial)
    with pytest.raises(PatchError, match=r'tp\.lr needs value'):
        patch(EXP, partial)
    assert patch(EXP, partial.rebind(value=0.5)).lr == 0.5


class Color(enum.Enum):
    RED = 1


def test_what_a_body_may_return():
    results = {
        'object': Exp(lr=0.9),
        'mapping': {'lr': 0.9},
        'rule': lambda path, v: 0.9 if path.key == 'lr' else v,
        'patch': lr(0.9),
        'uri': 'tp.lr?0.9',
        'list': [{'lr': 0.5}, 'tp.lr?0.9', None],
        'symbolic list': pg.List(['tp.lr?0.9']),
        'chain': lr(0.5) >> {'lr': 0.9},
        'with validator': ({'lr': 0.9}, lambda exp: exp.lr == 0.9),
        'edit': lens('lr').over(lambda v: 0.9),
        'same': None,
    }

    @patcher(name='tp.returns')
    def returns(exp, kind: str):
        return exp if kind == 'same' else results[kind]

    for kind in results:
        assert returns(kind)(EXP).lr == (0.1 if kind == 'same' else 0.9), kind
    assert returns('same')(EXP) is EXP


def test_a_body_may_return_any_value():
    @patcher(name='tp.replace')
    def replace(value, by: Any = None):
        return by

    for new in (5, 2.5, Color.RED, (1, 2), jnp.ones(2), Dense, True):
        assert pg.eq(replace(new)(EXP), new)
    assert replace(pg.Dict(a=1))(pg.Dict(b=2)) == {'a': 1}
    assert replace(pg.List([1]))(pg.List([2, 3])) == [1]
    assert replace({'b': 3})({'b': 2, 'c': 1}) == {'b': 3, 'c': 1}  # a plain dict is an update


def test_a_body_that_forgets_to_return():
    @patcher(name='tp.forgets')
    def forgets(exp):
        exp.rebind(lr=0.5)

    with pytest.raises(PatchError, match=r"'tp.forgets' returned None.*return exp.rebind"):
        forgets()(EXP)


def test_patches_without_end():
    @patcher(name='tp.again')
    def again(exp, n: int = 0):
        return [again(n + 1), again(n + 2)]

    @patcher(name='tp.lists')
    def lists(exp):
        inner: list = []
        inner.append(inner)
        return inner

    with pytest.raises(PatchError, match='without end'):
        again()(EXP)
    with pytest.raises(PatchError, match='without end'):
        lists()(EXP)
    endless: list = []
    endless.append(endless)
    with pytest.raises(FieldTypeError, match='contains itself'):
        patch(EXP, endless)


def test_the_target_annotation_restricts():
    @patcher(name='tp.dense_only')
    def dense_only(layer: Dense, by: int = 2):
        return layer.rebind(units=layer.units * by)

    assert dense_only()(Dense(1)) == Dense(2)
    with pytest.raises(PatchError, match=r"'tp\.dense_only' failed: FieldTypeError: layer: expected Dense, got Exp"):
        dense_only()(EXP)


@pytest.mark.parametrize('rule', [5, 1.5, Dense(), Dense, b'x', object(), [{'lr': 1}, 3], jnp.ones(2), scale])
def test_what_is_no_rule(rule):
    with pytest.raises(FieldTypeError, match='A patch rule is'):
        patch(EXP, rule)


def test_nothing_is_applied_if_a_later_uri_cannot_be_read():
    seen = []
    rules = [lambda path, v: seen.append(path) or v, {'lr': 0.5}, 'tp.nope?x=1']
    with pytest.raises(UriError, match=r"'tp.nope\?x=1' \(index 2\).*No patcher") as caught:
        patch(EXP, rules)
    assert not seen and Exp() == EXP and len(str(caught.value)) <= 500


def test_a_failing_patch_names_itself_and_leaves_nothing():
    with pytest.raises(
        PatchError, match=r"Patch 'tp.lr\?value=-1.0' \(index 2\) failed: FieldValueError: .*lr"
    ) as caught:
        patch(EXP, [scale(), 'tp.scale?3', 'tp.lr?value=-1'])
    assert isinstance(caught.value, (UriError, ValueError)) and isinstance(caught.value.__cause__, FieldValueError)
    assert Exp() == EXP


def test_a_failing_rule_keeps_its_error():
    with pytest.raises(PathError) as caught:
        patch(EXP, [scale(), {'nope': 1}])
    assert 'index 1' in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as caught:
        patch(EXP, lambda path, v: 1 // 0 if path.key == 'units' else v)
    assert 'model.units' in caught.value.__notes__[0]


def test_validators_run_last():
    order = []

    @patcher(name='tp.checked', validate=lambda exp: order.append(exp.lr))
    def checked(exp, value: float = 0.5):
        return {'lr': value}, lambda exp: order.append(('inner', exp.lr))

    assert patch(EXP, [checked(), {'lr': 0.7}]).lr == 0.7
    assert order == [0.7, ('inner', 0.7)]


def test_a_failing_validator_names_the_patch_and_leaves_nothing():
    assert patch(EXP, [steps(-5), {'steps': 5}]).steps == 5  # only the end counts
    with pytest.raises(PatchError, match=r"The validator of patch 'tp.steps\?n=-5' failed: ValueError: negative steps"):
        steps(-5)(EXP)

    @patcher(name='tp.refuses')
    def refuses(exp):
        return {'lr': 0.5}, lambda exp: False

    with pytest.raises(PatchError, match=r"'tp.refuses' \(index 0\) returned False"):
        patch(EXP, ['tp.refuses'])
    assert Exp() == EXP


def test_chains_are_flat_symbolic_values():
    chain = scale() >> lr(0.5) >> 'tp.scale?3' >> None >> [lr(0.6), {'steps': 1}]
    assert isinstance(chain, Chain) and len(chain.patches) == 5
    assert (scale() >> lr(0.5)) == Chain([scale(), lr(0.5)]) and hash(scale() >> lr(1)) == hash(scale() >> lr(1))
    assert patch(EXP, chain) == Exp(Dense(48), 0.6, 1)
    assert {'lr': 0.2} >> scale() == Chain([{'lr': 0.2}, scale()])
    assert 'tp.lr?1' >> scale() == Chain([lr(1), scale()])
    assert ((scale() >> scale()) >> (scale() >> scale())).patches == [scale()] * 4
    assert str(scale() >> lr(0.5)) == 'tp.scale >> tp.lr?value=0.5'
    assert patch(EXP, Chain([Chain([Chain([lr(0.4)])])])).lr == 0.4


# Holes.


def test_a_hole_between_patches_is_a_hole_between_patched_values():
    made = patch(EXP, pg.oneof([lr(0.5), 'tp.scale', {'steps': 1}, None], name='idea'))
    assert list(made.candidates) == [Exp(lr=0.5), Exp(Dense(16)), Exp(steps=1), EXP] and made.name == 'idea'
    space = pg.search_space(made)
    assert [space.decode(dna) for dna in space.iterate()] == list(made.candidates)


def test_what_follows_a_hole_is_applied_to_each_candidate():
    made = patch(EXP, [steps(3), pg.oneof([lr(0.5), steps(4), [lr(0.6), steps(5)]]), scale(), {'model.rate': 0.0}])
    assert list(made.candidates) == [Exp(Dense(16, 0.0), r, n) for r, n in ((0.5, 3), (0.1, 4), (0.6, 5))]


def test_validators_see_each_candidate():
    with pytest.raises(PatchError, match='negative'):
        patch(EXP, [steps(3), pg.oneof([lr(0.5), {'steps': -1}])])
    made = patch(EXP, [pg.oneof([steps(3), {'steps': -1}])])  # the second has no validator
    assert [c.steps for c in made.candidates] == [3, -1]


def test_nested_holes_and_holes_at_the_root():
    made = patch(EXP, [pg.oneof([lr(0.5), pg.oneof([lr(0.6), lr(0.7)])]), pg.oneof([scale(), scale(3)])])
    assert pg.search_space(made).size == 6
    root = pg.oneof([EXP, Exp(lr=0.9)])
    assert [c.steps for c in patch(root, {'steps': 5}).candidates] == [5, 5]


def test_an_argument_that_is_a_hole():
    @patcher(name='tp.widen')
    def widen(exp, by: int = 2):
        return lens('**.units').over(lambda u: u * by)

    made = widen(pg.oneof([1, 2, 4]))(pg.Dict(a=Dense(8), b=Dense(16)))
    space = pg.search_space(made)
    assert space.size == 3  # one tied decision
    assert [(x.a.units, x.b.units) for x in map(space.decode, space.iterate())] == [(8, 16), (16, 32), (32, 64)]


def test_an_argument_that_is_a_hole_where_the_body_needs_a_number():
    @patcher(name='tp.truncates')
    def truncates(exp, by: float = 2.0):
        return lens('**.units').over(lambda u: int(u * by))

    with pytest.raises(PatchError, match='by is a hole'):
        truncates(pg.oneof([0.5, 2.0]))(EXP)
    made = patch(EXP, pg.oneof([truncates(0.5), truncates(2.0)]))
    assert [c.model.units for c in made.candidates] == [4, 16]


def test_search_for_width_of_the_paper():
    class AutoML(pg.Object):
        base: Any = None
        target_flops: float = 0.0

    @patcher(name='tp.width')
    def width(exp, by: int = 1):
        return lens(Dense, 'units').over(lambda u: u * by)

    @patcher(name='tp.search_for_width')
    def search_for_width(exp, target_flops: float):
        return [width(pg.oneof([1, 2, 4])), lambda path, v: v if path else AutoML(v, target_flops)]

    made = patch(EXP, 'tp.search_for_width?1e6')
    assert isinstance(made, AutoML) and made.target_flops == 1e6
    assert pg.search_space(made).size == 3


# History.


def test_history_gives_the_uris_and_replays():
    rule = lambda path, v: v + 1 if path.key == 'steps' else v  # noqa: E731
    made = patch(patch(EXP, ['tp.scale?3', lr(0.5)]), [{'steps': 7}, rule, both(), lens('lr').to(0.25)])
    assert history(made) == [
        'tp.scale?by=3.0',
        'tp.lr?value=0.5',
        {'steps': 7},
        rule,
        'tp.both',
        lens('lr').to(0.25),
    ]
    assert patch(EXP, history(made)) == made
    assert history(patch(EXP, history(made))) == history(made)


def test_history_is_no_part_of_the_value():
    made = patch(EXP, lr(0.5))
    plain = Exp(lr=0.5)
    assert made == plain and hash(made) == hash(plain) and repr(made) == repr(plain)
    assert jax.tree.structure(made) == jax.tree.structure(plain)
    assert history(plain) == [] == history(EXP) == history(5) == history(Exp) == history({'a': 1})


def test_history_does_not_outlive_the_object():
    made = patch(EXP, lr(0.5))
    for other in (
        made.rebind(steps=3),
        jax.tree.map(lambda x: x, made),
        pickle.loads(pickle.dumps(made)),
        lens('steps').set(made, 3),
    ):
        assert history(other) == []
    assert history(copy.deepcopy(made)) == history(made)  # the object itself
    assert history(patch(made.rebind(steps=3), scale())) == ['tp.scale']


def test_history_of_an_object_that_others_hold_too():
    shared = Exp(lr=0.9)

    @patcher(name='tp.use_shared')
    def use_shared(exp):
        return shared

    made = use_shared()(EXP)
    assert made == shared and history(made) == ['tp.use_shared'] and history(shared) == []
    assert made.model is shared.model


def test_history_of_containers_and_holes_and_derived_state():
    class Doubled(pg.Object):
        x: int = 1

        def _on_bound(self):
            self._twice = 2 * self.x

    assert history(patch(pg.Dict(a=1), {'a': 2})) == [{'a': 2}]
    assert history(patch(pg.List([1]), {0: 2})) == [{'[0]': 2}]
    hole = pg.oneof([lr(0.5), lr(0.6)])
    assert history(patch(EXP, hole)) == [hole]
    made = patch(Doubled(), {'x': 4})
    assert made._twice == 8 and history(made) == [{'x': 4}]
    updates = {'x': 5}
    made = patch(Doubled(), updates)
    updates['x'] = 6
    assert history(made) == [{'x': 5}]


# The registry.


def test_two_patchers_of_one_name_are_an_error():
    def first(exp):
        return exp

    patcher(name='tp.taken')(first)

    def second(exp):
        return exp

    with pytest.raises(ClassDefinitionError, match=r"'tp.taken' is taken by .*first.*name='team.tp.taken'"):
        patcher(name='tp.taken')(second)
    assert patchers('tp.taken')['tp.taken'].module == __name__


def test_a_function_body_that_runs_again_replaces_its_patcher():
    def define(value):
        @patcher(name='tp.local')
        def local(exp):
            return {'lr': value}

        return local

    define(0.5)
    define(0.6)
    assert patch(EXP, 'tp.local').lr == 0.6


def test_listing():
    infos = patchers('tp.')
    assert list(infos) == sorted(infos)
    assert str(infos['tp.scale']) == 'tp.scale(by: float = 2.0)\n    Scales every width.'

    @patcher(name='tp.typed')
    def typed(
        layer: Dense,
        a: Annotated[int, annotated_types.Interval(ge=0, le=9)],
        b: Literal['x', 'y'] = 'x',
        c: list[float] | None = None,
        d: Color = Color.RED,
        *,
        inner: Patch | None = None,
    ):
        return layer

    info = patchers('tp.typed')['tp.typed']
    assert info.target == 'Dense'
    assert info.arguments == {
        'a': 'int, min 0, max 9',
        'b': "one of 'x', 'y' = 'x'",
        'c': 'list[float] or None = None',
        'd': f'one of RED = {Color.RED!r}',
        'inner': 'Patch or None = None',
    }


def _variadic(exp, *rest):
    return exp


def _private(exp, _x):
    return exp


def _no_target(*, x=1):
    return x


def _unresolved(exp, x: 'Nowhere'):  # noqa: F821
    return exp


def _reserved(exp, rebind: int = 1):
    return exp


def _bad_default(exp, x: int = 'a'):  # type: ignore[assignment]
    return exp


@pytest.mark.parametrize('function', [_variadic, _private, _no_target, _unresolved, _reserved, _bad_default, len, 5])
def test_functions_that_cannot_be_patchers(function):
    before = dict(patchers())
    with pytest.raises(ClassDefinitionError):
        patcher(name='tp.bad')(function)
    assert patchers() == before


@pytest.mark.parametrize('name', ['', 'a b', 'a?', 'größe', 'a..b', '1a', 'a-b', 5])
def test_names_that_no_uri_could_hold(name):
    with pytest.raises(ClassDefinitionError, match='no name for a patcher'):
        patcher(name=name)(lambda exp: exp)


def test_local_annotations_are_understood():
    class Local(pg.Object):
        x: int = 1

    @patcher(name='tp.local_types')
    def local_types(exp, value: 'Local'):
        return {'model': value}

    assert local_types(Local(2))(EXP).model == Local(2)
    with pytest.raises(FieldTypeError):
        local_types(5)


class FakeEntry:
    name, value = 'far', 'far_away:patchers'

    def __init__(self, action):
        self.load = action


def test_other_packages_are_loaded_by_an_explicit_call_only(monkeypatch):
    def define():
        patcher(name='tp.far')(lambda exp: {'lr': 0.25})

    groups = []
    monkeypatch.setattr(importlib.metadata, 'entry_points', lambda group: groups.append(group) or [FakeEntry(define)])
    with pytest.raises(UriError, match=r'pg.load_patchers\(\)'):
        patch(EXP, 'tp.far')
    assert not groups
    assert load_patchers() == ['tp.far'] and groups == ['pgjax.patchers']
    assert patch(EXP, 'tp.far').lr == 0.25
    monkeypatch.setattr(importlib.metadata, 'entry_points', lambda group: [FakeEntry(lambda: 1 // 0)])
    with pytest.raises(ZeroDivisionError) as caught:
        load_patchers()
    assert 'far_away' in caught.value.__notes__[0]


def test_patches_work_on_any_pytree_and_under_jit():
    params = {'dense': {'kernel': jnp.ones(2)}}
    doubled = patch(params, [lens('**.kernel').over(lambda k: 2 * k), {'dense.bias': 0.0}])
    assert doubled['dense']['kernel'].tolist() == [2, 2] and doubled['dense']['bias'] == 0 and type(doubled) is dict

    @jax.jit
    def run(exp, value):
        return patch(exp, lr(value)).lr * 2

    assert run(EXP, 0.5) == 1.0


# By pattern.


def test_patch_on():
    tree = pg.Dict(a=Dense(1), b=[Dense(2), {'units': 3}], units=4)
    assert patch_on_key(tree, 'unit', value=0) == {'a': Dense(0), 'b': [Dense(0), {'units': 0}], 'units': 0}
    assert patch_on_path(tree, r'b\[', value=None) == {'a': Dense(1), 'b': [None, None], 'units': 4}
    assert patch_on_value(tree, 2, value_fn=lambda v: v + 1).b[0].units == 3
    assert patch_on_type(tree, Dense, value_fn=lambda d: d.units).b == [2, {'units': 3}]
    assert patch_on_type(tree, (float,), 0.5).a == Dense(1, 0.5)
    assert patch_on_member(tree, Dense, 'units', 7) == {'a': Dense(7), 'b': [Dense(7), {'units': 3}], 'units': 4}
    assert patch_on_key(tree, 'nothing', value=0) is tree
    assert patch_on_value({'x': jnp.ones(2), 'y': 1}, jnp.ones(2), 0) == {'x': 0, 'y': 1}
    with pytest.raises(FieldTypeError, match='not both'):
        patch_on_key(tree, 'a', value=1, value_fn=abs)
    with pytest.raises(FieldTypeError, match='Give value='):
        patch_on_key(tree, 'a')
    with pytest.raises(FieldTypeError, match='regular expression'):
        patch_on_key(tree, '(', value=1)


def test_patch_on_agrees_with_pyglove():
    oracle = pytest.importorskip('pyglove')
    plain = {'a': {'x': 1, 'ax': 2}, 'b': [1, 2, {'x': 1}], 'c': 'one'}
    for edit, theirs, arguments in [
        (patch_on_key, oracle.patching.patch_on_key, ('x',)),
        (patch_on_key, oracle.patching.patch_on_key, ('.',)),
        (patch_on_path, oracle.patching.patch_on_path, ('.*x',)),
        (patch_on_path, oracle.patching.patch_on_path, ('b',)),
        (patch_on_value, oracle.patching.patch_on_value, (1,)),
        (patch_on_type, oracle.patching.patch_on_type, (int,)),
        (patch_on_type, oracle.patching.patch_on_type, (str,)),
    ]:
        assert edit(plain, *arguments, value=7) == theirs(oracle.Dict.from_json(plain), *arguments, value=7)


def test_errors_are_ours_and_short():
    for rule in ('x' * 10_000, ['tp.lr?' + 'y' * 1000], [{'nope' * 500: 1}], lr(-1), 'tp.lr?-1e300'):
        with pytest.raises(PgjaxError) as caught:
            patch(EXP, rule)
        assert len(str(caught.value)) <= 500


def test_uris_of_what_has_none():
    for value in (5, EXP, {'lr': 1}, lens('lr').to(1), Chain([]), Chain([lr(1)]), lr(1) >> {'lr': 1}):
        with pytest.raises(UriError):
            to_uri(value)
    assert str(lr(1) >> {'lr': 1}) == "tp.lr?value=1.0 >> {'lr': 1}"
    assert from_uri('tp.lr?1 >> tp.scale') == lr(1) >> scale()
    with pytest.raises(MissingFieldError):
        lr()
