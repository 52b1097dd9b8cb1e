"""What is stored of absorption spectra."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from .._results import Result
from ._snapshot import ModeSpectrum, XasSnapshot

__all__ = ["results_of"]


def results_of(snapshot: XasSnapshot) -> Iterator[Result]:
    """Give mean and normalised spectrum of each mode with their sigma, and all repeats."""
    taken: set[str] = set()
    for mode, found in snapshot.modes.items():
        name = re.sub(r"\W", "_", mode)
        name = f"mode_{name}" if not name.isidentifier() else name
        while name in taken:
            name += "_"
        taken.add(name)
        attrs = _attrs(snapshot, mode, found)
        energy = found.mean.energy
        for part, spectrum in (("mean", found.mean), ("normalised", found.normalised)):
            for suffix, array in (("", spectrum.value), ("_sigma", spectrum.sigma)):
                yield Result(
                    "xas", f"{name}_{part}{suffix}", array, ("energy",), "", {"energy": energy},
                    {"energy": "eV"}, "", f"{name}_{part}" if suffix else "", attrs,
                )  # fmt: skip
        repeats = np.arange(1, len(found.repeats) + 1)
        yield Result(
            "xas", f"{name}_repeats", found.repeats, ("repeat", "energy"), "",
            {"repeat": repeats, "energy": energy}, {"energy": "eV"}, "", "", attrs,
        )  # fmt: skip


def _attrs(snapshot: XasSnapshot, mode: str, found: ModeSpectrum) -> dict[str, Any]:
    return {
        "mode": mode,
        "edge": snapshot.edge,
        "sample": snapshot.sample,
        "repeats_averaged": found.mean.n,
        "normalised_to": found.to,
        "step": found.step,
        "step_sigma": found.step_sigma,
        "positions": {name: asdict(each) for name, each in found.positions.items()},
        "outliers": dict(found.outliers),
        "shifts_ev": found.shifts.tolist(),
        "warnings": list(found.warnings),
        "doubtful": snapshot.doubtful,
        "missing": snapshot.missing,
        "again": snapshot.again,
        "message": snapshot.message,
    }
