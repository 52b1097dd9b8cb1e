"""A simulated array of microcalorimeters: from emission to what Dastard says about pulses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....documents import Bins
from .._checks import finite
from ..rixs import ARRAY_PIXELS, FWHM, Emission, broadened, piled_up, rebinned
from ._pixels import KINK_EV, Pixel, PixelTable, make_pixels
from ._pulses import N_COEFS, PulseModel

__all__ = ["PHOTON_DTYPE", "TesArray"]

Array = NDArray[np.float64]

PHOTON_DTYPE = np.dtype(
    [
        ("chan_index", "<u2"),
        ("t_ns", "<i8"),
        ("frame", "<i8"),
        ("ptm", "<f4"),
        ("peak", "<f4"),
        ("rms", "<f4"),
        ("avg", "<f4"),
        ("resid", "<f4"),
        ("coefs", "<f8", (N_COEFS,)),
    ]
)
"""One pulse as Dastard describes it; ``chan_index`` is the pixel's position in the array."""

_DRIFTS = ((22.0, 1500.0, 0.3), (9.0, 240.0, 1.1), (7.0, 31.0, 2.0))  # level, s, phase
_TWO_GAINS = (1.03, 4_000_000_000)  # ratio, ns between jumps
_FRAME_BITS = 40  # of a sorting key
_MAX_FRAMES = 1 << (_FRAME_BITS - 1)  # of one draw: a month


