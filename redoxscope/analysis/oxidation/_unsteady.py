"""Lines whose beam was another than that of the rest of their image, told by the sample itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._result import OxidationResult

if TYPE_CHECKING:
    from ._stack import StackFit

__all__ = ["leave_unsteady_out", "light_within"]

Array = NDArray[np.float64]
COLUMNS = 128
"""Pixels of a line that are looked at: their median is good to a few tenths of a per cent."""
FEWEST = 5
"""Pixels that a line must have, and lines an image, and images a stack, to say anything."""
CHANGE = 0.025
"""Change of the light from which on a line is left out: what it costs is an energy less."""
SIGMA = 5.0
BLANK_SIGMA = 3.0
"""Standard deviations by which the blank pixels of a line must contradict its other pixels."""
MOST_OWN = 0.8
PASSES = 3
ROUNDS = 4
WORST = 0.6
"""Share of a line's largest change from which on others of it are left out with it."""


def leave_unsteady_out(fit: StackFit) -> tuple[OxidationResult, NDArray[np.bool_], Array]:
    """Solve a stack, and again without the lines whose beam differed from that of their image.

    Parameters
    ----------
    fit : StackFit
        All lines in it. A monitor says itself what the beam did, and each pixel is divided by it:
        then nothing is left out.

    Returns
    -------
    result : OxidationResult
    off : numpy.ndarray of bool [nE, ny]
        Lines left out: the light differs by more than 2.5 %, and by more than five of its standard
        deviations, beyond what the same line has at the energies beside; and blank pixels of the
        line, where it has some, do not say otherwise.
    change : numpy.ndarray [nE, ny]
        By how much, in parts of the light; NaN where nothing tells.

    Notes
    -----
    Of two parts of an image the larger is taken for right. Which it is matters little: I0 of that
    energy is then that of the lines that are kept. A line that is off at one energy bends its
    pixels' values and so seems to be off a little at others: the worst go first, and which of
    them were wronged shows when the others are out.
    """
    if fit.left_out.any():  # solved before: what else is known now may have it otherwise
        fit.leave_out(np.zeros_like(fit.left_out))
    result = fit.solve()
    off = np.zeros_like(fit.left_out)
    change = np.full(off.shape, np.nan)
    if not fit.species or fit.monitored:
        return result, off, change
    for _ in range(ROUNDS):
        now, sigma = light_within(fit, result)
        with np.errstate(invalid="ignore"):
            beside = _beside(now, fit.energies)
            size = np.abs(now) - np.where(now * beside > 0, np.abs(beside), 0.0)
            size[~(size > np.maximum(CHANGE, SIGMA * sigma))] = 0.0
        size[_not_the_beam(fit, now, size > 0)] = 0.0
        worst = np.where(off, 0.0, size).max(axis=0)
        # What was left out for the sake of another, and agrees with those that are left, is back.
        new = (size > 0) & (off | (size > WORST * worst)) | (off & np.isnan(now))
        change = np.where(np.isnan(now), change, now)
        if (new == off).all():
            break
        off = new
        fit.leave_out(_on_frames(off, fit.shifts, False))
        result = fit.solve()
    return result, _on_frames(off, fit.shifts, False), _on_frames(change, fit.shifts, np.nan)


def light_within(fit: StackFit, result: OxidationResult) -> tuple[Array, Array]:
    """Light of each line [nE, ny] of the grid against that of its image, in parts of it, and its σ.

    The maps say what each pixel absorbs, so a line needs no blank area. The spectrum of each of
    their columns is fitted anew to each image, for references are not perfect; a step at the line
    where it lowers the residuals most is fitted with it, so that it does not bend them. What is
    left is the median of a line's residuals, over 1 less the weight that the energy has in the
    fit. What a line has at all energies is not the beam's doing and is taken off. Lines that are
    left out of the fit are compared with it.
    """
    n, (ny, nx) = len(fit.energies), fit.shape
    columns = np.unique(np.linspace(0, nx - 1, min(nx, COLUMNS)).round().astype(np.intp))
    maps = np.asarray(result.coefficients[:, :, columns], dtype=np.float64)
    change, noise = np.full((n, ny), np.nan), np.full(n, np.nan)
    fitted = np.asarray(np.isfinite(maps).all(axis=0))
    if not len(maps) or fitted.sum(axis=1).max(initial=0) < FEWEST:
        return change, np.full((n, ny), np.nan)
    left_out, known = fit.left_out, np.isfinite(result.ln_i0)
    if fit.shifts is not None:  # frames that were moved hold nothing of the lines left out
        left_out = np.zeros_like(left_out)
    present = fit.lines_on_grid | left_out
    used = np.flatnonzero(known & present.any(axis=1))
    own = _leverage(fit.design, used)
    for k in used:
        lines = np.flatnonzero(present[k])
        y = fit.logarithm(int(k), lines)[0][:, columns].astype(np.float64)
        good = fitted[lines] & np.isfinite(y)
        seen = np.asarray(good.sum(axis=1) >= FEWEST)
        if seen.sum() < FEWEST:
            continue
        fresh = left_out[k, lines]
        level = _levels(y, maps[:, lines], good & seen[:, None], fresh)
        level[~fresh] /= 1.0 - own[k]
        change[k, lines] = level
        # Of neighbours: a step of the beam is one of many differences.
        steps = np.abs(np.diff(level[np.isfinite(level)]))
        noise[k] = 1.4826 * float(np.median(steps)) / np.sqrt(2.0)
    if np.isfinite(noise).sum() >= FEWEST:
        some = np.isfinite(change).any(axis=0)
        usual = np.nanmedian(change[:, some], axis=0)
        change[:, some] -= usual
        spread = np.full(ny, np.nan)
        spread[some] = 1.4826 * np.nanmedian(np.abs(change[:, some]), axis=0)
    else:
        spread = np.zeros(ny)
    return np.expm1(-change), np.hypot(noise[:, None], spread)


