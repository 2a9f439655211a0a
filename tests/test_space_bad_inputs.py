"""What bad holes, templates and points are answered with: one test for each catalogued case."""

import time

import jax
import numpy as np
import pytest

import pgjax as pg
from pgjax import cli, search
from pgjax.space import DNA, custom, derive, subset


def check_error(call, error, builtin, words):
    start = time.process_time()
    with pytest.raises(error) as caught:
        call()
    assert time.process_time() - start < 20  # it does not hang
    text = str(caught.value)
    assert len(text) <= 500
    assert isinstance(caught.value, pg.PgjaxError) and isinstance(caught.value, builtin)
    for word in words:
        assert word in text, f'{word!r} is not in: {text}'


def nested_refusal():
    value = 1
    for _ in range(3000):
        value = pg.oneof([value, 0])
    return pg.search_space([value])


HOLES = {
    'E01': (lambda: pg.oneof([]), ['oneof', 'at least one candidate']),
    'E03 -1': (lambda: pg.manyof(-1, [1]), ['k', 'at least 1', '-1']),
    'E03 0': (lambda: pg.manyof(0, [1]), ['k', 'at least 1']),
    'E03 too many': (lambda: pg.manyof(3, [1, 2]), ['k=3', '2 candidates', 'distinct=False']),
    'E04': (lambda: pg.manyof(1.5, [1]), ['k', 'int', '1.5']),
    'E05': (lambda: pg.floatv(1.0, 0.0), ['floatv', 'low 1.0 > high 0.0']),
    'E05 nan': (lambda: pg.floatv(float('nan'), 1.0), ['finite']),
    'E07': (lambda: pg.floatv(0.0, 1.0, scale='log'), ['log', 'low > 0']),
    'E07 negative': (lambda: pg.floatv(-1.0, 1.0, scale='rlog'), ['rlog', 'low > 0']),
    'E07 logit': (lambda: pg.floatv(0.0, 0.5, scale='logit'), ['logit', '0 < low < high < 1']),
    'E08': (lambda: pg.floatv(0.0, 1.0, scale='foo'), ['foo', 'linear, log, rlog']),
    'E09': (lambda: pg.floatv(1.0, 1.0 + 1e-12), ['float32', 'bounds are equal']),
    'E09 large': (lambda: pg.floatv(0.0, 1e39), ['1e+39', 'float32', '3.4e+38']),
    'E09 wide': (lambda: pg.floatv(-3e38, 3e38, step=3e38), ['float32']),
    'E12': (lambda: pg.oneof(i for i in range(3)), ['pass a list']),
    'E13': (lambda: pg.search_space(pg.Dict(x=1)), ['no decision points']),
    'E13 where': (lambda: pg.search_space([pg.oneof([1])], where=lambda h: False), ['no decision points']),
    'E13 leaf': (lambda: pg.search_space(3), ['no decision points']),
    'E16': (lambda: pg.intv(0, 2**40), ['int32', 'enable x64']),
    'E15 deep': (nested_refusal, ['too deeply']),
    'bool bound': (lambda: pg.intv(False, 3), ['bounds are ints', 'False']),
    'float bound': (lambda: pg.intv(0, 1.5), ['bounds are ints', '1.5']),
    'step 0': (lambda: pg.intv(0, 8, step=0), ['step', 'positive']),
    'step off': (lambda: pg.intv(0, 9, step=4), ['whole number of steps', '8']),
    'step logit': (lambda: pg.floatv(0.1, 0.9, scale='logit', step=0.1), ['logit', 'step']),
    'subset': (lambda: subset([1, 2], 2, 1), ['min_k=2', 'max_k=1']),
    'subset large': (lambda: subset([1, 2], 0, 3), ['max_k=3', '2']),
    'custom': (lambda: custom([pg.intv(0, 1)], 3), ['decode must be a function']),
    'derive': (lambda: derive(abs), ['paths']),
    'derive nowhere': (lambda: pg.search_space([pg.oneof([1]), derive(abs, '[9]')]), ['[1]', '[9]', 'nowhere']),
    'derive itself': (lambda: pg.search_space([pg.oneof([1]), derive(abs, '[1]')]), ['[1]', 'depends on itself']),
    'names': (
        lambda: pg.search_space(pg.Dict(a=pg.oneof([1, 2], name='n'), b=pg.oneof([1, 3], name='n'))),
        ['b', "'n'", 'different specification'],
    ),
}


