"""What a live map shows at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import AreaSpectrum, DoseChange, OxidationResult
from .._doubt import Doubt
from ._drift import Aligned
from ._until import GoodEnough

__all__ = ["Frame", "MadeWith", "OxidationSnapshot"]

Array = NDArray[np.float64]


MAP_SHARE = 0.002
"""Share of the pixels that must be in the mask before the map takes the images' place."""


@dataclass(frozen=True)
class Frame:
    """The image that lines come into at the moment.

    Attributes
    ----------
    index : int
        Its energy's index, from 0.
    energy : float
        eV.
    counts : numpy.ndarray [ny, nx]
        Counts per pixel; NaN where there are none yet, and in lines that were not taken.
    od : numpy.ndarray [ny, nx]
        Optical density; where I0 is not known, relative to the brightest pixels.
    relative : bool
        Whether it is relative.
    """

    index: int
    energy: float
    counts: NDArray[np.float32]
    od: NDArray[np.float32]
    relative: bool = False

    def __repr__(self) -> str:
        ny, nx = self.counts.shape
        return f"<Frame {self.index} of {nx} x {ny} pixels at {self.energy:.2f} eV>"


@dataclass(frozen=True)
class MadeWith:
    """What a map was made with, so that it can be made again.

    Attributes
    ----------
    references, digest : str
        Where the reference spectra come from, and the SHA-256 of their tables; empty without.
    borrowed : bool
        Whether they were computed and not measured.
    i0 : str
        Where I0 comes from: ``"blank"``, ``"monitor"``, ``"blank and monitor"``, or the source of
        a spectrum.
    min_thickness : float
        Thinner pixels are not in the mask; unit of the thickness.
    max_od : float or None
        Pixels above it are not in the mask.
    dead_time : float
        Of the counter, s.
    counts_per_unit : float or None
        As given by the user.
    """

    references: str = ""
    digest: str = ""
    borrowed: bool = False
    i0: str = ""
    min_thickness: float = 0.0
    max_od: float | None = None
    dead_time: float = 0.0
    counts_per_unit: float | None = None


@dataclass(frozen=True)
class OxidationSnapshot:
    """A map with all that is needed to draw it; never changed once published.

    Attributes
    ----------
    uid : str
        Run it belongs to.
    result : OxidationResult
        Maps.
    energies : numpy.ndarray [nE]
        Energies of the stack, eV.
    names : tuple of str
        Species; the map is the fraction of the first. Empty where there are no references, and
        so no map.
    unit : str
        Unit of the reference spectra, "1/µm" or "OD"; empty without.
    x, y : numpy.ndarray [nx], [ny]
        Measured pixel positions, µm.
    region : str
        Name of the region it is of, with the values of outer loops where there are any.
    regions : tuple of str
        Names of all maps of the run.
    area : numpy.ndarray of bool [ny, nx] or None
        Pixels whose spectrum is shown.
    spectrum : AreaSpectrum or None
        Their spectrum and fit.
    dose : tuple of DoseChange
        Dose checks, in the order taken: how the optical density has changed.
    lines_done : int
        Lines of the map measured, of ``lines_total``.
    lines_total : int
        Lines of all its images.
    lines : dict
        Lines of the run by status, ``{"OK": n, "RETRIED": n, "MISSED": n, ...}``.
    message : str
        What a user should know, in one text: how the run ended, an error, the doubts.
    doubts : tuple of Doubt
        What speaks against the map, each with its number.
    finished : bool
        Whether the run has ended and all lines were solved together.
    title : str
        Heading: edge, sample, date, scan number, uid.
    frame : Frame or None
        The image that lines come into.
    drift : Aligned or None
        How its images were shifted; None where nothing is known of it.
    until : GoodEnough or None
        How far it is from the target of the plan (``until=``); None without one.
    made_with : MadeWith
        References and parameters.
    """

    uid: str
    result: OxidationResult
    energies: Array
    names: tuple[str, ...]
    unit: str
    x: Array
    y: Array
    region: str = ""
    regions: tuple[str, ...] = ()
    area: NDArray[np.bool_] | None = None
    spectrum: AreaSpectrum | None = None
    dose: tuple[DoseChange, ...] = ()
    lines_done: int = 0
    lines_total: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    message: str = ""
    doubts: tuple[Doubt, ...] = ()
    finished: bool = False
    title: str = ""
    frame: Frame | None = None
    drift: Aligned | None = None
    until: GoodEnough | None = None
    made_with: MadeWith = field(default_factory=MadeWith)

    def __repr__(self) -> str:
        found = f"{self.names[0]} {self.result.in_words()}" if self.names else "images only, no map"
        lines = f"{self.lines_done} of {self.lines_total} lines"
        wished = f"; {self.until.words}" if self.until is not None else ""
        said = f"; doubts: {len(self.doubts)}" if self.doubts else ""
        return f"<OxidationSnapshot {self.title}: {lines}; {found}{wished}{said}>"

    @property
    def has_map(self) -> bool:
        """Whether the map says something: more than a few odd pixels are in its mask."""
        mask = self.result.mask
        return bool(self.names) and int(mask.sum()) >= max(4.0, MAP_SHARE * mask.size)

    def thinned(self, most: int = 512) -> OxidationSnapshot:
        """Return a copy for a screen: every n-th pixel, at most ``most`` a side.

        The coefficients, which no picture shows, are left out.
        """
        r = self.result
        ny, nx = r.fraction.shape
        step = max(1, -(-max(ny, nx) // most))
        cut = (slice(None, None, step), slice(None, None, step))
        result = replace(
            r,
            **{
                name: getattr(r, name)[cut]
                for name in (
                    "fraction", "sigma", "thickness", "thickness_sigma", "chi2", "flags", "mask"
                )
            },
            coefficients=np.empty((0, *r.fraction[cut].shape)),
            blank=None if r.blank is None else r.blank[cut],
        )  # fmt: skip
        area = None if self.area is None else self.area[cut]
        frame = self.frame
        if frame is not None:
            frame = replace(frame, counts=frame.counts[cut], od=frame.od[cut])
        return replace(
            self, result=result, area=area, frame=frame, x=self.x[::step], y=self.y[::step]
        )