def _beside(change: Array, energies: Array) -> Array:
    """What lines [nE, ny] have at both energies beside, where those have the same sign; else 0.

    References that do not suit are wrong at several energies in a row, most where a white line
    is; the beam fails in one image or two, and not again in the same lines of the next. So it is
    the geometric mean, which is small where one of both is.
    """
    found = np.zeros_like(change)
    order = np.argsort(energies, kind="stable")  # as they come where none is known
    for line in np.flatnonzero(np.isfinite(change).any(axis=0)):
        k = order[np.isfinite(change[order, line])]
        if len(k) > 1:
            values = change[k, line]
            before, after = np.r_[values[1], values[:-1]], np.r_[values[1:], values[-2]]
            same = np.sign(before) * (np.sign(before) == np.sign(after))
            found[k, line] = same * np.sqrt(np.abs(before * after))
    return found


def _not_the_beam(fit: StackFit, change: Array, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of lines ``which`` [nE, ny] those whose blank pixels had the light of the other lines.

    Then the sample did it: something that no reference has, across most of a line.
    """
    found, blank = np.zeros_like(which), fit.i0_mask
    if blank is None:
        return found
    lines = np.flatnonzero(blank.sum(axis=1) >= FEWEST)
    for k in np.flatnonzero(which.any(axis=1)) if lines.size else ():
        y, variance = (np.asarray(one, np.float64) for one in fit.logarithm(int(k), lines))
        good = blank[lines] & np.isfinite(y) & np.isfinite(variance)
        number = good.sum(axis=1)
        seen = number >= FEWEST
        usual = seen & ~which[k, lines]
        if usual.sum() < FEWEST:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            level = np.where(good, y, 0.0).sum(axis=1) / number
            sigma = np.sqrt(np.where(good, variance, 0.0).sum(axis=1)) / number
            light = np.expm1(np.median(level[usual]) - level)
            off = change[k, lines]
            differs = np.abs(light - off) > BLANK_SIGMA * sigma
            found[k, lines] = seen & differs & (np.abs(light) < np.abs(off) / 2)
    return found & which


def _on_frames(values: NDArray[Any], shifts: Array | None, outside: Any) -> NDArray[Any]:
    """Of lines of the common grid [nE, ny], those of the frames as they were flown."""
    if shifts is None:
        return values
    found = np.full_like(values, outside)
    lines = np.arange(values.shape[1])
    for k, (dy, _) in enumerate(shifts):
        at = np.rint(lines + dy).astype(np.intp)
        there = (at >= 0) & (at < len(lines))
        found[k, there] = values[k, at[there]]
    return found


def _levels(y: Array, maps: Array, good: NDArray[np.bool_], fresh: NDArray[np.bool_]) -> Array:
    """Median residual of each line [ny], less that of the image; NaN where too few pixels are.

    ``fresh`` lines [ny] are only compared with the rest.
    """
    ny = len(y)
    line = np.nonzero(good)[0]
    x = np.column_stack([*(one[good] for one in maps), np.ones(len(line))])
    values = y[good]
    use = ~fresh[line]
    if use.sum() < 2 * x.shape[1]:
        return np.full(ny, np.nan)
    step = _step(x[use], values[use], line[use], ny)
    level = np.full(ny, np.nan)
    some = good.any(axis=1)
    for turn in range(PASSES):
        # The first time with a step; then with the lines that it leaves together.
        design = np.column_stack([x, line >= step])[use] if turn == 0 else x[use]
        found = np.linalg.lstsq(design, values[use], rcond=None)[0]
        residual = np.full(y.shape, np.nan)
        residual[good] = values - x @ found[: x.shape[1]]
        level[some] = np.nanmedian(residual[some], axis=1)
        level -= np.nanmedian(np.where(fresh, np.nan, level))
        steps = np.abs(np.diff(level[some]))
        near = max(5.0 * 1.4826 * float(np.median(steps)) / np.sqrt(2.0), CHANGE / 2.5)
        use = (~fresh & (np.abs(level) < near))[line]
        if use.sum() < 2 * x.shape[1]:
            break
    return level


def _step(x: Array, values: Array, line: NDArray[np.intp], ny: int) -> int:
    """First line of the step that lowers the squares of the residuals most.

    By the theorem of Frisch and Waugh from sums over lines: no fit for each.
    """
    gram = np.linalg.pinv(x.T @ x)
    residual = values - x @ (gram @ (x.T @ values))
    sums = np.zeros((ny, x.shape[1] + 2))  # of x, of the residual, of 1
    np.add.at(sums, line, np.column_stack([x, residual, np.ones(len(line))]))
    after = np.cumsum(sums[::-1], axis=0)[::-1]
    of_x, of_residual, number = after[:, : x.shape[1]], after[:, -2], after[:, -1]
    own = number - np.einsum("ij,jk,ik->i", of_x, gram, of_x)
    gain = np.where(own > 1e-6 * len(line), of_residual**2 / np.maximum(own, 1e-12), 0.0)
    gain[0] = 0.0
    return int(gain.argmax())


def _leverage(design: Array, used: NDArray[np.intp]) -> Array:
    """Weight [nE] that an energy has in its own fitted value, of those that are used."""
    own = np.zeros(len(design))
    q = np.linalg.qr(design[used])[0]
    own[used] = np.minimum((q**2).sum(axis=1), MOST_OWN)
    return own
