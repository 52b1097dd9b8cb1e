"""What a stack's start document says of it, as a map shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...inputs import is_number
from .._documents import Doc

__all__ = ["title_of"]


def title_of(start: Doc, n_energies: int, region: str = "") -> str:
    """Heading of a stack: what, of which region and sample, when, and how it is found again."""
    sample = start.get("sample") or ""
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ""
    begun = start.get("time")
    parts = [
        f"{start.get('edge') or ''} {'energy stack' if n_energies > 1 else 'image'}".strip(),
        region and f"region {region}",
        str(sample),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(begun)) if is_number(begun) else "",
        f"scan {start['scan_id']}" if "scan_id" in start else "",
        str(start.get("uid", ""))[:8],
    ]
    return " · ".join(filter(None, parts))
