"""What is stored of a scan."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from .._results import Result
from ._snapshot import ScanSnapshot

__all__ = ["results_of"]


def results_of(snapshot: ScanSnapshot) -> Iterator[Result]:
    """Give counts and I0 of a picture, with its axes."""
    slow, fast = snapshot.slow_name, snapshot.fast_name
    name = re.sub(r"\W+", "_", snapshot.title)
    attrs = {"title": snapshot.title, "energy_ev": snapshot.energy, "message": snapshot.message}
    for what, array in ((snapshot.detector, snapshot.counts), ("i0", snapshot.i0)):
        if np.isfinite(array).any():
            yield Result(
                "scan_image", f"{name}_{what}", array, (slow, fast), "counts",
                {slow: snapshot.slow, fast: snapshot.fast},
                {slow: snapshot.slow_unit, fast: snapshot.fast_unit}, "", "", attrs,
            )  # fmt: skip
