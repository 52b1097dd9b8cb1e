"""Documents that announce a photon list: stream resources and stream data."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.contract import PHOTON_KEYS

from ._photon_list import CHUNK, COLUMNS, PhotonListWriter

__all__ = ["PhotonAsset", "photon_data_keys"]


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


def _uri(path: Path) -> str:
    # Tiled takes the path out of a URI as it is, blanks and all: "%20" would be its name.
    if path.drive or set("#?;") & set(str(path)):
        raise ValueError(f"photon list {path}: a path with '#', '?' or ';' cannot be announced")
    return f"file://localhost{path}"


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
        The file's path cannot be announced: it holds "#", "?" or ";".
    """

    def __init__(self, writer: PhotonListWriter, source: str | None = None) -> None:
        self._writer = writer
        self._uri = _uri(writer.path)
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
                yield "stream_resource", self._resource(key, uid)
        start, self._announced = self._announced, stop
        for uid in self._resources.values():
            yield (
                "stream_datum",
                {
                    "uid": f"{uid}/{start}",
                    "stream_resource": uid,
                    "descriptor": "",
                    "indices": {"start": start, "stop": stop},
                    "seq_nums": {"start": 0, "stop": 0},
                },
            )

    def _resource(self, key: str, uid: str) -> dict[str, Any]:
        return {
            "uid": uid,
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": self._uri,
            "parameters": {"dataset": COLUMNS[key], "chunk_shape": [CHUNK], "swmr": True},
        }
