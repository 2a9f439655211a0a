"""The engine: controllers, loops and studies over the spaces of pgjax. Imported as `pgjax.search`."""

if __name__ != 'pgjax.search':
    raise ImportError(f'This package is imported as pgjax.search, not as {__name__}: from pgjax import search.')

from pgjax.search import early_stopping, testing
from pgjax.search._compiled import Result, compile_search as compile
from pgjax.search._controller import Controller
from pgjax.search._evaluation import Evaluator
from pgjax.search._feedback import Feedback
from pgjax.search._history import History, TrialStatus
from pgjax.search._objective import Objective, maximize, minimize
from pgjax.search._process_executor import ProcessExecutor
from pgjax.search._progress import Progress
from pgjax.search._random import Random
from pgjax.search._run import run
from pgjax.search._sample import Samples, poll, sample
from pgjax.search._study import Study
from pgjax.search._trial import Trial
from pgjax.search.evolution import RegularizedEvolution

__all__ = [
    'Controller',
    'Evaluator',
    'Feedback',
    'History',
    'Objective',
    'ProcessExecutor',
    'Progress',
    'Random',
    'RegularizedEvolution',
    'Result',
    'Samples',
    'Study',
    'Trial',
    'TrialStatus',
    'compile',
    'early_stopping',
    'maximize',
    'minimize',
    'poll',
    'run',
    'sample',
    'testing',
]
