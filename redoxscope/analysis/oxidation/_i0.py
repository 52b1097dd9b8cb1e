"""I0 from a blank area: one number and one variance per energy, from sums per line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._blank import Blank, find_blank
from ._blank_sums import BlankSums
from ._i0_given import I0Spectrum
from ._measured import Measured, Units
from ._noise import EXCESS, NO_BEAM, Noise, part_of, scatter, step_of, unit_of

__all__ = ["I0"]

Array = NDArray[np.float64]
CHUNK = 1 << 20
"""Values (energies x pixels) handled at a time."""
LIVE_IMAGES = 32
"""Images of a stack under way that the blank is looked for in: their mean is smooth enough."""
REFIND_GROWTH = 1.3
"""The blank is looked for again once there are this many times more lines than last time."""
LEAST_OD, MOST_OD = -0.7, 5.0
"""Optical density of the brightest pixels with a given I0 outside which its unit is wrong: no
pixel is twice as bright as the beam, and a hundredth of it is no image."""


class I0:
    """ln I0 of a stack at each energy, kept up to date as lines come in.

    Parameters
    ----------
    measured : Measured
        The stack's frames.
    from_blank : bool
        Whether to take it from a blank area, where there is one.
    scale : numpy.ndarray [nE]
        Transmission per monitor count, used without a blank.
    given : numpy.ndarray of bool [ny, nx] or None
        The blank area, if it is known.
    spectrum : I0Spectrum or None
        An I0 measured elsewhere, which is used instead.
    energies : numpy.ndarray [nE]
        eV, to look it up.
    """

    def __init__(
        self,
        measured: Measured,
        from_blank: bool,
        scale: Array,
        given: NDArray[np.bool_] | None,
        spectrum: I0Spectrum | None,
        energies: Array,
    ) -> None:
        self._measured = measured
        self._from_blank = from_blank
        self._scale = scale
        self._given = given
        self.blank: Blank | None = None
        self._summed = np.zeros((len(scale), measured.shape[0]), dtype=np.int64)  # versions
        self.ln_i0 = np.full(len(scale), np.nan)
        self.variance = np.full(len(scale), np.nan)
        self._blank_sums: BlankSums | None = None
        self._looked_at = -1
        self.noise = Noise()
        self.refusal = ""
        self.brightest = np.nan
        self._energies = energies
        self._elsewhere: tuple[Array, Array] | None = None
        self.spectrum: I0Spectrum | None = None
        self.use(spectrum)

    def use(self, spectrum: I0Spectrum | None) -> None:
        """Take I0 from a spectrum; None: from the stack itself.

        Raises
        ------
        ValueError
            It does not cover the energies.
        """
        elsewhere = None if spectrum is None else spectrum.at(self._energies, self._measured.dwell)
        self.spectrum, self._elsewhere = spectrum, elsewhere
        self.blank = None
        self.restart()

    def set_blank(self, mask: NDArray[np.bool_]) -> None:
        """Take I0 from these pixels."""
        self._given = mask
        self.use(None)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The blank area in use."""
        return self.blank.mask if self.blank is not None and self.blank.found else None

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Energies [nE] at which I0 is not known since the blank area is saturated."""
        if self._blank_sums is None:
            return np.zeros(len(self._scale), dtype=bool)
        return self._blank_sums.saturated

    def restart(self) -> None:
        """Forget the blank area: the frames have moved, or what their counts are worth."""
        self._looked_at = -1
        self._blank_sums = None

    def update(self, force: bool = False) -> None:
        """Bring `ln_i0` and `variance` up to date; ``force`` looks for the blank anew."""
        self._measured.settle()
        n_energies = len(self._scale)
        if self._elsewhere is not None:
            self._from_elsewhere(force)
            return
        self._find_blank(force)
        if self._blank_sums is None:
            known = bool(self._measured.monitored)
            self.ln_i0 = np.log(self._scale) if known else np.full(n_energies, np.nan)
            self.variance = np.zeros(n_energies)
            return
        sums = self._measured
        frames = [sums.counts] if sums.monitor is None else [sums.counts, sums.monitor]
        state = 2 * sums.version.astype(np.int64) + sums.present
        other = state != self._summed
        for k in np.flatnonzero(other.any(axis=1)):
            lines = np.flatnonzero(other[k])
            part = slice(int(lines[0]), int(lines[-1]) + 1)
            self._blank_sums.update(int(k), part, sums.present[k], frames)
        self._summed = state
        self.ln_i0, self.variance = self._blank_sums.ln_i0(
            bool(sums.monitored), sums.units, sums.dwell
        )

    def _from_elsewhere(self, force: bool) -> None:
        """Take the spectrum, once it is known to be of the stack's kind and size."""
        assert self._elsewhere is not None and self.spectrum is not None
        seen = int(self._measured.present.sum())
        if seen and (force or seen >= REFIND_GROWTH * self._looked_at):
            self._judge_steps()
            self.refusal = self._unlike()
            self._looked_at = seen
        if self.refusal:
            self.ln_i0 = np.full(len(self._scale), np.nan)
            self.variance = np.zeros(len(self._scale))
        else:
            self.ln_i0, self.variance = self._elsewhere

    def _unlike(self) -> str:
        """Why the spectrum cannot be this stack's I0; empty if it can."""
        assert self._elsewhere is not None and self.spectrum is not None
        ratio, monitored = self.spectrum.ratio, bool(self._measured.monitored)
        if ratio is not None and ratio != monitored:
            kinds = {True: "transmission per monitor count", False: "counts without a monitor"}
            return f"i0 is {kinds[ratio]}, but the stack needs {kinds[monitored]}"
        energies = self._complete()
        found = []
        for k in energies[:: max(1, len(energies) // 8)]:
            lines = np.flatnonzero(self._measured.present[k])
            od = self._measured.y(np.array([k]), lines) + self._elsewhere[0][k]
            od = od[np.isfinite(od)]
            if od.size:
                found.append(float(np.percentile(od, 1)))
        if not found:
            return ""
        self.brightest = float(np.median(found))
        if LEAST_OD <= self.brightest <= MOST_OD:
            return ""
        times = float(np.exp(abs(self.brightest)))
        which = "brighter" if self.brightest < 0 else "darker"
        return (
            f"the stack's brightest pixels are {times:.3g} times {which} than i0: it must be in "
            "counts per pixel at the stack's dwell (not a rate), or per monitor count where "
            "there is a monitor"
        )

    def _complete(self) -> NDArray[np.intp]:
        """Energies that have all lines that any has; if none, the fullest."""
        present = self._measured.present
        lines = present.any(axis=0)
        complete = np.flatnonzero(present[:, lines].all(axis=1))
        if complete.size:
            return complete
        return np.array([int(present.sum(axis=1).argmax())])

    def uniform(self) -> bool:
        """Whether all pixels measured transmit the same, to their noise and 2 %."""
        sums = self._measured
        complete = self._complete()
        lines = np.flatnonzero(sums.present[complete].all(axis=0))
        if not lines.size:
            return False
        with np.errstate(invalid="ignore"):
            mean = np.mean([sums.y(np.array([k]), lines)[0] for k in complete], axis=0)
            variance = np.mean([sums.variance(np.array([k]), lines)[0] for k in complete], axis=0)
            noise = float(np.median(np.sqrt(variance / len(complete))))
        low, high = np.percentile(mean, [5, 95])  # 3.3 standard deviations apart
        return bool(high - low <= 0.02 + 4.0 * noise)

    def _judge_steps(self) -> None:
        """Judge from the values' steps what one count is."""
        sums, k = self._measured, self._complete()[0]
        lines = np.flatnonzero(sums.present[k])
        dwell = None if sums.dwell is None else float(sums.dwell[k])
        unit, whole, rate = step_of(sums.counts.raw[k, lines], dwell)
        other, other_rate = 1.0, False
        if sums.monitor is not None:
            other, _, other_rate = step_of(sums.monitor.raw[k, lines], dwell)
        known = np.isfinite(unit)
        noise = Noise(
            unit if known else 1.0,
            other if np.isfinite(other) else 1.0,
            why="steps" if known and unit != 1.0 else "",
            whole=whole,
            dwell=dwell if rate else None,
            monitor_dwell=dwell if other_rate else None,
        )
        self._take(noise)

    def _judge_scatter(self, blank: Blank) -> None:
        """Judge from the scatter of the blank area what counting does not explain."""
        noise, sums = self.noise, self._measured
        ratios, variances, which = scatter(sums, blank.mask)
        if not which.size:
            return
        excess, expected = float(np.median(ratios)), float(np.median(variances))
        if excess > EXCESS and not noise.why and (not noise.whole or excess > NO_BEAM):
            dwell = None if sums.dwell is None else sums.dwell[which]
            units, why = unit_of(ratios, dwell)
            at = float(dwell[0]) if why == "rate" and dwell is not None else None
            noise = replace(noise, unit=float(units[0]), why=why, dwell=at)
            excess = float(np.median(ratios / units))
            expected = float(np.median(variances * units))
        elif not noise.why and not noise.whole:
            k = self._complete()[0]
            part = part_of(sums.counts.raw[k, np.flatnonzero(sums.present[k])], excess)
            if np.isfinite(part):
                noise = replace(noise, unit=part, why="steps")
                excess, expected = excess / part, expected * part
        extra = (excess - 1.0) * expected if excess > EXCESS else 0.0
        self._take(replace(noise, excess=excess, relative=extra))

    def pixel_noise(self) -> Array:
        """Standard deviation of one bright pixel's logarithm at each energy."""
        if self._blank_sums is None:
            return np.full(len(self._scale), np.inf)
        n_blank = max(int(self._blank_sums.mask.sum()), 1)
        return np.sqrt(np.nan_to_num(self.variance, nan=0.0) * n_blank)

    def _take(self, noise: Noise) -> None:
        self.noise = noise
        self._measured.units = Units(
            noise.unit, noise.monitor_unit, noise.relative, noise.dwell, noise.monitor_dwell
        )

    def _find_blank(self, force: bool) -> None:
        seen = int(self._measured.present.sum())
        if not self._from_blank or seen == 0:
            return
        if not (force or self._looked_at < 0 or seen >= REFIND_GROWTH * self._looked_at):
            return
        before = self.noise
        self._judge_steps()
        new = self._look(force) if self._given is None else Blank(self._given, np.nan, np.nan)
        if not new.found and not self.noise.whole and not self.noise.why:
            new = self._look_for_rates(new, force)
        self._looked_at = seen
        if new.found:
            self._judge_scatter(new)
        elif not force and self.mask is not None:
            self._take(before)
        if not force and not new.found and self.mask is not None:
            return  # live, an area once found is kept until a better one is
        old = self._blank_sums
        if old is None or not np.array_equal(old.mask, new.mask):
            self._blank_sums = BlankSums(new.mask, len(self._scale)) if new.found else None
            self._summed[:] = -1
        self.blank = new

    def _look_for_rates(self, none: Blank, force: bool) -> Blank:
        """Look again for the blank, with the noise that counts per second would have.

        What is found must then scatter as such rates do: noise that is allowed too much finds a
        blank anywhere.
        """
        sums = self._measured
        if sums.dwell is None:
            return none
        before, dwell = self.noise, float(sums.dwell[0])
        self._take(replace(before, unit=1.0 / dwell, dwell=dwell))
        found = self._look(force)
        self._take(before)
        if found.found:
            ratios, _, which = scatter(sums, found.mask)
            if which.size and np.median(ratios) > EXCESS:
                if unit_of(ratios, sums.dwell[which])[1] == "rate":
                    return found
        return none

    def _look(self, force: bool) -> Blank:
        """Look for the blank in the mean of the complete images, or of the first's lines.

        Of all of them, or of as many as take no longer while more are to come.
        """
        complete = self._complete()  # a line missed at every energy: the fullest image alone
        if not force:
            complete = complete[:: -(-len(complete) // LIVE_IMAGES)]
        where = np.flatnonzero(self._measured.present[complete].all(axis=0))
        shape = self._measured.shape
        image = np.full(shape, np.nan)
        step = max(1, CHUNK // (len(complete) * shape[1]))
        for start in range(0, len(where), step):
            part = where[start : start + step]
            with np.errstate(invalid="ignore"):
                image[part] = -self._measured.y(complete, part).mean(axis=0, dtype=np.float64)
        image[~np.isfinite(image)] = np.nan
        if not np.isfinite(image).any():
            return find_blank(image, 1.0)
        bright = image >= np.nanpercentile(image, 90)
        line = int(bright.sum(axis=1).argmax())
        variance = self._measured.variance(complete, np.array([line]))[:, 0, bright[line]]
        noise = float(np.sqrt(np.median(variance.sum(axis=0))) / len(complete))
        return find_blank(image, noise)
