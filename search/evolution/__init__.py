"""Evolution on arrays of DNA: populations, operations that compose, and the controllers made of them."""

from pgjax.search.evolution import mutators, recombinators, selectors
from pgjax.search.evolution._algebra import (
    Concatenation,
    Difference,
    ForEach,
    Identity,
    Intersection,
    Lambda,
    Pipeline,
    Repeat,
    Slice,
    SymmetricDifference,
    Union,
)
from pgjax.search.evolution._conditional import (
    Choice,
    If,
    Recall,
    Remember,
    SetGlobalState,
    UntilChange,
    WithProbability,
    global_state,
    set_global_state,
)
from pgjax.search.evolution._evolution import Evolution
from pgjax.search.evolution._genetic import Genetic, HillClimb
from pgjax.search.evolution._islands import Islands
from pgjax.search.evolution._local import LocalSearch
from pgjax.search.evolution._map_elites import MapElites
from pgjax.search.evolution._mutate import mutate
from pgjax.search.evolution._neat import NEAT
from pgjax.search.evolution._nsga2 import NSGA2
from pgjax.search.evolution._operation import Context, Operation, born
from pgjax.search.evolution._population import Population, concatenate, empty, ranked, told
from pgjax.search.evolution._regularized import RegularizedEvolution
from pgjax.search.evolution._schedule import STEP, Noise, Optax, Phases, Schedule, cos, exp, log, sin, sqrt
from pgjax.search.evolution._semo import SEMO
from pgjax.search.evolution._speciation import distance

__all__ = [
    'NEAT',
    'NSGA2',
    'SEMO',
    'STEP',
    'Choice',
    'Concatenation',
    'Context',
    'Difference',
    'Evolution',
    'ForEach',
    'Genetic',
    'HillClimb',
    'Identity',
    'If',
    'Intersection',
    'Islands',
    'Lambda',
    'LocalSearch',
    'MapElites',
    'Noise',
    'Operation',
    'Optax',
    'Phases',
    'Pipeline',
    'Population',
    'Recall',
    'RegularizedEvolution',
    'Remember',
    'Repeat',
    'Schedule',
    'SetGlobalState',
    'Slice',
    'SymmetricDifference',
    'Union',
    'UntilChange',
    'WithProbability',
    'born',
    'concatenate',
    'cos',
    'distance',
    'empty',
    'exp',
    'global_state',
    'log',
    'mutate',
    'mutators',
    'ranked',
    'recombinators',
    'selectors',
    'set_global_state',
    'sin',
    'sqrt',
    'told',
]
