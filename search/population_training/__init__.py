"""Training-aware search: populations of experiments in training, whose budgets and settings change on the way."""

from pgjax.search.population_training._asha import ASHA, ASHAResult, ASHAState
from pgjax.search.population_training._explore import explore
from pgjax.search.population_training._halving import HalvingResult, Rung, SuccessiveHalving
from pgjax.search.population_training._hyperband import Hyperband, HyperbandResult
from pgjax.search.population_training._member import Member
from pgjax.search.population_training._pbt import PBT, PBTResult, PBTRound, PBTState
from pgjax.search.population_training._training import Training

__all__ = [
    'ASHA',
    'PBT',
    'ASHAResult',
    'ASHAState',
    'HalvingResult',
    'Hyperband',
    'HyperbandResult',
    'Member',
    'PBTResult',
    'PBTRound',
    'PBTState',
    'Rung',
    'SuccessiveHalving',
    'Training',
    'explore',
]
