"""Is a pixel good enough? In words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter1d

from ._assign import Target
from ._calibration import LineFit, PixelCalibration
from ._doubts import (
    lines_disagree,
    missing_line,
    strong_share,
    unexplained_peak,
    weak_line_off,
)
from ._gain import ORDER, energy_of, rises
from ._peaks import width_at_half
from ._pixel import PixelPhotons
from ._refine import Fit

__all__ = ["Limits", "judge", "step_between"]

MOST_UNFIT = 0.75
"""Where more of the pixels than this do not fit the list of lines, the rest do by chance."""


@dataclass(frozen=True)
class Limits:
    """When a pixel is good enough.

    Attributes
    ----------
    photons : int
        At least so many.
    lines : int
        The curve goes through at least so many lines, the elastic one included.
    rms_ev : float
        Largest root mean square residual of the lines (eV).
    chi : float
        Largest root of χ² per degree of freedom of the lines.
    elastic_ev : float
        Largest distance of the elastic line from where it should be (eV).
    likeness : float
        Least correlation with the spectrum of the other pixels.
    width : float
        Largest resolution, over the median of the array.
    step_ev : float
        Largest change of the energies between two parts of the calibration (eV, at 700 eV).
    """

    photons: int = 200
    lines: int = 5
    rms_ev: float = 1.5
    chi: float = 2.2
    elastic_ev: float = 1.5
    likeness: float = 0.8
    width: float = 2.0
    step_ev: float = 3.0


def judge(
    states: Sequence[PixelPhotons],
    targets: Sequence[Target],
    lines: NDArray[np.float64],
    likeness: dict[int, float],
    mended: set[int],
    limits: Limits,
) -> list[PixelCalibration]:
    """The verdict on each pixel.

    Parameters
    ----------
    states : sequence of PixelPhotons
    targets : sequence of Target
    lines : numpy.ndarray [lines]
        Energies of the lines (eV), common shifts included.
    likeness : dict
        Correlation with the other pixels, by channel.
    mended : set of int
    limits : Limits
    """
    elastic = next((k for k, t in enumerate(targets) if t.name == "elastic"), None)
    measured = [_measure(s, targets, lines, elastic) for s in states]
    widths = [m.elastic_fwhm_ev for m in measured if math.isfinite(m.elastic_fwhm_ev)]
    usual = float(np.median(widths)) if widths else math.nan
    own = [
        _problem(s, m, likeness.get(s.channel, math.nan), usual, elastic, limits)
        for s, m in zip(states, measured, strict=True)
    ]
    sound = [
        s.fit
        for s, fault in zip(states, own, strict=True)
        if fault is None and s.fit is not None and s.fit.use.sum() >= limits.lines
    ]
    wrong = lines_disagree(sound, targets) or weak_line_off(sound, targets, lines)
    share = strong_share(sound, len(targets))
    of_list = [
        _list_problem(s, m, targets, lines, share, elastic, limits) or wrong
        for s, m in zip(states, measured, strict=True)
    ]
    alive = [s.problem is None for s in states]
    unfit = sum(o is not None for o, a in zip(of_list, alive, strict=True) if a)
    rest = None
    if unfit > MOST_UNFIT * sum(alive):
        rest = (
            f"{unfit} of {sum(alive)} pixels do not fit the list of lines; that this one does "
            "proves nothing"
        )
    out = []
    for s, m, fault, listed in zip(states, measured, own, of_list, strict=True):
        reason = fault or listed or rest
        ok = reason is None
        if reason is None:
            reason = f"{sum(not x.left_out for x in m.lines)} lines, rms {m.rms_ev:.2f} eV"
            left = [x.name for x in m.lines if x.left_out and math.isfinite(x.position)]
            if left:
                reason += f"; without {', '.join(left)}"
            if s.channel in mended:
                reason = f"assignment mended by comparison with the other pixels; {reason}"
        out.append(
            PixelCalibration(
                channel=s.channel,
                ok=ok,
                reason=reason,
                gain=m.gain,
                drift_slope=m.drift_slope,
                pretrigger_reference=m.pretrigger_reference,
                lines=m.lines,
                rms_ev=m.rms_ev,
                elastic_ev=m.elastic_ev,
                elastic_fwhm_ev=m.elastic_fwhm_ev,
                n_photons=s.total,
                mended=s.channel in mended,
            )
        )
    return out


def _measure(
    s: PixelPhotons, targets: Sequence[Target], lines: NDArray[np.float64], elastic: int | None
) -> PixelCalibration:
    """What the fit gave, without a verdict."""
    fit = s.fit
    if fit is None or not len(fit.use):
        return PixelCalibration(s.channel, False, "", n_photons=s.total)
    residual = fit.residual(lines)
    table = tuple(
        LineFit(
            name=t.name,
            energy_ev=float(lines[k]),
            position=float(fit.position[k]),
            residual_ev=float(residual[k]),
            counts=float(fit.counts[k]),
            left_out=not bool(fit.use[k]),
        )
        for k, t in enumerate(targets)
        if fit.use[k] or (t.principal and math.isfinite(fit.position[k]))
    )
    used = residual[fit.use]
    at, width = math.nan, math.nan
    if elastic is not None and math.isfinite(fit.position[elastic]):
        at = float(energy_of(fit.gain, fit.position[elastic : elastic + 1])[0])
        width = width_at_half(energy_of(fit.gain, s.height), at, max(2 * fit.fwhm, 4.0))
    return PixelCalibration(
        channel=s.channel,
        ok=False,
        reason="",
        gain=tuple(map(float, fit.gain)),  # type: ignore[arg-type]
        drift_slope=s.slope,
        pretrigger_reference=s.reference,
        lines=table,
        rms_ev=float(np.sqrt(np.mean(used**2))) if len(used) else math.nan,
        elastic_ev=at,
        elastic_fwhm_ev=width,
        n_photons=s.total,
    )


def _problem(
    s: PixelPhotons,
    m: PixelCalibration,
    likeness: float,
    usual: float,
    elastic: int | None,
    limits: Limits,
) -> str | None:
    """What is wrong with the pixel itself, or None."""
    if s.problem is not None:
        return s.problem
    if s.fit is None or not m.calibrated:
        return None
    step = step_between(s, s.fit, limits.step_ev)
    if step is not None:
        return step
    if likeness < limits.likeness:
        return (
            f"its spectrum is not like that of the other pixels: correlation {likeness:.2f}, "
            f"limit {limits.likeness:.2f}"
        )
    used = [x for x in m.lines if not x.left_out]
    if len(used) < limits.lines:
        return None
    if not rises(m.gain, min(x.position for x in used), max(x.position for x in used)):
        return "its energy does not rise with the pulse height everywhere"
    if m.rms_ev > limits.rms_ev:
        return f"lines fit to {m.rms_ev:.2f} eV rms only; limit {limits.rms_ev:g} eV"
    residual = np.array([x.residual_ev for x in used])
    sigma = s.fit.sigma[s.fit.use]
    chi = math.sqrt(float(((residual / sigma) ** 2).sum()) / max(len(used) - ORDER, 1))
    if chi > limits.chi:
        return (
            f"no gain curve fits its lines: {m.rms_ev:.2f} eV rms, {chi:.1f} times what the "
            f"counts explain; limit {limits.chi:g}"
        )
    # The width itself is known to 1/√counts only (from one side of the line).
    counts = next((x.counts for x in used if x.name == "elastic"), math.inf)
    if m.elastic_fwhm_ev * (1 - 2 / math.sqrt(max(counts, 9.0))) > limits.width * usual:
        return (
            f"resolution {m.elastic_fwhm_ev:.1f} eV, more than {limits.width:g} times the array's "
            f"median of {usual:.1f} eV"
        )
    return None


def _list_problem(
    s: PixelPhotons,
    m: PixelCalibration,
    targets: Sequence[Target],
    lines: NDArray[np.float64],
    share: NDArray[np.float64],
    elastic: int | None,
    limits: Limits,
) -> str | None:
    """Why the pixel's spectrum is not that of the lines, or None."""
    if s.problem is not None:
        return None
    if s.fit is None or not m.calibrated:
        return "no assignment of its peaks to the lines fits"
    used = [x for x in m.lines if not x.left_out]
    if len(used) < limits.lines:
        names = ", ".join(x.name for x in used) or "none"
        return f"only {len(used)} lines found ({names}); at least {limits.lines} are needed"
    if elastic is not None:
        line = next((x for x in used if x.name == "elastic"), None)
        if line is None:
            return f"the elastic line was not found at {lines[elastic]:.1f} eV"
        if abs(line.residual_ev) > limits.elastic_ev:
            return (
                f"elastic line at {m.elastic_ev:.1f} eV instead of {line.energy_ev:.1f} eV; "
                f"limit {limits.elastic_ev:g} eV"
            )
    return unexplained_peak(s, s.fit, lines) or missing_line(s.fit, targets, lines, share)


