"""What can be done with studies: forks, larger spaces, warm starts and exports."""

import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

import pgjax as pg
from pgjax import search

SPACE = pg.Dict(
    model=pg.oneof([pg.Dict(kind='deep', depth=pg.intv(1, 4)), pg.Dict(kind='flat')]),
    rate=pg.floatv(1e-3, 1.0, scale='log'),
)
LARGER = pg.Dict(
    model=pg.oneof([pg.Dict(kind='new'), pg.Dict(kind='deep', depth=pg.intv(0, 9)), pg.Dict(kind='flat')]),
    rate=pg.floatv(1e-3, 1.0, scale='log'),
)
SMALLER = pg.Dict(
    model=pg.oneof([pg.Dict(kind='deep', depth=pg.intv(1, 4))]),
    rate=pg.floatv(1e-3, 1.0, scale='log'),
)
EVOLUTION = search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=4)


def score(value):
    return {'y': value.rate + value.model.get('depth', 0), 'kind': len(value.model.kind)}


def make(path=None, **changes):
    settings = {'space': SPACE, 'controller': EVOLUTION, 'objectives': ['y'], 'path': path, **changes}
    return search.Study(settings.pop('space'), settings.pop('controller'), **settings)


def ahead(study, trials=10):
    """The study some trials later."""
    end = len(study.history) + trials
    while len(study.history) < end:
        asked = study.ask(min(len(study.ask()), end - len(study.history)))
        study = study.tell(asked, [score(t.value) for t in asked])
    return study


def values(study):
    return [study.trial(i).value for i in range(len(study.history))]


def same(one, other):
    for name in one.history.columns.keys() - {'seconds'}:
        np.testing.assert_array_equal(one.history.columns[name], other.history.columns[name], name)


def test_chunks_of_asks_and_tells_make_no_difference(tmp_path):
    study = make()
    for _ in range(10):
        (trial,) = study.ask(1)
        study = study.tell([trial], [score(trial.value)])
    same(ahead(make()), study)
    half = ahead(make(tmp_path / 's'), 6)
    assert (half.generation, len(half.history)) == (1, 6)
    same(ahead(search.Study.load(tmp_path / 's'), 4), study)


@pytest.mark.parametrize('on_disk', [False, True])
def test_a_fork_goes_its_own_way(tmp_path, on_disk):
    study = ahead(make(tmp_path / 'one'), 6)
    fork = study.fork(tmp_path / 'two' if on_disk else None)
    same(ahead(fork, 4), ahead(make(), 10))
    assert len(search.Study.load(tmp_path / 'one').history) == 6
    same(ahead(study, 4), ahead(make(), 10))
    if on_disk:
        assert len(search.Study.load(tmp_path / 'two').history) == 10
        with pytest.raises(pg.StudyExistsError, match='two'):
            study.fork(tmp_path / 'two')


def test_a_fork_keeps_the_notes(tmp_path):
    samples = pg.sample(SPACE, EVOLUTION, 5, path=tmp_path / 'one')
    for _, feedback in samples:
        feedback.skip(f'reason {feedback.id}')
    search.Study.load(tmp_path / 'one').fork(tmp_path / 'two')
    assert search.Study.load(tmp_path / 'two').trial(4).note == {'reason': 'reason 4'}


def test_extending_keeps_every_trial_and_goes_on_in_the_larger_space(tmp_path):
    path = tmp_path / 's'
    before = ahead(make(path), 10)
    with pytest.raises(pg.StudyMismatchError, match='another study'):
        make(path, space=LARGER)
    after = make(path, space=LARGER, extend=True)
    assert values(after) == values(before)
    assert (after.history.trial == np.arange(10)).all() and after.generation == 3
    same(make(path, space=LARGER), after)
    same(search.Study.load(path), after)
    later = ahead(after, 40)
    assert {v.model.kind for v in values(later)} == {'deep', 'flat', 'new'}
    same(search.Study.load(path), later)
    assert search.Study.load(path).space == later.space
    same(make(path, space=LARGER, extend=True), later)


def test_extending_teaches_the_controller_the_same_as_if_it_had_asked(tmp_path):
    path = tmp_path / 's'
    before = ahead(make(path), 16)
    after = make(path, space=LARGER, extend=True)
    np.testing.assert_array_equal(after.state.inner.fitness, before.state.inner.fitness)
    np.testing.assert_array_equal(after.state.inner.trial, before.state.inner.trial)
    told = [after.space.decode(after.state.inner.dna[i]) for i in range(8)]
    assert told == [before.space.decode(before.state.inner.dna[i]) for i in range(8)]


