"""The same as plain.py, searched over its hyper-parameters alone: nothing in the program knows of it."""

import numpy as np

import pgjax as pg


class Powers:
    """1, x, x**2, ..., x**degree."""

    def __init__(self, degree):
        self.degree = degree

    def __call__(self, x):
        return x[:, None] ** np.arange(self.degree + 1)


class Bumps:
    """Gaussian bumps side by side."""

    def __init__(self, number, width):
        self.number, self.width = number, width

    def __call__(self, x):
        return np.exp(-(((x[:, None] - np.linspace(-1, 1, self.number)) / self.width) ** 2))


def curve(number, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, number)
    return x, np.sin(12 * x) * np.exp(-x) + 0.1 * rng.normal(size=number)


def fit(features, ridge=0.1):
    (x, y), (new_x, new_y) = curve(60, seed=0), curve(300, seed=1)
    phi = features(x)
    weights = np.linalg.solve(phi.T @ phi + ridge * np.eye(phi.shape[1]), phi.T @ y)
    return np.sqrt(np.mean((features(new_x) @ weights - new_y) ** 2))


if __name__ == '__main__':
    template = pg.Dict(degree=pg.intv(1, 24), ridge=pg.floatv(1e-6, 1.0, scale='log'))
    for exp, feedback in (trials := pg.sample(template, pg.search.RegularizedEvolution(population_size=32), 160)):
        feedback(-fit(Powers(exp.degree), exp.ridge))
    print(f'error {-trials.study.front[0].metrics["reward"]:.3f} with {trials.study.front[0].value}')
