"""For the shell, the queue server, the demonstrations and dry runs: parts of a session."""

from ._engine import end_run
from ._metadata import OF_THE_SESSION
from ._names import SHORT, ready_catalog
from ._simulated import at_binning, at_heat_speed, cause_of
from ._spectrometer import CalibrationStore, WindowStore

__all__ = [
    "OF_THE_SESSION",
    "SHORT",
    "CalibrationStore",
    "WindowStore",
    "at_binning",
    "at_heat_speed",
    "cause_of",
    "end_run",
    "ready_catalog",
]
