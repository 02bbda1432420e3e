"""The strategies, by the name they have on the command line."""

from __future__ import annotations

from tts.strategies.best_of_n import BestOfN
from tts.strategies.compute_optimal import ComputeOptimal
from tts.strategies.deepconf import DeepConf
from tts.strategies.infty_think import InftyThink
from tts.strategies.self_consistency import SelfConsistency
from tts.strategies.single import Single
from tts.strategies.sleep_time import SleepTime

STRATEGIES = {
    "single": Single,
    "self-consistency": SelfConsistency,
    "best-of-n": BestOfN,
    "deepconf": DeepConf,
    "compute-optimal": ComputeOptimal,
    "sleep-time": SleepTime,
    "infty-think": InftyThink,
}
