"""What an analysis found, as it is stored: arrays with names, dimensions and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NotDoneError", "Result"]


class NotDoneError(LookupError):
    """Results are not there yet: what makes them is at work still."""


@dataclass(frozen=True, eq=False)
class Result:
    """One array that an analysis found.

    Attributes
    ----------
    analysis : str
        Name of the analysis: ``"oxidation_map"``.
    name : str
        What it is: ``"fraction"``.
    array : numpy.ndarray
        Numbers or bool; NaN where nothing is known.
    dims : tuple of str
        Name of each of its dimensions: ``("y", "x")``.
    part : str
        Region or other part of the run it is of; empty where there is one only.
    coords : dict of str to numpy.ndarray
        Values along dimensions that have some, each [n] by the dimension's name.
    units : dict of str to str
        Unit of each coordinate: ``{"x": "µm"}``.
    unit : str
        Unit of the array; empty for a plain number.
    sigma_of : str
        Name of the result whose standard deviation it is; empty for others.
    attrs : dict
        JSON-able: parameters, references, doubts in words and numbers.

    Raises
    ------
    ValueError
        A name is not made of letters, digits and _, the array is not of numbers, or dimensions
        and coordinates do not fit it; names the result.
    """

    analysis: str
    name: str
    array: NDArray[Any]
    dims: tuple[str, ...]
    part: str = ""
    coords: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    sigma_of: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what in ("analysis", "name"):
            value = getattr(self, what)
            if not (isinstance(value, str) and value.isidentifier()):
                raise ValueError(
                    f"a result's {what} is {value!r:.40}, but must be letters, digits and _"
                )
        who = f"result {self.analysis}/{self.name}"
        array = np.asarray(self.array)
        object.__setattr__(self, "array", array)
        if array.dtype.kind not in "biufc":
            raise ValueError(f"{who} is an array of {array.dtype}, but must be of numbers")
        if len(self.dims) != array.ndim or len(set(self.dims)) != len(self.dims):
            raise ValueError(
                f"{who} has the dimensions {', '.join(self.dims) or 'none'}, but its array has "
                f"{array.ndim} of them"
            )
        sizes = dict(zip(self.dims, array.shape, strict=True))
        for key, values in self.coords.items():
            if key not in sizes:
                raise ValueError(f"{who} has a coordinate {key!r}, which is no dimension of it")
            if np.shape(values) != (sizes[key],):
                raise ValueError(
                    f"{who} has {sizes[key]} values along {key!r}, but its coordinate has the "
                    f"shape {np.shape(values)}"
                )
        unknown = sorted(set(self.units) - set(self.coords))
        if unknown:
            raise ValueError(f"{who} has a unit for {unknown[0]!r}, which is no coordinate of it")

    def __repr__(self) -> str:
        shape = " × ".join(f"{d} {n}" for d, n in zip(self.dims, self.array.shape, strict=True))
        of = f" of {self.part}" if self.part else ""
        unit = f" ({self.unit})" if self.unit else ""
        return f"<Result {self.analysis}/{self.name}{of}{unit}: {shape or 'one number'}>"
