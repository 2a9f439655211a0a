"""Studies: what they return, what they refuse, and that nothing kept is ever lost."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search._store import StudyStore

SPACE = pg.Dict(x=pg.floatv(0.0, 1.0), n=pg.oneof([1, 2]))
RANDOM = search.Random(batch_size=4)


def evaluate(exp, key):
    return {'y': exp.x * exp.n + 0.0 * jax.random.uniform(key)}


def make(path=None, **changes):
    settings = {'objectives': ['y'], 'path': path, 'tile': 2, 'batch': 'vmap', **changes}
    return search.Study(settings.pop('space', SPACE), settings.pop('controller', RANDOM), **settings)


def run(study, generations=2, evaluate=evaluate):
    return study.run(evaluate, generations, progress=False)


def test_a_study_is_a_value():
    empty = make()
    one = run(empty, 1)
    two = run(one, 1)
    assert [len(s.history) for s in (empty, one, two)] == [0, 4, 8]
    assert (two.history.trial == np.arange(8)).all()
    assert two.history.generation.tolist() == [0] * 4 + [1] * 4
    assert repr([empty.history, two.history]) == "[History(trials=0, metrics=[]), History(trials=8, metrics=['y'])]"
    np.testing.assert_array_equal(run(empty, 2).history.fitness, two.history.fitness)


def test_best_is_the_trial_of_highest_fitness():
    study = run(make(), 4)
    row = int(np.argmax(study.history.fitness[:, 0]))
    assert study.best.id == row
    assert study.best.value == study.space.decode(study.history.dna[row])
    assert study.best.metrics['y'] == pytest.approx(study.best.value['x'] * study.best.value['n'], rel=1e-6)
    assert make().best is None


def test_minimize_turns_the_sign():
    study = run(make(objectives=[pg.minimize('y')]), 4)
    assert study.best.metrics['y'] == study.history.metrics['y'].min()
    np.testing.assert_array_equal(study.history.fitness[:, 0], -study.history.metrics['y'])


def test_front_holds_what_nothing_beats():
    study = run(make(objectives=[pg.maximize('y'), pg.minimize('cost')]), 6, lambda e, k: {'y': e.x, 'cost': e.x * e.n})
    fitness = study.history.fitness
    brute = [i for i, f in enumerate(fitness) if not any((g >= f).all() and (g > f).any() for g in fitness)]
    assert [t.id for t in study.front] == brute


@pytest.mark.parametrize('number', [2, 3])
def test_front_has_the_first_of_equal_trials(number):
    names = [f'y{i}' for i in range(number)]
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=200), objectives=names)
    values = np.random.default_rng(0).integers(0, 9, (200, number)).astype(float)
    values[::7, 0] = np.nan
    study = study.tell(study.ask(), dict(zip(names, values.T, strict=True)))
    beaten = [
        any((g >= f).all() and ((g > f).any() or j < i) for j, g in enumerate(values) if i != j) or np.isnan(f).any()
        for i, f in enumerate(values)
    ]
    assert [t.id for t in study.front] == np.flatnonzero(~np.array(beaten)).tolist()


def test_a_front_of_all_trials_takes_a_moment():
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=20_000), objectives=['y', pg.minimize('cost')])
    study = study.tell(study.ask(), {'y': np.arange(20_000.0), 'cost': np.arange(20_000.0)})
    began = time.process_time()
    front = study.front
    assert len(front) == 20_000 and time.process_time() - began < 4  # it took seven


def test_failed_trials_are_recorded_and_never_best():
    def fails(exp, key):
        return {'y': jnp.where(exp.x > 0.3, jnp.nan, exp.x), 'other': jnp.inf}

    study = run(make(), 5, fails)
    failed = np.isnan(study.history.metrics['y'])
    assert 0 < failed.sum() < 20
    assert (study.history.status[failed] == search.TrialStatus.FAILED).all()
    assert np.isneginf(study.history.fitness[failed]).all()
    assert study.best.metrics['y'] <= 0.3
    assert run(make(), 2, lambda e, k: {'y': jnp.inf}).best is None


def test_a_trial_key_depends_on_seed_and_id_alone():
    noise = lambda exp, key: {'y': jax.random.uniform(key)}  # noqa: E731
    small = run(make(controller=search.Random(batch_size=2)), 6, noise)
    large = run(make(controller=search.Random(batch_size=12), tile=8), 1, noise)
    np.testing.assert_array_equal(small.history.metrics['y'], large.history.metrics['y'])
    assert len(set(small.history.metrics['y'].tolist())) == 12
    key = small.key_of(5)
    assert float(jax.random.uniform(key)) == small.history.metrics['y'][5]
    for wrong in (-1, 2**32, 1.5, '5', None):
        with pytest.raises(pg.TrialStateError, match='key_of takes a trial or its id'):
            small.key_of(wrong)


def test_your_own_loop_is_the_same_study():
    study, mine = run(make(), 3), make()
    for _ in range(3):
        trials = mine.ask()
        assert [t.id for t in trials] == [t.id for t in mine.ask()]
        metrics = [{'y': float(np.float32(t.value['x']) * t.value['n'])} for t in trials]
        mine = mine.tell(list(reversed(trials)), list(reversed(metrics)))
    assert mine.history.dna == study.history.dna
    np.testing.assert_array_equal(mine.history.fitness, study.history.fitness)


def test_one_program_for_each_structure():
    space = {'a': pg.oneof([1, 2]), 'b': pg.manyof(2, [3, 4], distinct=False), 'c': pg.floatv(0.0, 1.0)}
    study = make(space=space, controller=search.Random(batch_size=32))
    evaluator = search.Evaluator(lambda e, k: {'y': e.c + e.a}, study.objectives, tile=4)
    seen = set()
    for generation in range(4):
        dna = jax.tree.map(np.asarray, study.space.random(jax.random.key(generation), (32,)))
        evaluator(study.space, dna, np.arange(32), jax.random.key(0))
        seen |= {tuple(row) for row in study.space.structure_key(dna).tolist()}
        assert evaluator.compiles == len(seen)
    assert len(seen) == 8


@pytest.mark.parametrize(
    ('returned', 'words'),
    [
        (lambda e, k: None, 'dict of scalar metrics with y, got NoneType'),
        (lambda e, k: e.x, 'must return a dict'),
        (lambda e, k: {'Y': e.x}, "objective 'y' is not among .*expected y"),
        (lambda e, k: {'y': jnp.ones(3)}, r"'y' must be a scalar number, got an array of shape \[3\]"),
        (lambda e, k: {'y': 'good'}, "'y' must be a scalar number, got str"),
        (lambda e, k: {'y': e.x, 3: 1.0}, 'metric names are strings, got 3'),
    ],
)
def test_an_evaluator_that_returns_something_else(tmp_path, returned, words):
    study = run(make(tmp_path / 'study'))
    with pytest.raises(pg.FitnessError, match=words):
        run(study, evaluate=returned)
    assert len(search.Study.load(tmp_path / 'study').history) == 8


def test_an_evaluator_that_raises_names_trials_and_structure():
    with pytest.raises(pg.EvaluatorError, match=r'ZeroDivisionError for trials \[.*structure .*division') as caught:
        run(make(), evaluate=lambda exp, key: {'y': 1 / (exp.n - 2)})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_evaluator_that_fails_as_its_program_runs(tmp_path):
    def refuse(x):
        raise ZeroDivisionError('no such x')

    def evaluate(exp, key):
        return {'y': jax.pure_callback(refuse, jax.ShapeDtypeStruct((), 'float32'), exp.x)}

    study = search.Study(pg.Dict(x=pg.floatv(0.0, 1.0)), search.Random(batch_size=4), objectives=['y'])
    with pytest.raises(pg.EvaluatorError, match=r'(?s)as it ran, for some of trials 0 to 3: .*no such x') as caught:
        study.run(evaluate, progress=False)
    assert isinstance(caught.value.__cause__, jax.errors.JaxRuntimeError)


def test_an_evaluator_that_branches_on_a_leaf_is_told_which_and_the_cure():
    with pytest.raises(pg.EvaluatorError) as caught:
        run(make(), evaluate=lambda exp, key: {'y': 1.0 if exp.x > 0 else 0.0})
    for words in (str(caught.value), ' '.join(caught.value.__cause__.__notes__)):
        assert 'traced leaves of this Dict: x.' in words
        assert 'static=True' in words


@pytest.mark.parametrize(
    ('evaluate', 'words'),
    [
        (None, r'evaluate must be a function of \(exp, key\), got NoneType'),
        (lambda exp: {'y': exp.x}, r'evaluate\(exp, key\), and takes \(exp\): too many positional'),
        (lambda exp, key, rate: {'y': exp.x}, r'takes \(exp, key, rate\): missing a required argument'),
    ],
)
def test_an_evaluator_that_cannot_be_called_is_refused_before_any_trial(evaluate, words):
    with pytest.raises(pg.EvaluatorError, match=words):
        run(make(), evaluate=evaluate)
    with pytest.raises(pg.EvaluatorError, match=words):
        search.compile(pg.Dict(x=pg.floatv(0.0, 1.0)), evaluate, search.Random(), objectives='y')


class Shifted(pg.Object):
    """Settings of an evaluation are no arguments of its call."""

    by: float = 1.0

    def __call__(self, exp, key):
        return {'y': exp.x + self.by}


def test_an_evaluator_may_be_an_object_with_settings():
    template = pg.Dict(x=pg.oneof([1.0, 2.0]))
    study = search.Study(template, search.Random(batch_size=4), objectives='y').run(Shifted(3.0), 1, progress=False)
    assert study.best.metrics['y'] == study.best.value.x + 3.0


def test_an_evaluator_cannot_change_its_experiment():
    def mutates(exp, key):
        exp['n'] = 3
        return {'y': 0.0}

    with pytest.raises(pg.FrozenError, match='immutable'):
        run(make(), evaluate=mutates)


@pytest.mark.parametrize(
    ('changes', 'error', 'words'),
    [
        ({'objectives': []}, pg.FitnessError, 'at least one objective'),
        ({'objectives': ['y', 'y']}, pg.FitnessError, 'none twice'),
        ({'objectives': [3]}, pg.FitnessError, 'pg.maximize'),
        ({'seed': -1}, pg.ControllerError, 'seed must be'),
        ({'seed': 1.5}, pg.ControllerError, 'seed must be'),
        ({'tile': 0}, pg.ControllerError, 'tile must be'),
        ({'batch': 'all'}, pg.ControllerError, "'vmap' or 'map'"),
        ({'controller': 'random'}, pg.ControllerError, 'search.Controller, got str'),
        ({'space': {'x': 1}}, pg.SpaceError, 'no decision points'),
        ({'space': 7}, pg.SpaceError, 'no decision points'),
    ],
)
def test_arguments_that_make_no_study(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        make(tmp_path / 'study', **changes)
    assert not (tmp_path / 'study').exists()


def test_a_mesh_with_another_axis_is_refused():
    with pytest.raises(pg.TopologyError, match="axis 'pop'"):
        run(make(mesh=jax.make_mesh((2,), ('data',))))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'seed': 1}, 'seed is 0 there and 1 here'),
        ({'controller': search.Random(batch_size=5)}, 'controller.batch_size is 4 there and 5 here'),
        ({'space': pg.Dict(x=pg.floatv(0.0, 2.0), n=pg.oneof([1, 2]))}, r'template.x.high is 1.0 there and 2.0 here'),
        ({'objectives': [pg.minimize('y')]}, r'objectives\[0\].goal'),
        ({'tile': 4}, 'tile is 2 there and 4 here'),
    ],
)
def test_a_directory_of_another_search_is_refused(tmp_path, changes, words):
    path = tmp_path / 'study'
    before = run(make(path))
    with pytest.raises(pg.StudyMismatchError, match=words):
        make(path, **changes)
    np.testing.assert_array_equal(search.Study.load(path).history.fitness, before.history.fitness)


@pytest.mark.parametrize('url', ['http://host/study', 'azure://study', 'memory://', 'gs://bucket/../study'])
def test_a_url_that_means_no_place_is_refused_and_becomes_no_folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    for write in (lambda: make(url), lambda: make().fork(url), lambda: pg.save(SPACE, url)):
        with pytest.raises(pg.StudyWriteError, match=rf'{url}.*(gs://bucket/path|come names)'):
            write()
    with pytest.raises(pg.StudyNotFoundError, match=rf'{url}.*(gs://bucket/path|come names)'):
        search.Study.load(url)
    assert not list(tmp_path.iterdir())


def test_a_study_that_went_on_elsewhere_is_refused(tmp_path):
    early = run(make(tmp_path / 'study'), 1)
    late = run(early, 2)
    with pytest.raises(pg.StudyMismatchError, match='gone on'):
        run(early, 1)
    assert len(run(late, 1).history) == 16


def test_paths_that_hold_no_study(tmp_path):
    with pytest.raises(pg.StudyNotFoundError, match=r'absent; check the path\. Study\(\.\.\., create=True\)'):
        search.Study.load(tmp_path / 'absent')
    with pytest.raises(pg.StudyNotFoundError, match='create=True'):
        make(tmp_path / 'absent', create=False)
    assert not (tmp_path / 'absent').exists()
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'notes.txt').write_text('mine')
    with pytest.raises(pg.StudyExistsError, match=r'notes\.txt'):
        make(tmp_path / 'other')
    assert (tmp_path / 'other' / 'notes.txt').read_text() == 'mine'


def test_a_study_is_locked_while_it_runs(tmp_path):
    code = (
        'import sys; from pgjax import search; import pgjax as pg\n'
        f'try: search.Study.load({str(tmp_path / "study")!r}).run(lambda e, k: {{"y": e.x}}, 1, progress=False)\n'
        'except pg.StudyLockedError as error: print(error)'
    )
    answers = []

    def meddled_with(exp, key):
        answers.append(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True))
        return {'y': exp.x}

    study = run(make(tmp_path / 'study', space={'x': pg.floatv(0.0, 1.0)}), 1, meddled_with)
    assert len(study.history) == 4
    assert str(tmp_path / 'study') in answers[0].stdout and str(os.getpid()) in answers[0].stdout


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    """No file may grow: the next checkpoint fails, the one before is intact, and saving works again afterwards."""
    path = tmp_path / 'study'
    saved = run(make(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(pg.StudyWriteError, match='intact'):
            run(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = search.Study.load(path)
    np.testing.assert_array_equal(again.history.fitness, saved.history.fitness)
    assert len(run(again).history) == 16


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    path = tmp_path / 'study'
    run(run(make(path), 1), 1)
    newest = max((path / 'checkpoints').iterdir())
    for file in newest.rglob('*'):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(UserWarning, match='damaged'):
        study = search.Study.load(path)
    assert study.generation == 1
    assert run(study, 1).generation == 2


def test_an_edited_document_is_noticed(tmp_path):
    path = tmp_path / 'study'
    run(make(path), 1)
    document = json.loads((path / 'study.json').read_text())
    (path / 'study.json').write_text(json.dumps({**document, 'seed': 3}))
    with pytest.raises(pg.StudyCorruptError, match=r'study\.json'):
        search.Study.load(path)


def test_a_class_that_nobody_imported_is_named(tmp_path):
    code = (
        'import pgjax as pg\nfrom pgjax import search\nclass Exotic(pg.Object):\n  x: float\n'
        f'search.Study(Exotic(pg.floatv(0.0, 1.0)), search.Random(), objectives=["y"], path={str(tmp_path / "s")!r})'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    with pytest.raises(pg.UnknownTypeError, match='Exotic'):
        search.Study.load(tmp_path / 's')


@pytest.mark.parametrize('metrics', [{'y': [1.0]}, [{'y': 1.0}], [{'z': 1.0}] * 4, {'y': [None] * 4}])
def test_tell_refuses_metrics_that_do_not_fit(metrics):
    study = make()
    with pytest.raises(pg.FitnessError):
        study.tell(study.ask(), metrics)


def test_tell_refuses_trials_told_before_or_never_asked():
    study = make()
    trials = study.ask(2)
    told = study.tell(trials, {'y': [1, True]})
    for wrong in (trials, [], [*told.ask(1), *trials[:1]]):
        with pytest.raises(pg.TrialStateError):
            told.tell(wrong, {'y': np.ones(len(wrong))})
    with pytest.raises(pg.TrialStateError, match='batch_size = 4'):
        study.ask(5)
    assert told.history.metrics['y'].tolist() == [1.0, 1.0]


def test_compiled_search_makes_the_same_history():
    space = pg.Dict(x=pg.oneof([0.5, 1.5, 2.5]), order=pg.manyof(2, [1.0, 2.0, 3.0]))
    controller = search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=6)
    score = lambda e, k: {'y': e.x * e.order[0] - e.order[1] + 0.1 * jax.random.normal(k)}  # noqa: E731
    settings = {'objectives': ['y'], 'tile': 4, 'batch': 'vmap'}
    study = search.run(space, score, controller, generations=6, **settings)
    loop = search.compile(space, score, controller, **settings)
    result = jax.jit(loop, static_argnums=1)(jax.random.key(0, impl='threefry2x32'), 6)
    assert result.history.dna == study.history.dna
    np.testing.assert_array_equal(result.history.fitness, study.history.fitness)
    np.testing.assert_array_equal(result.history.parents, study.history.parents)
    assert result.best.value == study.best.value


def test_compiled_search_vmaps_over_seeds_without_callbacks():
    loop = search.compile(
        {'x': pg.floatv(0.0, 1.0)}, lambda e, k: {'y': -((e['x'] - 0.7) ** 2)}, RANDOM, objectives='y'
    )
    best = jax.vmap(lambda key: loop(key, 5).fitness.max())(jax.random.split(jax.random.key(0), 3))
    assert best.shape == (3,) and len(set(best.tolist())) == 3
    assert 'callback' not in str(jax.make_jaxpr(lambda key: loop(key, 5))(jax.random.key(0)))


def test_what_is_of_one_search_is_refused_for_several():
    loop = search.compile({'x': pg.floatv(0.0, 1.0)}, lambda e, k: {'y': e['x']}, RANDOM, objectives='y')
    keys = jax.random.split(jax.random.key(0), 3)
    several = jax.vmap(lambda key: loop(key, 5))(keys)
    assert several.fitness.shape == (3, 5, 4, 1)
    for read in (lambda r: r.history, lambda r: r.best, lambda r: r.front):
        with pytest.raises(pg.SpaceError, match=r'leading axes \[3\].*pg\.unstack\(result\)'):
            read(several)
        for traced in (jax.jit, jax.vmap):
            with pytest.raises(pg.SpaceError, match='being traced by jit or vmap'):
                traced(lambda key, read=read: (read(loop(key, 5)), key)[1])(keys if traced is jax.vmap else keys[0])
    alone = loop(keys[1], 5)
    np.testing.assert_array_equal(pg.unstack(several)[1].history.fitness, alone.history.fitness)
    assert pg.unstack(several)[1].best.value == alone.best.value


def test_compiled_search_refuses_structure():
    with pytest.raises(pg.SpaceError, match='structure of what it runs: n'):
        search.compile(SPACE, evaluate, RANDOM, objectives='y')


def test_importing_the_folder_names_the_right_spelling(tmp_path):
    root = pathlib.Path(pg.__file__).parent.parent
    result = subprocess.run([sys.executable, '-c', 'import search'], capture_output=True, text=True, cwd=root)
    assert 'from pgjax import search' in result.stderr


RENAMED = """
import sys
import pgjax as pg
from pgjax import search

