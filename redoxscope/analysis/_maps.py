"""The maps of a stack, solved line by line from its sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._i0 import I0
from ._result import OxidationResult, PixelFlag
from ._solve import HIGH_OD, Solver, flags_of
from ._sums import RunningSums

__all__ = ["Maps"]

Array = NDArray[np.float64]
CHUNK = 1 << 20
"""Values (energies x pixels) solved at a time."""


class Maps:
    """What is known of each pixel.

    Parameters
    ----------
    sums : RunningSums
        The stack.
    i0 : I0
        Its I0.
    species : int
        Leading columns of the design matrix that are species; 0: there is nothing to solve.
    min_thickness : float
        Thinner pixels are not in the mask.
    max_od : float or None
        Nor are those with a higher optical density.
    """

    def __init__(
        self,
        sums: RunningSums,
        i0: I0,
        species: int,
        min_thickness: float,
        max_od: float | None,
    ) -> None:
        self._sums, self._i0, self.design, self.species = sums, i0, sums.design, species
        self.shape, self.min_thickness, self.max_od = sums.shape, min_thickness, max_od
        self._maps = self._empty_maps()

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Pixels [ny, nx] with a value."""
        return np.isfinite(self._maps["thickness"])

    def solve(self, usable: NDArray[np.bool_], lines: NDArray[np.intp]) -> None:
        """Solve lines, each with the energies [nE, ny] that can be used of it."""
        patterns, which = np.unique(usable[:, lines], axis=1, return_inverse=True)
        for index in range(patterns.shape[1]):
            self._solve_alike(patterns[:, index], lines[which.reshape(-1) == index])

    def _solve_alike(self, pattern: NDArray[np.bool_], lines: NDArray[np.intp]) -> None:
        energies = np.flatnonzero(pattern)
        lost = self._sums.missed[:, lines].any(axis=0)
        missed = np.where(lost, np.uint8(PixelFlag.MISSED), np.uint8(0))
        self._maps["n_energies"][lines] = len(energies)
        self._maps["flags"][lines] = missed[:, None] | np.uint8(PixelFlag.INCOMPLETE)
        if not self.species:
            return
        solver = Solver(
            self.design[energies],
            self.species,
            self._i0.variance[energies],
            self._sums.weight[energies],
        )
        if not len(energies) or not solver.solvable:
            self._blank_out(lines)
            return
        step = max(1, CHUNK // (len(energies) * self.shape[1]))
        for start in range(0, len(lines), step):
            part = lines[start : start + step]
            self._solve_chunk(solver, energies, part, missed[start : start + step])

    def _solve_chunk(
        self,
        solver: Solver,
        energies: NDArray[np.intp],
        lines: NDArray[np.intp],
        missed: NDArray[np.uint8],
    ) -> None:
        sums, n = self._sums, len(energies)
        where = np.ix_(energies, lines)
        counts = sums.counts.aligned[where].reshape(n, -1)
        monitor = sums.monitor.aligned[where].reshape(n, -1) if sums.monitor else None
        limits = [
            None if f is None else (f.least(energies)[:, None], f.limit[energies, None])
            for f in (sums.counts, sums.monitor)
        ]
        flags = flags_of((counts, monitor), limits)
        bad = flags != 0
        ln_i0 = self._i0.ln_i0[energies]
        od = sums.y(energies, lines).reshape(n, -1)
        od += ln_i0.astype(od.dtype)[:, None]
        variance = sums.variance(energies, lines).reshape(n, -1)
        if (sums.present[:, lines].sum(axis=0) == n).all():
            rhs = sums.rhs[:, lines]
        else:  # lines with an energy whose I0 is not known yet
            rhs = sums.partial(energies, lines)
        rhs = rhs.reshape(len(rhs), -1).astype(np.float64)
        rhs += (solver.rows.T @ ln_i0)[:, None]
        maps = solver.maps(rhs, od, variance, bad)
        high = maps.pop("high")
        flags[high > HIGH_OD] |= np.uint8(PixelFlag.HIGH_OD)
        with np.errstate(invalid="ignore"):
            floor = np.fmax(5.0 * maps["thickness_sigma"], self.min_thickness)
            mask = np.isfinite(maps["fraction"]) & (maps["thickness"] > floor)
            if self.max_od is not None:
                mask &= ~(high > self.max_od)
        size = (len(lines), self.shape[1])
        for name, values in maps.items():
            self._maps[name][..., lines, :] = values.reshape(*values.shape[:-1], *size)
        self._maps["mask"][lines] = mask.reshape(size)
        self._maps["flags"][lines] = flags.reshape(size) | missed[:, None]

    def _blank_out(self, lines: NDArray[np.intp]) -> None:
        for name in ("fraction", "sigma", "thickness", "thickness_sigma", "chi2"):
            self._maps[name][lines] = np.nan
        self._maps["coefficients"][:, lines] = np.nan
        self._maps["mask"][lines] = False

    def _empty_maps(self) -> dict[str, NDArray]:
        maps: dict[str, NDArray] = {
            name: np.full(self.shape, np.nan)
            for name in ("fraction", "sigma", "thickness", "thickness_sigma", "chi2")
        }
        maps["coefficients"] = np.full((self.design.shape[1], *self.shape), np.nan)
        maps["flags"] = np.full(self.shape, PixelFlag.INCOMPLETE, dtype=np.uint8)
        maps["mask"] = np.zeros(self.shape, dtype=bool)
        maps["n_energies"] = np.zeros(self.shape[0], dtype=np.intp)
        return maps

    def result(self) -> OxidationResult:
        """Return a copy, with what means nothing left out."""
        maps = {name: values.copy() for name, values in self._maps.items()}
        for name in ("fraction", "sigma"):  # noise divided by noise is not a fraction
            maps[name][~maps["mask"]] = np.nan
        return OxidationResult(
            **maps,
            ln_i0=self._i0.ln_i0.copy(),
            ln_i0_sigma=np.sqrt(self._i0.variance),
            blank=self._i0.mask,
        )
