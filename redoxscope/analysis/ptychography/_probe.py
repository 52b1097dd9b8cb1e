"""What is known of the beam before the first frame: the zone plate's pupil, out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number
from ._geometry import Geometry

__all__ = ["initial_probe"]


def initial_probe(
    geometry: Geometry,
    *,
    outer_zone_nm: float,
    stop_fraction: float = 0.0,
    defocus_um: float = 0.0,
    photons: float = 1.0,
    pattern: ArrayLike | None = None,
) -> NDArray[np.complex64]:
    """The beam on the sample, as the zone plate makes it.

    Parameters
    ----------
    geometry : Geometry
    outer_zone_nm : float
        Width of the zone plate's outermost zone (nm).
    stop_fraction : float
        Diameter of its central stop over its own.
    defocus_um : float
        Position of the zone plate minus its position in focus (µm, positive downstream). Above
        zero the focus lies behind the sample.
    photons : float
        Of a frame without sample: the sum of the squared modulus.
    pattern : array_like [size, size], optional
        Mean of the first frames. Its root then is the modulus in the pupil, where it has more
        than a hundredth of its maximum; NaN where it is not known.

    Returns
    -------
    numpy.ndarray of complex64 [size, size]
        Centre at ``[size // 2, size // 2]``.

    Raises
    ------
    ValueError
        The zones are finer than the frame's spatial frequencies reach, or the beam is wider than
        what one frame sees; a value is no number or out of its range.

    Notes
    -----
    In the far field the beam is the pupil: an annulus of spatial frequencies up to ``1/(2 dr)``
    (the numerical aperture λ/(2 dr) over λ), with the phase ``π λ Δ q²`` where the sample is Δ
    before the focus (J. W. Goodman, *Introduction to Fourier Optics*, 3rd ed., §4.2).
    """
    zone = as_number("outer_zone_nm", outer_zone_nm, "nm", above=0.0)
    stop = as_number("stop_fraction", stop_fraction, at_least=0.0)
    defocus = as_number("defocus_um", defocus_um, "µm")
    photons = as_number("photons", photons, above=0.0)
    if not stop < 1:
        raise ValueError(f"stop_fraction = {stop:g} must be below 1: nothing would pass")
    edge = 1e3 / (2 * zone)  # 1/µm
    reach = 1 / (2 * geometry.object_pixel_um)
    if edge > reach:
        raise ValueError(
            f"outer_zone_nm = {zone:g} nm opens the beam to {edge:.3g} /µm, beyond the "
            f"{reach:.3g} /µm that a frame reaches: the detector has to be larger or nearer"
        )
    # a ray at the pupil's edge is off the axis by the defocus times the aperture
    width = 2 * abs(defocus) * geometry.wavelength_um * edge
    if width > geometry.window_um:
        raise ValueError(
            f"defocus_um = {defocus:g} µm makes the beam {width:.3g} µm wide, more than the "
            f"{geometry.window_um:.3g} µm that a frame sees: less defocus or a smaller pixel"
        )
    qy, qx = geometry.frequencies()
    q2 = qy**2 + qx**2
    pupil = _annulus(geometry, edge, stop * edge)
    if pattern is not None:
        pupil = _measured(np.asarray(pattern, dtype=float), pupil, geometry.size)
    wave = pupil * np.exp(1j * np.pi * geometry.wavelength_um * defocus * q2)
    probe = np.fft.fftshift(np.fft.ifft2(wave, norm="ortho"))
    probe *= np.sqrt(photons / np.sum(np.abs(probe) ** 2))
    return probe.astype(np.complex64)


def _annulus(geometry: Geometry, edge: float, stop: float, parts: int = 4) -> NDArray[np.floating]:
    """Share of each pixel's area that lies in the annulus."""
    step = 1 / geometry.window_um
    offsets = ((np.arange(parts) + 0.5) / parts - 0.5) * step
    qy, qx = geometry.frequencies()
    share = np.zeros((geometry.size, geometry.size))
    for dy in offsets:
        for dx in offsets:
            q = np.hypot(qy + dy, qx + dx)
            share += (q <= edge) & (q >= stop)
    return share / parts**2


def _measured(
    pattern: NDArray[np.floating], pupil: NDArray[np.floating], size: int
) -> NDArray[np.floating]:
    if pattern.shape != (size, size):
        raise ValueError(
            f"pattern of shape {pattern.shape} is not that of the geometry, ({size}, {size})"
        )
    shifted = np.fft.ifftshift(pattern)
    bright = np.nanmax(shifted, initial=0.0)
    if not bright > 0:
        raise ValueError("pattern has no light anywhere")
    known = np.isfinite(shifted)
    seen = np.sqrt(np.where(known & (shifted > 0.01 * bright), shifted, 0.0))
    lit = known & (pupil > 0.5) & (seen > 0)
    level = float(np.median(seen[lit])) if lit.any() else 1.0
    return np.where(known, seen, level * pupil)
