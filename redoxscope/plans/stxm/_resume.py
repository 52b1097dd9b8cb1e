"""Continues a stack that ended early, in a new run that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...documents import IMAGE, RESUMES, STACK, STACK_RESERVED, check_metadata
from ...inputs import as_name
from ...scan import Scan
from .._inputs import check_axes, check_device
from .._lookup import lookup
from .._protocols import Microscope
from .._public import plan
from ._frames import measure_frames
from ._start import stack_start

__all__ = ["resume"]

Documents = Iterable[tuple[str, Mapping[str, Any]]]


@plan
def resume(
    stxm: Microscope,
    run: str,
    *,
    axes: Mapping[str, Movable[Any]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Continue a stack that was interrupted, after its last complete line, in a run of its own.

    The new run carries the same scan, and in ``resumes`` which run it continues and where. The
    two read as one: `redoxscope.storage.whole_run`. Where the sample moved meanwhile, the map of
    both says by how much.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    run : str
        The uid of the run that ended early; its beginning suffices. One that was resumed already
        is resumed by the uid of the last of its runs.
    axes : mapping of str to device, optional
        What is set for the scan's outer loops, as for `execute`.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        The new run's uid.

    Raises
    ------
    ValueError
        No such run, or it is no stack, is being measured, or has all its lines. Raised before the
        plan's first move, as are limits and geometry; see `energy_stack`.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    return _resume(stxm, as_name("run", run, "1a2b3c4d"), axes, check_metadata(md, STACK_RESERVED))


def _resume(
    stxm: Microscope, run: str, axes: Mapping[str, Movable[Any]] | None, md: Mapping[str, Any]
) -> MsgGenerator[str]:
    known = yield from lookup()
    rest = yield from known.run(run, _rest_of)
    if rest is None:  # the plan is only listed
        return ""
    scan = rest.scan
    metadata = stack_start(scan, [det.field for det in stxm.line_detectors])
    metadata |= rest.same
    metadata.pop("stxm", None)  # their contract has stacks that begin at the beginning only
    left = scan.frames[rest.frame :]
    metadata["num_points"] = sum(scan.regions[frame.region].pixels[1] for frame in left) - rest.line
    metadata[RESUMES] = {"uid": rest.uid, "frame": rest.frame, "line": rest.line}
    begin = rest.frame, rest.line
    return (
        yield from measure_frames(stxm, scan, check_axes(scan, axes), metadata, md, begin=begin)
    )


@dataclass(frozen=True)
class _Rest:
    """What of a run is to be measured yet: from a line of a frame on."""

    uid: str
    scan: Scan
    frame: int
    line: int
    same: Mapping[str, Any]


def _rest_of(documents: Documents) -> _Rest:
    """Where a run ended.

    Raises
    ------
    ValueError
        It is no stack, or has all its lines.
    """
    start: Mapping[str, Any] = {}
    lines: dict[str, bool] = {}
    last = (0, -1)
    for name, doc in documents:
        if name == "start":
            start = doc
            if doc.get("plan_name") not in (STACK, IMAGE):
                plan_name = doc.get("plan_name")
                raise ValueError(f"run {doc['uid'][:8]!r} is a {plan_name}, not a stack of images")
            scan = Scan.from_start(doc)
            begun = doc.get(RESUMES) or {"frame": 0, "line": 0}
            last = begun["frame"], begun["line"] - 1
        elif name == "descriptor":
            lines[doc["uid"]] = scan.region_in(str(doc["name"])) is not None
        elif name in ("event", "event_page") and lines.get(doc["descriptor"]):
            data = doc["data"]
            frames, rows = data["frame"], data["line"]
            pairs = [(frames, rows)] if name == "event" else zip(frames, rows, strict=True)
            last = max(last, *((int(f), int(r)) for f, r in pairs))
    if not start:
        raise ValueError("the run has no start document")
    frame, line = last[0], last[1] + 1
    if line >= scan.regions[scan.frames[frame].region].pixels[1]:
        frame, line = frame + 1, 0
    if frame >= len(scan.frames):
        raise ValueError(f"run {start['uid'][:8]!r} has all its lines: there is nothing to resume")
    same = {key: start[key] for key in ("references",) if key in start}
    return _Rest(str(start["uid"]), scan, frame, line, same)
