"""Ptychography for other programs: a CXI file for each energy of each region."""

from __future__ import annotations

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


def write_cxi_files(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """Merged frames, one file for each energy of each region; none where it is another run."""
    if PTYCHO not in content.start:
        return {}
    scan = Scan.from_start(content.start)
    PtychoInfo.from_start(content.start)
    several = len(scan.regions) > 1
    plan: dict[str, int] = {}
    for k, part in enumerate(scan.exposures):
        if part.role is Role.DARK:
            continue
        region = scan.regions[part.region or 0].name if several else ""
        plan[f"{content.name}_{part.energy:.2f}eV_{region}_{k}"] = k
    stems = distinct(plan, lambda text: file_part(text.rpartition("_")[0]))
    return {
        folder / f"{stems[name]}.cxi": partial(_write, content, scan.exposures[k])
        for name, k in plan.items()
    }


def _write(content: Content, part: Any, path: Path) -> None:
    for found in merged_frames(content.run):
        if found.task.part == part:
            break
    else:
        raise ValueError(f"run {content.uid[:8]} ended before its frames at {part.energy:g} eV")
    task = found.task

    def frames() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]]:
        for piece in found.pieces:
            yield (piece.counts / np.float32(piece.scale), piece.x, piece.y)

    said = {
        "uid": content.uid,
        "sample": str(content.start.get("sample") or ""),
        "region": found.region,
    }
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
    if not written:
        raise ValueError(f"run {content.uid[:8]} has no whole frame at {part.energy:g} eV")
