"""Heating: ramps, soaks, and experiments before and after them."""

from ._during_ramp import measure_during_ramp
from ._heating import THEN
from ._monitored import monitored
from ._ramp_and_soak import ramp_and_soak

__all__ = ["THEN", "measure_during_ramp", "monitored", "ramp_and_soak"]
