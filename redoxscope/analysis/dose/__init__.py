"""What the beam leaves in a sample."""

from ._absorbed import absorbed_dose

__all__ = ["absorbed_dose"]
