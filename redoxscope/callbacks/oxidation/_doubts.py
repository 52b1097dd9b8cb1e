"""What speaks against a map: in words, each with its number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import (
    LACK,
    AreaSpectrum,
    DoseChange,
    OxidationResult,
    PixelFlag,
    StackFit,
)
from ...documents import LineStatus
from .._doubt import Doubt
from .._draw_style import measured
from ._doubts_beam import beam_doubts
from ._images import TAKEN
from ._words import listed, several

__all__ = ["dose_doubt", "doubts_of"]

AREA_CHI2 = 4.0
"""Reduced chi-square of the area beyond which the residual is twice the noise."""
CHANCE = 5.0
"""... and so many standard deviations of chi-square, which few degrees of freedom make wide."""
PIXEL_CHI2 = 2.0
"""The same for the median of the pixels, which hardly scatters."""
RESIDUAL_SIGMA = 5.0
DOSE_SIGMA = 3.0
"""Standard deviations from which on a change of the optical density is called one."""
ENERGY_OFF = 0.1
"""eV by which the energy read may differ from that asked for: half a step across a white line."""
BELOW = -0.1
"""Optical density of the brightest pixels below which a given I0 is doubted."""
BEYOND_SHARE = 0.05
"""Share of the pixels that may lie below 0 or above 1 by more than three sigma."""


def doubts_of(
    fit: StackFit,
    result: OxidationResult,
    spectrum: AreaSpectrum | None,
    status: NDArray[np.int8],
    energies: NDArray[np.float64],
    read: NDArray[np.float64],
    names: tuple[str, ...],
    *,
    final: bool,
    chosen: bool = False,
    until: str = "",
) -> Iterator[Doubt]:
    """Say what speaks against a map.

    Parameters
    ----------
    fit : StackFit
        The stack.
    result : OxidationResult
        Its maps.
    spectrum : AreaSpectrum or None
        Of the area shown.
    status : numpy.ndarray of int [nE, ny]
        `LineStatus` of each line; -1 for lines that have not come.
    energies : numpy.ndarray [nE]
        eV, as asked for.
    read : numpy.ndarray [nE, ny]
        The same as each line says it; NaN where it does not.
    names : tuple of str
        The species; empty without references.
    final : bool
        Whether no more lines come.
    chosen : bool
        Whether the plan may have left lines out: those are not lacking.

    Yields
    ------
    Doubt
    """
    present = fit.lines_present
    yield from _off(energies, read)
    yield from _gaps(present | fit.left_out, status, energies, final and not chosen)
    if final and chosen:
        yield from _left_out(status, until)
    if final:
        yield from beam_doubts(fit, np.isin(status, TAKEN) & ~present & ~fit.left_out, energies)
    yield from _noise(fit)
    yield from _i0(fit, result, present, energies, final and bool(names))
    if not names:
        return
    if final:
        yield from _undetermined(fit, result, present, names)
    yield from _misfit(result, spectrum)
    yield from _pixels(fit, result, final)


def dose_doubt(change: DoseChange) -> Doubt:
    """What a dose check says, in words; its value is the change of the optical density."""
    at = f"Dose check at {change.energy:g} eV"
    if change.reason:
        return Doubt("dose", change.change, f"{at}: cannot be compared ({change.reason}).")
    times = f"{change.significance:+.1f} σ".replace("-", "−")
    changed = abs(change.significance) > DOSE_SIGMA
    seen = "the sample has changed" if changed else "no change beyond what counting explains"
    return Doubt(
        "dose",
        change.change,
        f"{at}: the optical density is {measured(change.change, change.sigma, sign=True)} against "
        f"the first image ({times}, median of {several(change.n_pixels, 'pixel')}): {seen}.",
    )


def _off(asked: NDArray[np.float64], read: NDArray[np.float64]) -> Iterator[Doubt]:
    """Images that were taken at another energy than was asked for."""
    off, some = np.zeros(len(asked)), np.isfinite(read).any(axis=1)
    off[some] = np.nanmedian(read[some], axis=1) - asked[some]
    wrong = np.abs(off) > ENERGY_OFF
    if wrong.any():
        worst = int(np.abs(off).argmax())
        by = f"{off[worst]:+.2f}".replace("-", "−")
        yield Doubt(
            "energy",
            float(off[worst]),
            f"{several(int(wrong.sum()), 'image was', 'images were')} taken at another energy than "
            f"asked for, by up to {by} eV (at {asked[worst]:g} eV), as the monochromator read it; "
            "the fit uses those asked for.",
        )


def _gaps(
    present: NDArray[np.bool_],
    status: NDArray[np.int8],
    energies: NDArray[np.float64],
    final: bool,
) -> Iterator[Doubt]:
    """Energies without data, and lines that others of their image do not lack."""
    due: NDArray[np.bool_] = np.ones_like(present) if final else np.asarray(status >= 0)
    empty = np.asarray(due.all(axis=1) & ~present.any(axis=1))
    if empty.all():
        yield Doubt("missing", len(empty), "None of its images has data.")
        return
    if empty.any():
        n, rest = int(empty.sum()), int((~empty).sum())
        yield Doubt(
            "missing",
            n,
            f"{n} of {several(len(energies), 'energy', 'energies')} "
            f"{'has' if n == 1 else 'have'} no data ({listed(energies[empty])}): what is shown "
            f"rests on the other {rest}, σ and χ² too.",
        )
    lost = due & ~present & ~np.atleast_1d(empty)[:, None]
    if lost.any():
        kinds = [
            (int((lost & (status == s)).sum()), s.name.lower())
            for s in LineStatus
            if s not in TAKEN
        ]
        known = np.isin(status, [s.value for s in LineStatus])
        kinds += [
            (int((lost & np.isin(status, TAKEN)).sum()), "dark or without numbers"),
            (int((lost & (status >= 0) & ~known).sum()), "of a status not known here"),
            (int((lost & (status < 0)).sum()), "never flown"),
        ]
        parts = ", ".join(f"{n} {what}" for n, what in kinds if n)
        n = int(lost.sum())
        where = several(int(lost.any(axis=1).sum()), "image")
        yield Doubt(
            "lines",
            n,
            f"{several(n, 'line')} of {where} {'is' if n == 1 else 'are'} lacking ({parts}): "
            "their pixels rest on fewer energies.",
        )


def _left_out(status: NDArray[np.int8], until: str) -> Iterator[Doubt]:
    """What the plan left out since the map does not need it."""
    flown, energies = int((status >= 0).sum()), int((status >= 0).any(axis=1).sum())
    if flown < status.size:
        yield Doubt(
            "chosen",
            flown / status.size,
            f"{flown} of {several(status.size, 'line')} were flown, at {energies} of "
            f"{several(len(status), 'energy', 'energies')}: the plan was to leave out what the map "
            f"does not need (until, rows).{until and f' {until}.'}",
        )


def _i0(
    fit: StackFit,
    result: OxidationResult,
    present: NDArray[np.bool_],
    energies: NDArray[np.float64],
    mapped: bool,
) -> Iterator[Doubt]:
    given = fit.given_i0
    if given is not None:
        if given.sigma is None:
            yield Doubt("i0", 0, "I0 was given without its σ: it is taken as exact.")
        if fit.brightest_od < BELOW:
            more = 100 * (np.exp(-fit.brightest_od) - 1)
            yield Doubt(
                "i0",
                fit.brightest_od,
                f"The brightest pixels are {more:.0f} % brighter than the I0 given "
                f"({given.source}): beam, dwell or detector were others.",
            )
        unknown = present.any(axis=1) & ~np.isfinite(result.ln_i0)
        if mapped and unknown.any() and not fit.i0_refusal:
            n = int(unknown.sum())
            yield Doubt(
                "i0",
                n,
                f"I0 is not known at {several(n, 'energy', 'energies')} "
                f"({listed(energies[unknown])}): no image of the empty beam covers them, and they "
                "are left out.",
            )
        between = present.any(axis=1) & given.covers(energies) & ~given.holds(energies)
        if mapped and given.partial and between.any():
            n = int(between.sum())
            yield Doubt(
                "i0",
                n,
                f"I0 is interpolated at {several(n, 'energy', 'energies')} "
                f"({listed(energies[between])}), between images of the empty beam.",
            )
        return
    blank = fit.blank
    if blank is not None and not blank.found:
        if fit.monitored:
            now = (
                "I0 is taken from the monitor alone, with one ratio of transmission to monitor "
                "for all energies: what this varies with energy goes into the result."
            )
        else:
            now = "There is no monitor either, so I0 is not known and there is no map."
        yield Doubt(
            "blank",
            0,
            f"No blank area found ({blank.reason}). {now} Give i0= a spectrum (energies, counts, "
            "sigma) or a run of the empty beam, or blank= a mask of pixels without sample; or "
            "include an empty area in the image, or give the plan an i0_region=.",
        )
        return
    unknown = present.any(axis=1) & ~np.isfinite(result.ln_i0)
    full = unknown & fit.i0_saturated
    for which, why in (
        (unknown & ~full, "too few lines of the blank area were taken there"),
        (full, "the count rate in the blank area reached the detector's limit there"),
    ):
        if mapped and which.any():
            n = int(which.sum())
            yield Doubt(
                "i0",
                n,
                f"I0 is not known at {several(n, 'energy', 'energies')} "
                f"({listed(energies[which])}): {why}, and they are left out.",
            )


def _noise(fit: StackFit) -> Iterator[Doubt]:
    """Values that are not counts."""
    noise = fit.noise
    give = f"counts_per_unit={1.0 / noise.unit:.4g}"
    if noise.why == "steps":
        yield Doubt(
            "counts",
            noise.unit,
            f"The transmission is not in counts: its values are multiples of {noise.unit:.6g}. "
            f"One such step is taken as one count for σ and χ²; to say so, give {give}.",
        )
    elif noise.why:
        like = ", as counts per second or ms would" if noise.why == "rate" else ""
        yield Doubt(
            "counts",
            noise.unit,
            f"The transmission is not in counts: neighbours in the blank area scatter "
            f"{noise.unit * noise.excess:.3g} times as much (variance) as counts do{like}. For σ "
            f"and χ² {noise.unit:.4g} is taken as one count; if you know better, give "
            f"counts_per_unit= (the dwell in s for counts per second; here {give[16:]}).",
        )
    if noise.monitor_unit != 1.0:
        yield Doubt(
            "counts",
            noise.monitor_unit,
            "The monitor is not in counts: its values are multiples of "
            f"{noise.monitor_unit:.6g}, and one such step is taken as one count.",
        )
    if noise.beyond:
        yield Doubt(
            "noise",
            noise.excess,
            f"Neighbours in the blank area scatter {noise.excess:.3g} times as much (variance) as "
            "counting explains: the beam or the detector adds noise, or the values are not counts "
            "(then give counts_per_unit=). σ and χ² are computed with this noise.",
        )
    elif noise.excess < LACK:
        yield Doubt(
            "noise",
            noise.excess,
            f"Neighbours in the blank area scatter {noise.excess:.2g} times as much (variance) as "
            "counting alone would make them: the values are smoothed, or scaled down. σ is too "
            "large by then, and χ² too small; give counts_per_unit= (1000 for thousands).",
        )


def _undetermined(
    fit: StackFit, result: OxidationResult, present: NDArray[np.bool_], names: tuple[str, ...]
) -> Iterator[Doubt]:
    """Lines whose energies do not tell the references apart any more."""
    used = present & np.isfinite(result.ln_i0)[:, None]
    if not used.any():
        return
    bad = np.array([not fit.determined(column) for column in used.T])
    if not bad.any():
        return
    most = used[:, bad].sum(axis=0)
    span = several(int(most.max()), "energy", "energies")
    if most.min() != most.max():
        span = f"{most.min()} to {span}"
    who = ", ".join(names)
    where = "all lines" if bad.all() else f"{several(int(bad.sum()), 'line')} of {bad.size}"
    yield Doubt(
        "undetermined",
        int(bad.sum()),
        f"No map of {where}: the {span} that they have do not tell {who} and a constant apart.",
    )


def _misfit(result: OxidationResult, spectrum: AreaSpectrum | None) -> Iterator[Doubt]:
    blame = "references, energy or I0 do not suit, and σ, which knows counting only, does not say"
    chi2 = result.chi2[result.mask]
    chi2 = chi2[np.isfinite(chi2)]
    area, enough = float("nan"), AREA_CHI2
    if spectrum is not None:
        area = spectrum.chi2
        freedom = max(len(spectrum.od) - len(spectrum.coefficients), 1)
        enough = max(enough, 1.0 + CHANCE * float(np.sqrt(2.0 / freedom)))
    if area > enough:
        yield Doubt(
            "chi2",
            area,
            f"The fit of the area misses by {np.sqrt(area):.1f} times the noise (reduced χ² "
            f"{area:.3g}, 1 is right): {blame} so.",
        )
    pixels = float(np.median(chi2)) if chi2.size else float("nan")
    if pixels > PIXEL_CHI2:
        yield Doubt(
            "pixel_chi2",
            pixels,
            f"Half of the pixels shown miss by more than {np.sqrt(pixels):.1f} times the noise "
            f"(median reduced χ² {pixels:.3g}): {blame} so.",
        )
    if spectrum is not None and area > enough:
        off = spectrum.od - spectrum.fit
        worst = int(np.argmax(np.abs(off / spectrum.sigma)))
        times = float(abs(off[worst] / spectrum.sigma[worst]))
        if times > RESIDUAL_SIGMA:
            yield Doubt(
                "residual",
                float(off[worst]),
                f"The area's largest residual is {off[worst]:+.3f} OD at "
                f"{spectrum.energies[worst]:g} eV, {times:.0f} σ.",
            )


def _pixels(fit: StackFit, result: OxidationResult, final: bool) -> Iterator[Doubt]:
    n = result.n_mask
    flags = result.flags
    high = int(((flags & PixelFlag.HIGH_OD).astype(bool) & result.mask).sum())
    if high:
        yield Doubt(
            "high_od",
            high,
            f"{high} of {n} pixels shown have an optical density above 2 at some energy, where "
            "background light and harmonics fake a lower white line (max_od=2 leaves them out).",
        )
    for flag, kind, what in (
        (PixelFlag.SATURATED, "saturated", "the count rate reached the detector's limit"),
        (PixelFlag.NON_POSITIVE, "non_positive", "there are no counts"),
    ):
        number = int((flags & flag).astype(bool).sum())
        if number:
            yield Doubt(
                kind,
                number,
                f"{several(number, 'pixel')} of {flags.size} "
                f"{'has' if number == 1 else 'have'} no value: {what} at some energy.",
            )
    with np.errstate(invalid="ignore"):
        beyond = result.mask & (
            (result.fraction < -3.0 * result.sigma) | (result.fraction > 1.0 + 3.0 * result.sigma)
        )
    share = float(beyond.sum() / n) if n else 0.0
    if share > BEYOND_SHARE:
        yield Doubt(
            "beyond",
            share,
            f"{100 * share:.0f} % of the pixels shown lie below 0 or above 1 by more than 3 σ: "
            "no mixture of the references does.",
        )
    if final and not n and np.isfinite(result.thickness).any():
        with np.errstate(invalid="ignore"):
            thick = result.thickness > np.fmax(5.0 * result.thickness_sigma, fit.min_thickness)
        if fit.max_od is not None and thick.any():
            why = f"all that is thick enough has an optical density above max_od = {fit.max_od:g}."
        else:
            why = (
                "nowhere does the thickness exceed five times its σ and min_thickness (too little "
                "material, or too few energies on the edge)."
            )
        yield Doubt("mask", 0, f"No pixel shows a fraction: {why}")
