"""The model-based search that one writes first: a Gaussian process with one lengthscale, tried on every point.

Distances are Hamming among choices and |difference| ** 1.5 of the range among ordered values; outcomes are
half-logarithmic; the lengthscale and the noise are those of highest likelihood on a small grid, looked for at every
tenth evaluation. After ten random points each next one has the highest expected improvement of all points of the table,
which no search in a larger space could afford.
"""

from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.stats import norm

RANDOM = 10
RATES = (0.5, 1.0, 1.5, 2.5, 4.0, 7.0)  # minus the logarithm of the correlation of two random points
NOISES = (1e-3, 0.03, 0.15, 0.4)  # of the variance


def regrets(table: Any, seeds: int, budget: int) -> np.ndarray:
    """float64[seeds, budget]: the regret of the best point so far, in units of `table.scale`."""
    points = np.array(list(np.ndindex(*table.arity)), np.int8)
    values = np.where(np.isfinite(table.values), table.values, np.nanmin(table.values))
    known = [values[_search(table, points, values, seed, budget)] for seed in range(seeds)]
    return (table.best - np.maximum.accumulate(known, axis=1)) * table.scale


def _search(table: Any, points: np.ndarray, values: np.ndarray, seed: int, budget: int) -> list[int]:
    """The rows of the table that are evaluated, in order."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(points), RANDOM, replace=False).tolist()
    away = np.stack([_distances(table, points, row) for row in chosen])  # [n, points]
    unit = away.mean()
    rate = noise = 0.0
    half = root = np.zeros((0, 0), np.float32)  # of the model, which is made anew at once
    while len(chosen) < budget:
        outcomes = _half_logarithm(values[chosen])
        if len(chosen) % 10 == 0:
            rate, noise = _most_likely(away[:, chosen] / unit, outcomes)
            half, root = _factors(away / unit, chosen, rate, noise)
        else:
            half, root = _grown(half, root, chosen, (1 - noise) * np.exp(-rate * away[-1] / unit))
        whitened = solve_triangular(root, outcomes, lower=True)
        mean = whitened.astype(np.float32) @ half
        explained = np.einsum('np,np->p', half, half)
        deviation = np.sqrt(np.maximum(1 - noise - explained, 1e-9) * (whitened**2).mean())
        z = (mean - mean[chosen].max()) / deviation
        promise = deviation * (norm.pdf(z) + z * norm.cdf(z))
        promise[chosen] = -np.inf
        chosen.append(int(promise.argmax()))
        away = np.concatenate([away, _distances(table, points, chosen[-1])[None]])
    return chosen


def _distances(table: Any, points: np.ndarray, row: int) -> np.ndarray:
    total = np.zeros(len(points), np.float32)
    for column, (arity, ordinal) in enumerate(zip(table.arity, table.ordinal, strict=True)):
        steps = np.abs(np.arange(arity) - points[row, column])
        total += ((steps / max(arity - 1, 1)) ** 1.5 if ordinal else steps > 0).astype(np.float32)[points[:, column]]
    return total


def _most_likely(distances: np.ndarray, outcomes: np.ndarray) -> tuple[float, float]:
    def likelihood(setting: tuple[float, float]) -> float:
        root = cholesky(_covariance(distances, *setting), lower=True)
        variance = (solve_triangular(root, outcomes, lower=True) ** 2).mean()
        return -0.5 * len(outcomes) * np.log(variance) - np.log(np.diag(root)).sum()

    return max(((rate, noise) for rate in RATES for noise in NOISES), key=likelihood)


def _covariance(distances: np.ndarray, rate: float, noise: float) -> np.ndarray:
    return (1 - noise) * np.exp(-rate * distances.astype(float)) + (noise + 1e-6) * np.eye(len(distances))


def _factors(away: np.ndarray, chosen: list[int], rate: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The Cholesky factor of the covariance of what is known, and its inverse times that with every point."""
    root = cholesky(_covariance(away[:, chosen], rate, noise), lower=True)
    inverse = solve_triangular(root, np.eye(len(chosen)), lower=True).astype(np.float32)
    return inverse @ ((1 - noise) * np.exp(-rate * away)).astype(np.float32), root


def _grown(half: np.ndarray, root: np.ndarray, chosen: list[int], new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with one more row, that of the point chosen last; `new` is its covariance with every point."""
    along = half[:, chosen[-1]].astype(float)
    corner = np.sqrt(max(1 + 1e-6 - along @ along, 1e-9))
    larger = np.block([[root, np.zeros((len(root), 1))], [along[None], np.full((1, 1), corner)]])
    return np.concatenate([half, ((new - along.astype(np.float32) @ half) / corner)[None].astype(np.float32)]), larger


def _half_logarithm(values: np.ndarray) -> np.ndarray:
    """Standardized; what lies below the median counts by the logarithm of its distance."""
    middle = np.median(values)
    above, below = np.maximum(values - middle, 0.0), np.maximum(middle - values, 0.0)
    spread = np.sqrt((above**2).sum() / max((above > 0).sum(), 1)) or 1.0
    warped = above / spread - np.log1p(below / spread)
    return (warped - warped.mean()) / (warped.std() + 1e-9)
