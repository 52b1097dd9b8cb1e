"""What a RIXS plan is asked for, checked as far as it can be without the devices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..contract import CONTRACT_VERSION, STREAM, Window
from ..data import RixsPreset, rixs_preset
from ._energy_stack import check_energies
from ._protocols import Spectrometer

__all__ = ["RixsScan", "check_positive", "energy_list", "is_number", "rixs_scan"]


@dataclass(frozen=True)
class RixsScan:
    """What is asked for, checked as far as it can be without the devices."""

    plan_name: str
    edge: str | None
    energies: list[float]
    passes: int
    dwell: float
    windows: tuple[Window, ...]
    pixels: int
    sample: str | None

    def metadata(self, tes: Spectrometer) -> dict[str, Any]:
        holder = tes.holder
        here = None if holder is None else holder.position
        return {
            "plan_name": self.plan_name,
            "contract_version": CONTRACT_VERSION,
            "detectors": [tes.name, *(counter.field for counter in tes.counters)],
            "motors": ["energy"],
            "shape": [self.passes, len(self.energies)],
            "num_points": self.passes * len(self.energies),
            "hints": {"dimensions": [[["energy"], STREAM]]},
            "energies": self.energies,
            "passes": self.passes,
            "dwell": self.dwell,
            "edge": self.edge,
            "windows": [str(window) for window in self.windows],
            **({} if here is None and self.sample is None else {"sample": self.sample or here}),
        }


def rixs_scan(
    plan_name: str,
    edge: str | None,
    energies: Sequence[float] | None,
    passes: int,
    dwell: float | None,
    windows: Sequence[str | Window] | None,
    pixels: int | None,
    sample: str | None,
) -> RixsScan:
    preset: RixsPreset | None = None if edge is None else rixs_preset(edge)
    if energies is None:
        if preset is None:
            raise ValueError(f"{plan_name} needs edge='O K' (or another) or energies=[...] in eV")
        energies = preset.energies
    if dwell is None:
        if preset is None:
            raise ValueError(f"{plan_name} needs dwell, the live time of a point in s")
        dwell = preset.dwell
    check_positive("dwell", dwell, "s")
    if not (_is_whole(passes) and passes >= 1):
        raise ValueError(f"passes = {passes} must be a whole number >= 1")
    if windows is None:
        windows = () if preset is None else tuple(preset.windows)
    if pixels is None:
        pixels = 0 if preset is None else preset.pixels
    if not (_is_whole(pixels) and pixels >= 0):
        raise ValueError(f"pixels = {pixels} must be a whole number >= 0 (0: all)")
    if isinstance(windows, (str, Window)):
        raise ValueError(f"windows = {str(windows)!r} must be a list, as [{str(windows)!r}]")
    parsed = tuple(w if isinstance(w, Window) else Window.parse(w) for w in windows)
    names = [window.name for window in parsed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two windows are called {twice[0]!r}; write name=PFY[low:high]")
    return RixsScan(
        plan_name,
        edge,
        check_energies(energy_list(energies, "energies")),
        int(passes),
        float(dwell),
        parsed,
        int(pixels),
        sample,
    )


def energy_list(values: Any, name: str) -> list[float]:
    """Plain floats; what is no number is named."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name} = {values!r} must be a list of energies in eV")
    for i, value in enumerate(values):
        if not is_number(value):
            raise ValueError(f"{name}[{i}] = {value!r} eV must be a finite energy in eV")
    return [float(value) for value in values]


def is_number(value: Any) -> bool:
    """Whether it is a number, numpy's included; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return is_number(value) and int(value) == value


def check_positive(name: str, value: float, unit: str) -> None:
    if not (is_number(value) and value > 0):
        raise ValueError(f"{name} = {value} {unit} must be greater than 0 {unit}")
