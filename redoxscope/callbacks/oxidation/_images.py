"""Images of one region as their lines come, with pixels taken together where they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...analysis.oxidation import Detector, StackFit, checked_mask
from ...documents import LineStatus
from ._memory import Binning

__all__ = ["TAKEN", "Images", "Row"]

Array = NDArray[np.float64]
TAKEN = (LineStatus.OK, LineStatus.RETRIED)
"""Statuses of lines whose counts are used."""


class Row(NamedTuple):
    """One line: counts [nx] and what the scanner says of them.

    ``x`` and ``y`` are measured positions (µm), None where they are not known or not believed.
    ``energy`` is as read, eV; NaN where it is not known. ``followed`` (x, y; µm): by how much the
    plan had moved the region.
    """

    counts: Array
    i0: Array | None
    status: int
    x: Array | None
    y: float | None
    energy: float = float("nan")
    followed: tuple[float, float] = (0.0, 0.0)

    @property
    def taken(self) -> bool:
        """Whether its counts are used."""
        return self.status in TAKEN


class Images:
    """Images with the same pixels, of which a fit is made.

    Parameters
    ----------
    size : tuple of int
        (ny, nx).
    energies, dwell : numpy.ndarray [n]
        Of the images, eV and s per pixel.
    factor : int
        Pixels a side that are taken together.
    monitored : bool
        Whether there may be a monitor.
    design : numpy.ndarray [n, K+1], optional
        Of the fit; without it the images are only kept.
    species : int
        Columns of it that are species.
    """

    def __init__(
        self,
        size: tuple[int, int],
        energies: Array,
        dwell: Array,
        factor: int,
        monitored: bool,
        design: Array | None = None,
        species: int = 0,
    ) -> None:
        self.size, self.energies, self.dwell = size, energies, dwell
        n = len(energies)
        self._design = np.empty((n, 0)) if design is None else design
        self._species = species
        self.binning = Binning(factor, (n, *size), monitored) if factor > 1 else None
        self.shape = size if self.binning is None else self.binning.shape
        self.status = np.full((n, size[0]), -1, dtype=np.int8)
        self.read = np.full((n, size[0]), np.nan)  # energy of each line, eV
        self.fit: StackFit
        self.build({})

    @property
    def together(self) -> int:
        """Pixels that are taken together."""
        return 1 if self.binning is None else self.binning.factor**2

    @property
    def begun(self) -> bool:
        """Whether a line has come."""
        return bool((self.status >= 0).any())

    def build(self, detectors: Mapping[str, Detector], **options: Any) -> None:
        """Make the fit, with what is known of the detectors (``transmission``, ``i0``)."""
        found = [detectors.get(name, Detector()) for name in ("transmission", "i0")]
        if self.binning is not None:
            self.binning.limits = tuple(
                np.array([detector.limit(time) for time in self.dwell]) for detector in found
            )
        self.fit = StackFit(
            self._design,
            self._species,
            self.shape,
            dwell=self.together * self.dwell,
            transmission=found[0],
            monitor=found[1],
            energies=self.energies,
            dtype=np.float32,  # a millionth of a fraction, for half of the memory and time
            **options,
        )

    def mask(self, mask: ArrayLike, name: str) -> NDArray[np.bool_]:
        """A user's mask [ny, nx] for the pixels of the fit."""
        found = checked_mask(mask, self.size, name)
        return found if self.binning is None else self.binning.mask(found)

    def axis(self, values: Array) -> Array:
        """Positions of the fit's pixels."""
        return values.copy() if self.binning is None else self.binning.axis(values)

    def take(self, k: int, line: int, row: Row) -> None:
        """Take a line of an image; one that came before is replaced."""
        counts, i0 = row.counts, row.i0
        if not row.taken:  # whatever the scanner says of it: it is not to be believed
            counts = np.full(self.size[1], np.nan)
            i0 = None if i0 is None else counts
        if self.binning is None:
            self.fit.set_line(k, line, counts, i0)
        else:
            whole = self.binning.line(k, line, counts, i0)
            if whole is not None:
                self.fit.set_line(k, *whole)
        self.status[k, line] = row.status
        self.read[k, line] = row.energy if row.taken else np.nan

    def whole(self, *, final: bool = False) -> NDArray[np.bool_]:
        """Images [n] that all lines have come of; if ``final`` those that any has."""
        come = self.status >= 0
        return np.asarray(come.any(axis=1) if final else come.all(axis=1))

    @property
    def fit_status(self) -> NDArray[np.int8]:
        """Status of the fit's lines, -1 where one is to come."""
        return self.status if self.binning is None else self.binning.status(self.status)

    @property
    def lines_done(self) -> int:
        """Lines whose counts are used."""
        done = np.isin(self.status, TAKEN)
        if self.binning is None:
            done &= self.fit.lines_present
        return int(done.sum())