def step_between(s: PixelPhotons, fit: Fit, limit_ev: float) -> str | None:
    """Whether the gain changed between two parts of the calibration, in words.

    The parts are those on either side of the longest pause, or, without a long one, the first
    and the second half. Their spectra are laid over each other on a logarithmic axis.
    """
    time, height = s.time_ns, s.height
    pause = np.diff(time)
    k = int(np.argmax(pause)) + 1
    paused = pause[k - 1] > 60e9 and min(k, len(time) - k) >= 100
    if not paused:
        k = len(time) // 2
    first, second = height[:k], height[k:]
    if min(len(first), len(second)) < 100:
        return None
    fine, reach = 2e-4, 0.08
    low = float(np.log(height.min())) - reach
    size = int((np.log(height.max()) + reach - low) / fine) + 2

    def spectrum(h: NDArray[np.float64]) -> NDArray[np.float64]:
        counts = np.bincount(((np.log(h) - low) / fine).astype(int), minlength=size)
        blurred = np.sqrt(gaussian_filter1d(counts.astype(float), 0.003 / fine))
        return blurred - blurred.mean()

    a, b = spectrum(first), spectrum(second)
    lags = np.arange(-int(0.06 / fine), int(0.06 / fine) + 1)
    padded = next_fast_len(2 * size, real=True)
    product = irfft(rfft(a, padded).conj() * rfft(b, padded), padded)
    overlap = product[lags]
    shift = float(lags[int(overlap.argmax())] * fine)
    moved = 700.0 * shift
    # A hill as flat as this says nothing: the parts must fit clearly better when shifted.
    if abs(moved) < limit_ev or overlap.max() < overlap[len(lags) // 2] * 1.15:
        return None
    when = "over a pause" if paused else "between its first and second half"
    return f"its gain changed by {100 * shift:+.1f} % ({moved:+.1f} eV at 700 eV) {when}"
