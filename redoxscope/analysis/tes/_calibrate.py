"""Calibration of a whole array from the photons of a reference sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...photons import Photons
from ._assign import Candidate, Target, candidates, rate
from ._calibration import Calibration
from ._consensus import Likeness, choose, rescaled
from ._drift import drift_by_entropy, drift_by_lines, shrink
from ._gain import energy_of
from ._peaks import find_pulse_peaks
from ._pixel import PixelPhotons
from ._refine import Fit, common_shifts, drop_one, fit_pixel, locate, natural_widths
from ._verdict import Limits, judge

__all__ = ["LineLike", "LinesLike", "calibrate"]

ELASTIC_EV = 0.1
"""Standard uncertainty of the elastic line (eV): of the monochromator."""
ROUNDS = 4
LIKE = 0.8
"""A pixel less like the others than this may have been assigned wrongly."""
ENTROPY = 200
"""Photons from which on the sharpness of a spectrum says something about drift."""
KNOWN = 0.15
"""How much more, relatively, an earlier calibration's assignment is worth than a new one."""
RARE = 0.3
"""A line found in a smaller part of the pixels is not in the sample."""
METHOD = (
    "peaks assigned to lines by trying all pairs, compared between pixels; elastic line as an "
    "anchor; one shift per line common to all pixels; gain of four terms; drift against the "
    "pretrigger mean, linear"
)


class LineLike(Protocol):
    """An emission line."""

    @property
    def name(self) -> str: ...
    @property
    def energy_ev(self) -> float: ...
    @property
    def uncertainty_ev(self) -> float: ...
    @property
    def principal(self) -> bool: ...


