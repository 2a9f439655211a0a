"""The command line: what it prints, what it returns, and that nothing typed there is evaluated."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import pgjax as pg
from pgjax import cli, search

PROGRAM = '''
import enum

import pgjax as pg
from pgjax import search


class Kind(enum.Enum):
    FLAT = 1
    DEEP = 2


class Part(pg.Object):
    width: int = 3


class Bowl(pg.Object):
    x: float = pg.field(default=0.5, doc='where it stands')
    steepness: int = 2
    name: str = 'bowl'
    kind: Kind = Kind.FLAT
    parts: list[Part] = [Part()]
    note: str | None = None

    def __call__(self):
        return {'loss': abs(self.x - 0.25) ** self.steepness}


@pg.patcher(name='cli.steeper')
def steeper(bowl: Bowl, by: int = 1):
    """Makes it steeper."""
    return {'steepness': bowl.steepness + by}


def make():
    return Bowl(x=1.0)


def scaled(by):
    return Bowl(steepness=by)


class Echo(pg.Object):
    name: str = pg.inherited()

    def __call__(self):
        return self.name


class Caller(pg.Object):
    name: str = 'there'
    echo: Echo = Echo()

    def __call__(self):
        return self.echo()


bowl = Bowl()
bowls = search.Search(
    template=Bowl(x=pg.floatv(0.0, 1.0), steepness=pg.oneof([2, 4])),
    evaluate=lambda exp, key: {'loss': abs(exp.x - 0.25) ** exp.steepness},
    controller=search.Random(batch_size=8),
    objectives=[pg.minimize('loss')],
    generations=2,
)


def bowl_space():
    return bowls.template


def call():
    return Caller()
'''


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp('cli') / 'cli_program.py'
    path.write_text(PROGRAM)
    return str(path)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = cli.main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.mark.parametrize(
    ('change', 'shown'),
    [
        ('x=0.1', 'x=0.1'),
        ('x=3', 'x=3.0'),
        ('steepness=3', 'steepness=3'),
        ('name=64', "name='64'"),
        ('name=', "name=''"),
        ('name=a=b', "name='a=b'"),
        ('name=__import__("os")', 'name=\'__import__("os")\''),
        ('kind=DEEP', 'kind=Kind.DEEP'),
        ('parts[0].width=8', 'parts=[Part(width=8)]'),
        ('note=None', 'note=None'),
        ('note=words', "note='words'"),
    ],
)
def test_overrides_are_read_by_the_type_of_the_field(run, program, change, shown):
    status, out, _ = run('show', f'{program}:bowl', change, '--format', 'compact')
    assert status == 0 and shown in out


def test_patches_come_before_overrides_wherever_they_stand(run, program):
    _, out, _ = run('show', f'{program}:bowl', 'x=0.0', '--patch', 'cli.steeper?2', '--patch', 'cli.steeper', 'name=n')
    assert out == "Bowl(x=0.0, steepness=5, name='n', kind=Kind.FLAT, parts=[Part(width=3)], note=None)\n"


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('show', '{}:bwl'), "Did you mean 'bowl'"),
        (('show', '{}'), 'bowl, bowls'),
        (('show', '{}:Bowl'), 'expected a symbolic object'),
        (('show', 'absent.py'), "no file 'absent.py'"),
        (('show', '{}:bowl', 'stepness=3'), "Did you mean 'steepness'"),
        (('show', '{}:bowl', 'steepness=0.5'), 'steepness: expected int, got float 0.5'),
        (('show', '{}:bowl', 'kind=DEP'), 'kind: expected Kind'),
        (('show', '{}:bowl', '--patch', 'cli.steper'), "Did you mean 'cli.steeper'"),
        (('run', '{}:bowl', '--generations', '3'), '--generations'),
        (('run', '{}:bowls', '--resume'), '--study'),
        (('run', '{}:bowls', '--resume', '--study', 'absent'), 'no study'),
        (('run', '{}:bowls', 'controller.batch_size=0'), 'batch_size'),
        (('study', 'show', 'absent'), 'absent'),
        (('study', 'ls', '{}'), 'is a file'),
        (('show', '{}:scaled'), 'needs by'),
        (('run', '{}:bowl_space'), 'while parts are open: x, steepness'),
    ],
)
def test_mistakes_are_one_line_that_names_them(run, program, arguments, words):
    status, out, err = run(*(a.format(program) for a in arguments))
    assert status == 1 and out == '' and words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [(['shw'], "'show'"), (['show'], 'target'), (['study', 'lss', '.'], "'ls'"), (['show', 'x', '--frmat'], '--frmat')],
)
def test_usage_errors_exit_with_2(capsys, arguments, words):
    with pytest.raises(SystemExit, match='2'):
        cli.main(arguments)
    assert words in capsys.readouterr().err


def test_show_in_every_format(run, program):
    target = f'{program}:bowl'
    assert json.loads(run('show', target, '--format', 'json')[1])['_type'] == 'cli_program.Bowl'
    assert 'cli_program.Bowl(' in run('show', target, '--format', 'evaluable')[1]
    fields = run('show', target, '--format', 'fields')[1].splitlines()
    assert fields[1].split() == ['x', '0.5', 'float', '0.5', 'where', 'it', 'stands']
    assert any(line.split()[:3] == ['parts[0].width', '3', 'int'] for line in fields)


def test_a_saved_object_is_a_target_even_without_its_class(run, program, tmp_path):
    saved = tmp_path / 'bowl.json'
    saved.write_text(json.dumps({'_pgjax': 1, '_type': 'nowhere.Bowl', 'x': 1}))
    assert "UnknownObject('nowhere.Bowl', x=1)" in run('show', saved)[1]


def test_an_object_that_can_be_called_is_run(run, program):
    assert run('run', f'{program}:make', 'x=0.75') == (0, "{'loss': 0.25}\n", '')


def test_what_is_run_has_its_inherited_values(run, program):
    assert run('run', f'{program}:call') == (0, 'there\n', '')


def test_diff_exits_with_1_where_objects_differ(run, program):
    assert run('diff', f'{program}:bowl', f'{program}:bowl') == (0, '', '')
    status, out, _ = run('diff', f'{program}:bowl', f'{program}:make')
    assert status == 1 and 'x' in out and '1.0' in out


def test_space_and_patches(run, program):
    status, out, _ = run('space', f'{program}:bowls', 'template.x=0.5')
    assert status == 0 and out.splitlines()[1].split() == ['steepness', 'choice', '2,', '4', 'always']
    assert out.endswith('1 decisions, 2 points\n')
    assert run('patches', program, '--prefix', 'cli.')[1] == 'cli.steeper(by: int = 1)\n    Makes it steeper.\n'


def test_a_study_from_its_first_run_to_its_report(run, program, tmp_path):
    path = tmp_path / 'study'
    status, out, _ = run('run', f'{program}:bowls', '--study', path, 'template.name=best')
    assert status == 0 and "name='best'" in out and 'of 16: loss' in out
    status, _, err = run('run', f'{program}:bowls', '--study', path, 'template.name=best')
    assert status == 1 and '--resume' in err
    arguments = ('--resume', '--generations', 1, 'template.name=best')
    assert 'of 24: loss' in run('run', f'{program}:bowls', '--study', path, *arguments)[1]
    study = search.Study.load(path)
    assert len(study.history) == 24
    assert run('study', 'ls', tmp_path)[1].splitlines()[1].split()[1:4] == ['3', '24', 'loss']
    assert 'Random(batch_size=8)' in run('study', 'show', path)[1]
    assert pg.format(study.best.value, width=88) in run('study', 'best', path)[1]
    assert run('study', 'verify', path) == (0, 'All is well.\n', '')
    assert run('study', 'report', path, '-o', tmp_path / 'r.html')[0] == 0
    assert '<title>minimize loss</title>' in (tmp_path / 'r.html').read_text()


def test_studies_are_exported_and_forked(run, program, tmp_path):
    run('run', f'{program}:bowls', '--study', tmp_path / 'study')
    losses = search.Study.load(tmp_path / 'study').history.metrics['loss']
    table = tmp_path / 'study' / 'trials.csv'
    assert run('study', 'export', tmp_path / 'study') == (0, f'{table}\n', '')
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [float(row['metrics.loss']) for row in rows] == [pytest.approx(x) for x in losses]
    assert run('study', 'export', tmp_path / 'study', '--format', 'jsonl', '-o', tmp_path / 't.jsonl')[0] == 0
    assert len((tmp_path / 't.jsonl').read_text().splitlines()) == 16
    assert run('study', 'fork', tmp_path / 'study', tmp_path / 'other')[0] == 0
    assert (
        'of 24: loss'
        in run('run', f'{program}:bowls', '--study', tmp_path / 'other', '--resume', '--generations', 1)[1]
    )
    assert len(search.Study.load(tmp_path / 'study').history) == 16
    status, _, err = run('study', 'fork', tmp_path / 'study', tmp_path / 'other')
    assert status == 1 and 'other' in err


def test_verify_exits_with_1_at_damage(run, program, tmp_path):
    path = tmp_path / 'study'
    run('run', f'{program}:bowls', '--study', path)
    segment = max((f for f in pathlib.Path(path).rglob('*') if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    status, out, _ = run('study', 'verify', path)
    assert status == 1 and out != ''


@pytest.mark.parametrize('damage', ['flip', 'cut', 'delete'])
def test_verify_reads_the_notes_too(run, tmp_path, damage):
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=4), objectives=['y'], path=tmp_path)
    with ThreadPoolExecutor(1) as threads:
        study.run(lambda exp: {}[exp], executor=threads, progress=False, max_failures=None)
    assert run('study', 'verify', tmp_path)[0] == 0
    notes = tmp_path / 'notes.jsonl'
    data = notes.read_bytes()
    notes.write_bytes({'flip': data.replace(b'KeyError', b'KeyErrot', 1), 'cut': data[:-9], 'delete': b''}[damage])
    status, out, _ = run('study', 'verify', tmp_path)
    assert status == 1 and 'notes.jsonl: it is damaged' in out
    assert f'{(0 if damage == "delete" else 3)} notes could be read' in out


def test_names_cannot_drive_the_terminal(run, tmp_path):
    path = tmp_path / 'stu\x1b[31mdy'
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=2), objectives=['y\x1b[2J\n'], path=path)
    study.tell(study.ask(), {'y\x1b[2J\n': [1.0, 2.0]})
    for command in ('ls', 'show', 'best', 'export', 'verify'):
        status, out, err = run('study', command, path)
        assert status == 0 and '\x1b' not in out and '\x1b' not in err
    assert 'y\\x1b[2J\\n 2' in run('study', 'ls', path)[1]
    assert '\x1b' not in run('study', 'ls', f'{path}2')[1] + run('study', 'best', f'{path}2')[2]


def test_a_study_in_which_all_failed_has_no_best(run, tmp_path):
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=2), objectives=[pg.minimize('y')], path=tmp_path)
    study.tell(study.ask(), {'y': [float('nan'), float('inf')]})
    assert run('study', 'ls', tmp_path)[1].splitlines()[1].split()[1:] == ['1', '2', '-']
    assert '2 trials, best: -\n' in run('study', 'show', tmp_path)[1]


def test_the_best_is_the_metric_of_a_trial_not_its_fitness(run, tmp_path):
    objectives = search.constrained([pg.minimize('y')], [search.at_most('cost', 1.0)])
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=2), objectives=objectives, path=tmp_path)
    study.tell(study.ask(), {'y': [3.0, 4.0], 'cost': [2.0, 3.0]})
    assert run('study', 'ls', tmp_path)[1].splitlines()[1].split()[1:] == ['1', '2', 'y', '3']


def test_tables_have_a_line_a_row_where_programs_read_them(run, tmp_path):
    path = tmp_path / 'a long name with spaces' / ('x' * 100)
    search.Study([pg.oneof([1, 2])], search.Random(batch_size=2), objectives=['y'], path=path)
    header, row = run('study', 'ls', path)[1].splitlines()
    assert row.startswith(f'{path} ') and row.index(' 0 ') == header.index('generations') - 1


def test_a_space_shows_whole_numbers_whole(run, tmp_path):
    saved = tmp_path / 'space.json'
    pg.save(pg.Dict(n=pg.intv(1, 123_456_789), lr=pg.floatv(1e-5, 0.1, scale='log')), saved)
    lines = run('space', saved)[1].splitlines()
    assert '1 to 123456789' in lines[1] and '1e-05 to 0.1 (log)' in lines[2]


def test_characters_that_the_terminal_lacks_are_escapes(monkeypatch, program):
    ascii_only = io.TextIOWrapper(io.BytesIO(), 'ascii')
    monkeypatch.setattr(sys, 'stdout', ascii_only)
    assert cli.main(['show', f'{program}:bowl', 'name=bøwl \u2603']) == 0
    assert rb"name='b\xf8wl \u2603'" in ascii_only.buffer.getvalue() and ascii_only.errors == 'strict'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='a device of Linux')
@pytest.mark.parametrize('line_buffering', [False, True])
def test_output_that_cannot_be_written_is_told(monkeypatch, capsys, program, line_buffering):
    with open(os.open('/dev/full', os.O_WRONLY), 'w') as full:
        full.reconfigure(line_buffering=line_buffering)
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'stdout', full)
            assert cli.main(['show', f'{program}:bowl']) == 1
    assert capsys.readouterr().err == 'pgjax: Cannot write to standard output: No space left on device.\n'


@pytest.mark.parametrize('line_buffering', [False, True])
def test_a_reader_that_leaves_early_is_no_failure(monkeypatch, capsys, program, line_buffering):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as left:
        left.reconfigure(line_buffering=line_buffering)
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'stdout', left)
            assert cli.main(['show', f'{program}:bowl']) == 0
    assert capsys.readouterr().err == ''


@pytest.mark.slow
def test_other_programs_load_what_a_command_kept(program, tmp_path):
    pgjax = [sys.executable, '-m', 'pgjax']
    done = subprocess.run([*pgjax, 'run', f'{program}:bowls', '--study', tmp_path / 's'], check=True)
    assert done.returncode == 0
    shown = subprocess.run([*pgjax, 'study', 'show', tmp_path / 's'], check=True, capture_output=True, text=True)
    assert "UnknownObject(\n  'cli_program.Bowl'" in shown.stdout
    known = subprocess.run(
        [*pgjax, 'study', 'show', tmp_path / 's', '--import', program], check=True, capture_output=True
    )
    assert b'UnknownObject' not in known.stdout and b'Bowl(' in known.stdout
    unknown = subprocess.run([*pgjax, 'study', 'best', tmp_path / 's'], capture_output=True, text=True)
    assert unknown.returncode == 1 and 'Here: --import FILE, the Python file' in unknown.stderr
    best = [*pgjax, 'study', 'best', tmp_path / 's', '--import', program]
    assert 'Bowl(' in subprocess.run(best, check=True, capture_output=True, text=True).stdout
