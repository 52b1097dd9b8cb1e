"""Which streams of a run hold what it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redoxscope.documents import STREAM
from redoxscope.scan import Scan

__all__ = ["main_streams"]


def main_streams(start: Mapping[str, Any] | None) -> list[str]:
    """Names of the streams of a run's lines or points: of several regions each has its own.

    Blocks of frames are all in ``primary``, whichever region they are of.

    A start document that cannot be read leaves ``primary``.
    """
    try:
        scan = Scan.from_start(start or {})
    except ValueError:  # none of ours, or of another version
        return [STREAM]
    if scan.kind == "exposures":
        return [STREAM]
    return [scan.stream_of(i) for i in range(len(scan.regions))] or [STREAM]