@pytest.mark.parametrize('case', HOLES)
def test_bad_holes_and_templates(case):
    call, words = HOLES[case]
    check_error(call, pg.SpaceError, ValueError, words)


@pytest.fixture(name='space')
def fixture_space():
    return pg.search_space(pg.Dict(a=pg.oneof([1, 2, 3]), b=pg.floatv(0.0, 1.0), c=pg.manyof(2, [1, 2, 3])))


def dna(*choices, floats=(0.5,)):
    return DNA(list(choices), list(floats))


POINTS = {
    'F01 short': (dna(0), ['expected length 3', 'got 1']),
    'F01 long': (dna(0, 0, 1, 9), ['expected length 3', 'got 4']),
    'F01 floats': (dna(0, 0, 1, floats=()), ['expected length 1', 'got 0']),
    'F03': (dna(-1, 0, 1), ['a: -1', '[0, 2]']),
    'F03 high': (dna(0, 3, 1), ['c[0]: 3', '[0, 2]']),
    'F04': (DNA(np.array([0.5, 0, 1]), [0.5]), ['a', 'int dtype']),
    'F05': (DNA([True, False, True], [0.5]), ['bool', 'a']),
    'F07 inf': (dna(0, 0, 1, floats=[float('inf')]), ['b: inf', 'out of bounds']),
    'F07 high': (dna(0, 0, 1, floats=[1.5]), ['b: 1.5', 'out of bounds']),
    'F07 nan': (dna(0, 0, 1, floats=[float('nan')]), ['b: nan', 'out of bounds']),
    'F08': (dna(0, 0, 0), ['c[1]', '[0, 0]', 'distinct', 'repair']),
    'F09 object': (DNA(np.array(['a', 'b', 'c'], object), [0.5]), ['dtype']),
    'F09 float64': (DNA(np.array([0, 0.5, 0]), [0.5]), ['dtype float64']),
    'F09 text': (DNA('abc', [0.5]), ['str']),
    'F09 None': (DNA(None, [0.5]), ['NoneType']),
    'no DNA': ([0, 0.5, 0, 1], ['Expected a pg.DNA', 'list']),
    'batch': (DNA([[0, 0, 1], [0, 1, 1]], [[0.5], [0.5]]), ['c[1] (point (1,))', '[1, 1]']),
    'axes': (DNA([[0, 0, 1]], [0.5]), ['leading axes differ']),
}


@pytest.mark.parametrize('case', POINTS)
def test_bad_points(space, case):
    point, words = POINTS[case]
    for method in (space.decode, space.check, space.to_numbers, space.groups):
        check_error(lambda method=method: method(point), pg.DnaError, ValueError, words)


def test_inside_jit_a_bad_point_is_a_mask_and_never_clamped(space):
    violations = jax.jit(space.violations)(dna(-1, 0, 0, floats=[1.5]))
    assert violations.tolist() == [True, False, True, True]


DICTS = {
    'F11': ({'a': 0}, ["'b'", 'missing']),
    'F12': ({'a': 0, 'b': 0.5, 'c[0]': 0, 'c[1]': 1, 'zz': 3}, ["'zz'", 'known names']),
    'typo': ({'aa': 0}, ["'aa'", 'Did you mean']),
    'choice float': ({'a': 0.5}, ['a: expected an int in [0, 2]', 'float 0.5']),
    'choice bool': ({'a': True}, ['a: expected an int', 'bool True']),
    'choice high': ({'a': 3}, ['a: expected an int in [0, 2]', '3']),
    'choice text': ({'a': '1/4'}, ['a: expected', "'0/3'"]),
    'float high': ({'b': 1.5}, ['b: expected a float in [0.0, 1.0]', '1.5']),
    'float text': ({'b': 'x'}, ['b: expected a float']),
    'too many slots': ({'c': [0, 1, 2]}, ['c: expected a list of 2']),
    'nothing': (None, ['dictionary', 'NoneType']),
    'list': ([0, 1], ['dictionary', 'int 0']),
    'array': ({'a': np.array([1, 2])}, ['a: expected', '[1, 2]']),
    'object': ({'a': object()}, ['a: expected', 'object']),
    'one slot': ({'c': 0}, ['c: expected a list of 2']),
}