class TesArray:
    """An array of microcalorimeters and its pulse processing.

    Parameters
    ----------
    n : int
        Pixels; each sees 1/240 of an emission.
    seed : int
        Of the pixels and of all noise.
    fwhm_ev : float
        Usual resolution (eV); the best quarter of the pixels does better.
    dead, bad : int
        Pixels that see nothing, and badly tuned ones.
    tail_fraction, tail_ev : float
        Share of the photons that lose an exponentially distributed energy, and its mean (eV).
    dead_time : bool
        Whether records exclude each other. Without it counting rates have no limit, and
        pulses do not pile up: for tests of load only.
    drift : float
        Scale of the drift of the level before pulses, and of the gain with it; 0: none.
    n_samples, n_presamples, frame_ns : int
        Of a record.

    Attributes
    ----------
    pixels : tuple of Pixel
        The truth.
    pulses : PulseModel
        Holds ``projectors`` [5, n_samples] and ``basis`` [n_samples, 5].

    Raises
    ------
    ValueError
        A value is NaN or out of range.
    """

    def __init__(
        self,
        n: int = ARRAY_PIXELS,
        seed: int = 1,
        *,
        fwhm_ev: float = 1.4,
        dead: int | None = None,
        bad: int | None = None,
        tail_fraction: float = 0.0,
        tail_ev: float = 4.0,
        dead_time: bool = True,
        drift: float = 1.0,
        n_samples: int = 1024,
        n_presamples: int = 259,
        frame_ns: int = 4800,
    ):
        finite("tes.n", n, "pixels", 1, 60000)
        dead = round(n * 6 / ARRAY_PIXELS) if dead is None else dead
        bad = round(n * 8 / ARRAY_PIXELS) if bad is None else bad
        finite("tes.dead + tes.bad", dead + bad, "pixels", 0, n - round(n * 64 / ARRAY_PIXELS))
        finite("tes.fwhm", fwhm_ev, "eV", 0, 100, open_low=True)
        finite("tes.tail_fraction", tail_fraction, "(relative)", 0, 1)
        finite("tes.tail", tail_ev, "eV", 0, 100, open_low=True)
        finite("tes.drift", drift, "(relative)", 0, 10)
        pixel_seed, noise_seed = np.random.SeedSequence(seed).spawn(2)
        self.pixels: tuple[Pixel, ...] = make_pixels(
            n, dead, bad, fwhm_ev, np.random.default_rng(pixel_seed)
        )
        self.pulses = PulseModel(n_samples, n_presamples, frame_ns)
        self.tail_fraction, self.tail_ev = tail_fraction, tail_ev
        self.dead_time = dead_time
        self.drift = drift
        self._rng = np.random.default_rng(noise_seed)
        self._table = PixelTable(self.pixels)
        self._share = np.cumsum(self._table.efficiency)
        self._free = np.zeros(n, np.int64)  # first frame at which each pixel may trigger
        self._start_ns: int | None = None
        self._end = 0  # frame at which the last draw ended
        self._energy = np.empty(0)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def energy_truth(self) -> Array:
        """Energies (eV) of the photons that triggered the last draw's records, [n]."""
        return self._energy

    def level(self, pixel: NDArray[np.intp], t_ns: NDArray[np.int64]) -> Array:
        """Level before pulses of pixels at times (ns since 1970), without noise."""
        common = np.zeros(len(t_ns))
        for size, period, phase in _DRIFTS:
            common += size * np.sin(2 * np.pi * ((t_ns * 1e-9) % period) / period + phase)
        return np.asarray(
            self._table.baseline[pixel] + self.drift * self._table.swing[pixel] * common
        )

    def draw(self, emission: Emission, flux: float, t0_ns: int, t1_ns: int) -> NDArray[np.void]:
        """Pulses of an interval.

        Parameters
        ----------
        emission : Emission
        flux : float
            Relative flux; 0: no beam.
        t0_ns, t1_ns : int
            Start and end (ns since 1970). An interval that begins before the last one ended
            is a new acquisition: no record of the last one is under way in it.

        Returns
        -------
        numpy.ndarray of `PHOTON_DTYPE` [n]
            In order of time.

        Raises
        ------
        ValueError
            The flux is not a number of at least 0, or the interval is longer than a month.

        Notes
        -----
        A record excludes the triggers of its pixel for its whole length (non-paralysable); a
        photon that comes in the part after the trigger is added to the pulse. Frames are counted
        from the start of the first draw; intervals that follow each other share none.
        """
        finite("tes.flux", flux, "(relative)", 0, 1e9)
        self._start_ns = t0_ns if self._start_ns is None else self._start_ns
        first, last = self._frame(t0_ns), self._frame(t1_ns)
        frame_ns = self.pulses.frame_ns
        if last - first >= _MAX_FRAMES:
            raise ValueError(
                f"interval of {(t1_ns - t0_ns) * 1e-9:g} s is longer than "
                f"{_MAX_FRAMES * frame_ns * 1e-9:g} s"
            )
        if first < self._end:
            self._free[:] = first
        self._end = last
        rate = emission.total * flux * self._share[-1] / ARRAY_PIXELS
        count = int(self._rng.poisson(rate * max(last - first, 0) * frame_ns * 1e-9))
        if count == 0:
            self._energy = np.empty(0)
            return np.empty(0, PHOTON_DTYPE)
        pixel, late = self._arrivals(count, last - first)
        energy = emission.draw(count, self._rng)
        if self.dead_time:
            kept, owner, other = self._records(pixel, late, first)
        else:
            kept, owner, other = np.arange(count), np.empty(0, np.intp), np.empty(0, np.intp)
        order = kept[np.argsort(late[kept])]
        out = self._measured(pixel[order], first + late[order], energy[order])
        if len(owner):
            row = np.empty(count, np.intp)
            row[order] = np.arange(len(order))
            self._pile_up(out, row[owner], energy[other], late[other] - late[owner])
        self._energy = energy[order]
        return out

    def _frame(self, t_ns: int) -> int:
        """First frame at or after a time."""
        return -(((self._start_ns or 0) - t_ns) // self.pulses.frame_ns)

    def _arrivals(self, count: int, frames: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Pixel and frame since the start of the interval, by pixel, then by time."""
        pixel = np.searchsorted(
            self._share, self._rng.random(count) * self._share[-1], side="right"
        )
        key = (pixel << _FRAME_BITS) | self._rng.integers(0, frames, count)
        key.sort()
        return key >> _FRAME_BITS, key & ((1 << _FRAME_BITS) - 1)

    def _records(
        self, pixel: NDArray[np.intp], late: NDArray[np.int64], first: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Photons that trigger a record; and of those that fall into one, trigger and photon."""
        count, dead = len(late), self.pulses.n_samples
        key = (pixel << _FRAME_BITS) | late
        numbers = np.arange(len(self.pixels))
        free = np.clip(self._free - first, 0, _MAX_FRAMES)
        current = np.searchsorted(key, (numbers << _FRAME_BITS) | free)
        ends = np.searchsorted(key, (numbers + 1) << _FRAME_BITS)
        following = np.searchsorted(key, key + dead)
        triggers = np.zeros(count, bool)
        current, ends = current[current < ends], ends[current < ends]
        while len(current):  # one step per record of the busiest pixel
            triggers[current] = True
            current = following[current]
            inside = current < ends
            current, ends = current[inside], ends[inside]
        kept = np.flatnonzero(triggers)
        self._free[pixel[kept]] = first + late[kept] + dead  # of each pixel the last one stays
        other = np.flatnonzero(~triggers)
        owner = np.searchsorted(kept, other) - 1
        other, owner = other[owner >= 0], kept[owner[owner >= 0]]
        inside = (pixel[owner] == pixel[other]) & (
            late[other] - late[owner] < len(self.pulses.shifted)
        )
        return kept, owner[inside], other[inside]

    def _height(self, pixel: NDArray[np.intp], energy: Array) -> tuple[Array, Array]:
        """Filtered value without drift and noise, and its slope (1/eV)."""
        t = self._table
        seen = energy + t.kink[pixel] * np.maximum(energy - KINK_EV, 0.0)
        below = 1 + t.compression[pixel] * seen
        slope = t.gain[pixel] / below**2 * np.where(energy > KINK_EV, 1 + t.kink[pixel], 1.0)
        return t.gain[pixel] * seen / below, slope

    def _measured(
        self, pixel: NDArray[np.intp], frame: NDArray[np.int64], energy: Array
    ) -> NDArray[np.void]:
        rng, t, n = self._rng, self._table, len(pixel)
        t_ns = (self._start_ns or 0) + frame * self.pulses.frame_ns
        seen = energy
        if self.tail_fraction > 0:
            lost = rng.exponential(self.tail_ev, n) * (rng.random(n) < self.tail_fraction)
            seen = np.maximum(energy - lost, 1.0)
        height, slope = self._height(pixel, seen)
        level = self.level(pixel, t_ns)
        height *= 1 + t.drift[pixel] * (level - t.baseline[pixel])
        odd = t.two_gains[pixel]
        if odd.any():
            ratio, every = _TWO_GAINS
            height[odd] *= np.where((t_ns[odd] // every) % 2, ratio, 1.0)
        height += slope * t.fwhm_ev[pixel] / FWHM * rng.standard_normal(n)
        # one noise gives resolution and residual: that of a pixel as well tuned as it resolves
        noise = t.gain[pixel] * np.minimum(t.fwhm_ev[pixel], 3.0) / FWHM / self.pulses.filter_noise
        out = np.empty(n, PHOTON_DTYPE)
        out["chan_index"], out["frame"], out["t_ns"] = pixel, frame, t_ns
        ptm = level + noise / np.sqrt(self.pulses.n_presamples) * rng.standard_normal(n)
        out["ptm"] = ptm
        out["peak"] = height + 2.5 * noise
        out["rms"] = np.sqrt((self.pulses.rms_height * height) ** 2 + noise**2)
        out["avg"] = self.pulses.mean_height * height
        spread = 1 + rng.standard_normal(n) / np.sqrt(2.0 * self.pulses.n_samples)
        out["resid"] = noise * spread
        coefs = out["coefs"]
        coefs[:, 0] = ptm
        coefs[:, 1] = height * (rng.random(n) - 0.5)  # the trigger falls between two samples
        coefs[:, 2] = height
        coefs[:, 3] = 4e-5 * height**2 + noise * rng.standard_normal(n)
        coefs[:, 4] = noise * rng.standard_normal(n)
        return out

    def _pile_up(
        self, out: NDArray[np.void], row: NDArray[np.intp], energy: Array, late: NDArray[np.int64]
    ) -> None:
        """Add later photons to records, in place; `late` is frames after the trigger."""
        height, _ = self._height(out["chan_index"][row].astype(np.intp), energy)
        np.add.at(out["coefs"], row, height[:, None] * self.pulses.shifted[late])
        excess = np.zeros(len(out))
        np.add.at(excess, row, (height * self.pulses.shifted_residual[late]) ** 2)
        out["resid"] = np.sqrt(out["resid"].astype(float) ** 2 + excess)
        added = np.zeros(len(out))
        np.add.at(added, row, height)
        out["peak"] += added.astype(np.float32)
        out["avg"] += (self.pulses.mean_height * added).astype(np.float32)
        out["rms"] += (self.pulses.rms_height * added).astype(np.float32)

    def waveform(
        self, photons: NDArray[np.void], rng: np.random.Generator | None = None
    ) -> NDArray[np.uint16]:
        """Records of pulses, whose projections are their coefficients to rounding.

        Parameters
        ----------
        photons : numpy.ndarray of `PHOTON_DTYPE` [n]
        rng : numpy.random.Generator, optional
            Of the noise; by default the array's own.

        Returns
        -------
        numpy.ndarray of uint16 [n, n_samples]
        """
        rows = np.atleast_1d(photons)
        return self.pulses.records(rows["coefs"], rows["resid"], rng or self._rng)

    def expected(
        self,
        emission: Emission,
        bins: Bins,
        pixels: NDArray[np.intp] | None = None,
        flux: float = 1.0,
    ) -> Array:
        """Photons/s that pixels record per bin once their energies are right, [nb].

        Parameters
        ----------
        emission : Emission
        bins : Bins
            Of emission energy.
        pixels : array of int, optional
            Positions in the array; by default those without a fault.
        flux : float
            Relative flux.

        Notes
        -----
        Exact for resolution, efficiency and dead time. Of the records into which a second photon
        falls, those with one such photon are followed, on the mean gain curve.
        """
        chosen = [p.index for p in self.pixels if p.ok] if pixels is None else list(pixels)
        scale = flux / ARRAY_PIXELS
        weight = np.array([self.pixels[i].efficiency * scale for i in chosen])
        clean = np.ones(len(chosen))
        if self.dead_time:
            own = weight * emission.total * self.pulses.frame_ns * 1e-9  # photons per frame
            clean = np.exp(-own * len(self.pulses.shifted))
            weight = weight / (1 + own * self.pulses.n_samples)
        piled = self._piled(emission) if self.dead_time else emission.rate
        widths = np.round([self.pixels[i].fwhm_ev for i in chosen], 2)
        out = np.zeros(len(emission.rate))
        for width in np.unique(widths):
            own = weight * (widths == width)
            mixed = (own @ clean) * emission.rate + (own @ (1 - clean)) * piled
            out += broadened(mixed, float(width), self.tail_fraction, self.tail_ev)
        return rebinned(out, bins)

    def _piled(self, emission: Emission) -> Array:
        """Emission as seen in records into which one more photon of it falls."""
        compression = float(self._table.compression.mean())
        return piled_up(emission.rate, self.pulses.shifted[:, 2], compression)
