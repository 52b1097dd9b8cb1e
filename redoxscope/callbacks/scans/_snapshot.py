"""What a scan shows: counts against the axis that varies slowly and the one that varies fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScanSnapshot"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScanSnapshot:
    """One picture of a run as far as it has come.

    Attributes
    ----------
    counts : numpy.ndarray [n_slow, n_fast]
        Of the detector behind the sample; NaN where nothing was measured, or it must not be used.
    i0 : numpy.ndarray [n_slow, n_fast]
        Of the beam monitor; NaN without one.
    slow, fast : numpy.ndarray
        Values of the axes.
    slow_name, slow_unit, fast_name, fast_unit : str
    detector : str
        Whose counts they are.
    energy : float
        Photon energy (eV); NaN where it is an axis.
    done, total : int
        Lines or points of the run.
    doubtful : int
        Those left out: missed, or moved by somebody else.
    part : str
        Which picture of its run it is; empty where there is one only.
    title, uid, message : str
    finished : bool
    """

    counts: Array
    i0: Array
    slow: Array
    fast: Array
    slow_name: str
    slow_unit: str
    fast_name: str
    fast_unit: str
    detector: str
    energy: float = float("nan")
    done: int = 0
    total: int = 0
    doubtful: int = 0
    part: str = ""
    title: str = ""
    uid: str = ""
    message: str = ""
    finished: bool = False

    def __repr__(self) -> str:
        return (
            f"<ScanSnapshot {self.title}: {self.slow_name} x {self.fast_name}, "
            f"{self.done} of {self.total}>"
        )
