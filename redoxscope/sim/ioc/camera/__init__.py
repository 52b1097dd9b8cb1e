"""The simulated camera's PVs, and the process behind them; contract: ``docs/reference/pvs.md``."""

from ._camera import Camera

__all__ = ["Camera"]
