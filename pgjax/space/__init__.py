"""Floor 3, search spaces: holes, layouts of decisions, points as arrays, and the way from points to objects."""

from pgjax.space import _stored  # noqa: F401  registers how points and spaces are stored
from pgjax.space._dna import DNA, concatenate
from pgjax.space._groups import Group, partition
from pgjax.space._holes import Custom, Derived, Expression, FloatV, Hole, IntV, ManyOf, OneOf
from pgjax.space._make import custom, derive, floatv, intv, manyof, oneof, permutate, subset
from pgjax.space._parts import Partition
from pgjax.space._plan import ConstrainedGroup, Decision
from pgjax.space._space import Space, iter_, materialize, random_sample, search_space
from pgjax.space._switch import Switch
from pgjax.space._trace import trace
from pgjax.space._versions import Change

__all__ = [
    'DNA',
    'Change',
    'ConstrainedGroup',
    'Custom',
    'Decision',
    'Derived',
    'Expression',
    'FloatV',
    'Group',
    'Hole',
    'IntV',
    'ManyOf',
    'OneOf',
    'Partition',
    'Space',
    'Switch',
    'concatenate',
    'custom',
    'derive',
    'floatv',
    'intv',
    'iter_',
    'manyof',
    'materialize',
    'oneof',
    'partition',
    'permutate',
    'random_sample',
    'search_space',
    'subset',
    'trace',
]
