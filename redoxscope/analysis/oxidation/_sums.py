"""Running sums of a stack: what a fit, its variance and its chi-square need of each energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from ._measured import Measured, Units
from ._solve import Solver

__all__ = ["Run", "RunningSums"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
BLOCK = 9984
"""Pixels per block: its sums stay in the cache. Above 10000 OpenBLAS wakes other threads for each
block, and waits for them: three times slower where they are busy."""


class Step:
    """What one energy does to the sums: factors, the same for all pixels.

    Parameters
    ----------
    a : numpy.ndarray [K+1]
        Row of the design matrix.
    weight : float
        Of the energy.
    gram : numpy.ndarray [K+1, K+1]
        ``A^T W A`` of all energies that are in the sums, this one included.
    dtype : dtype
        Of the sums.
    """

    def __init__(self, a: Array, weight: float, gram: Array, dtype: np.dtype) -> None:
        first, second = np.triu_indices(len(a))
        self.a, self.weight = a, weight
        self.gain = np.linalg.solve(gram, weight * a)
        turn = np.zeros((len(a), len(first)))
        pairs = np.arange(len(first))
        turn[first, pairs] += self.gain[second]
        off = first != second
        turn[second[off], pairs[off]] += self.gain[first[off]]
        self.turn = np.vstack([turn, self.gain @ turn]).astype(dtype)  # q2 g, and g.q2 g
        self.row, self.twice = a.astype(dtype), (2.0 * self.gain).astype(dtype)
        self.left = dtype.type(1.0 - a @ self.gain)  # of its residual


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be done for lines that have the same energies in the sums, and lack the same.

    Attributes
    ----------
    energies : numpy.ndarray of int
        That the lines can be solved with.
    new : numpy.ndarray of int
        Those of them that are not in the sums yet.
    moved : numpy.ndarray of int
        Those whose I0 has moved.
    solver : Solver
        For all energies.
    dtype : dtype
        Of the sums.
    """

    energies: Indices
    new: Indices
    moved: Indices
    solver: Solver
    dtype: np.dtype

    @cached_property
    def steps(self) -> tuple[list[Step], list[Step]]:
        """For each energy that has moved, and for each that is new, which come one by one."""
        design, weight = self.solver.design, self.solver.weight
        at = {int(k): i for i, k in enumerate(self.energies)}
        there = ~np.isin(self.energies, self.new)
        gram = (design[there] * weight[there, None]).T @ design[there]
        moved = [Step(design[at[k]], weight[at[k]], gram, self.dtype) for k in self.moved.tolist()]
        new = []
        for k in self.new.tolist():
            a, w = design[at[k]], weight[at[k]]
            gram = gram + w * np.outer(a, a)
            new.append(Step(a, w, gram, self.dtype))
        return moved, new


@dataclass(frozen=True, eq=False)
class Run:
    """Consecutive lines of one block, and what is to be done for all of them.

    Attributes
    ----------
    lines : slice
    task : Task
    lag : numpy.ndarray [nE, lines]
        How much ln I0 has moved since it entered the sums, where the sums are left as they are.
    off : numpy.ndarray [lines]
        The largest of it.
    """

    lines: slice
    task: Task
    lag: Array
    off: Array


