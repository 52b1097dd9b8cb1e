"""Images that no map is made of: of the empty beam, and of the dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import Detector, I0Spectrum, dead_time_corrected
from .._doubt import Doubt
from ._images import Images, Row
from ._layout import Layout
from ._words import several

__all__ = ["DarkImages", "I0Images"]

Array = NDArray[np.float64]
NOT_DARK = 0.1
"""Share of the light in the images of the sample from which on a dark image is not dark."""
MUCH_DARK = 1e-3
"""Share of it from which on dark counts are said."""


class I0Images:
    """I0 from images of the empty beam: of the whole image, at each energy.

    Parameters
    ----------
    layout : Layout
        Of the run.
    frames : sequence of int
        Indices of the frames.
    factors : mapping
        Pixels a side that are taken together, by region.
    """

    def __init__(self, layout: Layout, frames: list[int], factors: Mapping[int, int]) -> None:
        self._scan = scan = layout.scan
        self._where: dict[int, tuple[int, int]] = {}
        self._outer: dict[int, list[tuple[float, ...]]] = {}
        self.regions: dict[int, Images] = {}
        self._names = {i: scan.regions[i].name for i in range(len(scan.regions))}
        for region in dict.fromkeys(scan.frames[i].region for i in frames):
            own = [i for i in frames if scan.frames[i].region == region]
            self._where |= {frame: (region, k) for k, frame in enumerate(own)}
            self._outer[region] = [scan.frames[i].outer for i in own]
            nx, ny = scan.regions[region].pixels
            self.regions[region] = Images(
                (ny, nx),
                np.array([scan.frames[i].energy for i in own]),
                np.array([scan.frames[i].dwell for i in own]),
                factors[region],
                layout.monitored,
            )
        self.configure({})

    def configure(self, detectors: Mapping[str, Detector], mode: str = "auto") -> None:
        """Take what is known of the detectors; ``mode`` as of a `StackFit`."""
        for images in self.regions.values():
            if not images.begun:
                everything = np.ones(images.shape, dtype=bool)
                images.build(detectors, mode=mode, blank=everything)

    def take(self, frame: int, line: int, row: Row) -> None:
        """Take a line of one of the images."""
        region, k = self._where[frame]
        self.regions[region].take(k, line, row)

    def spectrum(self, outer: tuple[float, ...], *, final: bool) -> I0Spectrum | None:
        """I0 with its own σ, from the images that are whole; None where none is.

        What was measured at an energy more than once is averaged; where it differs by more than
        counting explains, σ is as large as the difference makes it.
        """
        found: dict[float, list[tuple[float, float]]] = {}
        monitored = False
        for region, images in self.regions.items():
            values, variances = images.fit.updated_ln_i0()
            for k in np.flatnonzero(images.whole(final=final) & np.isfinite(values)):
                if self._outer[region][k] != outer:
                    continue
                ln, monitored = float(values[k]), images.fit.monitored
                if not monitored:  # per s: the stack's dwell may be another
                    ln -= float(np.log(images.together * images.dwell[k]))
                energy = float(images.energies[k])
                found.setdefault(energy, []).append((ln, float(variances[k])))
        if not found:
            return None
        mean, sigma = np.array([_mean(np.array(measured)) for measured in found.values()]).T
        values_at = np.exp(mean)
        return I0Spectrum(
            np.array(list(found)), values_at, values_at * sigma, dwell=1.0, ratio=monitored,
            source="from the images of the empty beam", partial=True,
        )  # fmt: skip

    def change(self, first: int, later: int, *, final: bool) -> tuple[float, float]:
        """By how much ln I0 has changed between two images of the sample, and its variance.

        Of each the image of the empty beam counts that was taken nearest, at its energy; 0 where
        that is the same one, or none is whole.
        """
        before = self._nearest(first, final, None)
        after = None if before is None else self._nearest(later, final, self._where[before[0]][0])
        if before is None or after is None or before[0] == after[0]:
            return 0.0, 0.0
        return after[1] - before[1], before[2] + after[2]

    def _nearest(
        self, frame: int, final: bool, region: int | None
    ) -> tuple[int, float, float] | None:
        """Frame of the empty beam, its ln I0 (per s, without a monitor) and the variance."""
        wanted = self._scan.frames[frame]
        found = []
        for i, (of, k) in self._where.items():
            one, images = self._scan.frames[i], self.regions[of]
            alike = (one.energy, one.outer) == (wanted.energy, wanted.outer)
            if not alike or region not in (None, of) or not images.whole(final=final)[k]:
                continue
            values, variances = images.fit.updated_ln_i0()
            ln = float(values[k])
            if not images.fit.monitored:
                ln -= float(np.log(images.together * images.dwell[k]))
            if np.isfinite(ln):
                # Of two that are as near the one that comes after it, as it is planned.
                found.append((abs(i - frame), i < frame, i, ln, float(variances[k])))
        return min(found)[2:] if found else None

    def doubts(self) -> Iterator[Doubt]:
        """Say it where an image is not empty."""
        for region, images in self.regions.items():
            if not images.fit.lines_present.any():
                continue
            if not np.isfinite(images.fit.updated_ln_i0()[0]).any():
                pixels = images.shape[0] * images.shape[1]
                full = images.fit.i0_saturated.any()
                yield Doubt(
                    "i0_images",
                    region,
                    f"The images of the empty beam (region {self._names[region]!r}, "
                    f"{several(pixels, 'pixel')}) give no I0: "
                    + ("they are saturated." if full else "they have too few pixels with counts."),
                )
            elif not images.fit.uniform():
                yield Doubt(
                    "i0_images",
                    region,
                    f"The images of the empty beam (region {self._names[region]!r}) are not empty "
                    "all over: I0 is their mean.",
                )


def _mean(measured: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted mean of (value, variance) [n, 2], and its σ: of counting, or of the scatter."""
    values, variance = measured.T
    weight = 1.0 / variance
    mean = float((weight * values).sum() / weight.sum())
    excess = 1.0
    if len(values) > 1:
        excess = max(1.0, float((weight * (values - mean) ** 2).sum()) / (len(values) - 1))
    return mean, float(np.sqrt(excess / weight.sum()))