def test_a_space_without_some_trials_does_not_extend(tmp_path):
    path = tmp_path / 's'
    before = ahead(make(path), 10)
    with pytest.raises(pg.StudyMismatchError, match=r'do not fit: changed model: .*no point of the new one'):
        make(path, space=SMALLER, extend=True)
    with pytest.raises(pg.StudyMismatchError, match='seed is 0 there and 1 here'):
        make(path, space=LARGER, seed=1, extend=True)
    same(ahead(search.Study.load(path), 4), ahead(make(), 14))
    assert values(before) == values(search.Study.load(path))[:10]


CRASH = """
import sys, os
import test_study_operations as t
from pgjax.io import _local_storage
from pgjax.search import _store
kill = _store.StudyStore.replace_document if sys.argv[2] == 'document' else None
if kill:
    _store.StudyStore.replace_document = lambda self, document: os._exit(1)
else:
    _local_storage.write_bundle = lambda path, bundle: os._exit(1)
t.make(sys.argv[1], space=t.LARGER, extend=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize('moment', ['document', 'checkpoint'])
def test_a_crash_while_extending_leaves_one_study_or_the_other(tmp_path, moment):
    path = tmp_path / 's'
    before = ahead(make(path), 10)
    here = pathlib.Path(__file__).parent
    environment = {**os.environ, 'PYTHONPATH': f'{here}:{here.parent}'}
    done = subprocess.run([sys.executable, '-c', CRASH, path, moment], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr, done.stderr
    found = search.Study.load(path)
    assert values(found) == values(before)
    assert found.space == search.Study(LARGER if moment == 'document' else SPACE, EVOLUTION, objectives=['y']).space
    again = make(path, space=LARGER, extend=True)
    same(ahead(again, 6), search.Study.load(path))
    assert values(search.Study.load(path))[:10] == values(before)


def test_merging_is_a_warm_start():
    other, study = ahead(make(seed=5), 10), ahead(make(), 4)
    warm = study.merge(other)
    assert values(warm) == values(study) + values(other)
    assert warm.history.metrics['y'][4:].tolist() == other.history.metrics['y'].tolist()
    assert (warm.history.trial == np.arange(14)).all() and warm.generation == 4
    assert set(np.asarray(warm.state.inner.trial).tolist()) == set(range(6, 14)), 'the last eight are the population'
    next_points = [t.value for t in warm.ask()]
    assert next_points != [t.value for t in study.ask()]
    assert len(study.merge(make()).history) == 4


def test_merging_takes_objectives_directions_failures_and_notes():
    samples = pg.sample(SPACE, EVOLUTION, 4, objectives=['y'])
    for value, feedback in samples:
        if feedback.id % 2:
            feedback.skip('odd')
        else:
            feedback(metrics=score(value))
    warm = make(objectives=[pg.minimize('kind')], space=LARGER).merge(samples.study)
    assert warm.history.status.tolist() == [1, 3, 1, 3]
    assert warm.history.fitness[0, 0] == -warm.history.metrics['kind'][0]
    assert warm.trial(1).note == {'reason': 'odd'}


def test_merges_that_do_not_fit():
    with pytest.raises(pg.StudyMismatchError, match='no point of the new one'):
        make(space=SMALLER).merge(ahead(make()))
    with pytest.raises(pg.FitnessError, match=r"no metric 'z'; it has \['kind', 'y'\]"):
        make(objectives=['z']).merge(ahead(make()))
    with pytest.raises(pg.TrialStateError, match='under way has 3 open trials'):
        ahead(make(), 1).merge(ahead(make()))


@pytest.fixture(scope='module')
def exported():
    """A study with complete, failed and skipped trials."""
    samples = pg.sample(SPACE, search.Random(batch_size=4), 10, objectives=[pg.maximize('y'), pg.minimize('kind')])
    for value, feedback in samples:
        if feedback.id == 3:
            feedback.skip('no, "really"\nnot')
        elif feedback.id == 4:
            feedback(metrics={'y': float('nan'), 'kind': 1})
        else:
            feedback.add_measure(metrics=score(value), step=1)
            feedback.add_measure(metrics=score(value), step=2)
            feedback.done({'note': 1})
    return samples.study


def test_json_lines_hold_everything(tmp_path, exported):
    with open(exported.to_json_lines(tmp_path / 'trials.jsonl')) as file:
        rows = [json.loads(line) for line in file]
    assert [row['trial'] for row in rows] == list(range(10))
    for row in rows:
        trial = exported.trial(row['trial'])
        assert row['decisions']['rate'] == trial.value.rate
        assert row['decisions'].get('model[=0/2].depth') == trial.value.model.get('depth')
    assert rows[3]['status'] == 'SKIPPED' and rows[3]['note']['reason'].startswith('no, ')
    assert rows[4]['metrics'] == {'y': None, 'kind': 1.0}


def test_csv_is_the_same_table(tmp_path, exported):
    with open(exported.to_csv(tmp_path / 'trials.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    assert [int(row['trial']) for row in rows] == list(range(10))
    assert float(rows[0]['metrics.y']) == exported.history.metrics['y'][0]
    assert rows[3]['error'] == 'no, "really"\nnot' and rows[4]['metrics.y'] == ''
    assert float(rows[1]['decisions.rate']) == exported.trial(1).value.rate
    empty = make().to_csv(tmp_path / 'empty.csv')
    assert pathlib.Path(empty).read_text().startswith('trial,generation,status,seconds,decisions.model')


def test_what_no_float_and_no_utf8_holds_is_exported(tmp_path):
    study = make(space=pg.Dict(x=pg.oneof([10**400, float('nan')])), controller=search.Random(batch_size=1))

    def refuse(exp):
        raise FileNotFoundError(os.fsdecode(b'caf\xe9'))

    study = study.run(refuse, executor=concurrent.futures.ThreadPoolExecutor(1), progress=False)
    with open(study.to_csv(tmp_path / 'trials.csv'), newline='') as file:
        (row,) = csv.DictReader(file)
    assert row['decisions.x'] in (str(10**400), 'nan') and row['error'] == r'FileNotFoundError: caf\udce9'
    (line,) = pathlib.Path(study.to_json_lines(tmp_path / 'trials.jsonl')).read_text().splitlines()
    assert json.loads(line)['decisions']['x'] in (10**400, 'nan')


def test_pandas_has_a_row_for_each_trial(exported):
    pandas = pytest.importorskip('pandas')
    frame = exported.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 10
    np.testing.assert_array_equal(frame['metrics.y'].astype(float), exported.history.metrics['y'])


def test_optuna_finds_the_same_best_trials(exported):
    optuna = pytest.importorskip('optuna')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
        study = exported.to_optuna(name='ours')
    states = [t.state.name for t in study.trials]
    assert states == ['PRUNED' if i == 3 else 'FAIL' if i == 4 else 'COMPLETE' for i in range(10)]
    beaten = {t.number for t in study.best_trials}
    assert {t.id for t in exported.front} <= beaten
    assert study.trials[0].params['rate'] == exported.trial(0).value.rate
    assert study.trials[0].intermediate_values.keys() == {1, 2}
    assert study.metric_names == ['y', 'kind']


def test_a_missing_extra_is_named(monkeypatch, exported):
    for name, export in (('pandas', exported.to_pandas), ('optuna', exported.to_optuna)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(pg.MissingExtraError, match=rf'pgjax-search\[{name}\]'):
            export()


def test_a_directory_that_vanishes_ends_in_an_error(tmp_path):
    import shutil

    study = ahead(make(tmp_path / 's'), 4)
    samples = pg.sample(SPACE, EVOLUTION, 8, path=tmp_path / 't')
    _, feedback = next(samples)
    for name in ('s', 't'):
        shutil.rmtree(tmp_path / name)
    with pytest.raises((pg.StudyWriteError, pg.StudyNotFoundError), match=str(tmp_path / 's')):
        ahead(study, 4)
    with pytest.raises(pg.StudyWriteError, match=str(tmp_path / 't')):
        feedback(0.5)
    assert len(study.history) == 4


def test_a_million_trials_open_in_a_moment_and_cost_no_more_to_add_to():
    """Appending is constant time: what is copied is bounded by the logarithm of the history."""
    history = search.History()
    rows = ahead(make(), 4).history.columns
    copied = 0
    for _ in range(2048):
        before = set(map(id, history.chunks))
        history = history.append(rows)
        copied += sum(len(c['trial']) for c in history.chunks if id(c) not in before)
    assert len(history) == 8192
    assert len(history.chunks) <= 12
    assert copied <= 8192 * 12
    assert len(history.since(8190)['trial']) == 2
