"""Results of one analysis as datasets: arrays that share their dimensions and coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redoxscope.callbacks import Result

if TYPE_CHECKING:
    import xarray

__all__ = ["datasets", "plain"]


def datasets(results: Iterable[Result]) -> dict[str, xarray.Dataset]:
    """One dataset for each part, by its name.

    What all results of a part say in ``attrs`` stands on the dataset, the rest on its array.

    Raises
    ------
    ValueError
        Two results have the same name, or differ in a dimension they share; ``attrs`` hold what
        JSON has no form for. Names the result.
    """
    parts: dict[str, list[Result]] = {}
    for result in results:
        parts.setdefault(result.part, []).append(result)
    return {part: _dataset(found) for part, found in parts.items()}


def _dataset(results: Sequence[Result]) -> xarray.Dataset:
    import xarray

    said = [plain(r.attrs, f"attrs of {r!r}") for r in results]
    common = {
        key: value
        for key, value in said[0].items()
        if all(key in other and other[key] == value for other in said[1:])
    }
    arrays: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for result, attrs in zip(results, said, strict=True):
        if result.name in arrays:
            raise ValueError(f"{result!r} is there twice")
        for dim, size in zip(result.dims, result.array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise ValueError(f"{result!r} has {size} along {dim!r}, others have {sizes[dim]}")
        for dim, values in result.coords.items():
            unit = result.units.get(dim, "")
            known = coords.setdefault(dim, (dim, np.asarray(values), {"units": unit}))
            if not _same(known[1], np.asarray(values)) or known[2]["units"] != unit:
                raise ValueError(f"{result!r} has other values along {dim!r} than others have")
        own = {key: value for key, value in attrs.items() if key not in common}
        own["units"] = result.unit
        if result.sigma_of:
            own["sigma_of"] = result.sigma_of
        arrays[result.name] = (result.dims, result.array, own)
    both = sorted(arrays.keys() & sizes.keys())
    if both:
        raise ValueError(
            f"a result of {results[0].analysis} is called {both[0]!r}, and so is a dimension"
        )
    return xarray.Dataset(arrays, coords, common)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two coordinates are the same; where a position was not measured, too."""
    numbers = one.dtype.kind == other.dtype.kind == "f"
    return np.array_equal(one, other, equal_nan=numbers)


def plain(value: Any, what: str) -> Any:
    """The same of what JSON has: numbers that are none become None.

    Raises
    ------
    ValueError
        It holds something else; ``what`` names it.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{what}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), what)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, what) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{what} = {value!r:.60} is nothing that JSON has")
