"""How far a run is, and how long it will take yet; at the prompt as a bar."""

from ._bar import RunProgressBar
from ._progress import RunProgress, with_progress

__all__ = ["RunProgress", "RunProgressBar", "with_progress"]
