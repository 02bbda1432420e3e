"""The strategies, by the name they have on the command line."""

from __future__ import annotations

from tts.strategies.ab_mcts import ABMCTS
from tts.strategies.beam import BeamSearch
from tts.strategies.best_of_n import BestOfN
from tts.strategies.budget_forcing import BudgetForcing
from tts.strategies.compute_optimal import ComputeOptimal
from tts.strategies.deepconf import DeepConf
from tts.strategies.dvts import DVTS
from tts.strategies.infty_think import InftyThink
from tts.strategies.mcts import MCTS
from tts.strategies.particle_filter import ParticleFilter
from tts.strategies.rebase import Rebase
from tts.strategies.revise import Revise
from tts.strategies.self_consistency import SelfConsistency
from tts.strategies.self_refine import SelfRefine
from tts.strategies.single import Single
from tts.strategies.sleep_time import SleepTime
from tts.strategies.step_best_of_n import StepBestOfN

STRATEGIES = {
    "single": Single,
    "self-consistency": SelfConsistency,
    "best-of-n": BestOfN,
    "deepconf": DeepConf,
    "compute-optimal": ComputeOptimal,
    "sleep-time": SleepTime,
    "infty-think": InftyThink,
    "beam-search": BeamSearch,
    "dvts": DVTS,
    "step-best-of-n": StepBestOfN,
    "rebase": Rebase,
    "particle-filter": ParticleFilter,
    "mcts": MCTS,
    "ab-mcts": ABMCTS,
    "revise": Revise,
    "self-refine": SelfRefine,
    "budget-forcing": BudgetForcing,
}

VOTING = ("self-consistency", "best-of-n")
"""Those that choose among n independent samples, so that a budget for a whole set can be given out one by one."""
