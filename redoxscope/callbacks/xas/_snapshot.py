"""What an absorption run shows: the spectrum of each mode, and where its edge is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...analysis.xas import EdgePosition, Spectrum

__all__ = ["ModeSpectrum", "XasSnapshot"]


@dataclass(frozen=True, eq=False)
class ModeSpectrum:
    """Repeats of one mode, averaged and normalised.

    Attributes
    ----------
    mean : Spectrum
        Signal over I0 (or -ln of it), mean of the whole repeats that are no outliers.
    normalised : Spectrum
        The same without background, step or maximum 1; `mean` where that is not possible yet.
    to : str
        What is 1 in it: ``"step"``, ``"maximum"``; empty where it is not normalised.
    step, step_sigma : float
        What it was divided by; all points share its error.
    positions : dict of str to EdgePosition
        By method; empty where it is not normalised.
    repeats : numpy.ndarray [r, n]
        Each repeat as it was measured, at the energies of `mean`; NaN where there is no point.
    outliers : dict of str to str
        Repeats left out, and why.
    shifts : numpy.ndarray [r]
        By how much each repeat was moved (eV) because the reference channel says so.
    warnings : tuple of str
        Sentences.
    """

    mean: Spectrum
    normalised: Spectrum
    to: str
    step: float
    step_sigma: float
    positions: Mapping[str, EdgePosition]
    repeats: NDArray[np.float64]
    outliers: Mapping[str, str]
    shifts: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class XasSnapshot:
    """Spectra of one run as far as it has come.

    Attributes
    ----------
    modes : dict of str to ModeSpectrum
        ``"TEY"``, ``"TFY"``, ...
    repeats_done, repeats_total : int
        Whole repeats, and those planned.
    points_done, points_total : int
        Points of the scan.
    doubtful, missing : int
        Points left out because their event says that they are doubtful; points that were measured
        and have no value.
    again : int
        Points that were measured again after a pause, a suspension or an outage.
    edge, sample, title, uid, message : str
    finished : bool
    """

    modes: Mapping[str, ModeSpectrum] = field(default_factory=dict)
    repeats_done: int = 0
    repeats_total: int = 1
    points_done: int = 0
    points_total: int = 0
    doubtful: int = 0
    missing: int = 0
    again: int = 0
    edge: str = ""
    sample: str = ""
    title: str = ""
    uid: str = ""
    message: str = ""
    finished: bool = False

    @property
    def spectra(self) -> dict[str, Spectrum]:
        """The normalised spectrum of each mode."""
        return {name: mode.normalised for name, mode in self.modes.items()}

    @property
    def means(self) -> dict[str, Spectrum]:
        """The mean of each mode, not normalised: for `redoxscope.analysis.xas.compare`."""
        return {name: mode.mean for name, mode in self.modes.items()}

    def __repr__(self) -> str:
        return (
            f"<XasSnapshot {self.edge} {self.sample}: {', '.join(self.modes) or 'nothing yet'}, "
            f"{self.points_done} of {self.points_total} points>"
        )
