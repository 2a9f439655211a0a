"""Early stopping: policies against PyGlove's and slow twins, and in loops that stop, resume and share."""

import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax import search
from pgjax.search import early_stopping as es
from pgjax.search._measurement import Measurement

REWARD = (pg.maximize('reward'),)
TWO = (pg.maximize('reward'), pg.minimize('cost'))

values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(-2, 2)
# Who measures next, how many steps further, and what.
logs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), values), min_size=1, max_size=40)


def curves_of(log, objectives=REWARD, settled=0):
    """The measurements of a log of `(trial, step, metrics)`."""
    trials = {}
    for order, (trial, step, metrics) in enumerate(log):
        metrics = metrics if isinstance(metrics, dict) else {'reward': metrics}
        trials.setdefault(trial, []).append(Measurement(step, metrics, order))
    return es.Curves(trials, objectives, settled)


def steps_of(log):
    """A drawn log with steps that never go back within a trial."""
    last = {}
    made = []
    for trial, more, value in log:
        last[trial] = last.get(trial, 0) + more
        made.append((trial, last[trial], value))
    return made


def decisions(policy, log, **options):
    """What the policy says after each measurement."""
    return [policy.should_stop(curves_of(log[: i + 1], **options), trial) for i, (trial, *_) in enumerate(log)]


# --- the same as PyGlove's


def pyglove_decisions(policy, log):
    pyglove = pytest.importorskip('pyglove')
    tuning = pyglove.tuning
    policy = policy()
    policy.setup(pyglove.dna_spec(pyglove.oneof([1, 2])))
    trials, said = {}, []
    for trial, step, value in log:
        measured = trials.setdefault(trial, [])
        measured.append(tuning.Measurement(step=step, elapse_secs=0.0, reward=value, metrics={}))
        record = tuning.Trial(id=trial, dna=pyglove.DNA(0), measurements=list(measured), created_time=0)
        said.append(policy.should_stop_early(record))
    return said


@given(logs, st.dictionaries(st.integers(0, 6), values, min_size=1, max_size=3), st.booleans())
def test_by_value_is_pygloves(log, gates, maximize):
    early = pytest.importorskip('pyglove.ext.early_stopping')
    log = steps_of(log)
    theirs = pyglove_decisions(early.early_stop_by_value(list(gates.items()), maximize=maximize), log)
    goal = REWARD if maximize else (pg.minimize('reward'),)
    assert decisions(es.early_stop_by_value(list(gates.items())), log, objectives=goal) == theirs


ranks = st.integers(1, 4) | st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])


@pytest.mark.slow
@given(logs, st.dictionaries(st.integers(0, 6), st.tuples(ranks, st.integers(0, 3)), min_size=1, max_size=3))
def test_by_rank_is_pygloves(log, gates):
    early = pytest.importorskip('pyglove.ext.early_stopping')
    log, plan = steps_of(log), [(step, rank, least) for step, (rank, least) in gates.items()]
    theirs = pyglove_decisions(early.early_stop_by_rank(plan), log)
    assert decisions(es.early_stop_by_rank(plan), log) == theirs


# --- laws

POLICIES = {
    'value': es.early_stop_by_value([(1, 0.3), (4, 0.6)]),
    'rank': es.early_stop_by_rank([(1, 0.5, 2), (3, 2, 1)]),
    'median': es.median(min_trials=2),
    'percentile': es.Percentile(percentile=25, warmup_steps=1, min_trials=1),
    'asha': es.ASHA(min_step=1, eta=2),
    'halving': es.SuccessiveHalving(cohort=4, min_step=1, eta=2),
    'settled': es.Settled(policy=es.ASHA(eta=2)),
}


@pytest.mark.parametrize('name', POLICIES)
@given(log=logs)
def test_a_decision_stays_whatever_is_measured_later(name, log):
    """Asked again after others have measured, a policy says what it said."""
    log, policy = steps_of(log), POLICIES[name]
    said = decisions(policy, log)
    last = {trial: i for i, (trial, *_) in enumerate(log)}
    whole = curves_of(log)
    for trial, i in last.items():
        assert policy.should_stop(whole, trial) == said[i]


@given(logs)
def test_and_or_not_are_those_of_logic(log):
    log = steps_of(log)
    a, b = POLICIES['value'], POLICIES['rank']
    said = list(zip(decisions(a, log), decisions(b, log), strict=True))
    assert decisions(a & b, log) == [x and y for x, y in said]
    assert decisions(a | b, log) == [x or y for x, y in said]
    assert decisions(~a, log) == [not x for x, _ in said]


