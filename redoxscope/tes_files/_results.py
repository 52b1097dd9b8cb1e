"""What is written: whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..callbacks import PixelHealth, RixsSnapshot, rixs_snapshot
from ..formats import TesLog, replaced
from ._calibrations import Calibrated
from ._inputs import name_of
from ._scans import Scan, oxygen_dip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["board_name", "draw_board", "draw_scans", "picture_names", "snapshot_of"]

Progress = Callable[[str, float], None]


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


def board_name(made: Calibrated) -> str:
    """Name of a calibration's picture."""
    return f"calibration_{made.name}.png"


def picture_names(logs: Sequence[TesLog]) -> tuple[str, str]:
    """Names of the pictures of scans that are put together: map, and oxygen channel."""
    name = "+".join(map(name_of, logs))
    return f"rixs_{name}.png", f"oxygen_{name}.png"


def draw_board(target: Path, made: Calibrated, say: Progress) -> str:
    """Draw a calibration; name of the file."""
    from matplotlib.figure import Figure

    from ._draw import draw_calibration

    figure = Figure(figsize=(12, 9))
    draw_calibration(figure, made)
    return _save(target, figure, board_name(made), say)


def draw_scans(target: Path, scans: Sequence[tuple[Scan, Calibrated]], say: Progress) -> list[str]:
    """Draw maps and oxygen channels; names of the files."""
    from matplotlib.figure import Figure

    from ..callbacks import draw_rixs
    from ._draw import draw_inverse

    names: list[str] = []
    for scan, used in scans:
        first, second = picture_names(scan.logs)
        figure = Figure(figsize=(12, 8.5))
        draw_rixs(figure, snapshot_of(scan, used))
        names.append(_save(target, figure, first, say))
        dip = oxygen_dip(scan)
        if dip is not None:
            figure = Figure(figsize=(8.5, 6))
            draw_inverse(figure, scan, dip)
            names.append(_save(target, figure, second, say))
    return names


def _save(target: Path, figure: Figure, name: str, say: Progress) -> str:
    say(f"drawing {name}", 1.0)
    with replaced(target / name) as part:
        figure.savefig(part, dpi=130, format="png")
    return name
