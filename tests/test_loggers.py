"""Who follows a run: what loggers are told, and what TensorBoard is given."""

import io
import struct

import jax.numpy as jnp
import pytest
from rich.console import Console

import pgjax as pg
from pgjax import search

SPACE = pg.Dict(x=pg.floatv(0.0, 1.0))


def evaluate(exp, key):
    return {'y': exp.x, 'cost': 2 * exp.x}


class Recorder:
    def __init__(self):
        self.calls = []

    def start(self, study, generations):
        self.calls.append(('start', study.generation, generations))

    def update(self, study, compiles):
        self.calls.append(('update', study.generation, compiles))

    def finish(self, study):
        self.calls.append(('finish', study.generation))


def new_study():
    return search.Study(SPACE, search.Random(batch_size=4), objectives=['y'])


def test_a_logger_hears_of_each_generation():
    recorder = Recorder()
    new_study().run(evaluate, 2, progress=False, loggers=[recorder])
    assert recorder.calls == [('start', 0, 2), ('update', 1, 1), ('update', 2, 1), ('finish', 2)]


def test_a_display_of_your_own_takes_the_place_of_the_table(capsys):
    recorder = Recorder()
    new_study().run(evaluate, 1, progress=recorder)
    assert [name for name, *_ in recorder.calls] == ['start', 'update', 'finish']
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('terminal', [False, True])
def test_the_display_shows_any_name_as_it_is_and_every_failure(terminal):
    out, name = io.StringIO(), 'acc[top1] :smile:\x1b[2J\n'
    study = search.Study(SPACE, search.Random(batch_size=4), objectives=[name, 'z'])
    display = search.Progress(console=Console(file=out, force_terminal=terminal, color_system=None, width=150))
    study.run(lambda e, k: {name: e.x, 'z': jnp.nan}, 1, progress=display)
    printed = out.getvalue()
    assert 'best acc[top1] :smile:\\x1b[2J\\n' in printed and '\x1b[2J' not in printed
    if not terminal:
        assert 'failed 4 ' in printed


def test_loggers_are_finished_after_an_error():
    recorder = Recorder()
    with pytest.raises(pg.FitnessError):
        new_study().run(lambda e, k: {'z': e.x}, 1, progress=False, loggers=[recorder])
    assert recorder.calls == [('start', 0, 1), ('finish', 0)]


def test_a_logger_that_fails_at_the_end_costs_no_trial(tmp_path):
    class Failing(Recorder):
        def finish(self, study):
            raise OSError('the disk of the logs is full')

    path = tmp_path / 'study'
    study = search.Study(SPACE, search.Random(batch_size=4), objectives=['y'], path=path)
    with pytest.raises(OSError, match='logs'):
        study.run(evaluate, 2, progress=False, loggers=[Failing()])
    assert len(search.Study.load(path).history) == 8


def scalars(folder):
    """{name: {step: value}} of the event files: records of length, checksum, content, checksum."""
    event_pb2 = pytest.importorskip('tensorboardX.proto.event_pb2')
    found = {}
    for file in sorted(folder.iterdir()):
        data, position = file.read_bytes(), 0
        while position < len(data):
            (length,) = struct.unpack_from('<Q', data, position)
            event = event_pb2.Event.FromString(data[position + 12 : position + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            position += 16 + length
    return found


def test_tensorboard_shows_what_the_history_says(tmp_path):
    pytest.importorskip('tensorboardX')
    study = new_study().run(evaluate, 3, progress=False, loggers=[search.TensorBoardLogger(tmp_path / 'board')])
    shown = scalars(tmp_path / 'board')
    by_generation = study.history.metrics['y'].reshape(3, 4)
    assert shown['y/mean'] == pytest.approx({g + 1: by_generation[g].mean() for g in range(3)}, rel=1e-6)
    assert shown['cost/max'] == pytest.approx({g + 1: 2 * by_generation[g].max() for g in range(3)}, rel=1e-6)
    assert shown['best/y'][3] == pytest.approx(study.best.metrics['y'])
    assert shown['search/trials'] == {1: 4.0, 2: 8.0, 3: 12.0} and set(shown['search/failed'].values()) == {0.0}
