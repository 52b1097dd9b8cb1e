"""What a live RIXS map shows at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...analysis.rixs import (
    DamageVerdict,
    EmissionSpectrum,
    FeatureSignificance,
    RixsMapResult,
    Yield,
)
from ...documents import Bins, Window
from ._pixels import PixelHealth

__all__ = ["RixsSnapshot", "UnderWay"]

Array = NDArray[np.float64]

MARGIN = 6.0
"""Emission (eV) shown beyond a window."""

GAP = 30.0
"""Emission ranges (eV) farther apart than this are shown with a gap between them."""


@dataclass(frozen=True)
class UnderWay:
    """The point being measured, from the photons that have come so far.

    Attributes
    ----------
    ipass, index : int
        Pass and energy it belongs to, from 0.
    counts : numpy.ndarray of int [nb]
        Photons per bin so far.
    seconds : float
        Length of the whole point (s).
    before : float
        Exposure (s) of this energy in earlier passes.
    """

    ipass: int
    index: int
    counts: NDArray[np.int64]
    seconds: float
    before: float = 0.0

    @property
    def photons(self) -> int:
        """Photons so far, within the bins."""
        return int(self.counts.sum())

    def rate(self, earlier: Array) -> Array:
        """Rate to be shown (counts/s per bin), ``earlier`` being that of earlier passes [nb].

        At an energy without any, what has come so far is spread over the whole point, so it
        grows to the point's rate. Else it is added to what there was; how much of the point is
        over is not known here, so the photons themselves serve as its clock. I0 and live time
        come with the event.
        """
        if self.before <= 0:
            return self.counts / self.seconds
        expected = float(np.nansum(earlier)) * self.seconds
        part = min(self.photons / expected, 1.0) if expected > 0 else 1.0
        counts = np.nan_to_num(earlier) * self.before + self.counts
        return counts / (self.before + part * self.seconds)


@dataclass(frozen=True)
class RixsSnapshot:
    """A RIXS map with all that is needed to draw it; never changed once published.

    Attributes
    ----------
    uid : str
        Run it belongs to.
    result : RixsMapResult
        Map of all passes together, finished points only.
    windows : tuple of Window
        Windows as they were when this was made.
    yields : dict of str to Yield
        By the window's name, for all windows that are no XES, in their order.
    spectra : dict of str to EmissionSpectrum
        The same for XES windows that hold an excitation energy.
    features : dict of str to FeatureSignificance
        For each sPFY: how far it stands out from what the rest of the PFY predicts.
    damage : DamageVerdict or None
        Whether the passes agree; None before there are two.
    pixels : PixelHealth or None
        None where nothing is known of single pixels.
    under_way : UnderWay or None
        The point being measured, where its photons are seen live.
    points_done, points_total : int
        Points of the run.
    passes : int
        Passes of the run.
    photons : int
        Photons of the finished points.
    late, lost, outside : int
        Photons that came too late for their point, that never came, and that fell between points
        (the last is known at the end only).
    pixels_used : int or None
        Pixels that count.
    message : str
        What a user should know: an error, damage, how the run ended.
    finished : bool
        Whether the run has ended.
    normalised : bool
        Whether rates are divided by a beam monitor; without one they follow the beam.
    edge, sample, title : str
        What was measured, and a heading.
    """

    uid: str
    result: RixsMapResult
    windows: tuple[Window, ...] = ()
    yields: Mapping[str, Yield] = field(default_factory=dict)
    spectra: Mapping[str, EmissionSpectrum] = field(default_factory=dict)
    features: Mapping[str, FeatureSignificance] = field(default_factory=dict)
    damage: DamageVerdict | None = None
    pixels: PixelHealth | None = None
    under_way: UnderWay | None = None
    points_done: int = 0
    points_total: int = 0
    passes: int = 1
    photons: int = 0
    late: int = 0
    lost: int = 0
    outside: int = 0
    pixels_used: int | None = None
    message: str = ""
    finished: bool = False
    normalised: bool = True
    edge: str = ""
    sample: str = ""
    title: str = ""

    def __repr__(self) -> str:
        names = ", ".join([*self.yields, *self.spectra])
        return (
            f"<RixsSnapshot {self.edge} {self.sample}: {self.points_done} of {self.points_total} "
            f"points, {self.photons} photons, {self.late} late, {self.lost} lost; {names}>"
        )

    @property
    def energies(self) -> Array:
        """Excitation energies (eV) [nE], each once; as they are gone to, or rising."""
        return self.result.energies

    @property
    def bins(self) -> Bins:
        """Emission bins."""
        return self.result.bins

    @property
    def shown(self) -> Array:
        """Rates [nE, nb] (counts/s) of the map with the point under way."""
        now = self.under_way
        if now is None:
            return self.result.rate
        rate = self.result.rate.copy()
        rate[now.index] = now.rate(rate[now.index])
        return rate

    @property
    def emission_ranges(self) -> list[tuple[float, float]]:
        """Emission (eV) worth showing, rising: around the windows, in parts if far apart."""
        parts = [
            (y.window.low - MARGIN, y.window.high + MARGIN)
            for y in self.yields.values()
            if y.window.kind != "TFY"
        ]
        if not parts:
            parts = [(float(self.energies.min()) - 40.0, float(self.energies.max()) + 10.0)]
        merged: list[tuple[float, float]] = []
        for low, high in sorted(parts):
            if merged and low - merged[-1][1] < GAP:
                merged[-1] = merged[-1][0], max(merged[-1][1], high)
            else:
                merged.append((low, high))
        limits = self.bins.low, self.bins.high
        cut = [(max(low, limits[0]), min(high, limits[1])) for low, high in merged]
        return [(low, high) for low, high in cut if high - low >= self.bins.step] or [limits]

    def thinned(self) -> RixsSnapshot:
        """Return a copy for a screen: only the emission that is shown, in single precision."""
        ranges = self.emission_ranges
        edges = self.bins.edges
        first = max(int(np.searchsorted(edges, ranges[0][0] + 1e-6, "right")) - 1, 0)
        stop = min(int(np.searchsorted(edges, ranges[-1][1] - 1e-6, "left")), len(self.bins))
        cut = slice(first, stop)
        bins = Bins(float(edges[first]), float(edges[stop]), self.bins.step)
        r = self.result
        empty = np.empty((0, 0))
        result = replace(
            r, bins=bins, rate=r.rate[:, cut].astype(np.float32), sigma=empty,
            counts=empty.astype(np.int64), coverage=empty,
        )  # fmt: skip
        spectra = {
            key: replace(
                s, bins=bins, value=s.value[cut], sigma=s.sigma[cut], counts=s.counts[cut],
                coverage=s.coverage[cut],
            )
            for key, s in self.spectra.items()
        }  # fmt: skip
        now = self.under_way
        if now is not None:
            now = replace(now, counts=now.counts[cut])
        return replace(self, result=result, spectra=spectra, under_way=now)
