"""The same as plain.py, searched through decisions that the running code asks for."""

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


def fit(features):
    (x, y), (new_x, new_y) = curve(60, seed=0), curve(300, seed=1)
    phi, ridge = features(x), pg.floatv(1e-6, 1.0, scale='log', name='ridge')
    weights = np.linalg.solve(phi.T @ phi + ridge * np.eye(phi.shape[1]), phi.T @ y)
    return np.sqrt(np.mean((features(new_x) @ weights - new_y) ** 2))


def program():
    return fit(pg.oneof([lambda: Powers(pg.intv(1, 12)), lambda: Bumps(pg.intv(2, 40), pg.floatv(0.02, 1.0))]))


if __name__ == '__main__':
    space = pg.trace(program)
    for _, feedback in (trials := pg.sample(space, pg.search.RegularizedEvolution(population_size=32), 160)):
        feedback(-space.apply(feedback.dna, program))
    print(f'error {-trials.study.front[0].metrics["reward"]:.3f} with {space.to_dict(trials.study.front[0].dna)}')
