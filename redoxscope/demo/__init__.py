"""The demonstrations behind ``redoxscope demo``."""

from ._heat import HeatTold, run_heat
from ._rixs import run_rixs
from ._stack import DemoResult, StackTiming, run_stack

__all__ = ["DemoResult", "HeatTold", "StackTiming", "run_heat", "run_rixs", "run_stack"]