@pytest.mark.parametrize('case', DICTS)
def test_bad_dictionaries(space, case):
    values, words = DICTS[case]
    check_error(lambda: space.from_dict(values), pg.DnaError, ValueError, words)


NUMBERS = {
    'short': ([0, 0.5, 0], ['more than 3', 'c[1]']),
    'long': ([0, 0.5, 0, 1, 9], ['Expected length 4', '5 numbers']),
    'negative': ([-1, 0.5, 0, 1], ['a', '-1']),
    'bool': ([True, 0.5, 0, 1], ['a', 'True']),
    'float': ([0.5, 0.5, 0, 1], ['a', '0.5']),
    'one number': (5, ['list of numbers', 'int 5']),
    'nothing': (None, ['list of numbers', 'NoneType']),
    'dictionary': ({'a': 0}, ['list of numbers', 'from_dict']),
    'none': ([], ['more than 0', 'a has none']),
    'deep and flat': ([[0, 0.5, 0, 1], [[0, 0.5, 0, 1]]], ['deep']),
    'row': ([[0, 0.5, 0, 1], 3], ['list of numbers', 'int 3']),
    'repeat': ([0, 0.5, 1, 1], ['c[1]', 'group']),
}


@pytest.mark.parametrize('case', NUMBERS)
def test_bad_numbers(space, case):
    numbers, words = NUMBERS[case]
    check_error(lambda: space.from_numbers(numbers), pg.DnaError, ValueError, words)
    if not isinstance(numbers, dict):
        check_error(lambda: pg.materialize(space.template, numbers), pg.DnaError, ValueError, words)


def test_an_object_outside_the_space_is_refused_with_its_path(space):
    check_error(lambda: space.encode({'a': 1, 'b': 2.0, 'c': [1, 2]}), pg.DnaError, ValueError, ['b', '2.0'])
    check_error(lambda: space.encode({'a': 7, 'b': 0.5, 'c': [1, 2]}), pg.DnaError, ValueError, ['a', '7'])
    check_error(lambda: space.encode({'a': 1, 'b': 0.5, 'c': [1, 1]}), pg.DnaError, ValueError, ['c[1]'])
    assert space.try_encode({'a': 7, 'b': 0.5, 'c': [1, 2]}) is None


def larger():
    return pg.Dict(a=pg.oneof([1, 2, 3, 4]), b=pg.floatv(0.0, 1.0), c=pg.manyof(2, [1, 2, 3]))


BATCHES = {
    'numbers': (lambda s: s.from_numbers([[0, 0.5, 0, 1], [0, 0.5, 3, 1]]), ['point 1: c[0]: expected', '3']),
    'arrays': (lambda s: s.from_numbers(np.array([[0, 0.5, 0, 1], [0, 1.5, 0, 1]])), ['point 1: b: expected', '1.5']),
    'of batches': (lambda s: s.from_numbers([[[0, 0.5, 0, 1]], [[0, 0.5]]]), ['point 1: point 0: ', 'c[0] has none']),
    'dictionaries': (lambda s: s.from_dict([{'a': 0, 'b': 0.5, 'c': [0, 1]}, {'a': 3}]), ['point 1: a: expected', '3']),
    'missing': (lambda s: s.from_dict([{'a': 0}]), ["point 0: The decision 'b' is missing"]),
    'objects': (
        lambda s: s.encode([{'a': 1, 'b': 0.5, 'c': [1, 2]}, {'a': 7, 'b': 0.5, 'c': [1, 2]}]),
        ['point 1: a: the object is no point', '7'],
    ),
    'points of another space': (
        lambda s: s.transfer(DNA([[0, 0, 1], [3, 0, 1]], [[0.5], [0.5]]), pg.search_space(larger())),
        ['point 1: a: the object is no point', '4'],
    ),
}


@pytest.mark.parametrize('case', BATCHES)
def test_of_a_batch_the_point_that_is_refused_is_named(space, case):
    call, words = BATCHES[case]
    check_error(lambda: call(space), pg.DnaError, ValueError, words)


