"""Stacks and maps as TIFF, as ImageJ reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._content import Content, distinct, file_part

if TYPE_CHECKING:
    import xarray

__all__ = ["write_tiff"]

FRAMES = ("counts", "od")
"""Arrays of the stack that are written."""


def write_tiff(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """The stack of each region as pages, and each image of the newest results."""
    plan: dict[Path, Callable[[Path], None]] = {}
    parts = [*content.regions, *(part for _, part in content.newest if part)]
    called = distinct(parts, file_part)
    for region in content.regions:
        where = f"_{called[region]}" if len(content.regions) > 1 else ""
        for name in FRAMES:
            path = folder / f"{content.name}{where}_{name}.tif"
            plan[path] = partial(_write_frames, content, region, name)
    for (analysis, part), found in content.newest.items():
        where = f"_{called[part]}" if part else ""
        for label, array in found.data_vars.items():
            if array.ndim in (2, 3) and array.size:
                path = folder / f"{content.name}{where}_{file_part(f'{analysis}_{label}')}.tif"
                plan[path] = partial(_write, array)
    return plan


def _write_frames(content: Content, region: str, name: str, path: Path) -> None:
    _write(content.cube(region)[name], path)


def _write(array: xarray.DataArray, path: Path) -> None:
    import tifffile

    values = array.values
    if values.dtype == bool:
        values = 255 * values.astype(np.uint8)
    elif values.dtype.kind in "iu" and values.dtype.itemsize == 1:
        values = values.astype(np.uint8)
    else:  # all that ImageJ has besides is unsigned
        values = values.astype(np.float32)
    metadata: dict[str, object] = {"axes": "ZYX"[-values.ndim :]}
    steps = [_step(array, dim) for dim in array.dims[-2:]]
    resolution = None
    if array.dims[-2:] == ("y", "x") and all(steps):
        metadata["unit"] = "um"
        resolution = (1.0 / steps[1], 1.0 / steps[0])
    if values.ndim == 3:
        along = array.dims[0]
        unit = array[along].attrs.get("units", "") if along in array.coords else ""
        there = array[along].values if along in array.coords else np.arange(len(values))
        metadata["Labels"] = [f"{value:g} {unit}".strip() for value in there]
    with tifffile.TiffWriter(path, imagej=True) as file:
        file.write(values, metadata=metadata, resolution=resolution)


def _step(array: xarray.DataArray, dim: object) -> float:
    """Distance of neighbours along a dimension; 0 where it is not known."""
    if dim not in array.coords or array.sizes[dim] < 2:
        return 0.0
    values = np.asarray(array[dim].values, dtype=np.float64)
    step = float(abs(values[-1] - values[0]) / (len(values) - 1))
    return step if math.isfinite(step) else 0.0  # an end that was not measured
