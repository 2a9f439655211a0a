"""What runs where the workers are: one trial of a Python objective. It returns what became of it, and never raises."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._history import TrialStatus
from pgjax.search._objective import Objective, check_metrics
from pgjax.search._outcome import Told
from pgjax.space._threefry import IMPL


def takes_key(evaluate: Callable[..., Any]) -> bool:
    """Whether `evaluate` wants `(exp, key)`, or `(exp)` alone."""
    try:
        parameters = inspect.signature(evaluate).parameters.values()
    except (TypeError, ValueError):
        return True
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) >= 2


def run_trial(evaluate: Callable[..., Any], objectives: Sequence[Objective], exp: Any, key: np.ndarray | None) -> Told:
    """What became of one trial.

    Args:
      evaluate: the user's.
      objectives: what must be among its metrics.
      exp: the experiment.
      key: uint32[2], the words of the trial's key; None where `evaluate` wants none.
    """
    began = time.perf_counter()
    try:
        args = () if key is None else (jax.random.wrap_key_data(jnp.asarray(key), impl=IMPL),)
        metrics = check_metrics(evaluate(exp, *args), objectives)
        numbers = {name: float(value) for name, value in metrics.items()}
        return Told(numbers, TrialStatus.COMPLETE, time.perf_counter() - began)
    except (Exception, SystemExit) as error:  # user code: anything may come
        return failed(error, traceback.format_exc(), time.perf_counter() - began)


def failed(error: BaseException, trace: str = '', seconds: float = 0.0) -> Told:
    """A trial that failed by an exception."""
    note = {'error': f'{type(error).__name__}: {error}'} | ({'traceback': trace} if trace else {})
    return Told({}, TrialStatus.FAILED, seconds, note)
