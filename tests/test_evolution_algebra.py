"""The algebra: set operations and slices against lists, conditions, repeats, memory, schedules."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import pgjax as pg
from pgjax.search import evolution as ev
from pgjax.search.evolution import Context, Operation, mutators, selectors

SPACE = pg.search_space([pg.intv(0, 9) for _ in range(3)])
N, MOST = 6, 5
KEY = jax.random.key(0)


class Listed(Operation, type_name='tests.Listed'):
    """The individuals whose rows stand in the global state, so that one program serves every example."""

    name: str

    def apply(self, key, population, context):
        rows, count = context.memory[self.name]
        return population.take(rows, jnp.arange(MOST) < count), context


A, B, C = Listed('a'), Listed('b'), Listed('c')


def people(number=N, rows=None):
    dna = jax.jit(lambda key: SPACE.random(key, (number,)))(jax.random.key(7))
    return ev.told(SPACE, dna, jnp.arange(float(number))[:, None], 0, 0).resized(rows or number)


def once(values):
    return list(dict.fromkeys(values))


EXPRESSIONS = {
    '+': (A + B, lambda a, b, c: a + b),
    '+ three': (A + B + C, lambda a, b, c: a + b + c),
    '|': (A | B, lambda a, b, c: once(a + b)),
    '&': (A & B, lambda a, b, c: [x for x in once(a) if x in b]),
    '& three': (A & B & C, lambda a, b, c: [x for x in once(a) if x in b and x in c]),
    '-': (A - B, lambda a, b, c: [x for x in once(a) if x not in b]),
    '^': (A ^ B, lambda a, b, c: [x for x in once(a) if x not in b] + [x for x in once(b) if x not in a]),
    '~': (~A, lambda a, b, c: [x for x in range(N) if x not in a]),
    '>>': (A >> selectors.Last(2), lambda a, b, c: a[-2:]),
    '*': (A * 3, lambda a, b, c: a * 3),
    '3 *': (3 * A, lambda a, b, c: a * 3),
    '**': (selectors.Last() ** 2, lambda a, b, c: list(range(N))),
    '[1]': (A[1], lambda a, b, c: a[1:2]),
    '[-1]': (A[-1], lambda a, b, c: a[-1:]),
    '[-2]': (A[-2], lambda a, b, c: a[-2:-1]),
    '[1:3]': (A[1:3], lambda a, b, c: a[1:3]),
    '[:-2]': (A[:-2], lambda a, b, c: a[:-2]),
    '[-4:-1]': (A[-4:-1], lambda a, b, c: a[-4:-1]),
    '[::2]': (A[::2], lambda a, b, c: a[::2]),
    '[::-1]': (A[::-1], lambda a, b, c: a[::-1]),
    'precedence': (A + B >> selectors.First(3), lambda a, b, c: (a + b)[:3]),
    'function': (A >> (lambda population, context: population[:2]), lambda a, b, c: a[:2]),
    'if_true': (selectors.First(2).if_true(lambda p, context: context.memory['a'][1] > 2), None),
    'if_false': (selectors.First(2).if_false(lambda p, context: context.memory['a'][1] > 2), None),
}


@jax.jit
def evaluate(memory):
    population, results = people(), {}
    for name, (operation, _) in EXPRESSIONS.items():
        result, _ = operation.apply(KEY, population, Context.start(SPACE, 0, memory))
        results[name] = (result.trial, result.mask)
    return results


LISTS = st.lists(st.integers(0, N - 1), max_size=MOST)


@settings(max_examples=25)
@given(a=LISTS, b=LISTS, c=LISTS)
def test_is_what_lists_do(a, b, c):
    padded = {n: (np.array(v + [0] * (MOST - len(v))), np.int32(len(v))) for n, v in zip('abc', (a, b, c), strict=True)}
    for name, (trial, mask) in jax.tree.map(np.asarray, evaluate(padded)).items():
        twin = EXPRESSIONS[name][1]
        if twin is None:
            expected = [0, 1] if (len(a) > 2) == (name == 'if_true') else list(range(N))
        else:
            expected = twin(a, b, c)
        assert (np.diff(mask.astype(int)) <= 0).all()
        assert trial[mask].tolist() == expected, name


def test_expressions_are_values():
    made = (selectors.Random(4) >> selectors.Top(1) >> mutators.Uniform()) * 3 + selectors.Top(2)[0]
    assert eval(repr(made), {**vars(ev), **vars(selectors), **vars(mutators)}) == made
    assert hash(made.rebind({'operations[0].times': 4})) != hash(made)
    assert pg.from_json(pg.to_json(made)) == made
    assert len((A >> B >> C >> A).operations) == 4


def test_meta_evolution_searches_over_operations():
    space = pg.search_space(selectors.Top(pg.oneof([1, 2])) >> mutators.Uniform(rate=pg.floatv(0.0, 1.0)))
    assert space.decode(space.first()) == selectors.Top(1) >> mutators.Uniform(rate=0.0)


@pytest.mark.parametrize(
    ('times', 'words'), [(0, 'at least once'), (-1, 'at least once'), (1.5, 'by an int'), ('a', 'by an int')]
)
def test_refuses_to_repeat_never(times, words):
    for repeat in (lambda: A * times, lambda: times * A, lambda: A**times):
        with pytest.raises(pg.ControllerError, match=words.replace('once', '(once|1)')):
            repeat()


def test_functions_stand_on_either_side_of_every_operator():
    def same(population, context):
        return population

    for combine in (operator.add, operator.rshift, operator.or_, operator.and_, operator.sub, operator.xor):
        assert combine(same, A) == combine(ev.Lambda(same), A)
        assert combine(A, same) == combine(A, ev.Lambda(same))
        with pytest.raises(pg.ControllerError, match='Expected an operation'):
            combine(3, A)


def test_operations_are_no_collections():
    for ask in (iter, list, lambda op: 3 in op, lambda op: A in op, lambda op: [*op]):
        with pytest.raises(TypeError):
            ask(A)


@pytest.mark.parametrize(
    ('index', 'words'),
    [
        (slice(None, None, 0), 'a step other than 0'),
        ('a', "got str 'a'"),
        (1.5, 'indexed by ints'),
        (slice('a', None), 'for a slice; got str'),
        (None, 'got NoneType'),
    ],
)
def test_refuses_what_is_no_index(index, words):
    with pytest.raises(pg.ControllerError, match=words):
        A[index]
    assert A[np.int64(2) :] == A[2:]


def test_refuses_what_is_no_operation():
    with pytest.raises(pg.ControllerError, match=r'Expected an operation.*got int 3'):
        A >> 3


def apply(operation, population, key=KEY, memory=None, step=0):
    return jax.jit(operation.apply)(key, population, Context.start(SPACE, step, memory))


def test_new_individuals_are_told_apart():
    population = people(rows=N + 2)
    twice, context = apply((selectors.First(3) >> mutators.Uniform()) * 2, population)
    assert len(set(twice.trial.tolist())) == 6 and (twice.trial < 0).all() and int(context.made) == 6
    assert twice.parents.tolist() == [[0, -1], [1, -1], [2, -1]] * 2
    assert twice.generation.tolist() == [1] * 6 and twice.mask.all()
    both, _ = apply((selectors.First(2) >> mutators.Uniform()).as_global_state('x') | ev.global_state('x'), population)
    assert int(both.count) == 2, 'the same new individuals, met twice'


def test_grandchildren_name_the_last_told_ancestor():
    grandchild, _ = apply(selectors.Last(1) >> mutators.Uniform() ** 3, people())
    assert grandchild.parents.tolist() == [[N - 1, -1]]


def test_for_each_draws_for_each():
    number = 400
    flipped, context = apply(
        selectors.Last().for_each(mutators.Uniform().with_prob(0.3)), people(number), memory={'x': jnp.float32(1)}
    )
    changed = np.asarray(flipped.trial) < 0
    assert abs(changed.mean() - 0.3) < 5 * (0.3 * 0.7 / number) ** 0.5
    assert len(set(flipped.trial.tolist())) == number == int(flipped.count)
    assert float(context.memory['x']) == 1


def test_probabilities_follow_a_schedule():
    never_then_always = mutators.Uniform().with_prob(ev.STEP.clip(0, 1))
    for step in (0, 1):
        result, _ = apply(never_then_always, people(), step=step)
        assert ((np.asarray(result.trial) < 0) == bool(step)).all()


def test_choice_happens_up_to_its_limit():
    mark = [ev.SetGlobalState(name, lambda p, c: jnp.float32(1)) for name in 'abc']
    zero = dict.fromkeys('abc', jnp.float32(0))
    for limit, expected in [(None, [1, 0, 1]), (1, [1, 0, 0])]:
        choice = ev.Choice([(mark[0], 1.0), (mark[1], 0.0), (mark[2], 1.0)], limit)
        _, context = apply(choice, people(), memory=zero)
        assert [int(context.memory[name]) for name in 'abc'] == expected


def test_until_change_tries_again_for_those_that_did_not():
    lazy = mutators.Each(
        lambda key, dna: pg.DNA(jnp.where(jax.random.bernoulli(key, 0.5), 9 - dna.choices, dna.choices), dna.floats)
    )
    population = people(64)
    for attempts, expected in [(1, 0.5), (3, 0.125)]:
        result, _ = apply(lazy.until_change(attempts), population)
        same = (np.asarray(result.dna.choices) == np.asarray(population.dna.choices)).all(-1).mean()
        assert abs(same - expected) < 5 * (expected * (1 - expected) / 64) ** 0.5
    with pytest.raises(pg.ControllerError, match=r'UntilChange\.max_attempts = 0 is out of range: at least 1'):
        selectors.First().until_change(0).apply(KEY, people(), Context.start(SPACE))
    with pytest.raises(pg.ControllerError, match='one by one, but First makes 2 of 6'):
        selectors.First(2).until_change().apply(KEY, people(), Context.start(SPACE))


def test_a_state_that_nobody_sets_is_an_error():
    with pytest.raises(pg.ControllerError, match=r"no global state 'elite'.*as_global_state"):
        ev.global_state('elite').apply(KEY, people(), Context.start(SPACE))


def test_schedules_are_functions_of_the_step():
    import optax

    decay = ev.Optax(optax.linear_schedule, {'init_value': 1.0, 'end_value': 0.0, 'transition_steps': 10})
    assert [float(decay(s)) for s in (0, 5, 10, 12)] == [1.0, 0.5, 0.0, 0.0]
    phases = ev.Phases([2, 2, 3], [1, ev.STEP, 2 * ev.STEP])
    assert [int(phases(s)) for s in (5, 0, 1, 2, 3, 4, 5, 0)] == [2, 1, 1, 0, 1, 0, 2, 1]
    expression = -(abs(3 - ev.STEP) ** 2) / 4 + ev.sqrt(ev.STEP) % 2
    for s in (0, 3, 4):
        assert float(expression(s)) == pytest.approx(-(abs(3 - s) ** 2) / 4 + (s**0.5) % 2)
    assert pg.from_json(pg.to_json(expression)) == expression
    noise = ev.Noise('normal', 2.0, 0.5)
    drawn = np.asarray(jax.vmap(noise)(jnp.arange(4000)))
    assert float(noise(7)) == pytest.approx(drawn[7]) and abs(drawn.mean() - 2) < 5 * 0.5 / 4000**0.5
