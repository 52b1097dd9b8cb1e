"""The oxidation map of a stack while it streams."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._beam import beam_by_line
from ._blank import Blank
from ._checks import check_design, check_limits, checked_dwell, checked_mask, checked_scale
from ._frames import Detector
from ._i0 import I0
from ._i0_given import I0Spectrum
from ._maps import Maps
from ._measured import Measured
from ._noise import Noise
from ._result import AreaSpectrum, OxidationResult
from ._solve import MAX_CONDITION, scaled_condition

__all__ = ["StackFit"]

Array = NDArray[np.float64]
I0_TOLERANCE = 0.1
"""Shift of ln I0, in standard deviations of one bright pixel, that makes lines stale."""


class StackFit:
    """Linear combination fit of an energy stack, line by line or image by image.

    Parameters
    ----------
    design : array_like [nE, K+1]
        Absorption of the species at each energy, in columns, then a constant. Without columns
        ([nE, 0]) there is nothing to fit: counts, I0 and `image` only.
    species : int
        Number of leading columns that are species; the first is the one whose fraction is
        mapped. 0 where there are no columns.
    shape : tuple of int
        (ny, nx).
    mode : {"auto", "blank", "monitor"}
        Where I0 comes from. ``auto``: each pixel is divided by its monitor reading, where there
        is one, and the blank area, where there is one, gives the ratio at each energy.
        ``blank``: no monitor. ``monitor``: no blank, the ratio is ``scale``.
    scale : float or array_like [nE]
        Transmission counts per monitor count with no sample in the beam. Used without a blank.
        A factor that does not depend on energy only moves the constant.
    dwell : float or array_like [nE], optional
        Counting time per pixel in s, one or one per energy; needed with a dead time, and to judge
        saturation.
    transmission, monitor : Detector, optional
        Dead times and saturations.
    min_thickness : float
        Thinner pixels are not in the mask; unit of ``thickness``.
    max_od : float, optional
        Pixels above this optical density at any energy are not in the mask; by default none is
        left out for that, only flagged.
    blank : array_like of bool [ny, nx], optional
        The blank area, if it is known. By default it is found (see `find_blank`).
    energies : array_like [nE], optional
        Photon energies in eV, for what is said of them (`AreaSpectrum.energies`).
    i0 : I0Spectrum, optional
        An I0 measured elsewhere; needs ``energies``.
    dtype : dtype
        float64 makes the map equal to a least-squares fit of the whole stack to 1e-7; float32
        halves the time and memory and is good to about 1e-5.

    Raises
    ------
    ValueError
        If the design matrix is not finite, has too few energies, or its columns are collinear;
        if a shape, mode or limit makes no sense.
    """

    def __init__(
        self,
        design: ArrayLike,
        species: int,
        shape: tuple[int, int],
        *,
        mode: Literal["auto", "blank", "monitor"] = "auto",
        scale: ArrayLike = 1.0,
        dwell: ArrayLike | None = None,
        transmission: Detector | None = None,
        monitor: Detector | None = None,
        min_thickness: float = 0.0,
        max_od: float | None = None,
        blank: ArrayLike | None = None,
        energies: ArrayLike | None = None,
        i0: I0Spectrum | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        a = np.array(design, dtype=np.float64)
        check_design(a, species)
        check_limits(shape, mode, min_thickness, max_od)
        self._scale = checked_scale(scale, len(a))
        self.design, self.species, self.shape = a, int(species), (int(shape[0]), int(shape[1]))
        self.mode, self.min_thickness, self.max_od = mode, float(min_thickness), max_od
        monitored = {"auto": None, "blank": False, "monitor": True}[mode]
        self._measured = Measured(
            len(a), self.shape, monitored, transmission or Detector(), monitor or Detector(),
            checked_dwell(dwell, len(a)), dtype,
        )  # fmt: skip
        if monitored:
            self._measured.require_monitor()
        self._given = None if blank is None else checked_mask(blank, self.shape, "blank")
        self.energies = np.full(len(a), np.nan) if energies is None else np.array(energies, float)
        if self.energies.shape != (len(a),):
            raise ValueError(
                f"energies has shape {self.energies.shape}, but design has {len(a)} energies"
            )
        self._i0 = I0(
            self._measured, mode != "monitor", self._scale, self._given, i0, self.energies
        )
        self._units_used = self._measured.units
        self._dark = 0.0, 0.0
        self._dirty = np.zeros(self.shape[0], dtype=bool)
        self._i0_of_line = np.full((self.shape[0], len(a)), np.nan)
        self._maps = Maps(self._measured, a, self._i0, self.species, self.min_thickness, max_od)

    # -- arrival ---------------------------------------------------------------------------

    def set_line(
        self, k: int, line: int, counts: ArrayLike, monitor: ArrayLike | None = None
    ) -> None:
        """Take one line. Giving a line again replaces it.

        Parameters
        ----------
        k, line : int
            Energy index and line, from 0.
        counts : array_like [nx]
            Observed counts; all NaN for a line that was missed.
        monitor : array_like [nx], optional
            Monitor counts, all NaN or None where there is no monitor. In a stack that has one,
            a line without it counts as missed: mixing normalisations would fake contrast.

        Raises
        ------
        ValueError, IndexError
            If an array has not nx values, or the indices are outside the stack.
        """
        self._check_index(k, line)
        self._measured.set_line(k, line, counts, monitor)
        self._dirty[line] = True

    def set_image(self, k: int, counts: ArrayLike, monitor: ArrayLike | None = None) -> None:
        """Take one image [ny, nx]; the fast path of `set_line` for all its lines."""
        self._check_index(k, 0)
        self._measured.set_image(k, counts, monitor)
        self._dirty[:] = True

    def reaccumulate(self, shifts: ArrayLike | None = None) -> None:
        """Form all sums again from the raw frames, after moving each.

        Parameters
        ----------
        shifts : array_like [nE, 2], optional
            (dy, dx) in pixels that brings each frame onto the common grid; None for no shifts.
            The raw frames stay as they are, so shifts do not add up. What a frame does not
            cover after the move has no value at that energy. Lines that arrive later are
            moved as well. Only frames whose shift is another one are moved anew.
        """
        self._measured.reaccumulate(shifts)
        self._i0.restart()
        self._dirty[:] = True

    # -- I0 --------------------------------------------------------------------------------

    @property
    def monitored(self) -> bool:
        """Whether counts are divided by a monitor."""
        return bool(self._measured.monitored)

    @property
    def blank(self) -> Blank | None:
        """The blank area found last, or why there is none; None before any was looked for."""
        return self._i0.blank

    @property
    def dwell(self) -> Array | None:
        """Counting time per pixel at each energy [nE], s."""
        return self._measured.dwell

    @property
    def light(self) -> float:
        """Mean transmission of what was measured, per pixel and, where the dwell is known, s."""
        return self._measured.light()

    @property
    def noise(self) -> Noise:
        """Whether the values look like counts."""
        return self._i0.noise

    @property
    def given_i0(self) -> I0Spectrum | None:
        """The I0 measured elsewhere that is in use."""
        return self._i0.spectrum

    @property
    def i0_refusal(self) -> str:
        """Why a given I0 cannot be this stack's; empty if it can."""
        return self._i0.refusal

    @property
    def brightest_od(self) -> float:
        """Optical density of the brightest pixels with a given I0; NaN without."""
        return self._i0.brightest

    def set_i0(self, i0: I0Spectrum | None) -> None:
        """Take I0 from a spectrum measured elsewhere; None: from the stack itself again.

        Raises
        ------
        ValueError
            It does not cover the energies.
        """
        self._i0.use(i0)
        self._dirty[:] = True

    def set_dark(self, rate: float, monitor_rate: float = 0.0) -> None:
        """Take dark counts off all images, those to come too.

        Parameters
        ----------
        rate, monitor_rate : float
            Without beam, per s and pixel, dead time corrected.

        Raises
        ------
        ValueError
            The dwell is not known.
        """
        if (rate, monitor_rate) != self._dark:
            self._measured.set_dark(rate, monitor_rate)
            self._dark = rate, monitor_rate
            self._i0.restart()
            self._dirty[:] = True

    def set_blank(self, mask: ArrayLike) -> None:
        """Take I0 from these pixels [ny, nx]."""
        self._i0.set_blank(checked_mask(mask, self.shape, "blank"))
        self._dirty[:] = True

    @property
    def frames(self) -> NDArray[np.float32]:
        """Raw counts [nE, ny, nx]; only lines in ``lines_present`` hold data."""
        return self._measured.counts.raw

    @property
    def lines_present(self) -> NDArray[np.bool_]:
        """Lines measured, [nE, ny]."""
        return self._measured.measured.copy()

    def image(self, k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Counts and optical density of one energy [ny, nx], as it was taken, whatever the shifts.

        Both are NaN where nothing was measured, the optical density also where I0 is not known,
        or there are no counts, and in lines that are left out.
        """
        self._check_index(k, 0)
        lines, held = np.flatnonzero(self._measured.measured[k]), self._measured.counted(k)
        counts, od = (np.full(self.shape, np.nan, dtype=np.float32) for _ in range(2))
        counts[held] = self._measured.counts.raw[k, held]
        od[lines] = self._measured.unmoved(k)[0][lines] + self._i0.ln_i0[k]
        od[~np.isfinite(od)] = np.nan
        return counts, od

    def i0_image(self, k: int) -> NDArray[np.float32]:
        """Counts that one energy would have without a sample [ny, nx], as I0 is now.

        In counts of the light alone: dead time corrected, without dark counts. NaN where nothing
        was measured, I0 is not known, or the line is left out.
        """
        self._check_index(k, 0)
        i0 = np.full(self.shape, np.nan, dtype=np.float32)
        known, monitor = np.flatnonzero(self._measured.measured[k]), self._measured.monitor
        level = np.exp(self._i0.ln_i0[k])
        i0[known] = level if monitor is None else level * monitor.true(monitor.raw[k, known], k)
        return i0

    def leave_out(self, lines: ArrayLike) -> None:
        """Leave lines [nE, ny] out of the map, as if missed, until they come again.

        What was left out before and is not any more counts again.

        Raises
        ------
        ValueError
            The mask has another shape.
        """
        which = np.asarray(lines)
        if which.dtype != bool or which.shape != self._measured.measured.shape:
            n, ny = self._measured.measured.shape
            raise ValueError(
                f"lines has shape {which.shape} and type {which.dtype}; it must be a mask "
                f"[{n}, {ny}] of bool"
            )
        self._measured.leave_out(which)
        self._dirty[:] = True

    @property
    def shifts(self) -> Array | None:
        """What each frame was moved by [nE, 2], (dy, dx) in pixels; None: no frame was."""
        moved = self._measured.shifts
        return None if moved is None else moved.copy()

    @property
    def lines_on_grid(self) -> NDArray[np.bool_]:
        """Lines [nE, ny] of the common grid that have data, where the frames were moved to it."""
        return self._measured.present.copy()

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Lines [nE, ny] that were left out."""
        return self._measured.left_out.copy()

    def beam_by_line(self) -> tuple[Array, Array]:
        """What each line says of the beam [nE, ny], and its σ; see `beam_by_line`."""
        return beam_by_line(self._measured, self._i0.ln_i0, self.noise)

    @property
    def i0_mask(self) -> NDArray[np.bool_] | None:
        """The blank area [ny, nx] that I0 comes from; None where it comes from elsewhere."""
        return None if self._i0.spectrum is not None else self._i0.mask

    @property
    def i0_saturated(self) -> NDArray[np.bool_]:
        """Energies [nE] at which I0 is not known since the blank area is saturated."""
        return self._i0.saturated

    def ln_i0(self, k: int) -> tuple[float, float]:
        """Ln I0 of an energy (of the ratio to a monitor) and its variance, as they are now."""
        return float(self._i0.ln_i0[k]), float(self._i0.variance[k])

    def updated_ln_i0(self) -> tuple[Array, Array]:
        """Ln I0 of all energies and its variance, brought up to date."""
        self._i0.update()
        return self._i0.ln_i0, self._i0.variance

    def adopt_units(self, other: StackFit) -> None:
        """Take what one count is from a stack of the same detectors."""
        self._measured.units = other._measured.units

    def logarithm(self, k: int, lines: NDArray[np.intp]) -> tuple[NDArray, NDArray]:
        """``-ln(N / M)`` [lines, nx] of an energy, and its counting variance."""
        one = np.array([k])
        return self._measured.y(one, lines)[0], self._measured.variance(one, lines)[0]

    def variance_at(
        self, energies: NDArray[np.intp], pixels: tuple[NDArray[np.intp], NDArray[np.intp]]
    ) -> NDArray:
        """Counting variance [n, P] of the logarithm at energies, of pixels (lines, columns)."""
        return self._measured.variance(energies, pixels)

    def unmoved(self, k: int) -> tuple[NDArray, NDArray]:
        """``-ln(N / M)`` [ny, nx] of an energy as it was taken, whatever the shifts; its variance.

        NaN where nothing was measured.
        """
        self._check_index(k, 0)
        return self._measured.unmoved(k)

    def uniform(self) -> bool:
        """Whether all pixels transmit the same, to their noise and 2 %: an empty image."""
        return self._i0.uniform()

    def determined(self, energies: ArrayLike) -> bool:
        """Whether some energies (a mask [nE], or indices) tell the species apart."""
        return scaled_condition(self.design[np.asarray(energies)]) < MAX_CONDITION

    # -- solving ---------------------------------------------------------------------------

    def refresh(self) -> NDArray[np.intp]:
        """Bring I0 up to date and say which lines `solve` should be called for.

        Returns
        -------
        numpy.ndarray of int
            Lines with new data, and lines for which ln I0 has moved by more than a tenth of a
            bright pixel's standard deviation since they were solved.
        """
        self._i0.update()
        if self._measured.units != self._units_used:  # sigma of every line has changed
            self._units_used = self._measured.units
            self._dirty[:] = True
        used = self._measured.present & np.isfinite(self._i0.ln_i0)[:, None]
        now = np.where(used, self._i0.ln_i0[:, None], np.nan).T
        before = self._i0_of_line
        with np.errstate(invalid="ignore"):
            moved = np.abs(now - before) > I0_TOLERANCE * self._i0.pixel_noise()
        stale = (moved | (np.isnan(now) != np.isnan(before))).any(axis=1)
        return np.flatnonzero(stale | self._dirty)

    def solve(self, lines: ArrayLike | None = None) -> OxidationResult:
        """Solve for the maps.

        Parameters
        ----------
        lines : array_like of int, optional
            Lines to solve again, with I0 as it is now; the others keep what they have. By
            default all, after looking for the blank in everything measured: this is the map
            that does not depend on the order in which lines came.

        Returns
        -------
        OxidationResult
            A copy, [ny, nx]; lines never solved are NaN and `PixelFlag.INCOMPLETE`.
        """
        self._i0.update(force=lines is None)
        if lines is None:
            chosen = np.arange(self.shape[0])
        else:
            chosen = np.unique(np.asarray(lines, dtype=np.intp))
            if chosen.size and not 0 <= chosen[0] <= chosen[-1] < self.shape[0]:
                raise IndexError(f"lines must be in 0..{self.shape[0] - 1}, not {lines}")
        usable = self._measured.present & np.isfinite(self._i0.ln_i0)[:, None]
        noise = self._i0.pixel_noise()
        tolerance = np.where(np.isfinite(noise), I0_TOLERANCE * noise, 0.0)
        self._maps.solve(usable, chosen, tolerance, anew=lines is None)
        self._dirty[chosen] = False
        self._i0_of_line[chosen] = np.where(usable, self._i0.ln_i0[:, None], np.nan).T[chosen]
        return self._maps.result()

    # -- areas -----------------------------------------------------------------------------

    def area_spectrum(self, mask: ArrayLike) -> AreaSpectrum:
        """Mean optical density of an area, its uncertainty and its fit.

        Parameters
        ----------
        mask : array_like of bool [ny, nx]
            The pixels. Those of it without a value (see `PixelFlag`) are left out, and lines that
            an image does not cover since it was moved.

        Returns
        -------
        AreaSpectrum

        Raises
        ------
        ValueError
            If the mask has another shape, or no pixel of it has a value.
        """
        from ._area import area_spectrum

        area = checked_mask(mask, self.shape, "mask")
        return area_spectrum(
            self._measured, self._maps.weight, self.design, self.species, self._i0.ln_i0,
            self._i0.variance, area & self._maps.fitted, self.energies,
        )  # fmt: skip

    def _check_index(self, k: int, line: int) -> None:
        if not 0 <= k < len(self.design) or not 0 <= line < self.shape[0]:
            raise IndexError(
                f"energy {k}, line {line} is outside a stack of {len(self.design)} energies "
                f"and {self.shape[0]} lines"
            )