@given(logs)
def test_the_median_rule_is_its_definition(log):
    log = steps_of(log)
    twin = []
    for i, (trial, step, _) in enumerate(log):
        mine = [v for t, _, v in log[: i + 1] if t == trial]
        averages = []
        for other in {t for t, *_ in log[:i]} - {trial}:
            curve = [(s, v) for t, s, v in log[:i] if t == other]
            known = [v for s, v in curve if s <= step]
            if known and max(s for s, _ in curve) >= step:
                averages.append(sum(known) / len(known))
        # The mean of floats depends on the order of summing by some ulps: near the median both answers are right.
        middle = np.median(averages) if len(averages) >= 2 else -np.inf
        twin.append(None if abs(max(mine) - middle) < 1e-12 else bool(max(mine) < middle))
    said = decisions(es.median(min_trials=2), log)
    assert [s for s, t in zip(said, twin, strict=True) if t is not None] == [t for t in twin if t is not None]


@given(st.lists(values, min_size=1, max_size=12), st.sampled_from([2, 3]))
def test_asha_goes_on_with_the_best_of_a_rung(rewards, eta):
    log = [(i, 1, reward) for i, reward in enumerate(rewards)]
    for i, said in enumerate(decisions(es.ASHA(eta=eta), log)):
        kept = sorted(rewards[: i + 1], reverse=True)[: max(1, (i + 1) // eta)]
        assert said == (rewards[i] < kept[-1])


@given(st.permutations(range(9)), st.lists(values, min_size=9, max_size=9))
def test_halving_keeps_what_the_synchronous_algorithm_keeps(order, rewards):
    """Nine trials come to the rungs at steps 1 and 3, in any order: the best three, and the best one, always go on."""
    policy = es.SuccessiveHalving(cohort=9, eta=3)
    log, stopped = [], set()
    for step, places in ((1, 3), (3, 1)):
        for trial in order:
            if trial not in stopped:
                log.append((trial, step, rewards[trial]))
                if policy.should_stop(curves_of(log), trial):
                    stopped.add(trial)
        must = sorted(set(range(9)), key=lambda t: -rewards[t])[:places]
        assert not any(rewards[t] > rewards[must[-1]] for t in stopped)
    apart = [(t + 9, 1, 0.0) for t in range(9)]
    assert policy.should_stop(curves_of([*log, *apart[:1]]), 9) is False, 'another cohort'


def test_a_gate_judges_the_first_measurement_that_reaches_it():
    log = [(0, 0, 0.0), (0, 2, 0.5), (0, 2, 0.1), (0, 3, 0.1), (0, 9, 0.1)]
    assert decisions(es.early_stop_by_value([(1, 0.4), (9, 0.2)]), log) == [False, False, False, False, True]


def test_any_metric_and_several():
    log = [
        (0, 1, {'reward': 1.0, 'cost': 1.0}),
        (1, 1, {'reward': 0.5, 'cost': 2.0}),
        (2, 1, {'reward': 0.1, 'cost': 0.1}),
    ]
    assert decisions(es.early_stop_by_rank([(1, 1, 1)]), log) == [False, True, True]
    assert decisions(es.early_stop_by_rank([(1, 1, 1)], metric='cost', maximize=False), log) == [False, True, False]
    assert decisions(es.early_stop_by_rank([(1, 1, 1)]), log, objectives=TWO) == [False, True, False], (
        'dominated or not'
    )
    assert decisions(es.ASHA(objectives=TWO), log) == [False, True, False]
    assert decisions(es.median(min_trials=1, objectives=TWO), log) == [False, True, False]
    assert decisions(es.early_stop_by_rank([(1, 1, 1)], metric='absent'), log) == [False] * 3


@pytest.mark.parametrize('goal', [pg.maximize, pg.minimize])
@pytest.mark.parametrize('wrong', [float('nan'), float('inf'), -float('inf'), 1.5e308])  # the last is no float32
@pytest.mark.parametrize('name', ['asha', 'rank', 'median', 'value'])
def test_what_is_not_finite_stops_and_stops_nobody_else(name, wrong, goal):
    """As in the study, where such a trial has failed: an infinite reward beats nobody."""
    policy = {
        'asha': es.ASHA(),
        'rank': es.early_stop_by_rank([(1, 1, 1)]),
        'median': es.median(min_trials=1),
        'value': es.early_stop_by_value([(1, 0.25)]),
    }[name]
    log = [(0, 1, wrong), (1, 1, wrong), (2, 1, 0.25), (3, 1, wrong), (4, 1, 0.25)]
    said = decisions(policy, log, objectives=(goal('reward'),))
    assert not said[2] and not said[4]
    assert said[3] or name == 'median'  # where most have failed so has the median


def test_nan_is_the_worst():
    log = [(0, 1, 0.5), (1, 1, float('nan'))]
    for policy in (es.early_stop_by_value([(1, -10.0)]), es.early_stop_by_rank([(1, 1, 1)]), es.ASHA()):
        assert decisions(policy, log) == [False, True]


@pytest.mark.parametrize(
    'make',
    [
        lambda: es.early_stop_by_value([]),
        lambda: es.early_stop_by_value([(1,)]),
        lambda: es.early_stop_by_value([(-1, 0.5)]),
        lambda: es.early_stop_by_value([('a', 0.5)]),
        lambda: es.early_stop_by_value(5),
        lambda: es.early_stop_by_value([1]),
        lambda: es.early_stop_by_value([(1, float('nan'))]),
        lambda: es.early_stop_by_rank(None),
        lambda: es.early_stop_by_rank([1]),
        lambda: es.early_stop_by_rank([(1, 1.5, 3)]),
        lambda: es.early_stop_by_rank([(1, 0, 3)]),
        lambda: es.early_stop_by_rank([(1, 0.5)]),
        lambda: es.ASHA(eta=1),
        lambda: es.SuccessiveHalving(cohort=1),
        lambda: es.Percentile(percentile=101.0),
    ],
)
def test_settings_that_make_no_policy(make):
    with pytest.raises((pg.ControllerError, pg.FieldValueError), match=r'expected|eta|cohort|percentile'):
        make()


@pytest.mark.parametrize('name', POLICIES)
def test_policies_are_values(name):
    policy = POLICIES[name]
    assert pg.from_json(pg.to_json(policy)) == policy
    assert pg.from_json(pg.to_json(policy & ~policy)) == policy & ~policy


# --- in loops

TEMPLATE = pg.Dict(x=pg.floatv(0.0, 1.0))
RANDOM = search.Random(batch_size=4)


def train(samples, until=10**9):
    """Five steps of each trial, or fewer; what it said."""
    lengths = {}
    for exp, feedback in samples:
        for step in range(1, 6):
            feedback.add_measure(exp.x * (1 - 0.5**step), step=step)
            if feedback.should_stop_early():
                feedback.skip(f'stopped at {step}')
                break
        else:
            feedback.done()
        lengths[feedback.id] = feedback.measurements[-1].step if feedback.measurements else 5
        if len(lengths) >= until:
            break
    return lengths


def test_a_loop_without_a_policy_never_stops_early():
    samples = pg.sample(TEMPLATE, RANDOM, 6)
    train(samples)
    assert (samples.study.history.status == search.TrialStatus.COMPLETE).all()


def test_stopped_trials_are_kept_with_their_measurements(tmp_path):
    policy = es.early_stop_by_value([(2, 0.375)])
    samples = pg.sample(TEMPLATE, RANDOM, 12, early_stopping=policy, path=tmp_path / 's')
    train(samples)
    study = search.Study.load(tmp_path / 's')
    for i in range(12):
        trial = study.trial(i)
        stopped = trial.value.x * 0.75 < 0.375
        assert trial.status is (search.TrialStatus.SKIPPED if stopped else search.TrialStatus.COMPLETE)
        assert [m[0] for m in trial.note['measurements']] == ([1, 2] if stopped else [1, 2, 3, 4, 5])


@pytest.mark.parametrize('cut', [2, 5])
def test_a_policy_goes_on_after_a_resume(tmp_path, cut):
    """Ranks are among all trials, those from before the cut too."""
    options = {'early_stopping': es.ASHA(eta=2)}
    straight = pg.sample(TEMPLATE, RANDOM, 16, **options)
    train(straight)
    for limit in (cut, 16):
        train(pg.sample(TEMPLATE, RANDOM, limit, path=tmp_path / 's', **options))
    study = search.Study.load(tmp_path / 's')
    np.testing.assert_array_equal(study.history.status, straight.study.history.status)
    np.testing.assert_array_equal(study.history.fitness, straight.study.history.fitness)
    assert (study.history.status == search.TrialStatus.SKIPPED).sum() > 4


def test_settled_makes_early_stopping_the_same_at_any_number_of_workers():
    policy = es.Settled(policy=es.early_stop_by_rank([(1, 0.5, 2), (3, 0.25, 2)]))
    alone = pg.sample(TEMPLATE, RANDOM, 16, early_stopping=policy)
    train(alone)

    def work():
        train(pg.sample(TEMPLATE, RANDOM, 16, name='settled', early_stopping=policy))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared = search.poll('settled')
    np.testing.assert_array_equal(shared.history.status, alone.study.history.status)
    np.testing.assert_array_equal(shared.history.fitness, alone.study.history.fitness)
    assert (shared.history.status[:4] == search.TrialStatus.COMPLETE).all(), 'the first generation knows nobody'
    assert (shared.history.status == search.TrialStatus.SKIPPED).any()
