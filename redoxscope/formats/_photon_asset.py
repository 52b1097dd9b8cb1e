"""Documents that announce a photon list: stream resources and stream data."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.documents import PHOTON_KEYS, PHOTON_STREAM

from ._errors import FormatError
from ._photon_list import CHUNK, COLUMNS, PhotonList, PhotonListWriter, read_photon_list
from ._uri import file_uri, path_of_uri

__all__ = ["PhotonAsset", "photon_data_keys", "unannounced_photons"]

# The namespace of what is announced after a crash, so that a recovery that is repeated announces
# the same.
_RECOVERED = uuid.UUID("3c9b7a52-6f0e-4d35-9c55-5a3f7a9d0a61")


def photon_data_keys(source: str) -> dict[str, dict[str, Any]]:
    """Data keys of the stream of photons, for its descriptor.

    Parameters
    ----------
    source : str
        Where they come from.

    Returns
    -------
    dict
        One external key per column, one row per photon.
    """
    keys: dict[str, dict[str, Any]] = {}
    for name, (dtype, unit) in PHOTON_KEYS.items():
        keys[name] = {
            "source": source,
            "dtype": "number" if np.dtype(dtype).kind == "f" else "integer",
            "dtype_numpy": dtype,
            "shape": [],
            "external": "STREAM:",
        }
        if unit:
            keys[name]["units"] = unit
    return keys


class PhotonAsset:
    """What bluesky asks of an object whose data are in a file (``WritesStreamAssets``).

    One object per run and file: its resources are announced once.

    Parameters
    ----------
    writer : PhotonListWriter
        Of the file.
    source : str
        Where the photons come from, for the data keys; default the file.

    Raises
    ------
    ValueError
        The name of the file holds "#" or "?", which cannot be announced.
    """

    def __init__(self, writer: PhotonListWriter, source: str | None = None) -> None:
        self._writer = writer
        self._uri = file_uri(writer.path)
        self._source = source or self._uri
        self._resources: dict[str, str] = {}  # data key -> uid
        self._announced = 0

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Data keys, as :func:`photon_data_keys` has them."""
        return photon_data_keys(self._source)

    def get_index(self) -> int:
        """Photons written so far."""
        return self._writer.count

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Documents for the photons that came since the last call, which are on disk then.

        Parameters
        ----------
        index : int, optional
            Announce no more than this many photons in all.

        Yields
        ------
        name : str
            "stream_resource", once per column before the first photons, or "stream_datum".
        doc : dict
            Descriptor, run and ``seq_nums`` are left to the RunEngine.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        count = self._writer.count
        stop = count if index is None else min(index, count)
        if stop <= self._announced:
            return
        self._writer.flush()  # nothing is announced that a reader would not find
        if not self._resources:
            self._resources = {key: str(uuid.uuid4()) for key in COLUMNS}
            for key, uid in self._resources.items():
                yield "stream_resource", _resource(key, uid, self._uri)
        start, self._announced = self._announced, stop
        for uid in self._resources.values():
            # What the RunEngine fills in is empty.
            yield (
                "stream_datum",
                {
                    **_datum(uid, start, stop, ""),
                    "seq_nums": {"start": 0, "stop": 0},
                },
            )


def unannounced_photons(
    documents: Iterable[tuple[str, Mapping[str, Any]]],
    locate: Callable[[Path], Path] = Path,
) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Documents for the photons that a run's list holds beyond what the run announced.

    A client that was killed announced nothing more, but what it had written is there.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Documents of the run; start, descriptors, stream resources and stream data are looked at.
    locate : callable, optional
        Where a photon list is now, by where it was.

    Returns
    -------
    documents : list of (str, dict)
        Stream resources, where none were announced yet, and one stream datum per column. Only
        rows of which every column was written. None where the run has no photon list.
    problem : str
        Why the list could not be looked at; "" where it could.
    """
    run, descriptor, path = "", "", ""
    resources: dict[str, str] = {}  # data key -> uid
    announced: dict[str, int] = {}  # uid -> rows
    for name, doc in documents:
        if name == "start":
            run = doc["uid"]
        elif name == "descriptor":
            if doc.get("name") == PHOTON_STREAM:
                descriptor = doc["uid"]
            for device in doc.get("configuration", {}).values():
                path = path or str(device.get("data", {}).get("tes_photon_list", ""))
        elif name == "stream_resource" and doc.get("data_key") in COLUMNS:
            resources[doc["data_key"]] = doc["uid"]
            path = str(path_of_uri(doc["uri"]))
        elif name == "stream_datum":
            uid = doc["stream_resource"]
            announced[uid] = max(announced.get(uid, 0), doc["indices"]["stop"])
    if not (descriptor and path):
        return [], ""
    path = str(locate(Path(path)))
    start = min((announced.get(uid, 0) for uid in resources.values()), default=0)
    try:
        stop = start + _whole_rows(read_photon_list(path, start))
    except (OSError, FormatError) as exc:
        return [], f"photons after the {start} announced cannot be looked for: {exc}"
    found: list[tuple[str, dict[str, Any]]] = []
    for key in COLUMNS:
        uid = resources.get(key)
        if uid is None and stop:
            uid = str(uuid.uuid5(_RECOVERED, f"{run}/{key}"))
            found.append(("stream_resource", _resource(key, uid, file_uri(path)) | _of(run)))
        if uid is not None and announced.get(uid, 0) < stop:
            found.append(("stream_datum", _datum(uid, announced.get(uid, 0), stop, descriptor)))
    return found, ""


def _of(run: str) -> dict[str, str]:
    return {"run_start": run}


def _whole_rows(photons: PhotonList) -> int:
    """Rows up to the last that was written; a time of 0 is what a column is filled with."""
    written = np.flatnonzero(photons.photons.time_ns)
    return int(written[-1]) + 1 if len(written) else 0


def _resource(key: str, uid: str, uri: str) -> dict[str, Any]:
    return {
        "uid": uid,
        "data_key": key,
        "mimetype": "application/x-hdf5",
        "uri": uri,
        "parameters": {"dataset": COLUMNS[key], "chunk_shape": [CHUNK], "swmr": True},
    }


def _datum(uid: str, start: int, stop: int, descriptor: str) -> dict[str, Any]:
    return {
        "uid": f"{uid}/{start}",
        "stream_resource": uid,
        "descriptor": descriptor,
        "indices": {"start": start, "stop": stop},
        "seq_nums": {"start": start + 1, "stop": stop + 1},
    }
