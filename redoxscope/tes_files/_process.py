"""From a folder and its logs to a summary and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.rixs import find_maximum
from ..formats import TesLog, writable_folder, write_json
from ._calibrations import (
    Calibrated,
    calibrate_log,
    calibration_log_for,
    ended_early,
    number,
    pixel_report,
    without,
)
from ._compared import compared
from ._energies import with_energies
from ._inputs import Files, check_span, find_files, lines_for, name_of, read_files, read_logs
from ._results import board_name, draw_board, draw_scans, picture_names
from ._scans import Scan, count_scan, elastic_shift, oxygen_dip

__all__ = ["process"]

SUMMARY = "summary.json"
MOST_REASONS = 12
SHIFT_EV = 2.0
"""An elastic line that far off in the scans is told in the summary."""


def process(
    folder: str | os.PathLike[str],
    logs: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "rixs",
    progress: Callable[[str, float], None] | None = None,
    *,
    lines: Sequence[str] | None = None,
    energies: Sequence[str] | str = (),
    calibration: str | None = None,
) -> dict[str, Any]:
    """Calibrate the photon files of an array, make RIXS maps and yields, and draw them.

    Parameters
    ----------
    folder : path
        Where the OFF files are.
    logs : iterable of path
        Logs of the beamline (see :func:`redoxscope.formats.read_tes_log`); at least one of a
        calibration. Scans use the calibration they name, else the one nearest in time.
    out : path
        Folder for ``summary.json``, ``calibration_*.json`` and the pictures; made where it is not.
        ``summary.json`` is written last: without it, the rest is not whole.
    progress : callable, optional
        Called with what is being done and the part of it that is done (0 to 1).
    lines : sequence of str, optional
        Emission lines or elements of the calibration sample (``"O K"``, ``"Fe"``); by default
        those of the mixture that the log names.
    energies : str or sequence of str, optional
        Energies of the monochromator (eV) where a log has none: ``"778.1,778.3,779.0"``,
        ``"780"`` or the path of a text file, for one of several logs as ``"NAME=780"``.
    calibration : str, optional
        Name of the calibration's log that all scans use, whatever they name.

    Returns
    -------
    dict
        What ``summary.json`` holds: ``photons_total``, ``photons`` (by channel), ``pixels`` (by
        channel: ``ok``, ``reason``, ``elastic_ev`` …), ``pfy_max_ev`` (by log; None where the
        PFY has no maximum, ``pfy_max_reason`` says why), ``o_k_dip`` and ``o_k_dip_sigma`` (None
        where there is none to see), and more.

    Raises
    ------
    ValueError
        No such folder, no OFF files, no log of a calibration or not the one that a scan names, a
        sample whose lines are not known, a scan without energies, or no photons during a log; all
        checked before anything heavy is done. Not one pixel that can be used: then the
        calibration's verdict and picture are in ``out``, and nothing else.
    OSError
        A file cannot be read, or ``out`` not be written.
    """
    say = progress or (lambda _text, _part: None)
    paths = find_files(folder)
    read = with_energies(read_logs(logs), energies)
    cal_logs = [log for log in read if log.kind == "cal"]
    groups = _groups(read, cal_logs, calibration)
    tables = [lines_for(log, lines) for log in cal_logs]
    files = read_files(paths, say)
    check_span(files.photons, read)
    target = writable_folder(out)
    for name in [SUMMARY, *(x for group, _ in groups for x in picture_names(group))]:
        (target / name).unlink(
            missing_ok=True
        )  # an earlier time's: where this one fails, no result

    made: list[Calibrated] = []
    for k, (log, table) in enumerate(zip(cal_logs, tables, strict=True)):
        say(f"calibrating with {name_of(log)}", k / len(cal_logs))
        previous = made[-1].calibration if made else None
        made.append(calibrate_log(files.photons, log, table, list(files.counts), previous))
    early = ended_early(files.photons, read)
    if early:
        made = [without(each, early) for each in made]
    for each in made:
        write_json(target / f"calibration_{each.name}.json", each.calibration.to_dict())
    pictures = [draw_board(target, each, say) for each in made]
    by_name = {each.name: each for each in made}
    _check_usable(made, [by_name[used] for _, used in groups], target)

    scans: list[tuple[Scan, Calibrated]] = []
    for group, name in groups:
        say(f"binning {', '.join(name_of(log) for log in group)}", len(scans) / len(read))
        used = by_name[name]
        scans.append((count_scan(files.photons, group, used, files.record_s), used))
    summary = _summary(folder, files, read, made, scans)
    summary["pictures"] = pictures + draw_scans(target, scans, say)
    write_json(target / SUMMARY, summary)
    say("done", 1.0)
    return summary


def _groups(
    logs: Sequence[TesLog], cal_logs: Sequence[TesLog], calibration: str | None
) -> list[tuple[list[TesLog], str]]:
    """Scans of the same sample over the same energies, with the name of their calibration."""
    groups: dict[tuple[Any, ...], tuple[list[TesLog], str]] = {}
    if calibration is not None and all(log.kind == "cal" for log in logs):
        raise ValueError(f"calibration {calibration!r} is wanted for scans, but there are none")
    for log in logs:
        if log.kind == "cal":
            continue
        used = name_of(calibration_log_for(log, cal_logs, calibration))
        energies = tuple(sorted({round(e, 2) for p in log.passes for e, _, _ in p.points}))
        groups.setdefault((log.sample, used, energies), ([], used))[0].append(log)
    return list(groups.values())


def _check_usable(made: Sequence[Calibrated], used: Sequence[Calibrated], target: Path) -> None:
    """Refuse to go on where a scan's calibration, or every one, has not one usable pixel.

    Raises
    ------
    ValueError
        With the reason for each pixel.
    """
    lost = [each for each in used if not len(each.calibration.usable)]
    if not lost and any(len(each.calibration.usable) for each in made):
        return
    each = (lost or made)[0]
    pixels = each.calibration.pixels
    reasons = [f"{p.channel}: {p.reason}" for p in pixels[:MOST_REASONS]]
    if len(pixels) > len(reasons):
        reasons.append(f"and {len(pixels) - len(reasons)} more")
    raise ValueError(
        f"calibration {each.name}: not one of {len(pixels)} pixels can be used, so there are no "
        f"energies. Its spectra are in {target / board_name(each)}. By channel:\n  "
        + "\n  ".join(reasons)
    )


def _summary(
    folder: str | os.PathLike[str],
    files: Files,
    logs: Sequence[TesLog],
    made: Sequence[Calibrated],
    scans: Sequence[tuple[Scan, Calibrated]],
) -> dict[str, Any]:
    main = scans[0][1] if scans else made[0]
    pixels = pixel_report(main, made, files.counts)
    summary: dict[str, Any] = {
        "folder": str(folder),
        "logs": {name_of(log): log.kind for log in logs},
        "photons_total": len(files.photons),
        "photons": {str(c): n for c, n in files.counts.items()},
        "leftover_bytes": files.leftover_bytes,
        "problems": files.problems | {name_of(x): x.problem for x in logs if x.problem},
        "pixels": pixels,
        "pixels_usable": sum(p["ok"] for p in pixels.values()),
        "pixels_mended": [c for c, p in pixels.items() if p["mended"]],
        "pixels_refused": {c: p["reason"] for c, p in pixels.items() if not p["ok"]},
        "calibrations": {each.name: _calibration_report(each) for each in made},
        "scans": {},
        "edge": scans[0][0].edge if scans else "",
        "compared": [],
        "pfy_max_ev": {},
        "pfy_max_sigma_ev": {},
        "pfy_max_significance": {},
        "pfy_max_reason": {},
        "o_k_dip": None,
        "o_k_dip_sigma": None,
    }
    for each in made:
        if not len(each.calibration.usable):
            summary["problems"][each.name] = "not one pixel can be used with this calibration"
    for scan, used in scans:
        summary["scans"] |= scan.report
        summary["compared"] += compared(scan)
        energies = scan.counts.energies
        for name, passes in scan.passes.items():
            pfy = scan.counts.yields(scan.pfy, passes)
            top = find_maximum(energies, pfy.value, pfy.sigma)
            summary["pfy_max_ev"][name] = number(top.energy_ev)
            summary["pfy_max_sigma_ev"][name] = number(top.sigma_ev)
            summary["pfy_max_significance"][name] = number(top.significance)
            summary["pfy_max_reason"][name] = top.reason
        whole = scan.counts.yields(scan.pfy)
        top = find_maximum(energies, whole.value, whole.sigma)
        shift = elastic_shift(files.photons, scan, used, top.energy_ev)
        check = None if shift is None else {"shift_ev": number(shift[0]), "sigma": number(shift[1])}
        if shift is not None and abs(shift[0]) > SHIFT_EV:
            summary["problems"][scan.name] = (
                f"below the edge its elastic line is {shift[0]:+.1f} eV from the monochromator's "
                f"energy; limit {SHIFT_EV:g} eV"
            )
        dip = oxygen_dip(scan)
        for name in scan.passes:
            summary["scans"][name]["elastic_check"] = check
            summary["scans"][name]["edge"] = scan.edge
        if dip is not None and summary["o_k_dip"] is None:
            summary["o_k_dip"], summary["o_k_dip_sigma"] = number(dip.value), number(dip.sigma)
            summary["o_k_dip_seen"] = dip.seen
            summary["o_k_dip_on_ev"] = [number(e) for e in dip.on_ev]
    unassigned = len(files.photons) - sum(len(each.photons) for each in made)
    unassigned -= sum(r["photons"] for r in summary["scans"].values())
    summary["photons_outside_logs"] = unassigned
    return summary


def _calibration_report(each: Calibrated) -> dict[str, Any]:
    c = each.calibration
    width = [p.elastic_fwhm_ev for p in c.pixels if p.ok and math.isfinite(p.elastic_fwhm_ev)]
    return {
        "uid": c.uid,
        "mono_ev": each.log.mono_ev,
        "sample": each.log.sample,
        "photons": len(each.photons),
        "pixels_usable": len(c.usable),
        "refused": {str(p.channel): p.reason for p in c.pixels if not p.ok},
        "line_table": f"{c.line_table_version} {c.line_table[:12]}",
        "line_shifts_ev": {name: number(s) for name, s in c.line_shifts.items()},
        "resolution_ev": number(float(np.median(width))) if width else None,
    }
