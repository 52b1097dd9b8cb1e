"""A stack of another microscope as a run: the same documents, the same maps, the same catalog."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .. import __version__
from ..analysis.oxidation import I0Spectrum
from ..data import get_edge
from ..documents import I0_SPECTRUM, STACK_RESERVED, LineStatus, check_metadata
from ..formats import FormatError, ImageStack, StxmFile, read_stxm
from ..plans.support import stack_start
from ..scan import Frame, Region, Role, Scan
from ..storage import CatalogError, DocumentLog, RecoveryReport, data_directory, store_run
from ._i0 import given_i0, own_i0

__all__ = ["import_stxm", "stack_documents"]

Doc = tuple[str, dict[str, Any]]
IMPORTED = uuid.UUID("0b6e1c52-93a5-4b0e-8f5b-5a2f1f2a9b6d")
"""Namespace of the uids of imported runs: the same file in the same way is the same run."""
MONITOR = "i0"
LONGEST_NAME = 40
"""Of a region."""


def import_stxm(
    file: StxmFile | str | os.PathLike[str],
    catalog: Any,
    *,
    data: str | os.PathLike[str] | None = None,
    edge: str | None = None,
    sample: str | None = None,
    i0: Any = None,
    md: Mapping[str, Any] | None = None,
) -> RecoveryReport:
    """Put a file of a microscope into the catalog, as a run like any other.

    Parameters
    ----------
    file : StxmFile, str or Path
        What `redoxscope.formats.read_stxm` has read, or reads with its own choices.
    catalog : CatalogOfBlueskyRuns
    data : str or Path, optional
        Data folder of the catalog, as for `redoxscope.storage.open_catalog`.
    edge : str, optional
        Absorption edge, e.g. ``"Fe L3"``: its reference spectra give the map.
    sample : str, optional
        By default what the file says.
    i0 : path, StxmFile, run, (energies, counts[, sigma]), optional
        I0 that was measured on its own: a file of an empty place (images, a line, a point), a
        table of energies and counts, a run of a catalog, or numbers (eV, counts per pixel at the
        stack's dwell). Map and cube of the run take it.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    RecoveryReport
        ``status`` is "stored", or "present" where the same file was imported the same way before.

    Raises
    ------
    FileNotFoundError, redoxscope.formats.FormatError
        As `read_stxm`.
    ValueError
        An unknown edge, or one whose references cover no energy of the file; metadata that would
        overwrite the contract's; an I0 that is in no unit of counts, or does not cover the
        energies.
    CatalogError
        The catalog does not take the run, which stays in the log.
    """
    edge = None if edge is None else get_edge(edge).name
    more = check_metadata(md, STACK_RESERVED)
    if sample is not None:
        more["sample"] = sample
    found = file if isinstance(file, StxmFile) else read_stxm(file)
    if edge is not None:
        _check_edge(edge, found)
    spectrum = None
    if i0 is not None:
        found, spectrum = given_i0(i0, found, stack_documents)
    elif found.empty:
        found, spectrum = own_i0(found, stack_documents)
    documents = stack_documents(found, edge=edge, i0=spectrum, md=more)
    folder = data_directory(data) / "documents"
    name, start = next(documents)
    log = DocumentLog(folder)
    target = log.path(str(start["uid"]))
    target.unlink(missing_ok=True)  # of an import that was killed
    log(name, start)
    try:
        for name, doc in documents:
            log(name, doc)
    except BaseException:
        target.unlink()  # half of a file is no run that recover should find
        raise
    finally:
        log.close()
    report = store_run(target, catalog)
    if report.status == "failed":
        raise CatalogError(
            f"{found.path} is not in the catalog: {report.message}. Its log: {target}"
        )
    return report


def stack_documents(
    found: StxmFile,
    *,
    edge: str | None = None,
    i0: I0Spectrum | None = None,
    md: Mapping[str, Any] | None = None,
) -> Iterator[Doc]:
    """The documents of a file, region after region, as `energy_stack` would have written them.

    A line of which nothing was measured is missed, one measured in part disturbed. What is missing
    at the end, as of a stack that was aborted, does not come, and the run says so.

    Parameters
    ----------
    found : StxmFile
    edge : str, optional
    i0 : I0Spectrum, optional
        Measured on its own.
    md : mapping, optional
        Further metadata.

    Yields
    ------
    name : str
    document : dict

    Raises
    ------
    FormatError
        It has no images of a sample, or more than a scan may have.
    """
    if not found.stacks:
        raise FormatError(f"{found.path.name} has no images of a sample")
    frames: list[Frame] = []
    images: list[tuple[ImageStack, int]] = []
    for region, stack in enumerate(found.stacks):
        for k, (energy, dwell) in enumerate(zip(stack.energy, stack.dwell, strict=True)):
            again = k > 0 and energy == stack.energy[k - 1]
            role = Role.DOSE_CHECK if again else Role.SAMPLE
            frames.append(Frame(float(energy), float(dwell), region, role))
            images.append((stack, k))
    try:
        scan = Scan(
            regions=tuple(map(_region, found.stacks, _names(found.stacks))),
            frames=tuple(frames),
            edge=edge,
        )
    except ValueError as exc:  # more pixels or parts than a scan may have
        raise FormatError(f"{found.path.name} is no scan: {exc}") from exc
    monitored = all(stack.i0 is not None for stack in found.stacks)
    detectors = ["transmission", *([MONITOR] if monitored else [])]
    begun = (found.time or datetime.fromtimestamp(found.path.stat().st_mtime, UTC)).timestamp()
    said = {
        **({"sample": found.sample} if found.sample else {}),
        **(md or {}),
        "imported": {
            "file": found.path.name,
            "program": found.program,
            "channel": found.channel,
            "remarks": found.remarks,
            "software": f"redoxscope {__version__}",
        },
    }
    if i0 is not None:
        said[I0_SPECTRUM] = {
            "energies": i0.energies.tolist(), "values": i0.values.tolist(),
            "sigma": None if i0.sigma is None else i0.sigma.tolist(),
            "dwell": i0.dwell, "ratio": i0.ratio, "source": i0.source, "partial": i0.partial,
        }  # fmt: skip
    start = {**said, **stack_start(scan, detectors), "time": begun}
    start = {"uid": _uid(found, start), **start}
    yield "start", start
    uid = start["uid"]
    streams: dict[int, str] = {}
    for region, stack in enumerate(found.stacks):
        streams[region] = str(uuid.uuid5(IMPORTED, f"{uid} {region}"))
        yield "descriptor", _descriptor(scan, region, streams[region], uid, stack, detectors, begun)
    last = _last_line(images)
    now, rows = begun, dict.fromkeys(streams, 0)
    for i, (frame, (stack, k)) in enumerate(zip(frames, images, strict=True)):
        ny, nx = stack.counts.shape[1:]
        lines = ny if i < last[0] else last[1] + 1 if i == last[0] else 0
        if not lines:
            break
        stamps = now + frame.dwell * nx * (1 + np.arange(lines))
        now = float(stamps[-1])
        yield (
            "event_page",
            _page(
                streams[frame.region], rows[frame.region], i, stack, k, stamps.tolist(), monitored
            ),
        )
        rows[frame.region] += lines
    whole = sum(rows.values()) == scan.lines
    yield "stop", {
        "uid": str(uuid.uuid5(IMPORTED, f"{uid} stop")), "run_start": uid, "time": now,
        "exit_status": "success" if whole else "abort",
        "reason": "" if whole else "the imported file ends before the scan that it announces",
        "num_events": {scan.stream_of(region): n for region, n in rows.items()},
    }  # fmt: skip


def _check_edge(edge: str, found: StxmFile) -> None:
    """Refuse an edge that the stacks are nowhere near.

    Raises
    ------
    ValueError
    """
    low, high = get_edge(edge).window_ev
    energies = np.concatenate([stack.energy for stack in found.stacks] or [np.array([low])])
    if not ((energies >= low) & (energies <= high)).any():
        raise ValueError(
            f"edge = {edge!r}: its references cover {low:g} to {high:g} eV, but {found.path.name} "
            f"goes from {energies.min():g} to {energies.max():g} eV"
        )


def _uid(found: StxmFile, start: Mapping[str, Any]) -> str:
    """Of the content and of all that is said of it."""
    digest = hashlib.sha256(repr(sorted(start.items(), key=lambda item: item[0])).encode())
    for stack in found.stacks:
        for values in (stack.counts, stack.i0, stack.x, stack.y):
            if values is not None:
                digest.update(np.ascontiguousarray(values).tobytes())
    return str(uuid.uuid5(IMPORTED, digest.hexdigest()))


def _names(stacks: Sequence[ImageStack]) -> list[str]:
    """What regions are called: as in our own file, values of its outer loops included."""
    names = [re.sub(r"[^\w-]+", "_", stack.name).strip("_")[:LONGEST_NAME] for stack in stacks]
    if names == ["region"] or len(set(names)) < len(names) or not all(map(_may_be, names)):
        return [f"region_{i + 1}" for i in range(len(stacks))]
    return names


def _may_be(name: str) -> bool:
    """Whether a region may be called so."""
    try:
        return bool(Region((0.0, 0.0), 1.0, 1, name).name)  # type: ignore[arg-type]
    except ValueError:
        return False


def _region(stack: ImageStack, name: str) -> Region:
    """The grid of a stack, from its first and last pixel."""
    axes, counts = (stack.x, stack.y), (len(stack.x), len(stack.y))
    steps = [float(np.ptp(axis)) / max(len(axis) - 1, 1) for axis in axes]
    # A single line or column is as wide as the pixels along it are apart.
    steps = [one or other or 1.0 for one, other in zip(steps, steps[::-1], strict=True)]
    return Region(
        tuple(float(axis[0] + axis[-1]) / 2 for axis in axes),  # type: ignore[arg-type]
        tuple(float(n * step) for n, step in zip(counts, steps, strict=True)),  # type: ignore[arg-type]
        counts,
        name,
    )


def _descriptor(
    scan: Scan, region: int, uid: str, run: str, stack: ImageStack, detectors: list[str],
    time: float,
) -> dict[str, Any]:  # fmt: skip
    nx = len(stack.x)

    def key(dtype: str, unit: str, numpy: str, shape: list[int]) -> dict[str, Any]:
        found = {"dtype": dtype, "shape": shape, "dtype_numpy": numpy, "source": "file"}
        return {**found, "units": unit} if unit else found

    keys = {name: key("integer", "", "<i8", []) for name in ("frame", "line", "line_status")}
    keys |= {name: key("number", unit, "<f8", []) for name, unit in
             (("energy", "eV"), ("ring_current", "mA"))}  # fmt: skip
    keys |= {name: key("array", "um", "<f8", [nx]) for name in ("sample_x", "sample_y")}
    keys |= {name: key("array", "counts", "<f8", [nx]) for name in detectors}
    said = {f"{d}_{what}": 0.0 for d in detectors for what in ("dead_time", "saturation")}
    configuration = {
        "data": said,
        "timestamps": dict.fromkeys(said, time),
        "data_keys": {name: key("number", "", "<f8", []) for name in said},
    }
    return {
        "uid": uid, "run_start": run, "name": scan.stream_of(region), "time": time,
        "data_keys": keys, "configuration": {"file": configuration}, "hints": {},
        "object_keys": {"file": list(keys)},
    }  # fmt: skip


def _last_line(images: list[tuple[ImageStack, int]]) -> tuple[int, int]:
    """Index of the last image of which something is measured, and its last such line."""
    for i in range(len(images) - 1, -1, -1):
        stack, k = images[i]
        there = np.flatnonzero(~np.isnan(stack.counts[k]).all(axis=1))
        if there.size:
            return i, int(there[-1])
    return -1, -1


def _page(
    descriptor: str, before: int, frame: int, stack: ImageStack, k: int, stamps: list[float],
    monitored: bool,
) -> dict[str, Any]:  # fmt: skip
    n, counts = len(stamps), stack.counts[k]
    nan = np.isnan(counts)
    missed, partly = nan.all(axis=1), nan.any(axis=1)
    status = np.where(
        missed, LineStatus.MISSED, np.where(partly, LineStatus.DISTURBED, LineStatus.OK)
    )
    current = float("nan") if stack.ring_current is None else float(stack.ring_current[k])
    x = stack.x.tolist()
    data: dict[str, list[Any]] = {
        "frame": [frame] * n,
        "line": list(range(n)),
        "line_status": status[:n].tolist(),
        "energy": [float(stack.energy[k])] * n,
        "ring_current": [current] * n,
        "sample_x": [x] * n,
        "sample_y": [[float(y)] * len(x) for y in stack.y[:n]],
        "transmission": counts[:n].tolist(),
    }
    if monitored and stack.i0 is not None:
        data[MONITOR] = stack.i0[k, :n].tolist()
    return {
        "descriptor": descriptor,
        "uid": [str(uuid.uuid5(IMPORTED, f"{descriptor} {before + i}")) for i in range(n)],
        "seq_num": list(range(before + 1, before + 1 + n)),
        "time": stamps,
        "data": data,
        "timestamps": dict.fromkeys(data, stamps),
        "filled": {},
    }
