"""Heating: ramps, soaks, and experiments before and after them."""

from ._before_after import before_after, resume_experiment
from ._during_ramp import measure_during_ramp
from ._heating import THEN
from ._monitored import monitored
from ._ramp_and_soak import ramp_and_soak

__all__ = [
    "THEN",
    "before_after",
    "measure_during_ramp",
    "monitored",
    "ramp_and_soak",
    "resume_experiment",
]
