"""The demonstrations behind ``redoxscope demo``."""

from ._heat import HeatTold, run_heat
from ._ptycho import PTYCHO_SAMPLES, PtychoTold, run_ptycho
from ._rixs import run_rixs
from ._stack import DemoResult, StackTiming, run_stack

__all__ = [
    "PTYCHO_SAMPLES",
    "PtychoTold",
    "run_ptycho",
    "DemoResult",
    "HeatTold",
    "StackTiming",
    "run_heat",
    "run_rixs",
    "run_stack",
]
