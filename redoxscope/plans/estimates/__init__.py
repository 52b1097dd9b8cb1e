"""What a scan will take, and leave in the sample: before anything moves."""

from ._estimate import estimate, without_verdict
from ._estimated import Estimate, RegionEstimate

__all__ = ["Estimate", "RegionEstimate", "estimate", "without_verdict"]
