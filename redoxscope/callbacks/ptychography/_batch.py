"""The same reconstruction from a run that is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...documents import FRAMES_STREAM, PTYCHO_KEYS, STREAM
from ...inputs import unless_unmeasured
from .._documents import Doc, documents_of, start_of, stream_rows
from ._frames import UnreadableFramesError
from ._options import PtychoOptions
from ._reader import MergedFrames, PtychoReader, is_ptychography
from ._snapshot import PtychoSnapshot

__all__ = ["merged_frames", "ptychography_from_run"]


@unless_unmeasured()
def ptychography_from_run(
    source: Any, options: PtychoOptions | None = None
) -> dict[str, PtychoSnapshot]:
    """Reconstruct a finished run, in this process.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.
    options : PtychoOptions, optional

    Returns
    -------
    dict of str to PtychoSnapshot
        By region; ``""`` where there is one only.

    Raises
    ------
    ValueError
        There is no ptychography in it, or its frames are in no local HDF5 file.
    """
    return _read(source, options).snapshot(final=True)


def merged_frames(source: Any) -> Iterator[MergedFrames]:
    """Merge the frames of a run, and do not reconstruct them.

    Parameters
    ----------
    source
        As for `ptychography_from_run`.

    Raises
    ------
    ValueError
        There is no ptychography in it, or its frames are in no local HDF5 file that can be read.
    """
    try:
        yield from _read(source, PtychoOptions(), keeps=False).merged()
    except UnreadableFramesError as exc:
        raise ValueError(str(exc)) from exc


def _read(source: Any, options: PtychoOptions | None, *, keeps: bool = True) -> PtychoReader:
    documents = _of_catalog(source) if hasattr(source, "metadata") else documents_of(source)
    reader: PtychoReader | None = None
    run, wanted, resources = "", set(), {}
    for name, doc in documents:
        if name == "start" and is_ptychography(doc):
            reader, run = PtychoReader(doc, options, keeps=keeps), doc["uid"]
        elif reader is None:
            continue
        elif name == "descriptor" and doc["run_start"] == run and reader.describe(doc):
            wanted.add(doc["uid"])
        elif name == "stream_resource":
            resources[doc["uid"]] = doc
        elif name != "stop" and doc.get("descriptor") in wanted:
            resource = resources.pop(doc.get("stream_resource", ""), None)
            if resource is not None:
                reader.take("stream_resource", resource)
            reader.take(name, doc)
    if reader is None:
        raise ValueError("no ptychography in these documents (key 'ptychography' of a start)")
    return reader


def _of_catalog(run: Any) -> Iterator[tuple[str, Doc]]:
    """Documents of a run in a catalog, as far as they are read.

    Raises
    ------
    ValueError
        It is another run, or has no frames.
    """
    start = start_of(run)
    if not is_ptychography(start):
        raise ValueError(f"run {start.get('uid')} has no frames of ptychography")
    uid = str(start["uid"])
    yield "start", start
    for stream in (STREAM, FRAMES_STREAM):
        keys = dict(run[stream].metadata["data_keys"]) if stream in set(run) else {}
        yield "descriptor", {"uid": stream, "run_start": uid, "name": stream, "data_keys": keys}
    if FRAMES_STREAM not in set(run):
        raise ValueError(f"run {uid} has no stream {FRAMES_STREAM!r}")
    frames = run[FRAMES_STREAM]
    for key in set(frames):
        for found in frames[key].include_data_sources().data_sources() or ():
            for asset in found.assets[:1]:
                yield "stream_resource", {
                    "uid": key, "run_start": uid, "data_key": key, "mimetype": found.mimetype,
                    "uri": asset.data_uri, "parameters": found.parameters,
                }  # fmt: skip
                yield "stream_datum", {
                    "uid": f"{key}/0", "stream_resource": key, "descriptor": FRAMES_STREAM,
                }  # fmt: skip
    names = ("exposure", *(key for key in PTYCHO_KEYS if key != "exposure"), "i0", "ring_current")
    for seq_num, data in stream_rows(run, STREAM, names):
        yield "event", {
            "descriptor": STREAM, "seq_num": seq_num, "time": float(start["time"]), "data": data,
            "timestamps": {},
        }  # fmt: skip
