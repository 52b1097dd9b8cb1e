"""Messages of the frame stream of the ALS's COSMIC beamline, which reconstructions there follow.

Multipart messages: topic, JSON, and the bytes of a frame. The contract was read from what its
publishers and consumers do (``docs/reference/cosmic-stream.md``); nothing of their code is here.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from ...analysis.ptychography import Geometry, initial_probe
from ...documents import PtychoInfo, json_bytes
from ...scan import Exposures

__all__ = ["ended", "frame", "started"]

log = logging.getLogger(__name__)

PUPIL = 0.01
"""Part of its largest value that the pupil has to have to be in the mask of the illumination."""


def started(identifier: str, part: Exposures, info: PtychoInfo) -> list[bytes]:
    """Begin of the frames of one energy of one region.

    Parameters
    ----------
    identifier : str
        By which frames and end say what they are of.
    part : Exposures
    info : PtychoInfo
    """
    pixel, distance = 1e-6 * info.pixel_um, 1e-6 * info.distance_um
    basis = [[0.0, -pixel, 0.0], [-pixel, 0.0, 0.0]]
    places = len(part.positions)
    try:
        light = _illumination(part.energy, info)
    except ValueError as exc:  # a beam that the camera does not see whole
        log.warning("%s: no illumination is sent: %s", identifier, exc)
        light = {}
    content = {
        "identifier": identifier,
        "energy": part.energy * constants.e,
        "exp_num_x": places,
        "exp_num_y": 1,
        "exp_num_total": places,
        "double_exposure": len(part.times) > 1,
        "dwell1": 1e3 * part.times[-1],
        "dwell2": 1e3 * part.times[0],
        "translations": [[1e-6 * x, 1e-6 * y] for x, y in part.positions],
        "pix_translations": False,
        "output_frame_width": info.shape[1],
        "detector_distance": distance,
        "x_pixel_size": pixel,
        "y_pixel_size": pixel,
        **light,
        "geometry": {
            "distance": distance,
            "psize": pixel,
            "shape": list(info.shape),
            "resolution": 1e-6 * info.object_pixel(part.energy)[1],
            "rebin": 1,
            "basis_vectors": basis,
        },
        "zone_plate": dict(info.zone_plate),
        "defocus": 1e-6 * info.defocus_um,
    }
    return [b"start", json_bytes(content)]


def _illumination(energy: float, info: PtychoInfo) -> dict[str, Any]:
    """The beam on the sample [ny, nx], and where its pupil lets light through (1)."""
    plate = info.zone_plate
    probe = initial_probe(
        Geometry(energy, info.distance_um, info.pixel_um, info.shape[0]),
        outer_zone_nm=plate["outer_zone_nm"],
        stop_fraction=plate["central_stop_um"] / plate["diameter_um"],
        defocus_um=info.defocus_um,
    )
    pupil = np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe))))
    return {
        "illumination_real": probe.real.tolist(),
        "illumination_imag": probe.imag.tolist(),
        "illumination_mask": (pupil > PUPIL * pupil.max()).astype(int).tolist(),
    }


def frame(
    identifier: str, index: int, x_um: float, y_um: float, counts: NDArray[np.float32]
) -> list[Any]:
    """One place: its frames merged, in photons; NaN where no frame says anything.

    Parameters
    ----------
    index : int
        Of the place in the start's ``translations``.
    x_um, y_um : float
        Where the sample was (µm).
    counts : numpy.ndarray [ny, nx]
    """
    ny, nx = counts.shape
    content = {
        "shape_y": ny,
        "shape_x": nx,
        "dtype": "float32",
        "byteorder": sys.byteorder,
        "order": "C",
        "identifier": identifier,
        "index": index,
        "posy": 1e-6 * y_um,
        "posx": 1e-6 * x_um,
    }
    return [b"frame", json_bytes(content), np.ascontiguousarray(counts, np.float32).tobytes()]


def ended(identifier: str, *, whole: bool) -> list[bytes]:
    """End of a scan; not ``whole``: it was broken off."""
    return [b"stop" if whole else b"abort", json_bytes({"identifier": identifier})]
