"""From a folder and its logs to a summary and pictures."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..callbacks import PixelHealth, RixsSnapshot, rixs_snapshot
from ..formats import TesLog, writable_folder
from ._calibrations import (
    Calibrated,
    calibrate_log,
    calibration_for,
    ended_early,
    number,
    pixel_report,
    without,
)
from ._inputs import Files, check_span, find_files, lines_for, name_of, read_files, read_logs
from ._scans import Scan, count_scan, elastic_shift, maximum, oxygen_dip

__all__ = ["process"]

SHIFT_EV = 2.0
"""An elastic line that far off in the scans is told in the summary."""


def process(
    folder: str | os.PathLike[str],
    logs: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "rixs",
    progress: Callable[[str, float], None] | None = None,
    *,
    lines: Sequence[str] | None = None,
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
    progress : callable, optional
        Called with what is being done and the part of it that is done (0 to 1).
    lines : sequence of str, optional
        Emission lines or elements of the calibration sample (``"O K"``, ``"Fe"``); by default
        those of the mixture that the log names.

    Returns
    -------
    dict
        What ``summary.json`` holds: ``photons_total``, ``photons`` (by channel), ``pixels`` (by
        channel: ``ok``, ``reason``, ``elastic_ev`` …), ``pfy_max_ev`` (by log), ``o_k_dip`` and
        ``o_k_dip_sigma`` (None where there is none to see), and more.

    Raises
    ------
    ValueError
        No such folder, no OFF files, no log of a calibration, a sample whose lines are not known,
        or no photons during a log; all checked before anything heavy is done.
    """
    say = progress or (lambda _text, _part: None)
    paths = find_files(folder)
    read = read_logs(logs)
    cal_logs = [log for log in read if log.kind == "cal"]
    tables = [lines_for(log, lines) for log in cal_logs]
    files = read_files(paths, say)
    check_span(files.photons, read)
    target = writable_folder(out)

    made: list[Calibrated] = []
    for k, (log, table) in enumerate(zip(cal_logs, tables, strict=True)):
        say(f"calibrating with {name_of(log)}", k / len(cal_logs))
        previous = made[-1].calibration if made else None
        made.append(calibrate_log(files.photons, log, table, list(files.counts), previous))
    early = ended_early(files.photons, read)
    if early:
        made = [without(each, early) for each in made]
    scans: list[tuple[Scan, Calibrated]] = []
    for group, used in _groups(read, made):
        say(f"binning {', '.join(name_of(log) for log in group)}", len(scans) / len(read))
        scans.append((count_scan(files.photons, group, used, files.record_s), used))

    summary = _summary(folder, files, read, made, scans)
    for each in made:
        _write(target / f"calibration_{each.name}.json", each.calibration.to_dict())
    say("drawing", 0.0)
    summary["pictures"] = _pictures(target, made, scans, say)
    _write(target / "summary.json", summary)
    say("done", 1.0)
    return summary


def _groups(
    logs: Sequence[TesLog], made: Sequence[Calibrated]
) -> list[tuple[list[TesLog], Calibrated]]:
    """Scans of the same sample over the same energies with the same calibration."""
    groups: dict[tuple[Any, ...], tuple[list[TesLog], Calibrated]] = {}
    for log in logs:
        if log.kind == "cal":
            continue
        used = calibration_for(log, made)
        energies = tuple(sorted({round(e, 2) for p in log.passes for e, _, _ in p.points}))
        key = (log.sample, used.name, energies)
        groups.setdefault(key, ([], used))[0].append(log)
    for (_, _, energies), (group, _) in groups.items():
        if any(math.isnan(e) for e in energies):
            raise ValueError(f"log {group[0].path}: points without an energy of the monochromator")
    return list(groups.values())


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
        "pfy_max_ev": {},
        "pfy_max_sigma_ev": {},
        "o_k_dip": None,
        "o_k_dip_sigma": None,
    }
    for scan, used in scans:
        summary["scans"] |= scan.report
        energies = scan.counts.energies
        for name, passes in scan.passes.items():
            pfy = scan.counts.yields(scan.pfy, passes)
            top, sigma = maximum(energies, pfy.value, pfy.sigma)
            summary["pfy_max_ev"][name] = number(top)
            summary["pfy_max_sigma_ev"][name] = number(sigma)
        whole = scan.counts.yields(scan.pfy)
        top, _ = maximum(energies, whole.value, whole.sigma)
        shift = elastic_shift(files.photons, scan, used, top)
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


def _health(scan: Scan, used: Calibrated) -> PixelHealth:
    pixels = used.calibration.pixels
    return PixelHealth(
        np.array([p.channel for p in pixels], np.int64),
        np.array([p.ok for p in pixels], bool),
        tuple("" if p.ok else p.reason for p in pixels),
        np.array([scan.pixel_photons.get(p.channel, 0) for p in pixels], np.int64),
    )


def snapshot_of(scan: Scan, used: Calibrated) -> RixsSnapshot:
    """The scan as the live map shows one."""
    windows = list(scan.windows)
    low, high = scan.counts.energies.min(), scan.counts.energies.max()
    windows = [w for w in windows if not w.in_excitation or (w.low < high and w.high > low)]
    sample = scan.logs[0].sample
    title = " ".join(x for x in (scan.edge, sample and f"of {sample}", f"({scan.name})") if x)
    return rixs_snapshot(
        scan.counts,
        windows,
        pixels=_health(scan, used),
        pixels_used=len(scan.usable),
        edge=scan.edge,
        sample=sample,
        title=title,
        uid=used.calibration.uid,
    )


def _pictures(
    target: Path,
    made: Sequence[Calibrated],
    scans: Sequence[tuple[Scan, Calibrated]],
    say: Callable[[str, float], None],
) -> list[str]:
    """Draw everything; names of the files."""
    from matplotlib.figure import Figure

    from ..callbacks import draw_rixs
    from ._draw import draw_calibration, draw_inverse

    names: list[str] = []
    total = len(made) + 2 * len(scans)

    def save(figure: Figure, name: str) -> None:
        say(f"drawing {name}", len(names) / total)
        figure.savefig(target / name, dpi=130)
        names.append(name)

    for each in made:
        figure = Figure(figsize=(12, 9))
        draw_calibration(figure, each)
        save(figure, f"calibration_{each.name}.png")
    for scan, used in scans:
        figure = Figure(figsize=(12, 8.5))
        draw_rixs(figure, snapshot_of(scan, used))
        save(figure, f"rixs_{scan.name}.png")
        dip = oxygen_dip(scan)
        if dip is not None:
            figure = Figure(figsize=(8.5, 6))
            draw_inverse(figure, scan, dip)
            save(figure, f"oxygen_{scan.name}.png")
    return names


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