class LinesLike(Protocol):
    """A table of emission lines, with what says which table it is."""

    @property
    def version(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def expected(self) -> bool: ...
    def __iter__(self) -> Iterator[LineLike]: ...


def calibrate(
    photons: Photons,
    lines: LinesLike,
    *,
    elastic_ev: float | None = None,
    pixels: Iterable[int] | None = None,
    previous: Calibration | None = None,
    limits: Limits | None = None,
) -> Calibration:
    """Calibrate an array.

    Parameters
    ----------
    photons : Photons
        Of a reference sample; filtered pulse heights and pretrigger means are used.
    lines : LineTable
        Lines of that sample: a pixel that shows a strong peak without a line is refused, and, for
        lines that are expected (see `LineTable`), one without a strong line.
    elastic_ev : float, optional
        Energy of the monochromator (eV), where the elastic line is in the spectrum.
    pixels : iterable of int, optional
        Channels that there should be; by default those that have photons.
    previous : Calibration, optional
        An earlier calibration of the same array, as one more guess for each pixel.
    limits : Limits, optional
        When a pixel is good enough.

    Returns
    -------
    Calibration
        With a verdict, in words, on each pixel.

    Raises
    ------
    ValueError
        No photons, fewer than three strong lines, or an energy that is not positive.

    Notes
    -----
    For each pixel: (1) the drift slope that makes the spectrum sharpest; (2) peaks, and the
    likely assignments to lines: two peaks and two lines give a gain curve of two terms, the
    lines near the other peaks the rest; (3) of those the one which makes the pixel look like the
    others; (4) positions of the lines, a gain curve through them, the slope again from the
    photons of the lines; what all pixels leave over at a line shifts the line, within its
    uncertainty; (5) the verdict, on the pixel and on the list of lines.
    """
    targets = _targets(lines, elastic_ev)
    if not len(photons):
        raise ValueError("calibration: there are no photons")
    channels = sorted(set(map(int, np.unique(photons.pixel) if pixels is None else pixels)))
    limits = limits or Limits()
    states = [PixelPhotons.of(channel, photons, limits.photons) for channel in channels]
    alive = [s for s in states if s.problem is None]
    likeness, mended = _assign(alive, targets, previous)
    fitted = [s for s in alive if s.fit is not None]
    lines_ev = _fit_all(fitted, targets)
    nominal = np.array([t.energy_ev for t in targets])
    shifts = {
        t.name: float(s)
        for t, s, n in zip(
            targets, lines_ev - nominal, _times_used(fitted, len(targets)), strict=True
        )
        if n
    }
    done = judge(states, targets, lines_ev, likeness, mended, limits)
    return Calibration(
        pixels=tuple(done),
        line_table=lines.hash,
        line_table_version=lines.version,
        method=METHOD,
        line_shifts=shifts,
    )


def _targets(lines: LinesLike, elastic_ev: float | None) -> list[Target]:
    if elastic_ev is not None and not (np.isfinite(elastic_ev) and elastic_ev > 0):
        raise ValueError(f"elastic_ev = {elastic_ev} eV is not a positive energy")
    targets = [
        Target(x.name, x.energy_ev, x.uncertainty_ev, x.principal, lines.expected) for x in lines
    ]
    if elastic_ev is not None:
        # A line above the energy of the beam cannot be excited.
        targets = [t for t in targets if t.energy_ev < elastic_ev - 3]
        # Its absorption edge lies up to a dozen eV above it.
        targets = [
            t if t.energy_ev < elastic_ev - 12 else replace(t, expected=False) for t in targets
        ]
        targets.append(Target("elastic", float(elastic_ev), ELASTIC_EV))
    targets.sort(key=lambda t: t.energy_ev)
    strong = [t.name for t in targets if t.principal]
    if len(strong) < 3:
        raise ValueError(
            f"calibration: lines {', '.join(strong) or 'none'}; at least 3 strong ones are needed"
        )
    return targets


def _assign(
    states: Sequence[PixelPhotons], targets: list[Target], previous: Calibration | None
) -> tuple[dict[int, float], set[int]]:
    """Give each pixel a first gain curve; likeness by channel, and channels that were mended."""
    top = max(t.energy_ev for t in targets)
    low = min(t.energy_ev for t in targets)
    like = Likeness(0.8 * low, 1.03 * top)
    guesses: list[list[Candidate]] = []
    before: dict[int, NDArray[np.float64]] = {}
    around: NDArray[np.float64] | None
    for s in states:
        known = None if previous is None or s.channel not in previous else previous[s.channel]
        if known is not None and not known.calibrated:
            known = None
        if len(s.filtered) >= ENTROPY:
            s.drift(drift_by_entropy(s.filtered, s.pretrigger))
        elif known is not None:
            s.drift(known.drift_slope)
        peaks = find_pulse_peaks(s.height)
        found = candidates(peaks, targets)
        if known is not None:
            curve = np.array(known.gain)
            before[s.channel] = curve
            score = rate(peaks, targets, curve)
            found.append(Candidate(curve, score + KNOWN * abs(score)))
            found.sort(key=lambda c: -c.score)
        guesses.append(found)
    chosen, values, template = choose(
        [
            np.array([like.spectrum(energy_of(c.gain, s.height)) for c in found])
            for s, found in zip(states, guesses, strict=True)
        ],
        [np.array([c.score for c in found]) for found in guesses],
    )
    mended = set()
    good = [k for k, v in enumerate(values) if v >= LIKE]
    likeness = {}
    for k, s in enumerate(states):
        gain = guesses[k][chosen[k]].gain if chosen[k] >= 0 else None
        known_gain = before.get(s.channel)
        around = known_gain if gain is known_gain else None
        value = float(values[k])
        if not value >= LIKE and len(good) >= 2:
            model = max(good, key=lambda j: values[j])
            other, curve = states[model], guesses[model][chosen[model]].gain
            ratio = np.median(other.height) / np.median(s.height)
            factors = ratio * np.exp(np.linspace(-0.5, 0.5, 501))
            stretched, new = rescaled(s.height, curve, template, like, factors)
            if gain is None or new > value + 0.03:
                gain, value, around = stretched, new, stretched
                mended.add(s.channel)
        elif chosen[k] > 0:
            mended.add(s.channel)
        likeness[s.channel] = value
        if gain is not None:
            s.fit = Fit(s.height, gain, around=around)
    return likeness, mended


def _fit_all(states: Sequence[PixelPhotons], targets: list[Target]) -> NDArray[np.float64]:
    """Fit all pixels; returns the energies of the lines that suit them all (eV)."""
    nominal = np.array([t.energy_ev for t in targets])
    principal = np.array([t.principal for t in targets])
    elastic = next((k for k, t in enumerate(targets) if t.name == "elastic"), None)
    lines = nominal.copy()
    fits = [s.fit for s in states if s.fit is not None]
    natural = np.zeros(len(targets))
    for turn in range(ROUNDS):
        for fit in fits:
            locate(fit, lines, elastic, natural, principal)
            if fit.use.sum() < 4:
                # Weak lines sit on the flanks of strong ones: they guide only where there is
                # nothing else.
                locate(fit, lines, elastic, natural, np.ones(len(lines), bool))
            if fit_pixel(fit, lines) and turn >= 1:
                out = drop_one(fit, lines, elastic)
                if out is not None:
                    fit.use[out] = False
                    fit_pixel(fit, lines)
        if turn >= 1:
            sound = [f for f in fits if _sound(f, lines)]
            _forget_rare(fits, sound)
            if sound:
                lines = nominal + common_shifts(sound, targets)
            for fit in fits:
                fit_pixel(fit, lines)
        if turn < ROUNDS - 1:
            _drift_all(states, lines, principal)
            natural = natural_widths(fits, lines)
    return lines


def _sound(fit: Fit, lines: NDArray[np.float64]) -> bool:
    """Whether a pixel may have a say in where the lines are."""
    residual = fit.residual(lines)[fit.use]
    return len(residual) >= 4 and bool(np.sqrt(np.mean(residual**2)) < 3.0)


def _forget_rare(fits: Sequence[Fit], sound: Sequence[Fit]) -> None:
    """Lines that few pixels have are none of the sample's: noise that looked like one."""
    if len(sound) < 4:
        return
    rare = np.mean([f.use for f in sound], axis=0) < RARE
    for fit in fits:
        fit.use &= ~rare


def _drift_all(
    states: Sequence[PixelPhotons], lines: NDArray[np.float64], principal: NDArray[np.bool_]
) -> None:
    """Renew the drift slopes from the photons of the lines."""
    slopes, sigmas = [], []
    for s in states:
        assert s.fit is not None
        energy = energy_of(s.fit.gain, s.filtered)
        used = lines[s.fit.use & principal]
        slope, sigma = drift_by_lines(energy, s.level, used, max(1.2 * s.fit.fwhm, 2.0))
        slopes.append(slope)
        sigmas.append(sigma)
    measured = np.isfinite(sigmas)
    better, _ = shrink(np.array(slopes), np.array(sigmas))
    for s, slope, own in zip(states, better, measured, strict=True):
        # Without photons enough of its own, a pixel drifts as the others do.
        if own or measured.sum() >= 3:
            s.drift(float(slope))
            assert s.fit is not None
            s.fit.height = s.height


def _times_used(states: Sequence[PixelPhotons], n: int) -> NDArray[np.int64]:
    used = np.zeros(n, np.int64)
    for s in states:
        if s.fit is not None:
            used += s.fit.use
    return used
