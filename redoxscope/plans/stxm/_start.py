"""The start document of a scan of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...documents import CONTRACT_VERSION, IMAGE, STACK
from ...scan import Role, Scan

__all__ = ["STXM_CONTRACT", "stack_start", "stxm_block"]

STXM_CONTRACT = 1
"""Version of the ``stxm`` block, by which viewers of the ALS read stacks."""


def stack_start(
    scan: Scan, detectors: Sequence[str], plan_name: str | None = None
) -> dict[str, Any]:
    """What a plan writes of its scan.

    Parameters
    ----------
    scan : Scan
        Of lines.
    detectors : sequence of str
        Data keys of the counters, the one behind the sample first.
    plan_name : str, optional
        Of another plan than that of a stack or an image.
    """
    single = len(scan.all_energies) == 1 and len(scan.frames) == len(scan.regions)
    names = [scan.stream_of(i) for i in range(len(scan.regions))]
    start: dict[str, Any] = {
        "plan_name": plan_name or (IMAGE if single else STACK),
        "contract_version": CONTRACT_VERSION,
        "scan": scan.as_dict(),
        "edge": scan.edge,
        "detectors": list(detectors),
        "motors": [*(outer.name for outer in scan.outer), "energy", "sample_y", "sample_x"],
        "num_points": scan.lines,
        "hints": {"dimensions": [[["energy"], names[0]]]},
    }
    if len(scan.regions) == 1:
        nx, ny = scan.regions[0].pixels
        x_extent, y_extent = scan.regions[0].extents
        energies = scan.all_energies
        start |= {
            "shape": [len(scan.frames), ny, nx],
            "extents": [[min(energies), max(energies)], list(y_extent), list(x_extent)],
            "snaking": [False, False, False],
        }
    block = None if single or plan_name else stxm_block(scan, detectors)
    return start if block is None else {**start, "stxm": block}


def stxm_block(scan: Scan, detectors: Sequence[str]) -> dict[str, Any] | None:
    """A stack as contract v1 of the ALS has it; None where that cannot say it.

    It knows one region and one dwell; what each image is for and outer loops it does not know.
    """
    dwells = {frame.dwell for frame in scan.frames}
    if (
        len(scan.regions) != 1
        or len(dwells) != 1
        or scan.outer
        or not detectors
        or any(frame.role is not Role.SAMPLE for frame in scan.frames)
    ):
        return None
    nx, ny = scan.regions[0].pixels
    x_extent, y_extent = scan.regions[0].extents
    return {
        "contract_version": STXM_CONTRACT,
        "shape": [len(scan.frames), ny, nx],
        "energies": [frame.energy for frame in scan.frames],
        "dwell_ms": 1e3 * dwells.pop(),
        "x_extent": list(x_extent),
        "y_extent": list(y_extent),
        "x_motor": "sample_x",
        "y_motor": "sample_y",
        "energy_motor": "energy",
        "data_field": detectors[0],
    }
