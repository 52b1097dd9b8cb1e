"""What a reconstruction says: frozen arrays with their axes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._ring import RingCorrelation

__all__ = ["PtychoResult"]


@dataclass(frozen=True)
class PtychoResult:
    """A reconstruction as it is at one time.

    Attributes
    ----------
    object : numpy.ndarray of complex64 [ny, nx]
        Transmission of the sample; its squared modulus is that of the intensity.
    probe : numpy.ndarray of complex64 [modes, size, size]
        Incident wave field, the strongest mode first; the sum of its squared moduli is the photons
        of a frame without sample. Centre at ``[size // 2, size // 2]``.
    coverage : numpy.ndarray of float32 [ny, nx]
        Incident photons per pixel, of all frames in use; 0 where no frame has been.
    x_um, y_um : numpy.ndarray of float64
        Centres of the object's columns and rows (µm, coordinates of the sample).
    pixel_um : float
        Their distance (µm).
    energy_ev : float
        Photon energy (eV).
    residual : float
        χ² per pixel of the frames of the last round: 1 where only noise is left. NaN before.
    frames, skipped, updates : int
        Frames in use, frames refused, updates made.
    positions_um : numpy.ndarray of float64 [frames, 2]
        (x, y) of the frames in use, as they are after a refinement.
    sigma : numpy.ndarray of float32 [ny, nx], optional
        Standard deviation of the optical density, as two halves of the frames give it (see
        `with_sigma`).
    ring : RingCorrelation, optional
        Of the two halves.
    notes : tuple of str
        What the user should know of it.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    pixel_um: float
    energy_ev: float
    residual: float
    frames: int
    skipped: int
    updates: int
    positions_um: NDArray[np.float64]
    sigma: NDArray[np.float32] | None = None
    ring: RingCorrelation | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """Modulus of the transmission [ny, nx]."""
        return np.abs(self.object)

    @property
    def phase(self) -> NDArray[np.float32]:
        """Phase of the transmission [ny, nx] (rad, within ± π)."""
        return np.angle(self.object)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Pixels [ny, nx] with at least a tenth of the coverage that the middle of the scan has."""
        lit = self.coverage[self.coverage > 0]
        if not lit.size:
            return np.zeros(self.coverage.shape, dtype=bool)
        return self.coverage > 0.1 * float(np.percentile(lit, 90))

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Outer edges (left, right, bottom, top) in µm, as matplotlib's ``extent`` has them."""
        half = self.pixel_um / 2
        return (
            float(self.x_um[0] - half),
            float(self.x_um[-1] + half),
            float(self.y_um[0] - half),
            float(self.y_um[-1] + half),
        )
