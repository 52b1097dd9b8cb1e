"""How a run is found again, as its pictures say it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..inputs import is_number
from ._documents import Doc

__all__ = ["found_again_by"]


def found_again_by(start: Doc) -> list[str]:
    """Sample, time, number and uid of a run, as far as its start document has them."""
    sample = start.get("sample") or ""
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ""
    begun = start.get("time")
    parts = [
        str(sample),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(begun)) if is_number(begun) else "",
        f"scan {start['scan_id']}" if "scan_id" in start else "",
        str(start.get("uid", ""))[:8],
    ]
    return [part for part in parts if part]