class {name}(pg.Object, type_name='{name}'):
    x: float = 0.0

{alias}
template, path = {name}(x=pg.floatv(0.0, 1.0)), sys.argv[1]
study = search.Study(template, search.Random(batch_size=4), objectives=['y'], path=path, batch='vmap')
study = study.run(lambda e, k: {{'y': e.x}}, 1, progress=False)
print(type(study.best.value).__name__, len(study.history))
"""


@pytest.mark.slow
def test_a_study_goes_on_after_its_class_is_renamed(tmp_path):
    printed = []
    for name, alias in (('Before', ''), ('After', "pg.register_alias('Before', After)")):
        program = RENAMED.format(name=name, alias=alias)
        done = subprocess.run(
            [sys.executable, '-c', program, tmp_path / 'study'], capture_output=True, text=True, check=True
        )
        printed.append(done.stdout.split())
    assert printed == [['Before', '4'], ['After', '8']]


def test_decisions_keep_their_order_in_files(tmp_path):
    space = pg.Dict(z=pg.oneof([10, 20, 30]), a=pg.oneof([1, 2]), m=pg.Dict(y=pg.oneof([5, 6]), b=pg.floatv(0.0, 1.0)))
    study = search.Study(space, search.Random(batch_size=4), objectives='y', path=tmp_path / 'study')
    study = study.run(lambda exp, key: {'y': 1.0 * exp.z}, 2, progress=False)
    larger = space.rebind(z=pg.oneof([10, 20, 30, 40]))
    for _ in range(2):
        loaded = search.Study.load(tmp_path / 'study')
        assert [d.id for d in loaded.space.decisions] == [d.id for d in study.space.decisions]
        assert [loaded.trial(i).value for i in range(8)] == [study.trial(i).value for i in range(8)]
        study = search.Study(larger, study.controller, objectives='y', path=tmp_path / 'study', extend=True)


def test_a_study_of_the_same_decisions_in_another_order_is_another_study(tmp_path):
    search.Study(pg.Dict(z=pg.oneof([1, 2]), a=pg.oneof([1, 2])), search.Random(), objectives='y', path=tmp_path / 's')
    with pytest.raises(pg.StudyMismatchError, match=r"decisions\[0\] is 'z' there and 'a' here"):
        search.Study(
            pg.Dict(a=pg.oneof([1, 2]), z=pg.oneof([1, 2])), search.Random(), objectives='y', path=tmp_path / 's'
        )


BAD_METRICS = [
    ([{'y': 1.0}, {'y': 10**400}, {'y': 0}, {'y': 0}], "trial 1: the metric 'y' is an int of 1329 bits"),
    (None, 'list of one dict for each trial; got NoneType'),
    (5, 'got int 5'),
    ({'y': [[1], [1, 2], 3, 4]}, 'one value for each of the 4 trials'),
    ([{'y': 1.0}] * 3, '4 trials and metrics of 3'),
    ([{'y': [[1], [1, 2]]}] * 4, "trial 0: the metric 'y' must be a scalar number, got list"),
]


@pytest.mark.parametrize(('metrics', 'words'), BAD_METRICS)
def test_tell_refuses_what_is_no_metric_and_the_trials_stay_open(metrics, words):
    study = make()
    trials = study.ask()
    with pytest.raises(pg.FitnessError, match=words):
        study.tell(trials, metrics)
    for other in (None, 5, [1, 2], 'ab'):
        with pytest.raises(pg.TrialStateError, match='takes the trials that ask gave'):
            study.tell(other, {'y': [1.0, 2.0]})
    assert len(study.tell(np.array(trials, object), iter([{'y': 10**30}] * 4)).history) == 4


def test_a_number_beyond_floats_fails_its_trial_alone_on_an_executor():
    study = make().run(
        lambda exp: {'y': 10**400 if exp.n == 1 else exp.x}, 1, executor=lambda: ThreadPoolExecutor(1), progress=False
    )
    failed = study.history.status == search.TrialStatus.FAILED
    assert failed.tolist() == [study.trial(i).value.n == 1 for i in range(4)]
    assert 'larger than any float' in study.trial(int(np.flatnonzero(failed)[0])).note['error']


@pytest.mark.parametrize('objectives', [None, 5, {'y': 'minimize'}])
def test_objectives_that_are_no_list(objectives):
    with pytest.raises(pg.FitnessError, match=r'pg\.maximize\(name\), pg\.minimize\(name\) or a list of them, got'):
        make(objectives=objectives)


@pytest.mark.parametrize(
    ('settings', 'kind', 'words'),
    [
        ({'generations': 1.5}, pg.ControllerError, r'generations must be an int of at least 0, got 1\.5'),
        ({'generations': -1}, pg.ControllerError, 'got -1'),
        ({'generations': None}, pg.ControllerError, 'got None'),
        ({'checkpoint_seconds': float('nan')}, pg.ControllerError, 'checkpoint_seconds must be a number of seconds'),
        ({'progress': None}, pg.ControllerError, 'Got NoneType None without start, update, finish'),
        ({'loggers': [5]}, pg.ControllerError, 'Got int 5 without'),
        ({'loggers': 5}, pg.ControllerError, 'Got int 5 without'),
        ({'executor': lambda: ThreadPoolExecutor(1), 'max_failures': 0}, pg.EvaluatorError, 'max_failures must be'),
        ({'executor': lambda: ThreadPoolExecutor(1), 'retries': 1.5}, pg.EvaluatorError, 'retries must be'),
        ({'executor': lambda: ThreadPoolExecutor(1), 'timeout': 'a'}, pg.EvaluatorError, 'timeout must be'),
    ],
)
def test_run_refuses_settings_that_make_no_sense(settings, kind, words):
    with pytest.raises(kind, match=words):
        make().run(evaluate, **{'generations': 1, 'progress': False, **settings})


def test_a_compiled_search_refuses_settings_that_make_no_sense():
    space, score = {'x': pg.floatv(0.0, 1.0)}, lambda e, k: {'y': e['x']}
    for settings in ({'tile': 0}, {'tile': 1.5}, {'batch': 'all'}):
        with pytest.raises(pg.ControllerError, match='must be'):
            search.compile(space, score, RANDOM, objectives='y', **settings)
    with pytest.raises(pg.ControllerError, match=r'must be a search\.Controller'):
        search.compile(space, score, search.Random, objectives='y')
    loop = search.compile(space, score, RANDOM, objectives='y')
    for generations in (1.5, -1, None):
        with pytest.raises(pg.ControllerError, match='generations must be an int'):
            loop(jax.random.key(0), generations)
    with pytest.raises(pg.ControllerError, match='static_argnums'):
        jax.jit(loop)(jax.random.key(0), 3)


@pytest.mark.parametrize(
    ('change', 'error', 'words'),
    [
        (lambda d: d | {'format': 2}, pg.StudyVersionError, 'document of format 2.*up to format 1'),
        (lambda d: {n: v for n, v in d.items() if n != 'objectives'}, pg.StudyCorruptError, 'lacks objectives'),
    ],
)
def test_documents_of_newer_versions_and_of_no_study_are_refused(tmp_path, change, error, words):
    study = make(tmp_path)
    shutil.rmtree(tmp_path)
    StudyStore.create(tmp_path, change(study._document))
    for opened in (lambda: search.Study.load(tmp_path), lambda: make(tmp_path)):
        with pytest.raises(error, match=words):
            opened()