class RunningSums:
    """Per pixel the fit ``c`` and, with its residuals ``r_k = y_k + s_k - a_k c``, the sums

        q0 = sum_k r_k^2 / v_k                 (chi-square)
        q1 = sum_k a_k r_k / v_k               [K+1]
        q2 = sum_k a_k a_k^T / v_k             [pairs of columns]
        v  = sum_k w_k^2 a_k a_k^T v_k         [pairs of columns]

    with ``y_k = -ln(N_k / M_k)``, its counting variance v_k, ``s_k = ln I0_k`` and the weight w_k
    of each energy's dwell. The residual ``e`` of one more energy moves the fit by ``d = g e``, with
    the gain ``g = (A^T W A)^-1 w a`` of all energies; then

        q0 -> q0 - 2 d.q1 + d.q2 d,    q1 -> q1 - q2 d

    are the same sums about the new fit, and that energy's own terms are added. So an energy costs
    a fixed time per pixel, however many came before. Sums about the fit and not about zero, since
    chi-square would be the small difference of large numbers.

    Lines that changed, or lost an energy, are summed again from the frames.

    Parameters
    ----------
    measured : Measured
        The stack.
    columns : int
        Columns of the design matrix.
    """

    def __init__(self, measured: Measured, columns: int) -> None:
        self._measured = measured
        ny, nx = measured.shape
        n, c = len(measured.version), columns
        self.block = max(1, min(BLOCK // nx, ny))
        self._first, self._second = np.triu_indices(c)
        pairs = len(self._first)
        self._c, self._q1, self._q0 = slice(0, c), slice(c, 2 * c), 2 * c
        self._q2 = slice(2 * c + 1, 2 * c + 1 + pairs)
        self._v = slice(self._q2.stop, self._q2.stop + pairs)
        self._high = self._v.stop
        # A block's sums lie together. Not written: an untouched page costs no memory.
        size = (-(-ny // self.block), self._high + 1, self.block, nx)
        self._sums: NDArray = np.empty(size, dtype=measured.dtype)
        self._axpy = blas.saxpy if measured.dtype == np.float32 else blas.daxpy
        self.flags = np.zeros(measured.shape, dtype=np.uint8)
        self._version = np.zeros((n, ny), dtype=np.uint32)  # 0: not in the sums
        self._ln_i0 = np.full((n, ny), np.nan)
        self._fallen = np.zeros(ny)
        self._shift = np.zeros((c, ny))
        self._units = Units()

    # -- what is to be done ----------------------------------------------------------------

    def runs(
        self,
        usable: NDArray[np.bool_],
        ln_i0: Array,
        tolerance: Array,
        lines: Indices,
        solver: Callable[[Indices], Solver],
        *,
        anew: bool,
    ) -> Iterator[Run]:
        """Runs of lines, with what is to be brought in; each is then given to `update`.

        Parameters
        ----------
        usable : numpy.ndarray of bool [nE, ny]
            Energies that lines can be solved with.
        ln_i0, tolerance : numpy.ndarray [nE]
            The logarithm of I0, and by how much that in the sums may differ from it.
        lines : numpy.ndarray of int
            Increasing.
        solver : callable
            Gives the solver for some energies.
        anew : bool
            Sum all from the frames: the result does not depend on what came in which order.
        """
        measured = self._measured
        if measured.units != self._units:  # v of every pixel has changed
            self._units = measured.units
            self._version[:] = 0
        version, used = self._version[:, lines], usable[:, lines]
        there = version > 0
        lag = np.where(there, ln_i0[:, None] - self._ln_i0[:, lines], 0.0)
        moved = np.abs(lag) > tolerance[:, None]
        stale = (there & ((version != measured.version[:, lines]) | ~used)).any(axis=0) | anew
        stale |= 2 * moved.sum(axis=0) > there.sum(axis=0)  # from the frames it is as fast
        there &= ~stale
        moved &= there
        self._version[:, lines[stale]] = 0
        new = used & ~there
        lag[moved | ~there] = 0.0
        off = np.abs(lag).max(axis=0)
        block = lines // self.block
        keys = np.concatenate([used, new, moved])
        change = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
        ends = change | (np.diff(lines) != 1) | (np.diff(block) != 0)
        starts = [0, *(np.flatnonzero(ends) + 1).tolist()] if lines.size else []
        tasks: dict[bytes, Task] = {}
        for i, j in zip(starts, [*starts[1:], len(lines)], strict=False):
            key = keys[:, i].tobytes()
            if key not in tasks:
                k, fresh, gone = (np.flatnonzero(mask[:, i]) for mask in (used, new, moved))
                tasks[key] = Task(k, fresh, gone, solver(k), measured.dtype)
            part = slice(int(lines[i]), int(lines[j - 1]) + 1)
            yield Run(part, tasks[key], lag[:, i:j], off[i:j])

    def forget(self, lines: slice) -> None:
        """Leave lines out of the sums."""
        self._version[:, lines] = 0

    # -- sums --------------------------------------------------------------------------------

    def _view(self, lines: slice) -> NDArray:
        """Sums [n, P] of lines of one block."""
        block = lines.start // self.block
        first = block * self.block
        part = self._sums[block, :, lines.start - first : lines.stop - first]
        return part.reshape(len(part), -1)

    def update(self, run: Run, ln_i0: Array) -> None:
        """Bring the new and the moved energies of a run into its sums."""
        task, lines = run.task, run.lines
        if len(task.new) == len(task.energies):
            self._build(task, lines, ln_i0)
        elif task.new.size or task.moved.size:
            sums, (moved, new) = self._view(lines), task.steps
            for k, step in zip(task.moved.tolist(), moved, strict=True):
                self._move(sums, lines, k, ln_i0[k], step)
            for k, step in zip(task.new.tolist(), new, strict=True):
                self._add(sums, lines, k, ln_i0[k], step)
        for energies in (task.new, task.moved):
            self._ln_i0[energies, lines] = ln_i0[energies, None]
            self._version[energies, lines] = self._measured.version[energies, lines]

    def _build(self, task: Task, lines: slice, ln_i0: Array) -> None:
        """Sum lines from the frames: first the fit, then its residuals."""
        sums, solver = self._view(lines), task.solver
        sums[:] = 0.0
        high = sums[self._high]
        high[:] = -np.inf
        od = np.empty((len(task.energies), sums.shape[1]), sums.dtype)
        for i, k in enumerate(task.energies.tolist()):
            od[i] = self._measured.one_y(k, lines)
            od[i] += sums.dtype.type(ln_i0[k])
            np.maximum(high, od[i], out=high)
            self._spread(sums[self._c], solver.gain[:, i], od[i])
        self.flags[lines] = self._measured.flags(task.energies, lines)
        self._fallen[lines] = 0.0
        for i, k in enumerate(task.energies.tolist()):
            r = od[i]
            r -= solver.design[i].astype(r.dtype) @ sums[self._c]
            self._take(sums, lines, k, solver.design[i], solver.weight[i], r)

    def _take(
        self, sums: NDArray, lines: slice, k: int, a: Array, weight: float, r: NDArray
    ) -> None:
        """Add an energy's own terms, with its residual about the fit."""
        products = a[self._first] * a[self._second]
        variance = self._measured.one_variance(k, lines)
        self._spread(sums[self._v], products * weight**2, variance)
        q = np.reciprocal(variance, out=variance)
        self._spread(sums[self._q2], products, q)
        q *= r
        self._spread(sums[self._q1], a, q)
        q *= r
        sums[self._q0] += q

    def _add(self, sums: NDArray, lines: slice, k: int, ln_i0: float, step: Step) -> None:
        """Bring one more energy into the sums."""
        r = self._residual(sums, lines, k, ln_i0, step)
        self._recentre(sums, step, r)
        r *= step.left
        self._take(sums, lines, k, step.a, step.weight, r)
        self.flags[lines] |= self._measured.flags(np.array([k]), lines)

    def _move(self, sums: NDArray, lines: slice, k: int, ln_i0: float, step: Step) -> None:
        """Take another I0 for an energy that is in the sums."""
        by = (ln_i0 - self._ln_i0[k, lines]).astype(sums.dtype)
        self._fallen[lines] += np.maximum(-by, 0.0)
        moved = by.repeat(self._measured.shape[1])
        self._recentre(sums, step, moved)
        r = self._residual(sums, lines, k, ln_i0, step)
        variance = self._measured.one_variance(k, lines)
        q = np.reciprocal(variance, out=variance)
        q *= moved
        self._spread(sums[self._q1], step.row, q)
        r *= r.dtype.type(2)
        r -= moved
        q *= r
        sums[self._q0] += q

    def _residual(self, sums: NDArray, lines: slice, k: int, ln_i0: float, step: Step) -> NDArray:
        """Residual [P] of an energy; the highest optical density is noted."""
        r = self._measured.one_y(k, lines)
        r += r.dtype.type(ln_i0)
        high = sums[self._high]
        np.maximum(high, r, out=high)
        r -= step.row @ sums[self._c]
        return r

    def _recentre(self, sums: NDArray, step: Step, e: NDArray) -> None:
        """Move the fit by ``gain e``, and the sums with it."""
        q1 = sums[self._q1]
        h = step.turn @ sums[self._q2]
        h *= e
        h[-1] -= step.twice @ q1
        h[-1] *= e
        sums[self._q0] += h[-1]
        q1 -= h[:-1]
        self._spread(sums[self._c], step.gain, e)

    def _spread(self, to: NDArray, factors: NDArray, values: NDArray) -> None:
        """``to_i += factor_i * values``, in place."""
        for row, factor in zip(to, factors.tolist(), strict=True):
            self._axpy(values, row, a=factor)

    # -- out ---------------------------------------------------------------------------------

    def fit(self, run: Run) -> NDArray:
        """Coefficients of the species [K, P] of a run, with I0 as it is now.

        The sums keep the I0 they have; the fit, being linear, takes what it lags behind. Pixels
        with flags have none.
        """
        c, lines = self._view(run.lines)[self._c], run.lines
        bad = self.flags[lines].reshape(-1)
        if bad.any():
            c[:, bad.astype(bool)] = np.nan
        c = c[: run.task.solver.species]
        self._shift[:, lines] = run.task.solver.gain @ run.lag[run.task.energies]
        if run.off.any():
            shift = self._shift[: len(c), lines].astype(c.dtype)
            c = c + shift.repeat(self._measured.shape[1], axis=1)
        return c

    def coefficients(self) -> NDArray:
        """Coefficients [K+1, ny, nx] of all lines; NaN of those that are in no sum."""
        ny, nx = self._measured.shape
        shift = np.where(self._version.any(axis=0), self._shift, np.nan).astype(self._sums.dtype)
        c = np.empty((len(shift), ny, nx), self._sums.dtype)
        for i, first in enumerate(range(0, ny, self.block)):
            part = c[:, first : first + self.block]
            lines = slice(first, first + part.shape[1])
            with np.errstate(invalid="ignore", over="ignore"):  # what was never written
                np.add(self._sums[i, self._c, : part.shape[1]], shift[:, lines, None], out=part)
        return c

    def chi2(self, run: Run, out: NDArray) -> None:
        """Reduced chi-square [P] of a run; NaN without degrees of freedom."""
        q0 = self._view(run.lines)[self._q0]
        freedom = len(run.task.energies) - len(run.task.solver.gain)
        np.maximum(q0, 0.0, out=out)  # rounding
        out *= 1.0 / freedom if freedom > 0 else np.nan

    def second(self, run: Run) -> NDArray:
        """Sums of variances [pairs of columns, P] of a run."""
        return self._view(run.lines)[self._v]

    def above(self, run: Run, od: float, ln_i0: Array) -> NDArray[np.bool_]:
        """Pixels [P] of a run whose optical density exceeds ``od`` at some energy.

        Exactly so: pixels that I0's moves may have brought to the other side are looked up in the
        frames.
        """
        high, lines = self._view(run.lines)[self._high], run.lines
        found = np.asarray(high > od)
        off = float((run.off + self._fallen[lines]).max())
        if off > 0.0:
            off += 1e-5 * od  # rounding
            doubtful = np.flatnonzero((high > od - off) != (high > od + off))
            if doubtful.size:
                k, width = run.task.energies, self._measured.shape[1]
                pixels = lines.start + doubtful // width, doubtful % width
                y = self._measured.y(k, pixels)
                y += ln_i0[k].astype(y.dtype)[:, None]
                found[doubtful] = (y > od).any(axis=0)
        return found
