"""The maps of a stack, solved line by line from its sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._i0 import I0
from ._measured import Measured
from ._result import OxidationResult, PixelFlag
from ._solve import HIGH_OD, Solver
from ._sums import Run, RunningSums

__all__ = ["Maps"]

Array = NDArray[np.float64]
VALUES = ("fraction", "sigma", "thickness", "thickness_sigma", "chi2")


class Maps:
    """What is known of each pixel.

    Parameters
    ----------
    measured : Measured
        The stack.
    design : numpy.ndarray [nE, K+1]
        Design matrix.
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
        measured: Measured,
        design: Array,
        i0: I0,
        species: int,
        min_thickness: float,
        max_od: float | None,
    ) -> None:
        self._measured, self._i0, self.design, self.species = measured, i0, design, species
        self.shape, self.min_thickness, self.max_od = measured.shape, min_thickness, max_od
        dwell = measured.dwell
        self.weight = np.ones(len(design)) if dwell is None else dwell / dwell.max()
        self._sums = RunningSums(measured, design.shape[1])
        self._maps = self._empty_maps()

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Pixels [ny, nx] with a value."""
        return np.isfinite(self._maps["thickness"])

    def solve(
        self,
        usable: NDArray[np.bool_],
        lines: NDArray[np.intp],
        tolerance: Array,
        *,
        anew: bool = False,
    ) -> None:
        """Solve lines, each with the energies [nE, ny] that can be used of it.

        ``anew`` sums all from the frames; else chi-square may be that of an I0 which has moved by
        less than ``tolerance`` [nE] since.
        """
        maps = self._maps
        maps["n_energies"][lines] = usable[:, lines].sum(axis=0)
        missed = np.logical_or.reduce(self._measured.missed[:, lines], axis=0)
        none = np.where(missed, np.uint8(PixelFlag.MISSED), np.uint8(0))
        maps["flags"][lines] = (none | np.uint8(PixelFlag.INCOMPLETE))[:, None]
        if not self.species:
            return
        ln_i0, variance = self._i0.ln_i0, self._i0.variance
        solvers: dict[bytes, Solver] = {}

        def solver(k: NDArray[np.intp]) -> Solver:
            key = k.tobytes()
            if key not in solvers:
                solvers[key] = Solver(self.design[k], self.species, variance[k], self.weight[k])
            return solvers[key]

        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for run in self._sums.runs(usable, ln_i0, tolerance, lines, solver, anew=anew):
                if run.task.solver.solvable:
                    self._sums.update(run, ln_i0)
                    self._show(run, missed[np.searchsorted(lines, run.lines.start) :])
                else:
                    self._sums.forget(run.lines)
                    self._blank_out(run.lines)

    def _show(self, run: Run, missed: NDArray[np.bool_]) -> None:
        """Put what the sums say of a run into the maps."""
        sums, lines, ln_i0 = self._sums, run.lines, self._i0.ln_i0
        into = {name: self._maps[name][lines].reshape(-1) for name in VALUES}
        flags = sums.flags[lines]
        bad = flags.astype(bool)
        run.task.solver.maps(sums.fit(run), sums.second(run), into)
        sums.chi2(run, into["chi2"])
        if bad.any():
            for name in ("chi2", "thickness_sigma"):
                self._maps[name][lines][bad] = np.nan
        floor = 5.0 * into["thickness_sigma"]
        mask = into["thickness"] > np.fmax(floor, self.min_thickness, out=floor)
        if self.max_od is not None:
            mask &= ~sums.above(run, self.max_od, ln_i0)
        self._maps["mask"][lines] = mask.reshape(flags.shape)
        high = sums.above(run, HIGH_OD, ln_i0).reshape(flags.shape) & ~bad
        flags = flags | high.view(np.uint8) * np.uint8(PixelFlag.HIGH_OD)
        flags[missed[: len(flags)]] |= np.uint8(PixelFlag.MISSED)
        self._maps["flags"][lines] = flags

    def _blank_out(self, lines: slice) -> None:
        for name in VALUES:
            self._maps[name][lines] = np.nan
        self._maps["mask"][lines] = False

    def _empty_maps(self) -> dict[str, NDArray]:
        dtype = self._measured.dtype
        maps: dict[str, NDArray] = {name: np.full(self.shape, np.nan, dtype) for name in VALUES}
        maps["flags"] = np.full(self.shape, PixelFlag.INCOMPLETE, dtype=np.uint8)
        maps["mask"] = np.zeros(self.shape, dtype=bool)
        maps["n_energies"] = np.zeros(self.shape[0], dtype=np.intp)
        return maps

    def result(self) -> OxidationResult:
        """Return a copy, with what means nothing left out."""
        # Noise divided by noise is not a fraction.
        maps = {
            name: np.where(self._maps["mask"], values, np.nan)
            if name in ("fraction", "sigma")
            else values.copy()
            for name, values in self._maps.items()
        }
        return OxidationResult(
            **maps,
            coefficients=self._sums.coefficients(),
            ln_i0=self._i0.ln_i0.copy(),
            ln_i0_sigma=np.sqrt(self._i0.variance),
            blank=self._i0.mask,
        )
