"""The frame detector: photons in, counts out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._checks import finite

__all__ = ["CameraModel"]

_WELL = 1.02  # what a pixel holds over what is converted: a full one reads the same in each frame

Frames = NDArray[np.uint16]


@dataclass(frozen=True)
class CameraModel:
    """A charge-integrating camera behind the sample.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns, as many of each and even.
    pixel_um : float
        Side of a pixel (µm).
    distance_um : float
        From the sample (µm).
    gain : float
        Counts per photon.
    read_noise : float
        Counts, standard deviation per pixel and frame.
    pedestal : float
        Counts of a frame without light and time.
    dark_rate : float
        Counts per second without light.
    saturation : float
        Counts, pedestal included, at which the converter ends. A pixel holds 2 % more; what comes
        on top flows into its neighbours along the columns (bloom), half up and half down.
    stop_um, stop_transmission : float
        Diameter of a beam stop before the middle (µm; 0: none), and what it lets through.

    Raises
    ------
    ValueError
        A value is NaN or out of range.
    """

    shape: tuple[int, int] = (256, 256)
    pixel_um: float = 120.0
    distance_um: float = 80_000.0
    gain: float = 10.0
    read_noise: float = 3.0
    pedestal: float = 200.0
    dark_rate: float = 20.0
    saturation: float = 60_000.0
    stop_um: float = 0.0
    stop_transmission: float = 0.0

    def __post_init__(self) -> None:
        rows, columns = self.shape
        if rows != columns or rows % 2 or not 16 <= rows <= 2048:
            raise ValueError(
                f"camera.shape = {self.shape} must be twice the same even number, 16 to 2048"
            )
        finite("camera.pixel", self.pixel_um, "µm", 0, 1e4, open_low=True)
        finite("camera.distance", self.distance_um, "µm", 0, 1e7, open_low=True)
        finite("camera.gain", self.gain, "counts/photon", 0, 1e4, open_low=True)
        finite("camera.read_noise", self.read_noise, "counts", 0, 1e4)
        finite("camera.pedestal", self.pedestal, "counts", 0, 6e4)
        finite("camera.dark_rate", self.dark_rate, "counts/s", 0, 1e6)
        finite("camera.saturation", self.saturation, "counts", self.pedestal, 65535, open_low=True)
        finite("camera.stop", self.stop_um, "µm", 0, 1e6)
        finite("camera.stop_transmission", self.stop_transmission, "(relative)", 0, 1)

    def binned(self, by: int) -> CameraModel:
        """The same camera with `by` x `by` pixels read as one: the object's pixel stays."""
        ny, nx = self.shape
        return replace(self, shape=(ny // by, nx // by), pixel_um=self.pixel_um * by)

    def attenuation(self) -> NDArray[np.float32] | None:
        """What the beam stop lets through, [ny, nx]; None without a stop."""
        if self.stop_um == 0:
            return None
        ny, nx = self.shape
        y, x = np.ogrid[:ny, :nx]
        inside = np.hypot(y - ny // 2, x - nx // 2) * self.pixel_um <= self.stop_um / 2
        return np.where(inside, self.stop_transmission, 1).astype(np.float32)

    def expose(
        self, photons: NDArray[np.float32] | None, time_s: float, rng: np.random.Generator
    ) -> Frames:
        """Counts of one frame.

        Parameters
        ----------
        photons : ndarray [ny, nx] or None
            Expected in the exposure; None: no light.
        time_s : float
            Exposure time (s).
        rng : numpy.random.Generator
        """
        counts = rng.standard_normal(self.shape, dtype=np.float32)
        counts *= np.float32(self.read_noise)
        counts += np.float32(self.pedestal + self.dark_rate * time_s)
        if photons is not None:
            charge = rng.poisson(photons).astype(np.float32)
            charge *= np.float32(self.gain)
            counts += self._bloomed(charge)
        np.clip(counts, 0, self.saturation, out=counts)
        return np.rint(counts, out=counts).astype(np.uint16)

    def _bloomed(self, charge: NDArray[np.float32]) -> NDArray[np.float32]:
        full = np.float32(_WELL * (self.saturation - self.pedestal))
        over = np.maximum(charge - full, 0)
        if not over.any():
            return charge
        np.minimum(charge, full, out=charge)
        rows = np.flatnonzero(over.any(axis=1))
        over /= 2
        _flow(charge, over, full, range(rows[0], len(charge)), int(rows[-1]))
        _flow(charge, over, full, range(rows[-1], -1, -1), int(rows[0]))
        return charge


def _flow(
    charge: NDArray[np.float32],
    over: NDArray[np.float32],
    full: np.float32,
    rows: range,
    last: int,
) -> None:
    """Let what is over flow along the columns into whatever is not full; `last` gives the last."""
    carried = np.zeros(charge.shape[1], np.float32)
    giving = True
    for row in rows:
        if giving:
            carried += over[row]
            giving = row != last
        elif not carried.any():
            break
        put = np.minimum(carried, full - charge[row])
        charge[row] += put
        carried -= put
