"""Points of a run that could not be measured as asked."""

from __future__ import annotations

import logging

from ..documents import PointStatus

__all__ = ["DoubtCount"]

log = logging.getLogger("redoxscope.plans")

IN_A_ROW = 3
"""So many doubtful points in a row end the run, but where it is the beam that is missing."""


class DoubtCount:
    """Doubtful points of a run.

    Parameters
    ----------
    retries : int
        How often a doubtful point is measured again.
    key : str
        Data key of their status.
    """

    def __init__(self, retries: int, key: str = "tes_point_status") -> None:
        self.retries, self.key = retries, key
        self.points = self.again = 0
        self._row = 0

    def kept(self, status: PointStatus, why: str) -> None:
        """A point was kept with this status.

        Raises
        ------
        RuntimeError
            Too many in a row: somebody else uses what the run needs.
        """
        if not status:
            self._row = 0
            return
        self.points += 1
        self._row += status != PointStatus.BEAM
        if self._row >= IN_A_ROW:
            raise RuntimeError(
                f"{self._row} points in a row could not be measured as asked, each tried "
                f"{1 + self.retries} times: {why}. Somebody else uses the beamline?"
            )

    def tell(self, total: int) -> None:
        """Say at the end what the run lacks."""
        if self.points:
            log.warning(
                "%d of %d points are doubtful (%s); no map or spectrum counts them",
                self.points, total, self.key,
            )  # fmt: skip
        if self.again:
            log.warning("%d measurements of points were made again", self.again)
