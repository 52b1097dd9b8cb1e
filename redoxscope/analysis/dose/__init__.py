"""What the beam leaves in a sample."""

from ._absorbed import absorbed_dose
from ._ledger import Exposed, Ledger
from ._limit import DoseLimit, as_dose_limit

__all__ = ["DoseLimit", "Exposed", "Ledger", "absorbed_dose", "as_dose_limit"]
