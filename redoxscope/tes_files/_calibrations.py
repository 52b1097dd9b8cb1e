"""Calibrations from the logs that are for that, and which one holds for which scan."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..analysis.tes import Calibration, calibrate
from ..data import LineTable
from ..formats import TesLog
from ..photons import Photons
from ._inputs import name_of

__all__ = [
    "Calibrated",
    "calibrate_log",
    "calibration_log_for",
    "ended_early",
    "gain_changes",
    "pixel_report",
    "without",
]

CHECKED_EV = 700.0
CHANGED_EV = 3.0
QUIET_INTERVALS = 30.0
QUIET_S = 10.0


@dataclass(frozen=True)
class Calibrated:
    """A calibration log and what came of it.

    Attributes
    ----------
    log : TesLog
    photons : Photons
        Taken during it.
    calibration : Calibration
    lines : LineTable
    """

    log: TesLog
    photons: Photons
    calibration: Calibration
    lines: LineTable

    @property
    def name(self) -> str:
        """Name of the log."""
        return name_of(self.log)


def during(photons: Photons, log: TesLog) -> Photons:
    """Photons taken during the passes of a log; `photons` in order of time."""
    parts = [
        photons[slice(*np.searchsorted(photons.time_ns, (p.start, p.stop)))] for p in log.passes
    ]
    return Photons.concatenate(parts)


def calibrate_log(
    photons: Photons,
    log: TesLog,
    lines: LineTable,
    channels: Sequence[int],
    previous: Calibration | None,
) -> Calibrated:
    """Calibrate all channels from one log.

    Raises
    ------
    ValueError
        There are too few photons or lines, or not one pixel can be used.
    """
    mine = during(photons, log)
    calibration = calibrate(mine, lines, elastic_ev=log.mono_ev, pixels=channels, previous=previous)
    return Calibrated(log, mine, calibration, lines)


def calibration_log_for(
    log: TesLog, calibrations: Sequence[TesLog], wanted: str | None = None
) -> TesLog:
    """The log of the calibration that holds for a scan.

    It is the one that is wanted, else the one that the scan's log names (``cfolder``, or the scan
    server's ``cal_number``), else the one nearest in time.

    Raises
    ------
    ValueError
        The calibration that is wanted or named is not among those given.
    """
    known = ", ".join(name_of(each) for each in calibrations)
    folder, number = log.header.get("cfolder"), _cal_number(log.header.get("cal_number"))
    if wanted is not None:
        named = [each for each in calibrations if name_of(each) == wanted]
        if not named:
            raise ValueError(f"calibration {wanted!r} is not among those given: {known}")
    elif folder:
        named = [x for x in calibrations if folder in (name_of(x), x.header.get("pfolder"))]
    elif number is not None:
        named = [each for each in calibrations if _number_of(each) == number]
    else:
        named = list(calibrations)
    if not named:
        which = f"calibration {folder!r}" if folder else f"calibration number {number}"
        raise ValueError(
            f"log {log.path} names {which}, which is not among those given: {known}. Give its log "
            f"too, or say with --calibration which one to use instead"
        )

    def away(each: TesLog) -> int:
        first, last = each.passes[0].start, each.passes[-1].stop
        return max(log.passes[0].start - last, first - log.passes[-1].stop, 0)

    return min(named, key=away)


def _cal_number(value: Any) -> int | None:
    """A calibration's number as logs write it (3, "3", "CAL0003"); None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = re.fullmatch(r"(?:[A-Za-z_]*)(\d+)(?:\.0*)?", str(value).strip())
    return int(found[1]) if found else None


def _number_of(log: TesLog) -> int | None:
    """Number of a calibration, from its log or else from its name."""
    number = _cal_number(log.header.get("cal_number"))
    return _cal_number(name_of(log)) if number is None else number


def gain_changes(used: Calibrated, other: Calibrated) -> dict[int, float]:
    """By how much `used` is off at the time of `other`, by channel (eV at 700 eV)."""
    changes = {}
    for p in used.calibration.pixels:
        if p.channel not in other.calibration or not p.calibrated:
            continue
        later = other.calibration[p.channel]
        if not (later.ok and p.ok):
            continue
        # Heights that `other` takes for about 700 eV, at the pretrigger mean of its time.
        height = np.linspace(0.3, 1.2, 400) * max(x.position for x in later.lines)
        level = np.full(len(height), later.pretrigger_reference)
        right = later.energy(height, level)
        changes[p.channel] = float(np.interp(CHECKED_EV, right, p.energy(height, level) - right))
    return changes


def pixel_report(
    used: Calibrated, made: Sequence[Calibrated], counts: dict[int, int]
) -> dict[str, Any]:
    """The verdict on each pixel, by channel number as text."""
    others = [each for each in made if each is not used]
    changes = {each.name: gain_changes(used, each) for each in others}
    report: dict[str, Any] = {}
    for p in used.calibration.pixels:
        reason = p.reason
        for each in others:
            change = changes[each.name].get(p.channel, 0.0)
            if abs(change) > CHANGED_EV:
                word = "had" if each.log.passes[0].start > used.log.passes[0].start else "has"
                reason += (
                    f"; by {each.name} its gain {word} changed: {change:+.1f} eV at "
                    f"{CHECKED_EV:g} eV"
                )
        report[str(p.channel)] = {
            "ok": p.ok,
            "reason": reason,
            "mended": p.mended,
            "elastic_ev": number(p.elastic_ev),
            "elastic_fwhm_ev": number(p.elastic_fwhm_ev),
            "rms_ev": number(p.rms_ev),
            "lines": [x.name for x in p.lines if not x.left_out],
            "photons": counts.get(p.channel, 0),
            "calibration": used.name,
            "change_ev": {
                name: number(values[p.channel])
                for name, values in changes.items()
                if p.channel in values
            },
        }
    return report


def number(value: float) -> float | None:
    """A number for JSON; None where it is not known."""
    return round(float(value), 4) if math.isfinite(value) else None


def ended_early(photons: Photons, logs: Sequence[TesLog]) -> dict[int, str]:
    """Pixels whose photons end before the last scan does: their files are cut off.

    Their part of the later points is missing, which would look like a sample that changes.

    Returns
    -------
    dict of int to str
        Why not to use it, by channel. Silence of 30 mean intervals and 10 s is none by chance.
    """
    ends = [end for log in logs if log.kind == "data" for p in log.passes for _, _, end in p.points]
    if not ends:
        return {}
    last = max(ends)
    found = {}
    for channel in np.unique(photons.pixel):
        times = photons.time_ns[photons.pixel == channel]
        times = times[times <= last]
        if len(times) < 2:
            continue
        quiet = 1e-9 * float(last - times[-1])
        interval = 1e-9 * float(times[-1] - times[0]) / (len(times) - 1)
        if quiet > max(QUIET_S, QUIET_INTERVALS * interval):
            found[int(channel)] = (
                f"its photons end {quiet:.0f} s before the last point: file cut off?"
            )
    return found


def without(each: Calibrated, reasons: Mapping[int, str]) -> Calibrated:
    """The same with some pixels refused."""
    pixels = tuple(
        replace(p, ok=False, reason=reasons[p.channel]) if p.ok and p.channel in reasons else p
        for p in each.calibration.pixels
    )
    return replace(each, calibration=replace(each.calibration, pixels=pixels))
