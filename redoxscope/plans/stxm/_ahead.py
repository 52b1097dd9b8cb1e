"""What is told beforehand of a scan of images of which something may be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bluesky.utils import MsgGenerator

from ...scan import Frame, Role, Scan
from .._foretold import Foreseen, foretold
from .._protocols import Microscope
from ._adaptive import Adaptive
from ._dose_limit import DoseGuard

__all__ = ["foretold_ahead", "part_of"]


def foretold_ahead(
    stxm: Microscope,
    scan: Scan,
    begin: int,
    adaptive: Adaptive | None,
    dose: DoseGuard | None,
) -> MsgGenerator[bool]:
    """Ask as `foretold` does, for what will be flown of a scan as far as that is known.

    Parameters
    ----------
    stxm : Microscope
    scan : Scan
        Of images.
    begin : int
        Frame at which it begins.
    adaptive : Adaptive, optional
        What it leaves out depends on what is measured: that is told as not known.
    dose : DoseGuard, optional
        What it leaves out is left out, as if no line were flown again.

    Returns
    -------
    bool
        True: measure nothing.
    """
    left = range(begin, len(scan.frames))
    images = list(left) if dose is None else dose.planned(left)
    notes = []
    if adaptive is not None:
        names = [name for name, on in (("until", adaptive.target), ("rows", adaptive.choose_rows))
                 if on]  # fmt: skip
        notes.append(
            f"what {' and '.join(names)} will leave out: time and dose are those of the whole"
        )
    if len(images) < len(left):
        taken = set(images)
        energy = scan.frames[next(i for i in left if i not in taken)].energy
        notes.append(
            f"dose_limit ends it after {len(images)} of {len(left)} images, before that at "
            f"{energy:g} eV, and earlier where lines are flown again"
        )
    if notes:
        yield from foretold(stxm, Foreseen(0.0, unknown=tuple(notes)))
    ahead = part_of(scan, images) if images else Foreseen(0.0)
    return (yield from foretold(stxm, ahead))


def part_of(scan: Scan, images: Sequence[int]) -> Scan:
    """A scan of some of the images; a dose check of one that is not there is an image."""
    if len(images) == len(scan.frames):
        return scan
    frames: list[Frame] = []
    seen = set()
    for i in images:
        frame = scan.frames[i]
        key = frame.energy, frame.region, frame.outer
        if frame.role is Role.DOSE_CHECK and key not in seen:
            frame = replace(frame, role=Role.SAMPLE)
        if frame.role is Role.SAMPLE:
            seen.add(key)
        frames.append(frame)
    used = sorted({frame.region for frame in frames})
    return replace(
        scan,
        regions=tuple(scan.regions[i] for i in used),
        frames=tuple(replace(frame, region=used.index(frame.region)) for frame in frames),
    )
