"""The demonstrations behind ``redoxscope demo``."""

from ._rixs import run_rixs
from ._stack import DemoResult, StackTiming, run_stack

__all__ = ["DemoResult", "StackTiming", "run_rixs", "run_stack"]
