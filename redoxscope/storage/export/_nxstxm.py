"""Scans of a microscope for Mantis, aXis2000 and others: NXstxm, with the maps beside the data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from redoxscope.callbacks.oxidation import with_earlier

from ..catalog import run_documents
from ..nxstxm import NxstxmRecorder, file_name, is_for_nxstxm
from ._content import Content, distinct, file_part

if TYPE_CHECKING:
    import xarray

__all__ = ["write_nxstxm"]

log = logging.getLogger("redoxscope.storage")


def write_nxstxm(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """The one file; none where the run is of another kind."""
    if not is_for_nxstxm(content.start):
        return {}
    return {folder / file_name(content.start): partial(_write, content)}


def _write(content: Content, path: Path) -> None:
    recorder = NxstxmRecorder(path, content.start)
    try:
        runs = with_earlier(content.run)  # what it continues
        for run in runs:
            for name, doc in run_documents(run):
                if name != "stop" or run is runs[-1]:
                    recorder(name, doc)
    finally:
        recorder.close()
    if not recorder.made:
        raise ValueError(f"run {content.uid[:8]} ended before its first line")
    if content.newest:
        with h5py.File(path, "r+") as file:
            _results(file, content, recorder)


def _results(file: h5py.File, content: Content, recorder: NxstxmRecorder) -> None:
    """Images of the newest results, each a process with its data: so they are no NXstxm of it."""
    called = distinct(
        (f"{analysis} {part}".strip() for analysis, part in content.newest), file_part
    )
    for (analysis, part), found in content.newest.items():
        entry = recorder.entry_of(part)
        if entry is None:
            log.warning(
                "%s of %r of run %s is not in its NXstxm file: no entry is of that",
                analysis, part, content.uid[:8],
            )  # fmt: skip
            continue
        process = file[entry].create_group(called[f"{analysis} {part}".strip()])
        process.attrs["NX_class"] = "NXprocess"
        program, _, version = str(found.attrs.get("software", "redoxscope")).partition(" ")
        process["program"], process["version"] = program, version
        if found.attrs.get("stored"):
            process["date"] = str(found.attrs["stored"])
        for name, array in found.data_vars.items():
            if array.ndim == 2 and array.size:
                _image(process, file_part(str(name)), array)


def _image(process: h5py.Group, name: str, array: xarray.DataArray) -> None:
    data = process.create_group(name)
    data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "data"
    values = array.values
    data["data"] = values.astype(np.int8) if values.dtype == bool else values
    units = array.attrs.get("units", "")
    if units:
        data["data"].attrs["units"] = units
    if all(dim in array.coords for dim in array.dims):
        data.attrs["axes"] = np.array([str(dim).encode() for dim in array.dims])
        for i, dim in enumerate(array.dims):
            data[str(dim)] = np.asarray(array[dim].values, dtype=float)
            data[str(dim)].attrs["units"] = "um" if dim in ("x", "y") else ""
            data.attrs[f"{dim}_indices"] = i
