"""Policy gradients over DNA: distributions that learn where fitness is high."""

from pgjax.search.policy_gradient._autoregressive import Autoregressive
from pgjax.search.policy_gradient._factored import Factored
from pgjax.search.policy_gradient._policy import Policy
from pgjax.search.policy_gradient._ppo import PPO
from pgjax.search.policy_gradient._reinforce import REINFORCE

__all__ = ['PPO', 'REINFORCE', 'Autoregressive', 'Factored', 'Policy']