class DarkImages:
    """Dark counts per s and pixel, from images without beam.

    Parameters
    ----------
    layout : Layout
        Of the run.
    frames : sequence of int
        Indices of the frames.
    """

    def __init__(self, layout: Layout, frames: list[int]) -> None:
        self._dwell = {i: layout.scan.frames[i].dwell for i in frames}
        self._detectors: Mapping[str, Detector] = {}
        # Counts and pixels of each line, of the transmission and of the monitor.
        self._lines: dict[int, NDArray] = {}
        self.status: dict[int, NDArray[np.int8]] = {}
        for i in frames:
            ny = layout.scan.regions[layout.scan.frames[i].region].pixels[1]
            self._lines[i] = np.zeros((2, 2, ny))
            self.status[i] = np.full(ny, -1, dtype=np.int8)

    def configure(self, detectors: Mapping[str, Detector]) -> None:
        """Take what is known of the detectors."""
        self._detectors = detectors

    def take(self, frame: int, line: int, row: Row) -> None:
        """Take a line of one of the images."""
        self.status[frame][line] = row.status
        for which, values in enumerate((row.counts, row.i0)):
            good = np.isfinite(values) if values is not None and row.taken else np.zeros(0, bool)
            total = float(values[good].sum()) if values is not None and good.any() else 0.0
            self._lines[frame][which, :, line] = total, float(good.sum())

    def rates(self, *, final: bool) -> tuple[float, float, float]:
        """Dark counts per s and pixel, their σ, and the monitor's; NaN where there are none yet."""
        rates, sigma = [], float("nan")
        for which, name in enumerate(("transmission", "i0")):
            counts = time = 0.0
            for frame, lines in self._lines.items():
                come = self.status[frame] >= 0
                total, pixels = lines[which].sum(axis=1)
                if not (come.any() if final else come.all()) or not pixels:
                    continue
                dead = self._detectors.get(name, Detector()).dead_time
                one = dead_time_corrected(total / pixels, self._dwell[frame], dead)
                counts += pixels * float(one)
                time += pixels * self._dwell[frame]
            rates.append(counts / time if time else float("nan"))
            if which == 0 and time:
                sigma = float(np.sqrt(max(counts, 1.0)) / time)
        return rates[0], sigma, rates[1]

    def doubts(self, light: float, *, final: bool) -> Iterator[Doubt]:
        """Say what dark counts mean beside the light (per s and pixel) in the images."""
        rate, sigma, _ = self.rates(final=final)
        if not np.isfinite(rate):
            if final:
                yield Doubt("dark", 0, "No dark image was taken: no dark counts are taken off.")
            return
        share = rate / light if light > 0 else 0.0
        words = f"{rate:.4g} ± {sigma:.2g} dark counts per s and pixel"
        if self.is_light(light, final=final):
            yield Doubt(
                "dark",
                rate,
                f"The dark images are not dark: {words}, {100 * share:.0f} % of the mean light in "
                "the images. They are not taken off.",
            )
        elif share > MUCH_DARK:
            yield Doubt(
                "dark",
                rate,
                f"{words[0].upper()}{words[1:]} are taken off, {100 * share:.2g} % of the mean "
                "light in the images: the same everywhere.",
            )

    def is_light(self, light: float, *, final: bool) -> bool:
        """Whether the images are too bright to be dark."""
        return bool(self.rates(final=final)[0] > NOT_DARK * light)

    @property
    def statuses(self) -> list[NDArray[np.int8]]:
        """Status of each line, by frame."""
        return list(self.status.values())
