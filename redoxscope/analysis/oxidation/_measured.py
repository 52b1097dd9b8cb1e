"""What was measured of a stack: frames, and which of their lines count."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._frames import Detector, Frames
from ._result import PixelFlag

__all__ = ["Measured", "Units"]

Array = NDArray[np.float64]
Lines = NDArray[np.intp] | slice | tuple[NDArray[np.intp], NDArray[np.intp]]
"""Lines, or single pixels (lines, columns)."""
DARK = 0.005
"""A line with less light than this share of the same line's at other energies was taken in the
dark: what it holds are dark counts. No sample transmits so little from end to end."""


class Units(NamedTuple):
    """What a variance is made of: value of one count, and noise beyond counting.

    ``dwell`` and ``monitor_dwell`` (s) are given for rates: there one count is ``counts`` (or
    ``monitor``) at that dwell, and inversely proportional to it at others.
    """

    counts: float = 1.0
    monitor: float = 1.0
    relative: float = 0.0
    dwell: float | None = None
    monitor_dwell: float | None = None

    def at(self, dwell: Array | None, n: int) -> tuple[Array, Array]:
        """Value of one count at each of ``n`` energies: of the transmission, of the monitor."""
        found = []
        for unit, at in ((self.counts, self.dwell), (self.monitor, self.monitor_dwell)):
            value = np.full(n, unit)
            found.append(value if dwell is None or at is None else value * at / dwell)
        return found[0], found[1]


PLAIN = Units()


def _where(energies: NDArray[np.intp], lines: Lines) -> Any:
    """Index of energies and lines, or pixels, of frames [nE, ny, nx]."""
    if isinstance(lines, tuple):
        return energies[:, None], *lines
    return (energies, lines) if isinstance(lines, slice) else np.ix_(energies, lines)


class Measured:
    """Frames of a stack, and which of their lines count.

    Everything else is formed from these: logarithms ``y_k = -ln(N_k / M_k)`` and their variance. A
    line that comes again replaces the old one, and its number in `version` goes up.

    Parameters
    ----------
    n_energies : int
    shape : tuple of int
        (ny, nx).
    monitored : bool or None
        Whether counts are divided by the monitor; None lets the first line with data decide.
    transmission, monitor : Detector
        Dead times and saturations.
    dwell : numpy.ndarray [nE] or None
        Counting time per pixel at each energy, s.
    dtype : dtype
        Of logarithms and variances.
    """

    def __init__(
        self,
        n_energies: int,
        shape: tuple[int, int],
        monitored: bool | None,
        transmission: Detector,
        monitor: Detector,
        dwell: Array | None,
        dtype: DTypeLike,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.monitored = monitored
        self.dwell = dwell
        self.counts = Frames((n_energies, *shape), transmission, dwell)
        self._kept_monitor: Frames | None = None
        self._monitor_dark = np.zeros(n_energies)
        self._monitor_of = (monitor, dwell)
        self.measured = np.zeros((n_energies, shape[0]), dtype=bool)
        self.missed = np.zeros_like(self.measured)
        # How often what a line says has changed: who has used it sees that it is another.
        self.version = np.zeros((n_energies, shape[0]), dtype=np.uint32)
        self._seen = np.zeros_like(self.measured)
        self.left_out = np.zeros_like(self.measured)
        self._choose = monitored is None
        self._there = np.zeros((2, n_energies, shape[0], 2), dtype=bool)
        self._light = np.zeros((2, n_energies, shape[0]))
        self.present = self.measured
        # Variance of N and of M relative to counts, and that of the logarithm beyond counting.
        self.units = Units()
        self._shifts: Array | None = None
        self._unaligned: set[int] = set()

    @property
    def monitor(self) -> Frames | None:
        """Frames of the monitor, where counts are divided by it."""
        return self._kept_monitor if self.monitored else None

    # -- arrival ---------------------------------------------------------------------------

    def set_line(self, k: int, line: int, counts: ArrayLike, monitor: ArrayLike | None) -> None:
        """Store one line; see `StackFit.set_line`."""
        n = self._checked(counts, "counts", (self.shape[1],))
        m = None if monitor is None else self._checked(monitor, "monitor", (self.shape[1],))
        self._set(k, slice(line, line + 1), n[None], None if m is None else m[None])

    def set_image(self, k: int, counts: ArrayLike, monitor: ArrayLike | None) -> None:
        """Store one image; see `StackFit.set_image`."""
        n = self._checked(counts, "counts", self.shape)
        m = None if monitor is None else self._checked(monitor, "monitor", self.shape)
        self._set(k, slice(0, self.shape[0]), n, m)

    def _set(self, k: int, lines: slice, n: NDArray, m: NDArray | None) -> None:
        self._note(k, lines, n, m)
        self.left_out[k, lines] = False
        changed = self._settle_monitored()
        self.counts.raw[k, lines] = n
        if self._kept_monitor is not None:
            self._kept_monitor.raw[k, lines] = np.nan if m is None else m
        self.version[k, lines] += 1
        if changed:
            return
        taken = self._taken(lines)
        others = (taken != self.measured[:, lines]).any(axis=1)  # dark, or not, beside this one
        self.measured[:, lines], self.missed[:, lines] = taken, self._seen[:, lines] & ~taken
        if self._shifts is not None:
            others[k] = True
            self._unaligned.update(np.flatnonzero(others).tolist())

    def _note(self, k: int, lines: slice, n: NDArray, m: NDArray | None) -> None:
        """Note what lines bring: [:, 0] numbers and [:, 1] light, of counts and monitor."""
        self._seen[k, lines] = True
        for which, values in ((0, n), (1, m)):
            there = self._there[which, k, lines]
            if values is None:
                there[:] = False
                self._light[which, k, lines] = 0.0
                continue
            with np.errstate(invalid="ignore"):
                light = values.sum(axis=1).astype(
                    np.float64
                )  # in its own precision: ten times as fast
            for i in np.flatnonzero(~np.isfinite(light)):
                light[i] = values[i][np.isfinite(values[i])].sum()
            self._light[which, k, lines] = light if self.dwell is None else light / self.dwell[k]
            there[:] = (values[:, :1] > 0).repeat(2, axis=1)  # nearly always: one look is enough
            for i in np.flatnonzero(~there[:, 1]):
                there[i] = not np.isnan(values[i]).all(), (values[i] > 0).any()

    def _taken(self, lines: int | slice) -> NDArray[np.bool_]:
        """Whether lines count as measured, at each energy.

        A line in the dark (beam dump, shutter closed by hand) says nothing of the sample; as
        zeros it would cost every pixel its fraction. Where there is a monitor, a line without
        it would fake contrast.
        """
        which = int(bool(self.monitored))
        there = self._there[0, :, lines, 0] & self._there[which, :, lines, 1]
        light = self._light[which, :, lines]
        low = np.where(there, light, np.inf).min(axis=0)
        doubtful = np.atleast_1d(low < DARK * light.max(axis=0))
        if doubtful.any():  # nearly never
            there = there.reshape(len(there), -1)
            light = light.reshape(there.shape)
            for i in np.flatnonzero(doubtful):
                usual = np.percentile(light[there[:, i], i], 75)
                there[:, i] &= light[:, i] >= DARK * usual
            there = there.reshape(self._there[0, :, lines, 0].shape)
        return there & ~self.left_out[:, lines]

    def _settle_monitored(self) -> bool:
        """Whether a monitor is used, from all lines so far; True if that has just changed.

        From all of them, so that it does not depend on which line came first.
        """
        if not self._choose:
            return False
        counted, watched = self._there[0, ..., 0], self._there[1, ..., 0]
        if not counted.any():
            return False
        now, before = bool((counted & watched).any()), self.monitored
        self.monitored = now
        if now and self._kept_monitor is None:
            self.require_monitor()
        if before is None or before == now:
            return False
        if self._shifts is not None:
            self._unaligned = set(range(len(self.version)))
        self.version += 1
        self.measured[:] = self._taken(slice(None))
        self.missed[:] = self._seen & ~self.measured
        return True

    def leave_out(self, which: NDArray[np.bool_]) -> None:
        """Count lines [nE, ny] as missed until they come again; the others as they are."""
        changed = which != self.left_out
        self.left_out = which.copy()
        self.measured[:] = self._taken(slice(None))
        self.missed[:] = self._seen & ~self.measured
        self.version[changed] += 1
        if self._shifts is not None:
            self._unaligned.update(np.flatnonzero(changed.any(axis=1)).tolist())

    # -- logarithms ------------------------------------------------------------------------

    def _log(self, k: int | NDArray[np.intp], n: NDArray, m: NDArray | None) -> NDArray:
        """``-ln(N / M)`` of energy ``k`` (or several, first axis); not finite without counts."""
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(self.counts.true(n, k), dtype=self.dtype)
            if m is None or self.monitor is None:
                return np.negative(y, out=y)
            return np.subtract(np.log(self.monitor.true(m, k), dtype=self.dtype), y, out=y)

    def y(self, energies: NDArray[np.intp], lines: Lines) -> NDArray:
        """``-ln(N / M)`` [n, lines, nx] of energies and lines; [n, P] of P pixels."""
        which = _where(energies, lines)
        monitor = self.monitor.aligned[which] if self.monitor else None
        return self._log(energies, self.counts.aligned[which], monitor)

    def variance(self, energies: NDArray[np.intp], lines: Lines) -> NDArray:
        """Counting variance ``1/N + 1/M``, with `units`, of y, from the counts observed."""
        which = _where(energies, lines)
        with np.errstate(divide="ignore", invalid="ignore"):
            v = self._reciprocal(self.counts, which, energies)
            along = (-1, *[1] * (v.ndim - 1))
            one, one_m = (
                values[energies].astype(self.dtype).reshape(along)
                for values in self.units.at(self.dwell, len(self.version))
            )
            if self.units.counts != 1.0:
                v *= one
            if self.monitor:
                m = self._reciprocal(self.monitor, which, energies)
                v += m if self.units.monitor == 1.0 else m * one_m
        if self.units.relative:
            v += self.units.relative
        return v

    def _reciprocal(self, frames: Frames, which: Any, energies: NDArray[np.intp]) -> NDArray:
        """``1/N``, larger where dark counts were taken off."""
        n = frames.aligned[which]
        v = np.reciprocal(n, dtype=self.dtype)
        if frames.dark.any():
            v *= frames.stretch(n, energies)
        return v

    def one_y(self, k: int, lines: slice) -> NDArray:
        """`y` [P] of lines of one energy."""
        if self.monitor is None and self.counts.plain:
            y = np.log(self.counts.aligned[k, lines].reshape(-1), dtype=self.dtype)
            return np.negative(y, out=y)
        return self.y(np.array([k]), lines).reshape(-1)

    def one_variance(self, k: int, lines: slice) -> NDArray:
        """`variance` [P] of lines of one energy."""
        if (
            self.monitor is None
            and self.counts.plain
            and self.units == PLAIN
            and self._shifts is None
        ):
            return np.reciprocal(self.counts.raw[k, lines].reshape(-1), dtype=self.dtype)
        return self.variance(np.array([k]), lines).reshape(-1)

    def flags(self, energies: NDArray[np.intp], lines: slice) -> NDArray[np.uint8]:
        """Flags [lines, nx] that the counts at some energies give the pixels."""
        flags = np.zeros((lines.stop - lines.start, self.shape[1]), dtype=np.uint8)
        for frames in (self.counts, self.monitor):
            if frames is None:
                continue
            for k, least in zip(energies, frames.least(energies), strict=True):
                values, most = frames.aligned[k, lines], frames.limit[k]
                if values.min() > least and values.max() < most:  # nothing, and no NaN
                    continue
                flags[values <= least] |= np.uint8(PixelFlag.NON_POSITIVE)
                flags[np.isnan(values)] |= np.uint8(PixelFlag.INCOMPLETE)
                flags[values >= most] |= np.uint8(PixelFlag.SATURATED)
        return flags

    def set_dark(self, rate: float, monitor_rate: float) -> None:
        """Take dark counts off, per s and pixel."""
        if self.dwell is None:
            raise ValueError("dark counts are per s, but the dwell of the stack is not known")
        self.counts.dark = rate * self.dwell
        self._monitor_dark = monitor_rate * self.dwell
        if self._kept_monitor is not None:
            self._kept_monitor.dark = self._monitor_dark
        self.version += 1

    def light(self) -> float:
        """Mean transmission per pixel, as counted: per s where the dwell is known. NaN: none."""
        taken = self._light[0][self.measured]
        return float(taken.mean() / self.shape[1]) if taken.size else float("nan")

    # -- alignment -------------------------------------------------------------------------

    def reaccumulate(self, shifts: ArrayLike | None) -> None:
        """Move the frames; see `StackFit.reaccumulate`."""
        n_energies = len(self.version)
        if shifts is None:
            self._shifts, self.present = None, self.measured
            for frames in (self.counts, self.monitor):
                if frames is not None:
                    frames.unalign()
        else:
            wanted = self._checked(shifts, "shifts", (n_energies, 2)).astype(np.float64)
            if not np.isfinite(wanted).all():
                raise ValueError("shifts holds NaN or inf, but must be finite, pixels")
            if self._shifts is None:
                self.present = np.zeros_like(self.measured)
                other = np.ones(n_energies, dtype=bool)
            else:
                other = (wanted != self._shifts).any(axis=1)
            self._shifts = wanted
            self._unaligned.update(np.flatnonzero(other).tolist())
            self.settle()
            return
        self.version += 1

    def counted(self, k: int) -> NDArray[np.bool_]:
        """Lines [ny] of an energy that hold counts, those that are left out too."""
        return np.asarray(self.measured[k] | (self.left_out[k] & self._there[0, k, :, 0]))

    def unmoved(self, k: int) -> tuple[NDArray, NDArray]:
        """``-ln(N / M)`` [ny, nx] of an energy as it was taken, and its counting variance.

        NaN where nothing was measured.
        """
        lines = np.flatnonzero(self.measured[k])
        found = np.full((2, *self.shape), np.nan)
        monitor = self.monitor
        frames = [self.counts] if monitor is None else [self.counts, monitor]
        raw = [each.raw[k, lines] for each in frames]
        with np.errstate(divide="ignore", invalid="ignore"):
            found[0, lines] = self._log(k, raw[0], None if monitor is None else raw[1])
            found[1, lines] = sum(1.0 / values for values in raw) * self.units.counts
        return found[0], found[1]

    @property
    def shifts(self) -> Array | None:
        """What the frames were moved by."""
        return self._shifts

    @property
    def uncovered(self) -> NDArray[np.bool_]:
        """Lines [nE, ny] that images which are whole do not cover, since they are moved."""
        return np.asarray(np.all(self.measured, axis=1, keepdims=True) & ~self.present)

    def settle(self) -> None:
        """Bring in lines that came after a shift was set."""
        if self._shifts is None or not self._unaligned:
            return
        for k in self._unaligned:
            if not self.measured[k].any():  # an image that has not come: where it lies is a guess
                self.present[k] = False
                self.version[k] += 1
                continue
            self.counts.align(k, self._shifts[k], self.measured[k])
            self.present[k] = ~np.isnan(self.counts.aligned[k]).all(axis=1)
            if self.monitor is not None:
                self.monitor.align(k, self._shifts[k], self.measured[k])
            self.version[k] += 1
        self._unaligned.clear()

    # -- helpers ---------------------------------------------------------------------------

    def require_monitor(self) -> None:
        """Make room for monitor counts."""
        detector, dwell = self._monitor_of
        self._kept_monitor = Frames(self.counts.raw.shape, detector, dwell)
        self._kept_monitor.dark = self._monitor_dark

    @staticmethod
    def _checked(values: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            array = array.astype(np.float64)
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, but must have {shape}")
        return array