NO_NUMBERS = [10**400, 1j, np.complex64(1j), np.True_, np.array('a'), np.datetime64('2020'), jax.random.key(0)]


@pytest.mark.parametrize('value', [*NO_NUMBERS, np.zeros((), [('a', int)]), np.zeros(1)], ids=str)
def test_an_object_with_no_number_where_one_may_stand_is_refused(value):
    for hole in (pg.intv(0, 3), pg.floatv(0.0, 3.0)):
        space = pg.search_space(pg.Dict(x=hole))
        check_error(lambda space=space: space.encode(pg.Dict(x=value)), pg.DnaError, ValueError, ['x: ', '[0'])


@pytest.mark.parametrize('value', [10**400, -(10**400), float('nan'), float('inf'), np.float16(1)], ids=str)
def test_no_int_of_the_decision(value):
    space = pg.search_space(pg.Dict(x=pg.intv(0, 3)))
    check_error(lambda: space.from_numbers([value]), pg.DnaError, ValueError, ['x: expected an int in [0, 3]'])
    check_error(lambda: space.from_dict({'x': value}), pg.DnaError, ValueError, ['x: expected an int in [0, 3]'])


def test_steps_are_met_up_to_rounding():
    for low, high, step, value in ((0.0, 0.3, 0.1, 3 * 0.1), (0.0, 1e10, 1e9, 1e10), (-3, 3, 1, -3)):
        hole = pg.intv(low, high) if isinstance(low, int) else pg.floatv(low, high, step=step)
        assert pg.search_space([hole]).from_numbers([value]).choices[0] == round((value - low) / step)


def test_a_traced_number_has_no_gene(space):
    encode = jax.jit(lambda x: space.encode({'a': 1, 'b': x, 'c': [1, 2]}).floats)
    check_error(lambda: encode(0.5), pg.DnaError, ValueError, ['b: ', 'Tracer'])


class Point(pg.Object):
    a: int


def test_another_kind_of_container_is_another_object():
    one = pg.oneof([1, 2])
    for template, value in (([one], {0: 1}), ({0: one}, [1]), ({'a': one}, Point(1)), (Point(one), {'a': 1})):
        space = pg.search_space(template)
        assert space.try_encode(pg.symbolic.symbolic(value, ('value', None))) is None


class Inheriting(pg.Object):
    x: int = pg.inherited()


def test_an_object_that_inherits_nothing_is_no_point():
    space = pg.search_space(pg.Dict(x=pg.oneof([1, 2]), e=Inheriting()))
    assert space.try_encode(Inheriting()) is None
    check_error(lambda: space.encode(pg.Dict(e=Inheriting())), pg.DnaError, ValueError, ['no point', 'e.x'])


def test_columns_are_of_a_population(space):
    for shape in ((), (2, 3)):
        point = space.random(jax.random.key(0), shape)
        check_error(lambda point=point: space.to_columns(point), pg.DnaError, ValueError, ['to_columns', str(shape)])


def test_arrays_of_positions_are_ints():
    space = pg.search_space([pg.oneof([1, 2])])
    for index in (np.array([0.5]), jax.numpy.array([True])):
        check_error(lambda index=index: space.nth(index), pg.SpaceError, ValueError, ['nth', 'int', str(index.dtype)])


def test_where_is_a_function(space):
    check_error(lambda: pg.search_space(space.template, where='a'), pg.SpaceError, ValueError, ['where', "'a'"])


def test_huge_spaces_are_counted_and_not_enumerated():
    start = time.process_time()
    space = pg.search_space(pg.Dict(x=pg.manyof(20, range(40))))
    assert space.size == 335367096786357081410764800000
    assert space.rank(space.nth(space.size - 1)) == space.size - 1
    assert time.process_time() - start < 20  # it does not hang
    check_error(lambda: space.nth(space.size), pg.SpaceError, ValueError, [str(space.size)])


def test_deep_and_wide_spaces_do_not_hang():
    value = 1
    for _ in range(100):
        value = pg.oneof([pg.Dict(x=value), 0])
    start = time.process_time()
    space = pg.search_space(pg.Dict(x=value))
    assert space.size == 101
    assert time.process_time() - start < 20  # it does not hang
    start = time.process_time()
    wide = pg.search_space(pg.Dict(x=pg.oneof(range(10**5))))
    assert wide.decode(wide.nth(99_999)).x == 99_999
    assert time.process_time() - start < 20  # it does not hang


