"""What the spot sees: the transmitted intensity of a sample, blurred by the optics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter, map_coordinates

from ....optics import ZonePlateGeometry, defocus_sigma, rayleigh_resolution
from ._sample import PhaseSample

__all__ = ["Image", "blur", "spot_sigma"]

Array = NDArray[np.float64]
Map = NDArray[np.float32]

_FWHM = 2.354820045  # full width at half maximum of a Gaussian over its standard deviation


def spot_sigma(geometry: ZonePlateGeometry, energy_ev: float, defocus_um: float) -> float:
    """Standard deviation of the spot (µm): diffraction (FWHM 1.22 Δr) and defocus in quadrature."""
    diffraction = rayleigh_resolution(geometry.outer_zone_nm) * 1e-3 / _FWHM
    return float(np.hypot(diffraction, defocus_sigma(defocus_um, energy_ev, geometry)))


def blur(image: Map, sigma: float) -> Map:
    """Gaussian blur by `sigma` pixels; the edge value goes on outside."""
    if sigma < 3:
        return np.asarray(gaussian_filter(image, sigma, mode="nearest", truncate=4.0))
    # a wide kernel is cheaper as a product of spectra; wider than the field, it is all one value
    pad = min(int(4 * sigma) + 1, max(image.shape))
    padded = np.pad(image, pad, mode="edge")
    shape = tuple(fft.next_fast_len(s, real=True) for s in padded.shape)
    ky = np.exp(-2 * (np.pi * sigma * fft.fftfreq(shape[0])) ** 2).astype(np.float32)
    kx = np.exp(-2 * (np.pi * sigma * fft.rfftfreq(shape[1])) ** 2).astype(np.float32)
    padded = np.pad(padded, [(0, s - p) for s, p in zip(shape, padded.shape, strict=True)], "edge")
    spectrum = fft.rfft2(padded)
    spectrum *= ky[:, None]
    spectrum *= kx
    out = fft.irfft2(spectrum, shape)
    return np.ascontiguousarray(
        out[pad : pad + image.shape[0], pad : pad + image.shape[1]], dtype=np.float32
    )


class Image:
    """Transmission of a sample at one energy and focus, for any position.

    Parameters
    ----------
    sample : PhaseSample
    energy_ev : float
        True photon energy (eV).
    sigma_um : float
        Standard deviation of the spot (µm).

    Raises
    ------
    ValueError
        The energy is NaN or outside the range of the absorption model (eV).
    """

    def __init__(self, sample: PhaseSample, energy_ev: float, sigma_um: float):
        self._x0, self._y0, self._step = sample.x0_um, sample.y0_um, sample.pixel_um
        od = sample.optical_density(energy_ev)
        self._map = blur(np.exp(-od), sigma_um / self._step)

    def at(self, x_um: Array, y_um: Array) -> Array:
        """Transmission (0..1) at positions (µm), linear between grid points; 1 off the grid."""
        at = [(y_um - self._y0) / self._step, (x_um - self._x0) / self._step]
        return np.asarray(
            map_coordinates(
                self._map, at, output=float, order=1, mode="constant", cval=1.0, prefilter=False
            )
        )
