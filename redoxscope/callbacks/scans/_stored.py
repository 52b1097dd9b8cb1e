"""What is stored of a scan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._results import Result
from ._snapshot import ScanSnapshot

__all__ = ["results_of"]


def results_of(snapshot: ScanSnapshot) -> Iterator[Result]:
    """Give counts and I0 of a picture, with its axes: a part of its own, since axes differ."""
    slow, fast = snapshot.slow_name, snapshot.fast_name
    attrs = {
        "title": snapshot.title,
        "detector": snapshot.detector,
        "energy_ev": snapshot.energy,
        "message": snapshot.message,
    }
    for what, array in (("counts", snapshot.counts), ("i0", snapshot.i0)):
        if np.isfinite(array).any():
            yield Result(
                "scan_image", what, array, (slow, fast), snapshot.part,
                {slow: snapshot.slow, fast: snapshot.fast},
                {slow: snapshot.slow_unit, fast: snapshot.fast_unit}, "counts", attrs=attrs,
            )  # fmt: skip
