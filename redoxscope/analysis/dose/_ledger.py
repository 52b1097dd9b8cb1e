"""What places of one sample have had in several runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exposed", "Ledger"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exposed:
    """What a run has left in one region: on each pixel, all its images together.

    Attributes
    ----------
    run : str
        Its uid.
    time : float
        When it began (s since 1970).
    region : str
    x, y : numpy.ndarray [nx], [ny]
        Middles of the pixels (µm, sample coordinates), rising.
    photons, gray : numpy.ndarray [ny, nx]
        On each pixel, and absorbed per mass (Gy); NaN where it is not known.
    pixel : (float, float), optional
        Width and height of a pixel (µm), where a single column or row does not tell.
    """

    run: str
    time: float
    region: str
    x: Array
    y: Array
    photons: Array
    gray: Array
    pixel: tuple[float, float] | None = None

    def __repr__(self) -> str:
        return f"<Exposed region {self.region!r} of run {self.run[:8]}: {self.most:.3g} Gy>"

    @property
    def most(self) -> float:
        """Dose of the pixel that has most (Gy); NaN where none is known."""
        return float(np.nanmax(self.gray)) if np.isfinite(self.gray).any() else math.nan

    @property
    def sides(self) -> tuple[float, float]:
        """Width and height of a pixel (µm)."""
        if self.pixel is not None:
            return self.pixel
        sides = [float(abs(v[1] - v[0])) if len(v) > 1 else None for v in (self.x, self.y)]
        # A line is as high as its pixels are wide; of a single place nothing is known.
        return sides[0] or sides[1] or 1.0, sides[1] or sides[0] or 1.0

    @property
    def edges(self) -> tuple[Array, Array]:
        """Edges of the pixels along x and y (µm)."""
        width, height = self.sides
        return _edges(self.x, width), _edges(self.y, height)

    def cut(self, inside: NDArray[np.bool_]) -> Exposed:
        """What pixels [ny, nx] have, and no more of the image than they need."""
        rows, columns = (_span(np.any(inside, axis=axis)) for axis in (1, 0))
        here = inside[rows, columns]
        return replace(
            self, x=self.x[columns], y=self.y[rows], pixel=self.sides,
            photons=np.where(here, self.photons[rows, columns], 0.0),
            gray=np.where(here, self.gray[rows, columns], 0.0),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Ledger:
    """Sum over runs, place by place.

    Attributes
    ----------
    entries : tuple of Exposed
        In the order in which they were taken.
    unplaced : tuple of str
        Runs on the sample of which nothing is known, not where they were either, each with its
        reason.
    """

    entries: tuple[Exposed, ...]
    unplaced: tuple[str, ...] = ()

    def __repr__(self) -> str:
        runs = len({entry.run for entry in self.entries})
        lacking = f", of {len(self.unknown)} more not known" if self.unknown else ""
        return f"<Ledger of {runs} runs: at most {self.gray:.3g} Gy{lacking}>"

    @property
    def unknown(self) -> tuple[str, ...]:
        """Runs whose dose is not known, each with its reason: the sum is too small by them."""
        of_entries = {
            entry.run: f"run {entry.run[:8]}: its photons are known, its dose is not (no material, "
            "or energies without references)"
            for entry in self.entries
            if not np.isfinite(entry.gray).all()
        }
        return *self.unplaced, *of_entries.values()

    @property
    def gray(self) -> float:
        """Dose of the place that has most (Gy), of what is known; 0 where nothing was measured."""
        return self._most("gray")

    @property
    def photons(self) -> float:
        """Photons per µm² on the place that has most."""
        return self._most("photons")

    def within(self, extents: Iterable[Sequence[Sequence[float]]]) -> Ledger:
        """What touches regions, given by their edges ((x0, x1), (y0, y1), µm).

        Of each entry the pixels that reach into them alone.
        """
        areas = [tuple(tuple(sorted(map(float, pair))) for pair in one) for one in extents]
        found = []
        for entry in self.entries:
            xs, ys = entry.edges
            inside = np.zeros(entry.gray.shape, dtype=bool)
            for (x0, x1), (y0, y1) in areas:
                columns = (xs[1:] > x0) & (xs[:-1] < x1) | _same(xs, x0)
                rows = (ys[1:] > y0) & (ys[:-1] < y1) | _same(ys, y0)
                inside |= rows[:, None] & columns
            if inside.any():
                found.append(entry.cut(inside))
        return Ledger(tuple(found), self.unplaced)

    def map(self, what: str = "gray") -> tuple[Array, Array, Array]:
        """The sum of what is known, on a grid of edges of pixels.

        Of each entry those edges alone at which something changes, so that many runs on a sample
        do not make a grid that no memory holds.

        Parameters
        ----------
        what : {"gray", "photons"}
            Gy, or photons per µm².

        Returns
        -------
        x, y : numpy.ndarray [nx + 1], [ny + 1]
            Edges of its cells (µm).
        total : numpy.ndarray [ny, nx]
        """
        if not self.entries:
            return np.zeros(2), np.zeros(2), np.zeros((1, 1))
        tiles = [_collapsed(entry, what) for entry in self.entries]
        x, y = (_distinct(np.concatenate([one[axis] for one in tiles])) for axis in (0, 1))
        total = np.zeros((len(y) - 1, len(x) - 1))
        middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
        for xs, ys, values in tiles:
            columns = np.flatnonzero((middle_x > xs[0]) & (middle_x < xs[-1]))
            rows = np.flatnonzero((middle_y > ys[0]) & (middle_y < ys[-1]))
            i = np.searchsorted(ys, middle_y[rows]) - 1
            j = np.searchsorted(xs, middle_x[columns]) - 1
            total[np.ix_(rows, columns)] += values[np.ix_(i, j)]
        return x, y, total

    def _most(self, what: str) -> float:
        return float(self.map(what)[2].max())


def _edges(middles: Array, side: float) -> Array:
    values = np.asarray(middles, dtype=float)
    if len(values) == 1:
        return np.array([values[0] - side / 2, values[0] + side / 2])
    half = (values[1:] - values[:-1]) / 2
    inner = values[:-1] + half
    return np.concatenate([[values[0] - half[0]], inner, [values[-1] + half[-1]]])


def _span(flags: NDArray[np.bool_]) -> slice:
    """From the first that is set to the last."""
    found = np.flatnonzero(flags)
    return slice(int(found[0]), int(found[-1]) + 1)


def _collapsed(entry: Exposed, what: str) -> tuple[Array, Array, Array]:
    """Edges and values of an entry, neighbours that have the same being one; 0 for unknown."""
    xs, ys = entry.edges
    values = getattr(entry, what)
    values = np.where(np.isfinite(values), values, 0.0)
    if what == "photons":  # pixels of a region are all as large
        values = values * (values.size / ((xs[-1] - xs[0]) * (ys[-1] - ys[0])))
    first = [
        np.concatenate([[0], np.flatnonzero((np.diff(values, axis=axis) != 0).any(1 - axis)) + 1])
        for axis in (0, 1)
    ]
    xs, ys = np.append(xs[first[1]], xs[-1]), np.append(ys[first[0]], ys[-1])
    return xs, ys, values[np.ix_(*first)]


def _distinct(values: Array) -> Array:
    """Rising, and those closer than a tenth of a nanometre once."""
    found = np.unique(values)
    return found[np.concatenate([[True], np.diff(found) > 1e-4])]


def _same(edges: Array, at: float) -> NDArray[np.bool_]:
    """The cell that a place lies in; of a region of one pixel the extents are one place."""
    return np.asarray((edges[:-1] <= at) & (at < edges[1:]))
