"""Ptychography for other programs: a CXI file for each energy of each region."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxscope.callbacks.ptychography import merged_frames
from redoxscope.documents import PTYCHO, PtychoInfo
from redoxscope.formats import write_cxi
from redoxscope.scan import Role, Scan

from ._content import Content, distinct, file_part

__all__ = ["write_cxi_files"]

log = logging.getLogger("redoxscope.storage")

MOST_LACKING = 0.01
"""Most pixels (share) that a place without one of its exposures may take from all others."""


def write_cxi_files(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """Merged frames, one file for each energy of each region; none where it is another run."""
    if PTYCHO not in content.start:
        return {}
    scan = Scan.from_start(content.start)
    PtychoInfo.from_start(content.start)
    several = len(scan.regions) > 1
    asked = {k for k, part in enumerate(scan.exposures) if part.role is not Role.DARK}
    taken = {found.index for found in merged_frames(content.run)} or asked  # none: an error, later
    lacking = [f"{scan.exposures[k].energy:g} eV" for k in sorted(asked - taken)]
    if lacking:
        log.warning("run %s ended before its frames at %s", content.uid[:8], ", ".join(lacking))
    plan: dict[str, int] = {}
    for k in sorted(taken):
        part = scan.exposures[k]
        region = scan.regions[part.region or 0].name if several else ""
        plan[f"{content.name}_{part.energy:.2f}eV_{region}_{k}"] = k
    stems = distinct(plan, lambda text: file_part(text.rpartition("_")[0]))
    return {
        folder / f"{stems[name]}.cxi": partial(_write, content, k, scan.exposures[k])
        for name, k in plan.items()
    }


def _write(content: Content, index: int, part: Any, path: Path) -> None:
    for found in merged_frames(content.run):
        if found.index == index:
            break
    else:
        raise ValueError(f"run {content.uid[:8]} ended before its frames at {part.energy:g} eV")
    task, unlit, halved = found.task, 0, 0

    def frames() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]]:
        nonlocal unlit, halved
        for piece in found.pieces:
            if not np.isfinite(piece.scale):
                unlit += len(piece.x)
                continue
            # The format has one mask: a place that has only its long exposure, with the bright
            # part of the beam saturated, would take that part from all.
            kept = piece.whole | (piece.lacking <= MOST_LACKING)
            halved += int((~kept).sum())
            if kept.any():
                counts = piece.counts[kept] / np.float32(piece.scale)
                yield counts, piece.x[kept], piece.y[kept]

    said = {
        "uid": content.uid,
        "sample": str(content.start.get("sample") or ""),
        "region": found.region,
    }
    if found.doubts:  # the same in the file: who reads it does not see this log
        said["doubts"] = " ".join(doubt.text for doubt in found.doubts)
        log.warning("run %s at %g eV: %s", content.uid[:8], part.energy, said["doubts"])
    try:
        probe = task.first_probe()
    except ValueError as exc:  # the frames are worth keeping all the same
        probe, said["no_illumination"] = None, str(exc)
    written = write_cxi(
        path,
        energy_ev=part.energy,
        distance_um=task.info.distance_um,
        pixel_um=task.info.pixel_um,
        shape=task.info.shape,
        frames=frames(),
        illumination=probe,
        attributes=said,
    )
    if halved:
        log.warning(
            "run %s at %g eV: %d places are left out: one of their exposures is missing",
            content.uid[:8], part.energy, halved,
        )  # fmt: skip
    if unlit:
        log.warning(
            "run %s at %g eV: %d places are left out: how much light they had is not known",
            content.uid[:8], part.energy, unlit,
        )  # fmt: skip
    if not written:
        raise ValueError(f"run {content.uid[:8]} has no whole frame at {part.energy:g} eV")
