"""What a stack's start document says of it, as a map shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..scan import Region
from ._documents import Doc

__all__ = ["nominal_positions", "title_of"]


def title_of(start: Doc) -> str:
    """Heading of a stack: what, of what, when, and how it is found again."""
    sample = start.get("sample") or ""
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ""
    begun = start.get("time")
    parts = [
        f"{start.get('edge') or ''} energy stack".strip(),
        str(sample),
        "" if begun is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(begun)),
        f"scan {start['scan_id']}" if "scan_id" in start else "",
        str(start.get("uid", ""))[:8],
    ]
    return " · ".join(filter(None, parts))


def nominal_positions(region: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel positions asked for, x and y in µm, until they are measured."""
    (x0, x1), (y0, y1) = region.extents
    nx, ny = region.pixels
    return np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)
