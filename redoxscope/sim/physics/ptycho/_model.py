"""Coherent imaging of a sample: its wave, the probe, and what a camera far behind it counts.

Conventions. Arrays are [iy, ix] and both coordinates grow with their index. Waves go as
exp(+ikz), so material turns them by exp(-i k δ t) and free space by exp(-iπ λ Δz q²). The far
field is the Fourier transform with exp(-2πi q·r); frames have q = 0 at [ny // 2, nx // 2]. A
position is where on the sample the middle of the beam is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.ndimage import map_coordinates

from ....data import ENERGY_RANGE
from ....optics import ZonePlateGeometry, wavelength_nm
from .._checks import finite
from ..stxm import GEOMETRY, PhaseSample
from ._camera import CameraModel, Frames
from ._optical import absorption, refraction

__all__ = ["Grid", "ParticleTruth", "PtychoModel"]

Array = NDArray[np.float64]
Intensity = NDArray[np.float32]
Wave = NDArray[np.complex64]

_KEPT = 4  # objects and probes; the one in use, and those around it
_SUB = 2  # points per pixel and direction that the object is a mean of


class Grid(NamedTuple):
    """Where the pixels of an object are."""

    x0_um: float  #: centre of the first pixel
    y0_um: float
    pixel_um: float
    shape: tuple[int, int]  #: rows, columns


class ParticleTruth(NamedTuple):
    """Maps on a grid of places, each [ny, nx]."""

    thickness: Array  #: µm
    fraction: Array  #: reduced share (Mn3+ of Mn at Mn L3); NaN where there is no material


@dataclass(frozen=True)
class _Probe:
    """Spectrum of each mode where it is not zero, rows first."""

    rows: NDArray[np.int64]
    spectrum: Wave  #: [modes, rows, nx], the beam's middle at the window's corner
    ramp_y: Array  #: cycles per pixel, [rows]
    ramp_x: Array  #: [nx]


class PtychoModel:
    """What ptychography sees of a sample.

    Parameters
    ----------
    sample : PhaseSample
        Its grid should be finer than the object's pixel (5 nm): that of ``diffusion`` is 2.5 nm.
    geometry : ZonePlateGeometry, optional
        The zone plate as it is.
    camera : CameraModel, optional
    source_um : (float, float)
        Standard deviation of the source's image on the sample, x and y (µm); it takes coherence
        away, in first order a second and a third mode.

    Raises
    ------
    ValueError
        A value is NaN or out of range, or the camera's window is too small for the probe.
    """

    def __init__(
        self,
        sample: PhaseSample,
        *,
        geometry: ZonePlateGeometry | None = None,
        camera: CameraModel | None = None,
        source_um: tuple[float, float] = (0.005, 0.0),
    ) -> None:
        self.sample = sample
        self.geometry = geometry or GEOMETRY
        self.camera = camera or CameraModel()
        for axis, value in zip("xy", source_um, strict=True):
            finite(f"source_{axis}", value, "µm", 0, 0.1)
        self.source_um = source_um
        self._attenuation = self.camera.attenuation()
        self._objects: OrderedDict[float, Wave] = OrderedDict()
        self._probes: OrderedDict[tuple[float, float], _Probe] = OrderedDict()
        self._lock = threading.Lock()

    # -- the sample

    def pixel_um(self, energy_ev: float) -> float:
        """Pixel of the object (µm): λ z / (n p). It shrinks as the energy grows."""
        finite("energy", energy_ev, "eV", *ENERGY_RANGE)
        camera = self.camera
        width = camera.shape[1] * camera.pixel_um
        return wavelength_nm(energy_ev) * 1e-3 * camera.distance_um / width

    def grid(self, energy_ev: float) -> Grid:
        """Pixels of :meth:`object_at`, which cover the sample."""
        pixel = self.pixel_um(energy_ev)
        sample = self.sample
        spans = [(n - 1) * sample.pixel_um for n in sample.thickness.shape]
        ny, nx = (int(span / pixel) + 1 for span in spans)
        x0 = sample.x0_um + (spans[1] - (nx - 1) * pixel) / 2
        y0 = sample.y0_um + (spans[0] - (ny - 1) * pixel) / 2
        return Grid(x0, y0, pixel, (ny, nx))

    def object_at(self, energy_ev: float) -> Wave:
        """Complex transmission exp(-OD/2 - i k δ t), [ny, nx] on :meth:`grid`.

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV).

        Raises
        ------
        ValueError
            The energy is NaN or outside 400..1100 eV.
        """
        key = round(float(energy_ev), 3)
        grid = self.grid(key)
        with self._lock:
            if key in self._objects:
                self._objects.move_to_end(key)
                return self._objects[key]
        made = self._object(key, grid)
        made.setflags(write=False)
        with self._lock:
            self._objects[key] = made
            while len(self._objects) > _KEPT:
                self._objects.popitem(last=False)
        return made

    def _object(self, energy_ev: float, grid: Grid) -> Wave:
        sample = self.sample
        e = np.array([energy_ev])

        def per_um(part: str) -> complex:
            return complex(-absorption(part, e)[0] / 2, -refraction(part, e)[0])

        log = per_um("total") * sample.thickness.astype(np.complex64)
        for edge, oxidised in sample.oxidised.items():
            log -= per_um(edge) * (sample.thickness - oxidised)
        fine = np.exp(log, dtype=np.complex64)
        out = np.zeros(grid.shape, np.complex64)
        offsets = (np.arange(_SUB) + 0.5) / _SUB - 0.5
        for dy in offsets:
            for dx in offsets:
                y = grid.y0_um + grid.pixel_um * (np.arange(grid.shape[0]) + dy) - sample.y0_um
                x = grid.x0_um + grid.pixel_um * (np.arange(grid.shape[1]) + dx) - sample.x0_um
                at = np.meshgrid(y / sample.pixel_um, x / sample.pixel_um, indexing="ij")
                out += map_coordinates(fine, at, order=1, mode="constant", cval=1.0)
        out /= _SUB**2
        return out

    def prepare(self, energy_ev: float, defocus_um: float = 0.0) -> None:
        """Compute object and probe ahead of the frames; the first time takes seconds."""
        self.object_at(energy_ev)
        self._probe(energy_ev, defocus_um)

    # -- the probe

    def probe(self, energy_ev: float, defocus_um: float = 0.0) -> Wave:
        """Wave on the sample, [modes, ny, nx], its middle at [ny // 2, nx // 2].

        Parameters
        ----------
        energy_ev : float
            eV.
        defocus_um : float
            Zone plate's z less z in focus (µm): positive where the focus lies behind the sample.

        Returns
        -------
        ndarray
            Its squares sum to 1 over all modes and pixels.
        """
        return self._moved(self._probe(energy_ev, defocus_um), *(n // 2 for n in self.camera.shape))

    def _probe(self, energy_ev: float, defocus_um: float) -> _Probe:
        finite("defocus", defocus_um, "µm", -1000, 1000)
        key = round(float(energy_ev), 3), round(float(defocus_um), 2)
        with self._lock:
            if key in self._probes:
                self._probes.move_to_end(key)
                return self._probes[key]
        made = self._make_probe(*key)
        with self._lock:
            self._probes[key] = made
            while len(self._probes) > _KEPT:
                self._probes.popitem(last=False)
        return made

    def _make_probe(self, energy_ev: float, defocus_um: float) -> _Probe:
        camera, geometry = self.camera, self.geometry
        pixel = self.pixel_um(energy_ev)
        wavelength = wavelength_nm(energy_ev) * 1e-3
        ny, nx = camera.shape
        fy, fx = fft.fftfreq(ny), fft.fftfreq(nx)
        q2 = ((fy / pixel) ** 2)[:, None] + ((fx / pixel) ** 2)[None, :]
        focal = geometry.a1 * energy_ev
        outer = geometry.diameter_um / 2 / focal / wavelength
        inner = geometry.central_stop_um / 2 / focal / wavelength
        blur = 2 * outer * abs(defocus_um) * wavelength
        if blur > 0.5 * pixel * min(ny, nx):
            raise ValueError(
                f"defocus = {defocus_um:g} µm makes the probe {blur:.2f} µm wide, more than half "
                f"of the window of {pixel * min(ny, nx):.2f} µm"
            )
        q = np.sqrt(q2)
        edge = 1 / (2 * pixel * max(ny, nx))  # soft by a pixel: a hard edge would ring
        pupil = np.clip((outer - q) / (2 * edge) + 0.5, 0, 1)
        pupil *= np.clip((q - inner) / (2 * edge) + 0.5, 0, 1)
        first = pupil * np.exp(1j * np.pi * wavelength * defocus_um * q2)
        modes = [first]
        for axis, sigma in zip((fx[None, :], fy[:, None]), self.source_um, strict=True):
            if sigma > 0:  # the probe moved by the source's image, in first order
                modes.append(first * (2j * np.pi * axis / pixel * sigma))
        spectrum = np.stack(modes)
        spectrum *= np.sqrt(ny * nx / np.sum(np.abs(spectrum) ** 2))
        rows = np.flatnonzero(np.abs(spectrum).max(axis=(0, 2)))
        return _Probe(rows, spectrum[:, rows].astype(np.complex64), fy[rows], fx)

    def _moved(self, probe: _Probe, row: float, column: float) -> Wave:
        """The probe with its middle at a row and column, not whole ones either."""
        turn_y = np.exp(-2j * np.pi * row * probe.ramp_y).astype(np.complex64)
        turn_x = np.exp(-2j * np.pi * column * probe.ramp_x).astype(np.complex64)
        part = fft.ifft(probe.spectrum * turn_y[:, None] * turn_x, axis=2, overwrite_x=True)
        full = np.zeros((len(part), *self.camera.shape), np.complex64)
        full[:, probe.rows] = part
        return np.asarray(fft.ifft(full, axis=1, overwrite_x=True))

    # -- what the camera sees

    def intensity(
        self, energy_ev: float, x_um: float, y_um: float, defocus_um: float = 0.0
    ) -> Intensity:
        """Share of the flux in each pixel, [ny, nx]; it sums to what the sample transmits.

        Parameters
        ----------
        energy_ev : float
            eV.
        x_um, y_um : float
            Where on the sample the beam is (µm). Around the sample there is bare membrane.
        defocus_um : float
            As :meth:`probe`.
        """
        for axis, value in (("x", x_um), ("y", y_um)):
            finite(f"position {axis}", value, "µm", -1e6, 1e6)
        wave = self.object_at(energy_ev)
        probe = self._probe(energy_ev, defocus_um)
        grid = self.grid(round(float(energy_ev), 3))
        ny, nx = self.camera.shape
        column = (x_um - grid.x0_um) / grid.pixel_um
        row = (y_um - grid.y0_um) / grid.pixel_um
        ix, iy = round(column) - nx // 2, round(row) - ny // 2
        exit_wave = self._moved(probe, row - iy, column - ix)
        # inside the window that the sample covers; outside it the membrane changes nothing
        y0, y1 = max(iy, 0), min(iy + ny, grid.shape[0])
        x0, x1 = max(ix, 0), min(ix + nx, grid.shape[1])
        if y0 < y1 and x0 < x1:
            exit_wave[:, y0 - iy : y1 - iy, x0 - ix : x1 - ix] *= wave[y0:y1, x0:x1]
        far = fft.fft2(exit_wave, axes=(1, 2), overwrite_x=True)
        power = np.square(far.real)
        power += np.square(far.imag)
        share = power[0]
        for more in power[1:]:
            share += more
        share = np.fft.fftshift(share)
        share *= np.float32(1 / (ny * nx))
        if self._attenuation is not None:
            share *= self._attenuation
        return share

    def frames(
        self,
        energy_ev: float,
        x_um: ArrayLike,
        y_um: ArrayLike,
        times_s: float | Sequence[float],
        flux: float,
        rng: np.random.Generator,
        defocus_um: float = 0.0,
    ) -> Frames:
        """Counts of each place and exposure, [places, exposures, ny, nx].

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV).
        x_um, y_um : array_like [n]
            Where on the sample the beam is (µm).
        times_s : float or sequence of float
            Exposure times at each place, in their order (s).
        flux : float
            Photons per second on the sample; 0: the shutter is closed.
        rng : numpy.random.Generator
        defocus_um : float
            As :meth:`probe`.

        Raises
        ------
        ValueError
            A value is NaN or out of range.
        """
        x, y = np.broadcast_arrays(np.atleast_1d(x_um), np.atleast_1d(y_um))
        times = np.atleast_1d(np.asarray(times_s, dtype=float)).tolist()
        finite("flux", flux, "photons/s", 0, 1e15)
        for time_s in times:
            finite("exposure time", time_s, "s", 0, 3600, open_low=True)
        out = np.empty((x.size, len(times), *self.camera.shape), np.uint16)
        for k in range(x.size):
            share = None
            if flux > 0:
                share = self.intensity(energy_ev, float(x[k]), float(y[k]), defocus_um)
            for m, time_s in enumerate(times):
                photons = None if share is None else share * np.float32(flux * time_s)
                out[k, m] = self.camera.expose(photons, time_s, rng)
        return out

    def frame(
        self,
        energy_ev: float,
        x_um: float,
        y_um: float,
        time_s: float,
        flux: float,
        rng: np.random.Generator,
        defocus_um: float = 0.0,
    ) -> Frames:
        """Counts of one frame, [ny, nx]; as :meth:`frames`."""
        return self.frames(energy_ev, x_um, y_um, time_s, flux, rng, defocus_um)[0, 0]

    # -- what else is known

    def stxm(
        self, energy_ev: float, x_um: ArrayLike, y_um: ArrayLike, defocus_um: float = 0.0
    ) -> Array:
        """Transmission that a detector without pixels sees, noise-free, [ny, nx].

        Parameters
        ----------
        energy_ev : float
            eV.
        x_um, y_um : array_like [nx], [ny]
            Where the beam is (µm).
        defocus_um : float
            As :meth:`probe`.
        """
        power = np.square(np.abs(self.object_at(energy_ev)))
        grid = self.grid(round(float(energy_ev), 3))
        spot = np.square(np.abs(self.probe(energy_ev, defocus_um))).sum(axis=0)
        ny, nx = spot.shape
        padded = np.pad(power, ((ny // 2, ny // 2), (nx // 2, nx // 2)), constant_values=1.0)
        shape = [fft.next_fast_len(n, real=True) for n in padded.shape]
        # a correlation: what lies at r from the beam's middle is weighted with the spot at r
        blurred = fft.irfft2(fft.rfft2(padded - 1, shape) * np.conj(fft.rfft2(spot, shape)), shape)[
            : grid.shape[0], : grid.shape[1]
        ]
        at = np.meshgrid(
            (np.atleast_1d(y_um) - grid.y0_um) / grid.pixel_um,
            (np.atleast_1d(x_um) - grid.x0_um) / grid.pixel_um,
            indexing="ij",
        )
        return 1 + np.asarray(map_coordinates(blurred, at, order=1, output=float, cval=0.0))

    def truth(self, x_um: ArrayLike, y_um: ArrayLike, edge: str = "Mn L3") -> ParticleTruth:
        """Thickness and reduced share at places, not blurred.

        Parameters
        ----------
        x_um, y_um : array_like [nx], [ny]
            µm.
        edge : str
        """
        sample = self.sample
        at = np.meshgrid(
            (np.atleast_1d(y_um) - sample.y0_um) / sample.pixel_um,
            (np.atleast_1d(x_um) - sample.x0_um) / sample.pixel_um,
            indexing="ij",
        )
        thickness, oxidised = (
            np.asarray(map_coordinates(values, at, order=1, output=float, cval=0.0))
            for values in (sample.thickness, sample.oxidised[edge])
        )
        fraction = np.full_like(thickness, np.nan)
        np.divide(thickness - oxidised, thickness, out=fraction, where=thickness > 1e-6)
        return ParticleTruth(thickness, fraction)
