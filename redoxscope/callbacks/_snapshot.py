"""What a live map shows at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..analysis import OxidationResult, RegionSpectrum

__all__ = ["Snapshot"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
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
        Species; the map is the fraction of the first.
    unit : str
        Unit of the reference spectra, "1/µm" or "OD".
    x, y : numpy.ndarray [nx], [ny]
        Measured pixel positions, µm.
    region : numpy.ndarray of bool [ny, nx] or None
        Pixels whose spectrum is shown.
    spectrum : RegionSpectrum or None
        Their spectrum and fit.
    lines_done : int
        Lines measured, of ``lines_total``.
    lines_total : int
        Lines of the whole stack.
    lines : dict
        Lines by status, ``{"OK": n, "RETRIED": n, "MISSED": n}``.
    message : str
        What a user should know: no blank area, an error, how the run ended.
    finished : bool
        Whether the run has ended and all lines were solved together.
    title : str
        Heading.
    """

    uid: str
    result: OxidationResult
    energies: Array
    names: tuple[str, ...]
    unit: str
    x: Array
    y: Array
    region: NDArray[np.bool_] | None = None
    spectrum: RegionSpectrum | None = None
    lines_done: int = 0
    lines_total: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    message: str = ""
    finished: bool = False
    title: str = ""

    def with_message(self, message: str) -> Snapshot:
        """Return a copy with another message."""
        return replace(self, message=message)

    def thinned(self, most: int = 512) -> Snapshot:
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
        region = None if self.region is None else self.region[cut]
        return replace(self, result=result, region=region, x=self.x[::step], y=self.y[::step])
