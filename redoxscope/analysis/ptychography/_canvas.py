"""Places on the sample as pixels of the object."""

from __future__ import annotations

import math

import numpy as np

from ._geometry import Geometry

__all__ = ["Canvas"]


class Canvas:
    """The object's grid: the field, and half a frame's window around it.

    Pixel centres lie at whole multiples of the pixel.

    Parameters
    ----------
    geometry : Geometry
    field : (x0, x1, y0, y1)
        Range of the places (µm).
    margin_um : float
        Room beyond the field (µm).
    parts : int
        Parts of a pixel that places are kept to.

    Raises
    ------
    ValueError
        The field is not finite or reversed, or has more than 2²⁶ pixels.
    """

    def __init__(
        self,
        geometry: Geometry,
        field: tuple[float, float, float, float],
        margin_um: float,
        parts: int,
    ) -> None:
        x0, x1, y0, y1 = (float(v) for v in field)
        if not (all(map(math.isfinite, (x0, x1, y0, y1))) and x0 <= x1 and y0 <= y1):
            raise ValueError(f"field = {field} µm must be (x0, x1, y0, y1) with x0 <= x1, y0 <= y1")
        self.pixel_um, self.parts, self._half = geometry.object_pixel_um, parts, geometry.size // 2
        size, step = geometry.size, self.pixel_um
        self._first = tuple(math.floor((low - margin_um) / step) - self._half for low in (y0, x0))
        last = tuple(math.ceil((high + margin_um) / step) + size - self._half for high in (y1, x1))
        self.shape = (last[0] - self._first[0] + 1, last[1] - self._first[1] + 1)
        if self.shape[0] * self.shape[1] > 2**26:
            raise ValueError(
                f"field = {field} µm has {self.shape[0]} x {self.shape[1]} pixels of "
                f"{1e3 * step:.3g} nm, more than {2**26}"
            )
        self._room = (self.shape[0] - size, self.shape[1] - size)
        self.y_um, self.x_um = (
            (self._first[axis] + np.arange(self.shape[axis], dtype=np.float64)) * step
            for axis in (0, 1)
        )

    def _split(self, y: float, x: float) -> tuple[int, int, int, int]:
        whole_y, part_y = divmod(round(y / self.pixel_um * self.parts), self.parts)
        whole_x, part_x = divmod(round(x / self.pixel_um * self.parts), self.parts)
        return (
            whole_y - self._first[0] - self._half,
            whole_x - self._first[1] - self._half,
            part_y,
            part_x,
        )

    def holds(self, x: float, y: float) -> bool:
        """Whether a frame taken there (µm) lies on the grid."""
        row, column, _, _ = self._split(y, x)
        return 0 <= row <= self._room[0] and 0 <= column <= self._room[1]

    def place(self, x: float, y: float) -> tuple[int, int, int]:
        """First row and column of a frame's window, and which part of a pixel it is off by."""
        row, column, part_y, part_x = self._split(y, x)
        return row, column, part_y * self.parts + part_x
