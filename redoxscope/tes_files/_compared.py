"""Scans of one sample over the same energies, compared with each other."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..analysis.xas import Comparison, Spectrum, compare
from ._calibrations import number
from ._scans import Scan

__all__ = ["compared"]

KINDS = ("TFY", "PFY", "sPFY")
"""Yields that grow with the absorption; the inverse of one has its own range and refusals."""


def compared(scan: Scan) -> list[dict[str, Any]]:
    """Each two logs of a scan, in each yield: by how much it moved, and how significant that is.

    Scale and background are free: these logs have no I0. As many comparisons as are made are
    counted in the significance.
    """
    windows = [window for window in scan.windows if window.kind in KINDS]
    pairs = list(combinations(scan.passes, 2))
    trials = max(len(windows) * len(pairs), 1)
    told: list[dict[str, Any]] = []
    for first, second in pairs:
        for window in windows:
            entry: dict[str, Any] = {"logs": [first, second], "window": str(window)}
            spectra = []
            for name in (first, second):
                y = scan.counts.yields(window, scan.passes[name])
                order = np.argsort(y.energies)
                spectra.append(
                    Spectrum(
                        y.energies[order], y.value[order], y.sigma[order], name, window.kind,
                        scan.edge,
                    )
                )  # fmt: skip
            try:
                entry |= _told(compare(*spectra, trials=trials))
            except ValueError as error:  # too few points in common
                entry |= {"significant": None, "reason": str(error)}
            told.append(entry)
    return told


def _told(found: Comparison) -> dict[str, Any]:
    return {
        "shift_ev": number(found.change),
        "sigma_ev": number(found.change_sigma),
        "significance": number(found.significance),
        "significant": found.significant,
        "reason": found.reason,
    }
