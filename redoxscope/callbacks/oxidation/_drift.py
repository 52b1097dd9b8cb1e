"""Images of a stack moved onto each other as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...analysis.registration import (
    LEAST_SIDE,
    MATTERS,
    MOST_SIGMA,
    SEEN,
    Drift,
    DriftTracker,
    Shift,
    likeness,
    shift_onto,
)
from .._doubt import Doubt
from .._draw_style import measured
from ._images import Images
from ._words import several

__all__ = ["UNPLACED", "Aligned", "Break", "ImageDrift"]

Array = NDArray[np.float64]
BESIDE = 3
"""Images before and after a break that say how far the sample moved meanwhile."""
BETTER = 0.02
"""Pixels by which a shift must have changed for the images to be moved anew under way."""
LIKE = 8.0
"""Standard deviations of the correlation from which on a dose check shows the same as its image."""
UNPLACED = "how far the sample has moved until then cannot be told"
"""Why a dose check is not compared."""


@dataclass(frozen=True)
class Aligned:
    """How the images of a stack were shifted.

    Attributes
    ----------
    shifts, sigma : numpy.ndarray [nE, 2]
        (dy, dx) in pixels that brings each image onto the first, and its standard deviation;
        infinite where an image does not tell it. NaN of images that have not come.
    followed : numpy.ndarray [nE, 2]
        By how much (y, x; µm) the plan had moved the region itself; 0 where it did not.
    pixel : tuple of float
        Height and width of a pixel (µm).
    undone : bool
        Whether the images were moved; shifts too small to matter are left.
    """

    shifts: Array
    sigma: Array
    followed: Array
    pixel: tuple[float, float]
    undone: bool

    @property
    def movement(self) -> Array:
        """By how much the sample had moved since the first image, (y, x) [nE, 2] in µm."""
        return np.asarray(self.followed - self.shifts * np.array(self.pixel))


@dataclass(frozen=True)
class Break:
    """Where a stack was continued in another run.

    Attributes
    ----------
    k : int
        The first image of the other run.
    line : int
        Its first line there; the others are of the run before.
    run : str
        The other run's uid.
    """

    k: int
    line: int
    run: str


class ImageDrift:
    """Registers the images of a map when they are whole, and has its fit move them.

    Parameters
    ----------
    images : Images
    wanted : {"correct", "measure", "ignore"}
        What to do.
    """

    def __init__(self, images: Images, wanted: Literal["correct", "measure", "ignore"]) -> None:
        self._images = images
        enough = len(images.energies) > 1 and min(images.shape) >= LEAST_SIDE
        self._on = enough and wanted != "ignore"
        self._correct = wanted == "correct"
        self._tracker = self._fresh()
        self._stale: set[int] = set()
        self._applied: Array | None = None
        self._settled = False
        self._checks: dict[int, Shift | None] = {}
        self.breaks: list[Break] = []
        self.followed = np.zeros((len(images.energies), 2))

    def _fresh(self) -> DriftTracker:
        return DriftTracker(self._images.energies, self._images.shape)

    def line(self, k: int) -> None:
        """An image has changed."""
        self._settled = False
        if k in self._tracker.images:
            self._stale.add(k)

    def update(self, *, final: bool) -> None:
        """Register what has become whole; if ``final`` all there is, each against all others."""
        if not self._on or (final and self._settled):
            return
        fit, come = self._images.fit, self._images.whole(final=final)
        if final and self._stale:  # as if it had come so at first
            self._tracker, self._stale = self._fresh(), set()
        torn = {one.k: one for one in self.breaks if one.line}
        new = [k for k in np.flatnonzero(come).tolist() if k not in self._tracker.images]
        for k in new:
            if k not in torn:
                self._tracker.add(k, *fit.unmoved(k))
        if final and len(self._tracker.images) > 1:
            self._tracker.again(fit.unmoved)
            self._settled = True
        # Last, when it is known best how far its parts lie apart: live as in batch.
        for k in [k for k in new if k in torn and final]:
            if self._correct:
                self._mend(torn[k])
            self._tracker.add(k, *fit.unmoved(k))
        if (new or final) and self._correct:
            self._apply(self._tracker.drift, final=final)

    def check_line(self, j: int) -> None:
        """A dose check has changed."""
        self._checks.pop(j, None)

    def place_checks(self, checks: Images, *, final: bool) -> NDArray[np.bool_]:
        """Move dose checks onto the images that they repeat, where images are moved.

        They come last, where the sample has gone furthest.

        Returns
        -------
        numpy.ndarray of bool [n]
            Those that may be compared. Of the others nobody knows where the sample lies in them.
        """
        n = len(checks.energies)
        if not (self._on and self._correct):
            return np.ones(n, dtype=bool)
        if final:  # as if all had come at once
            self._checks.clear()
        come = np.flatnonzero(checks.whole(final=final)).tolist()
        new = [j for j in come if j not in self._checks]
        for j in new:
            self._checks[j] = self._shift_of(checks, j)
        undone = self._applied is not None
        shifts, known = np.zeros((n, 2)), np.ones(n, dtype=bool)
        for j in come:
            one = self._checks[j]
            sigma = np.full(2, np.inf) if one is None else np.array([one.sigma_y, one.sigma_x])
            if one is None or not one.found or sigma.max() > MOST_SIGMA:
                known[j] = not undone
                continue
            shift = np.array([one.dy, one.dx])
            if undone or (np.abs(shift) > np.maximum(SEEN * sigma, MATTERS)).any():
                shifts[j] = shift
        if new and (shifts.any() or checks.fit.shifts is not None):
            checks.fit.reaccumulate(shifts if shifts.any() else None)
        return known

    def _shift_of(self, checks: Images, j: int) -> Shift | None:
        """Shift of a dose check onto the image of its energy, as that lies now; None: not known."""
        fit = self._images.fit
        k = int(np.flatnonzero(self._images.energies == checks.energies[j])[0])
        there = np.flatnonzero(fit.lines_on_grid[k])
        if not there.size:
            return None
        image, variance = checks.fit.unmoved(j)
        image[~(np.isfinite(image) & np.isfinite(variance))] = np.nan
        reference = np.full(self._images.shape, np.nan)
        reference[there], own = fit.logarithm(k, there)
        reference[~np.isfinite(reference)] = np.nan
        variance[there] += own
        order = self._tracker.images
        start = np.nan_to_num(self._tracker.drift.shifts[order[-1]]) if order else np.zeros(2)
        found = shift_onto(
            image, reference, variance=variance,
            start=start if self._applied is not None else np.zeros(2),
        )  # fmt: skip
        alike = found.found and likeness(image, reference, (found.dy, found.dx)) > LIKE
        return found if alike else None

    def _apply(self, drift: Drift, *, final: bool) -> None:
        if not drift.matters:
            if self._applied is not None:
                self._images.fit.reaccumulate(None)
                self._applied = None
                self._checks.clear()
            return
        shifts = drift.shifts.copy()
        # An image under way lies as the one before, one that was torn between its neighbours.
        at, lacking = self._tracker.images, np.flatnonzero(np.isnan(shifts).any(axis=1))
        for axis in (0, 1):
            shifts[lacking, axis] = np.interp(lacking, at, shifts[at, axis])
        # At the end the shifts that are told are those that the map was made with.
        least = 0.0 if final else BETTER
        if self._applied is None or np.abs(shifts - self._applied).max() > least:
            self._images.fit.reaccumulate(shifts)
            self._applied = shifts
            self._checks.clear()

    def _jump(self, one: Break, followed: Array | float = 0.0) -> tuple[Array, Array] | None:
        """Shift (px) from the images before a break to those after it, and σ; None: not known.

        Of the sample, where its region had been moved after it: `followed` is given in pixels.
        """
        drift = self._tracker.drift
        places = drift.shifts - followed
        order = [k for k in sorted(self._tracker.images) if drift.known[k]]
        before = [k for k in order if k < one.k][-BESIDE:]
        after = [k for k in order if k >= one.k + (one.line > 0)][:BESIDE]
        if not before or not after:
            return None
        means, variances = [], []
        for k in (before, after):
            weight = 1.0 / np.maximum(drift.sigma[k], 1e-3) ** 2
            means.append((weight * places[k]).sum(axis=0) / weight.sum(axis=0))
            variances.append(1.0 / weight.sum(axis=0))
        return means[1] - means[0], np.sqrt(variances[0] + variances[1])

    def _mend(self, one: Break) -> None:
        """Of an image whose parts lie in different places keep the larger."""
        jump = self._jump(one)
        if jump is None or not (np.abs(jump[0]) > np.maximum(SEEN * jump[1], MATTERS)).any():
            return
        factor = self._images.size[0] // self._images.shape[0]
        ny, first = self._images.shape[0], one.line // factor
        lost = range(first) if 2 * first < ny else range(first, ny)
        nothing = np.full(self._images.shape[1], np.nan)
        for line in lost:
            self._images.fit.set_line(one.k, line, nothing)

    def aligned(self, pixel: tuple[float, float]) -> Aligned | None:
        """What is known; None where nothing is."""
        if len(self._tracker.images) < 2:
            return None
        drift = self._tracker.drift
        undone = self._applied is not None
        return Aligned(drift.shifts, drift.sigma, self.followed.copy(), pixel, undone)

    def doubts(self, pixel: tuple[float, float]) -> Iterator[Doubt]:
        """Say it where the sample moved."""
        drift = self._tracker.drift
        for one in self.breaks if self._on else ():
            jump, run = self._jump(one, self.followed / np.array(pixel)), one.run[:8]
            if jump is None:
                text = "how far the sample moved meanwhile cannot be told."
                yield Doubt("resumed", np.nan, f"Continued in run {run!r}: {text}")
                continue
            far, sure = (float(np.hypot(*part)) for part in jump)
            nm = 1e3 * float(np.hypot(*(jump[0] * np.array(pixel))))
            yield Doubt(
                "resumed",
                far,
                f"Continued in run {run!r}: meanwhile the sample moved by {measured(far, sure)} "
                f"pixels ({nm:.0f} nm).",
            )
        followed = self.followed[drift.known].any()
        if self._on and drift.disbelief:
            length, _ = drift.largest
            yield Doubt(
                "drift",
                length,
                f"Shifts of the images of up to {length:.2g} pixels are not believed: "
                f"{drift.disbelief}. The images are as they were taken.",
            )
        if not self._on or not (drift.matters or followed):
            return
        length, sigma = drift.largest
        if followed:
            movement = (self.followed - drift.shifts * np.array(pixel))[drift.known]
            farthest = float(np.hypot(*movement.T).max())
            first = f"The sample moved by up to {1e3 * farthest:.0f} nm, and its region after it"
            if not drift.matters:
                text = f"{first}." if drift.disbelief else f"{first}: its images lie on each other."
                yield Doubt("drift", farthest / float(np.mean(pixel)), text)
                return
            said = f"{first}, but for up to {measured(length, sigma)} pixels"
            length = farthest / float(np.mean(pixel))
        else:
            nm = 1e3 * length * float(np.mean(pixel))
            said = (
                f"The sample moved by up to {measured(length, sigma)} pixels ({nm:.0f} nm) against "
                "the first image"
            )
        then = "the images were moved back"
        if not self._correct:
            then = "the images are as they were taken (drift='correct' moves them back)"
        blind = len(self._tracker.images) - int(drift.known.sum())
        if blind:
            whose = several(blind, "image")
            then += f"; {whose} of them tell no shift, and were taken to lie as their neighbours do"
        yield Doubt(
            "drift",
            length,
            f"{said}: {then}.",
        )
