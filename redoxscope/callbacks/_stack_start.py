"""What a stack's start document says of it, as a map shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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


def nominal_positions(
    start: Doc, ny: int, nx: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel positions asked for, µm, until they are measured; indices where not even that."""
    region = start.get("region") or {}
    try:
        (cx, cy), (w, h) = region["center"], region["size"]
    except (KeyError, TypeError, ValueError):
        return np.arange(nx, dtype=np.float64), np.arange(ny, dtype=np.float64)
    step_x, step_y = w / nx, h / ny
    return (
        cx + step_x * (np.arange(nx) - (nx - 1) / 2),
        cy + step_y * (np.arange(ny) - (ny - 1) / 2),
    )
