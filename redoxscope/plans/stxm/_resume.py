"""Continues a stack that ended early, in a new run that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...analysis.dose import as_dose_limit
from ...analysis.oxidation import as_target
from ...data import References
from ...documents import (
    FOLLOWED,
    IMAGE,
    RESUMES,
    STACK,
    STACK_RESERVED,
    LineStatus,
    check_metadata,
)
from ...inputs import Unmeasured, as_name
from ...scan import Scan
from .._inputs import check_axes, check_device
from .._lookup import lookup
from .._protocols import Microscope
from .._public import plan
from ._adaptive import Adaptive, adaptive_for
from ._dose_limit import guarded
from ._follow import Follow
from ._frames import measure_frames
from ._start import stack_start

__all__ = ["resume"]

TAKEN = (LineStatus.OK, LineStatus.RETRIED)
AS_TOLD = ("until:", "dose_limit:")
"""How the reason begins of a run that its plan ended for good."""

Documents = Iterable[tuple[str, Mapping[str, Any]]]
RunEnds = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""Start and stop document of a run."""


@plan
def resume(
    stxm: Microscope,
    run: str,
    *,
    axes: Mapping[str, Movable[Any]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Continue a stack that was interrupted, after its last complete line, in a run of its own.

    Lines at its end that were lost or taken without beam are flown again. What the run was told
    holds on: its order of energies, ``until`` and ``rows``, judged by the lines of all its runs;
    a limit of the dose, with what they have left; ``follow_drift``, from where the regions were.

    The new run carries the same scan, and in ``resumes`` which run it continues and where. The two
    read as one: map, cube and export of the later run are of both. Where the sample moved
    meanwhile, they say by how much.

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
        No such run, or it is no stack, is being measured, has all its lines, ended as it was
        told to, or was continued already. Raised before the plan's first move, as are limits and
        geometry; see `energy_stack`.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    uid = run if isinstance(run, Unmeasured) else as_name("run", run, "1a2b3c4d")
    return _resume(stxm, uid, axes, check_metadata(md, STACK_RESERVED))


def _resume(
    stxm: Microscope, run: str, axes: Mapping[str, Movable[Any]] | None, md: Mapping[str, Any]
) -> MsgGenerator[str]:
    known = yield from lookup()
    rest = yield from known.run(run, _rest_of)
    if rest is None:  # the plan is only listed, or the run only foretold
        return ""
    if known.knows_runs:
        _check_last(rest.uid, (yield from known.runs(RESUMES, rest.uid)))
    runs, link, offsets = [rest.lines], rest.start.get(RESUMES), dict(rest.followed)
    uids = [rest.uid]
    while link is not None:
        earlier = yield from known.run(link["uid"], _run_of)
        assert earlier is not None
        runs.append(earlier.lines)
        uids.insert(0, link["uid"])
        offsets = dict(earlier.followed) | offsets
        link = earlier.start.get(RESUMES)
    scan = rest.scan
    metadata = stack_start(scan, [det.field for det in stxm.line_detectors])
    spectra = None
    if "references" in rest.start:
        metadata["references"] = rest.start["references"]
        spectra = References.from_document(rest.start["references"])
    limit = rest.start.get("dose_limit")
    dose = guarded(
        stxm,
        scan,
        None if spectra is None or spectra.shipped else spectra,
        as_dose_limit(limit),
        metadata,
    )
    if dose is not None:
        for flown in runs:
            dose.had(flown, rest.frame)
    until = rest.start.get("until")
    adaptive = adaptive_for(
        stxm, scan, spectra, metadata,
        None if until is None else as_target(until), rest.start.get("rows", "all"),
    )  # fmt: skip
    if adaptive is not None:
        for uid in uids:
            yield from known.run(uid, partial(_replay, adaptive))
        yield from adaptive.resumed(rest.frame)
    follow = None
    if (farthest := rest.start.get("follow_drift")) is not None:
        metadata["follow_drift"] = farthest
        follow = Follow(scan, metadata["detectors"][0], farthest, offsets)
    if "sample" in rest.start:
        md = {"sample": rest.start["sample"], **md}
    metadata.pop("stxm", None)  # their contract has stacks that begin at the beginning only
    left = scan.frames[rest.frame :]
    metadata["num_points"] = sum(scan.regions[frame.region].pixels[1] for frame in left) - rest.line
    metadata[RESUMES] = {"uid": rest.uid, "frame": rest.frame, "line": rest.line}
    begin = rest.frame, rest.line
    around = check_axes(scan, axes)
    return (
        yield from measure_frames(
            stxm, scan, around, metadata, md, adaptive, follow=follow, begin=begin, dose=dose
        )
    )


@dataclass(frozen=True)
class _Run:
    """What a run says: its start document, its scan, its lines (frame, line, status), its end.

    Also by how much (x, y; µm) regions had been moved after the sample at last.
    """

    start: Mapping[str, Any]
    scan: Scan
    lines: tuple[tuple[int, int, int], ...]
    reason: str
    followed: Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class _Rest(_Run):
    """A run of which something is to be measured yet: from a line of a frame on."""

    frame: int
    line: int

    @property
    def uid(self) -> str:
        return str(self.start["uid"])


def _check_last(uid: str, linked: Iterable[RunEnds]) -> None:
    """Refuse a run that another one continues: its lines would be flown twice.

    Raises
    ------
    ValueError
        Names the other.
    """
    later = [str(start["uid"]) for start, _ in linked if start[RESUMES]["uid"] == uid]
    if later:
        raise ValueError(
            f"run {uid[:8]!r} was continued by run {later[-1][:8]!r} already: resume that one"
        )


def _replay(adaptive: Adaptive, documents: Documents) -> None:
    for name, doc in documents:
        adaptive(name, doc)


def _run_of(documents: Documents) -> _Run:
    """Read a run.

    Raises
    ------
    ValueError
        It is no stack.
    """
    start: Mapping[str, Any] = {}
    streams: dict[str, int | None] = {}
    followed: dict[int, tuple[float, float]] = {}
    reason = ""
    lines: list[tuple[int, int, int]] = []
    for name, doc in documents:
        if name == "start":
            start = doc
            if doc.get("plan_name") not in (STACK, IMAGE):
                plan_name = doc.get("plan_name")
                raise ValueError(f"run {doc['uid'][:8]!r} is a {plan_name}, not a stack of images")
            scan = Scan.from_start(doc)
        elif name == "descriptor":
            streams[doc["uid"]] = scan.region_in(str(doc["name"]))
        elif name in ("event", "event_page"):
            region = streams.get(doc["descriptor"])
            if region is None:
                continue
            columns = [doc["data"][key] for key in ("frame", "line", "line_status")]
            rows = [columns] if name == "event" else zip(*columns, strict=True)
            lines += [(int(f), int(r), int(s)) for f, r, s in rows]
            if FOLLOWED[0] in doc["data"]:
                x, y = (doc["data"][key] for key in FOLLOWED)
                last = (x, y) if name == "event" else (x[-1], y[-1])
                followed[region] = float(last[0]), float(last[1])
        elif name == "stop":
            reason = str(doc.get("reason") or "")
    if not start:
        raise ValueError("the run has no start document")
    return _Run(start, scan, tuple(lines), reason, followed)


def _rest_of(documents: Documents) -> _Rest:
    """Where a run ended.

    Raises
    ------
    ValueError
        It is no stack, has all its lines, or ended as it was told to.
    """
    run = _run_of(documents)
    begun = run.start.get(RESUMES) or {"frame": 0, "line": 0}
    before = begun["frame"], begun["line"] - 1
    taken = ((frame, line) for frame, line, status in run.lines if status in TAKEN)
    frame, line = max([before, *taken])
    line += 1
    if line >= run.scan.regions[run.scan.frames[frame].region].pixels[1]:
        frame, line = frame + 1, 0
    told = run.reason.startswith(AS_TOLD)
    if told or frame >= len(run.scan.frames):
        uid = str(run.start["uid"])[:8]
        why = f"ended as it was told to ({run.reason})" if told else "has all its lines"
        raise ValueError(f"run {uid!r} {why}: there is nothing to resume")
    return _Rest(run.start, run.scan, run.lines, run.reason, run.followed, frame, line)
