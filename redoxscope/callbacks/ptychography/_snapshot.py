"""What a reconstruction shows while frames come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import OxidationResult
from ...analysis.ptychography import PtychoResult, RingCorrelation
from .._doubt import Doubt

__all__ = ["Pace", "PtychoMap", "PtychoSnapshot"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """How fast frames come in, and how far behind the reconstruction is.

    Attributes
    ----------
    frames, total : int
        Places whose frames are in the reconstruction, and those of the whole scan of the region.
    behind : int
        Places whose frames are announced and not in it yet.
    seconds_behind : float
        Time since the oldest of these was taken (s); 0 where there is none.
    seconds_behind_last : float
        The same when the last frame came into it (s); NaN before, and where a run that is over was
        read.
    ms_per_frame : float
        What a place costs to read, to merge and to update for the first time (ms); NaN before.
    ms_per_update : float
        What one update costs (ms); NaN before.
    left_out : int
        Frames that are not used for what their status says, or since the file has none.
    """

    frames: int = 0
    total: int = 0
    behind: int = 0
    seconds_behind: float = 0.0
    seconds_behind_last: float = float("nan")
    ms_per_frame: float = float("nan")
    ms_per_update: float = float("nan")
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class PtychoMap:
    """All energies on one grid, and what is made of them.

    Attributes
    ----------
    energies : numpy.ndarray [nE]
        eV, rising.
    od, od_sigma : numpy.ndarray [nE, ny, nx]
        Optical density and its standard deviation; NaN where there is none.
    phase : numpy.ndarray [nE, ny, nx]
        Phase of the transmission (rad), 0 in the empty beam.
    shift, shift_sigma : numpy.ndarray [nE, 2]
        By how much each was moved along y and x (µm), and how well that is known.
    zero_sigma : numpy.ndarray [nE]
        Standard deviation of the zero of the optical density, which all pixels share.
    excess : numpy.ndarray [nE]
        Scatter of the empty area over that of the photons alone; `od_sigma` has it.
    x, y : numpy.ndarray [nx], [ny]
        Positions of the pixels (µm, sample coordinates).
    result : OxidationResult or None
        The map; None where there are no references, or too few energies.
    names : tuple of str
        Species of the map, which is the fraction of the first.
    unit, source : str
        Of the references: their unit, and where they come from.
    notes : tuple of str
        What the user should know of it.
    """

    energies: Array
    od: NDArray[np.float32]
    od_sigma: NDArray[np.float32]
    phase: NDArray[np.float32]
    shift: Array
    shift_sigma: Array
    zero_sigma: Array
    excess: Array
    x: Array
    y: Array
    result: OxidationResult | None = None
    names: tuple[str, ...] = ()
    unit: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pixel_um(self) -> float:
        """Side of a pixel (µm)."""
        return float(abs(self.x[-1] - self.x[0]) / (len(self.x) - 1))


@dataclass(frozen=True, eq=False)
class PtychoSnapshot:
    """Reconstructions of one region of a run, as far as they have come.

    Attributes
    ----------
    images : tuple of PtychoResult
        One for each energy that has frames, in the order in which they were taken; the last is the
        one that frames come into. A snapshot for a screen has that one only.
    energies : tuple of float
        Energies of the scan (eV) in that order.
    done : int
        Energies that are reconstructed to their end.
    pace : Pace
    resolution : RingCorrelation or None
        Agreement of reconstructions of two halves of the frames.
    resolution_ev : float
        At which energy (eV).
    map : PtychoMap or None
        Once all energies have an image; before, as soon as they determine a map.
    doubts : tuple of Doubt
    region, title, uid, message : str
    finished : bool
        Whether the run has ended.
    """

    images: tuple[PtychoResult, ...] = ()
    energies: tuple[float, ...] = ()
    done: int = 0
    pace: Pace = field(default_factory=Pace)
    resolution: RingCorrelation | None = None
    resolution_ev: float = float("nan")
    map: PtychoMap | None = None
    doubts: tuple[Doubt, ...] = ()
    region: str = ""
    regions: tuple[str, ...] = ()
    title: str = ""
    uid: str = ""
    message: str = ""
    finished: bool = False

    def __repr__(self) -> str:
        pace = self.pace
        behind = f", {pace.behind} behind" if pace.behind else ""
        fraction = self.map.result.in_words() if self.map and self.map.result else "no map"
        return (
            f"<PtychoSnapshot {self.title}: {len(self.images)} of {len(self.energies)} energies, "
            f"{pace.frames} of {pace.total} places{behind}; {fraction}>"
        )

    @property
    def image(self) -> PtychoResult | None:
        """The reconstruction that frames come into, or came into last."""
        return self.images[-1] if self.images else None

    def thinned(self, most: int = 512) -> PtychoSnapshot:
        """Return a copy for a screen: the newest image and the map, at most ``most`` pixels a side.

        Every n-th pixel; of the map what is drawn.
        """
        return replace(
            self,
            images=tuple(_thin_image(image, most) for image in self.images[-1:]),
            map=None if self.map is None else _thin_map(self.map, most),
        )


def _cut(shape: tuple[int, ...], most: int) -> slice:
    return slice(None, None, max(1, -(-max(shape[-2:]) // most)))


def _thin_image(image: PtychoResult, most: int) -> PtychoResult:
    k = _cut(image.object.shape, most)
    return replace(
        image, object=image.object[k, k], coverage=image.coverage[k, k],
        x_um=image.x_um[k], y_um=image.y_um[k], pixel_um=image.pixel_um * (k.step or 1),
        sigma=None if image.sigma is None else image.sigma[k, k],
    )  # fmt: skip


def _thin_map(found: PtychoMap, most: int) -> PtychoMap:
    k = _cut(found.od.shape, most)
    ny, nx = found.y[k].size, found.x[k].size
    none = np.empty((0, ny, nx), np.float32)
    result = found.result
    if result is not None:
        names = ("fraction", "sigma", "thickness", "thickness_sigma", "chi2", "flags", "mask")
        result = replace(
            result, **{name: getattr(result, name)[k, k] for name in names},
            n_energies=result.n_energies[k], coefficients=np.empty((0, ny, nx)),
        )  # fmt: skip
    return replace(
        found, od=none, od_sigma=none, phase=none, x=found.x[k], y=found.y[k], result=result
    )