def test_floats_have_no_order(space):
    for call in (space.iterate, lambda: space.nth(0), lambda: space.rank(space.first())):
        check_error(call, pg.SpaceError, ValueError, ['floats (b)', 'grid'])


@pytest.mark.parametrize('shape', [(-1,), -1, (1.5,), 'a', None, (True, -2)])
def test_shapes_of_random_points_are_checked(space, shape):
    check_error(lambda: space.random(jax.random.key(0), shape), pg.SpaceError, ValueError, ['shape', repr(shape)])


def test_keys_whose_bits_depend_on_the_device_are_refused(space):
    for impl in ('rbg', 'unsafe_rbg'):
        key = jax.random.key(0, impl=impl)
        for draw in (space.random, jax.jit(space.random)):
            check_error(
                lambda draw=draw, key=key: draw(key), pg.SpaceError, ValueError, [repr(impl), 'depend on', 'threefry']
            )


KEYS = {
    'seed': (lambda: 0, ['random needs a key', 'jax.random.key(seed)', 'got 0']),
    'nothing': (lambda: None, ['random needs a key', 'None']),
    'words of another kind': (lambda: jax.numpy.zeros(3, 'uint32'), ['random needs a key']),
    'several': (lambda: jax.random.split(jax.random.key(0), 3), ['random takes one key', '[3]', 'jax.vmap']),
}


@pytest.mark.parametrize('case', KEYS)
def test_what_is_no_key_is_refused(space, case):
    make, words = KEYS[case]
    check_error(lambda: space.random(make(), (2,)), pg.SpaceError, ValueError, words)
    check_error(lambda: pg.random_sample(space.template, make(), 2), pg.SpaceError, ValueError, words)


def test_spaces_with_too_many_points_to_print(capsys, tmp_path):
    """Python prints ints of up to 4300 digits."""
    huge = pg.search_space([pg.oneof(range(10)) for _ in range(5000)])
    check_error(lambda: huge.nth(jax.numpy.arange(3)), pg.SpaceError, ValueError, ['1.00e5000 points'])
    sweep = search.Sweep()
    for call in (lambda: sweep.number(huge), lambda: sweep.init(huge, jax.random.key(0))):
        check_error(call, pg.ControllerError, ValueError, ['1.00e5000 points'])
    study = search.Study(huge, search.Random(), objectives=[pg.maximize('x')])
    study.report(tmp_path / 'report.html')
    assert '1.00e5000' in (tmp_path / 'report.html').read_text()
    (tmp_path / 'huge.py').write_text('import pgjax as pg\nT = pg.List([pg.oneof(range(10)) for _ in range(5000)])\n')
    assert cli.main(['space', f'{tmp_path / "huge.py"}:T']) == 0
    assert '5000 decisions, 1.00e5000 points' in capsys.readouterr().out


@pytest.mark.parametrize('hole', [pg.oneof([True, False]), pg.intv(0, 3), 2 * pg.floatv(0.0, 1.0), pg.manyof(1, 'ab')])
def test_a_hole_is_neither_true_nor_false(hole):
    with pytest.raises(pg.PlaceholderError, match=r'is neither true nor false before it is decided\. Decide it first'):
        bool(hole)
    assert pg.materialize([hole], pg.search_space([hole]).first())[0] is not hole


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        (0, r'random needs a key, jax.random.key\(seed\), got 0'),
        (None, 'random needs a key'),
        (
            jax.random.split(jax.random.key(0), 3),
            r'random takes one key, got an array of keys of shape \[3\]. Use jax.vmap',
        ),
    ],
)
def test_randomness_without_a_key(key, words):
    with pytest.raises(pg.SpaceError, match=words):
        pg.random_sample([pg.oneof([1, 2])], key, 3)


def test_candidates_that_are_no_list():
    with pytest.raises(pg.SpaceError, match=r'pass a list of candidates, not int 3\.'):
        pg.oneof(3)
    with pytest.raises(pg.SpaceError, match=r'not generator, which can be read once'):
        pg.oneof(n for n in range(3))
