"""The loop of `Study.run`: generations, checkpoints now and then, and an end in good order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pgjax._errors import StudyWriteError
from pgjax.search._checkpoint import Writer
from pgjax.search._evaluation import Clock, Evaluator
from pgjax.search._executor import ExecutorEvaluator
from pgjax.search._logger import Logger
from pgjax.search._outcome import of_arrays
from pgjax.search._signals import StopRequest

if TYPE_CHECKING:
    from pgjax.search._study import Study


def advance(
    study: Study,
    evaluator: Evaluator | ExecutorEvaluator,
    generations: int,
    followers: Sequence[Logger],
    stop: StopRequest,
    writer: Writer | None,
    checkpoint_seconds: float,
) -> Study:
    """The study some generations later, or where it was asked to stop. What is done is saved, also on an error."""
    since, unsaved = Clock(), 0.0
    saved = len(study.history)
    try:
        for follower in followers:
            follower.start(study, generations)
        for _ in range(generations):
            study = _step(study, evaluator, stop)
            for follower in followers:
                follower.update(study, evaluator.compiles if isinstance(evaluator, Evaluator) else 0)
            unsaved += since.lap()
            if writer is not None and unsaved >= checkpoint_seconds:
                writer.save(study._snapshot)
                saved, unsaved = len(study.history), 0.0
            if not isinstance(evaluator, Evaluator):
                evaluator.check()
            if stop.signal is not None:
                break
    except StudyWriteError:
        raise
    except Exception:
        if writer is not None and saved < len(study.history):
            writer.save(study._snapshot)
        raise
    else:
        if writer is not None and saved < len(study.history):
            writer.save(study._snapshot)
    finally:
        for follower in followers:  # after the last save, which they cannot hinder
            follower.finish(study)
    return study


def _step(study: Study, evaluator: Evaluator | ExecutorEvaluator, stop: StopRequest) -> Study:
    """One generation, or what is left of one."""
    clock = Clock()
    dna = study._rest
    trials = np.arange(len(study.history), len(study.history) + len(dna))
    if isinstance(evaluator, Evaluator):
        metrics = evaluator(study.space, dna, trials, study._key)
        told = of_arrays(metrics, study.objectives, clock.lap() / len(dna))
    else:
        told = evaluator.outcome(study.space, dna, trials, study._key, stop)
    return study._tell(told) if len(told) else study
