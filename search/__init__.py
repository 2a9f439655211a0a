"""The engine: controllers, loops and studies over the spaces of pgjax. Imported as `pgjax.search`."""

if __name__ != 'pgjax.search':
    raise ImportError(f'This package is imported as pgjax.search, not as {__name__}: from pgjax import search.')

from pgjax.search import adapters, bayes, early_stopping, evolution, multiobjective, policy_gradient, testing
from pgjax.search._auto import Auto
from pgjax.search._compiled import Result, compile_search as compile
from pgjax.search._controller import Controller
from pgjax.search._evaluation import Evaluator
from pgjax.search._feedback import Feedback
from pgjax.search._history import History, TrialStatus
from pgjax.search._host import HostController
from pgjax.search._logger import Logger, TensorBoardLogger
from pgjax.search._objective import Objective, maximize, minimize
from pgjax.search._process_executor import ProcessExecutor
from pgjax.search._progress import Progress
from pgjax.search._random import Random
from pgjax.search._run import run
from pgjax.search._sample import Samples, poll, sample
from pgjax.search._search import Search
from pgjax.search._study import Study
from pgjax.search._sweep import Sweep
from pgjax.search._trial import Trial
from pgjax.search._wrappers import Chain, Dedup, Portfolio, Prior
from pgjax.search.bayes import TPE, Bayesian
from pgjax.search.evolution import (
    NEAT,
    NSGA2,
    SEMO,
    Evolution,
    Genetic,
    HillClimb,
    Islands,
    LocalSearch,
    MapElites,
    RegularizedEvolution,
)
from pgjax.search.multiobjective import at_least, at_most, constrained
from pgjax.search.policy_gradient import PPO, REINFORCE
from pgjax.search.population_training import ASHA, PBT, Hyperband, SuccessiveHalving, Training

__all__ = [
    'ASHA',
    'NEAT',
    'NSGA2',
    'PBT',
    'PPO',
    'REINFORCE',
    'SEMO',
    'TPE',
    'Auto',
    'Bayesian',
    'Chain',
    'Controller',
    'Dedup',
    'Evaluator',
    'Evolution',
    'Feedback',
    'Genetic',
    'HillClimb',
    'History',
    'HostController',
    'Hyperband',
    'Islands',
    'LocalSearch',
    'Logger',
    'MapElites',
    'Objective',
    'Portfolio',
    'Prior',
    'ProcessExecutor',
    'Progress',
    'Random',
    'RegularizedEvolution',
    'Result',
    'Samples',
    'Search',
    'Study',
    'SuccessiveHalving',
    'Sweep',
    'TensorBoardLogger',
    'Training',
    'Trial',
    'TrialStatus',
    'adapters',
    'at_least',
    'at_most',
    'bayes',
    'compile',
    'constrained',
    'early_stopping',
    'evolution',
    'maximize',
    'minimize',
    'multiobjective',
    'policy_gradient',
    'poll',
    'run',
    'sample',
    'testing',
]
