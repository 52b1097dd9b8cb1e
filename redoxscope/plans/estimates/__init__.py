"""What a scan will take, and leave in the sample: before anything moves."""

from ._dose import absorber_of, focus_side
from ._estimate import estimate, without_verdict
from ._estimated import Estimate, RegionEstimate
from ._frame_dose import frame_doses
from ._of_plan import PlanEstimate, largest
from ._times import move_time, point_time

__all__ = [
    "Estimate",
    "PlanEstimate",
    "RegionEstimate",
    "absorber_of",
    "estimate",
    "focus_side",
    "frame_doses",
    "largest",
    "move_time",
    "point_time",
    "without_verdict",
]
