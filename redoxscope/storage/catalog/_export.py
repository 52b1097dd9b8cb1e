"""Exports of a run: as HDF5, ``run.export("run.h5")``, and as documents, ``run.documents()``."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import h5py
import numpy as np

__all__ = ["documents_exporter", "hdf5_exporter"]

STREAM_SPEC = "BlueskyEventStream"


async def documents_exporter(
    mimetype: str, adapter: Any, metadata: Mapping[str, Any], filter_for_access: Callable[..., Any]
) -> AsyncIterator[str]:
    """A run's documents, as JSON sequence; the stock exporter takes stored results for streams.

    Parameters
    ----------
    mimetype : str
    adapter : tiled adapter
        A run.
    metadata : mapping
    filter_for_access : callable
        As Tiled hands them to an exporter.
    """
    from bluesky_tiled_plugins.exporters import json_seq_exporter

    async def streams_only(inner: Any) -> Any:
        return _Streams(await filter_for_access(inner))

    async for text in json_seq_exporter(mimetype, adapter, metadata, streams_only):
        yield text


class _Streams:
    """A run without what is no stream of it."""

    def __init__(self, adapter: Any):
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    async def keys_range(self, offset: int, limit: int | None) -> list[str]:
        items = await self._adapter.items_range(offset, limit)
        return [key for key, child in items if any(s.name == STREAM_SPEC for s in child.specs)]


async def hdf5_exporter(
    mimetype: str, adapter: Any, metadata: Mapping[str, Any], filter_for_access: Callable[..., Any]
) -> memoryview:
    """Groups for run and streams, datasets for columns and arrays, metadata as attributes.

    Tiled's own refuses every bluesky run, since its metadata are nested. What HDF5 has no
    attribute for (start, stop, configuration, ...) is JSON here.

    Parameters
    ----------
    mimetype : str
    adapter : tiled adapter
        A run or a stream.
    metadata : mapping
    filter_for_access : callable
        As Tiled hands them to an exporter.
    """
    buffer = io.BytesIO()
    # The newest layout: an attribute may be longer than 64 kB, as reference spectra are.
    with h5py.File(buffer, "w", libver="latest") as file:
        await _write(file, adapter, metadata, filter_for_access)
    return buffer.getbuffer()


async def _write(
    group: h5py.Group, adapter: Any, metadata: Mapping[str, Any], filter_for_access: Any
) -> None:
    from tiled.structures.core import StructureFamily
    from tiled.utils import ensure_awaitable

    _describe(group, metadata)
    filtered = await filter_for_access(adapter)
    for key, child in await filtered.items_range(0, None):
        if child.structure_family == StructureFamily.array:
            dataset = group.create_dataset(key, data=await ensure_awaitable(child.read))
            _describe(dataset, child.metadata())
        elif child.structure_family == StructureFamily.table:
            table = await ensure_awaitable(child.read)
            keys = metadata.get("data_keys", {})
            for column in table.columns:
                values = np.asarray(table[column])
                if values.dtype.kind in "OSU":
                    values = np.array([_text(value) for value in values], h5py.string_dtype())
                _describe(group.create_dataset(column, data=values), keys.get(column, {}))
        elif hasattr(child, "items_range"):
            await _write(group.create_group(key), child, child.metadata(), filter_for_access)


def _describe(place: h5py.HLObject, metadata: Mapping[str, Any]) -> None:
    for key, value in metadata.items():
        plain = isinstance(value, (str, int, float))
        place.attrs[key] = value if plain else json.dumps(value, default=_listed)


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=_listed)
