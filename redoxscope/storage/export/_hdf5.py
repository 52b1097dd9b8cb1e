"""A run as one HDF5 file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ._content import Content, distinct

if TYPE_CHECKING:
    import xarray

__all__ = ["write_hdf5"]


def write_hdf5(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """The one file: groups ``stack``, ``results`` and ``streams``, documents as attributes."""
    return {folder / f"{content.name}.h5": partial(_write, content)}


def _write(content: Content, path: Path) -> None:
    # The newest layout: an attribute may be longer than 64 kB, as reference spectra are.
    with h5py.File(path, "w", libver="latest") as file:
        _attributes(file, {"start": content.start, "stop": content.stop})
        parts = [*content.regions, *(part for _, part in content.results if part)]
        called = distinct(parts, _key)
        for region in content.regions:
            several = len(content.regions) > 1
            group = file.create_group(f"stack/{called[region]}" if several else "stack")
            _dataset(group, content.cube(region))
        for (stored, part), found in content.results.items():
            name = f"results/{_key(stored.key)}" + (f"/{called[part]}" if part else "")
            _dataset(file.create_group(name), found)
        for name in content.run:
            stream = content.run[name]
            if hasattr(stream, "descriptors"):
                _stream(file.create_group(f"streams/{_key(name)}"), stream)


def _stream(group: h5py.Group, stream: Any) -> None:
    keys = stream.metadata.get("data_keys") or {}
    for name in stream:
        if "external" in (keys.get(name) or {}):  # in a file of its own, as photons are
            continue
        values = np.asarray(stream[name].read())
        if values.dtype.kind in "OSU":
            values = np.array([str(value) for value in values], h5py.string_dtype())
        _attributes(group.create_dataset(name, data=values), keys.get(name) or {})


def _dataset(group: h5py.Group, dataset: xarray.Dataset) -> None:
    _attributes(group, dataset.attrs)
    for name, array in dataset.coords.items():
        made = group.create_dataset(str(name), data=array.values)
        _attributes(made, array.attrs)
        if array.dims == (name,):
            made.make_scale(str(name))
    for name, array in dataset.data_vars.items():
        # Frames of a stack are compressed one by one.
        chunks = (1, *array.shape[1:]) if array.ndim == 3 and array.size else None
        more = {"chunks": chunks, "compression": "gzip", "compression_opts": 1} if chunks else {}
        made = group.create_dataset(str(name), data=array.values, **more)
        _attributes(made, array.attrs)
        for i, dim in enumerate(array.dims):
            made.dims[i].label = str(dim)
            if dim in group:
                made.dims[i].attach_scale(group[str(dim)])


def _attributes(place: h5py.HLObject, metadata: Mapping[str, Any]) -> None:
    for key, value in metadata.items():
        if isinstance(value, str):
            place.attrs[key] = value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # HDF5 has no NUL
        elif isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
            place.attrs[key] = value
        else:
            place.attrs[key] = json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    """A name as that of a group, in which a slash would be a level."""
    return "_" * len(name) if name.strip(".") == "" else name.replace("/", "_")
