"""What a RIXS plan is asked for, checked as far as it can be without the devices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract import CONTRACT_VERSION, STREAM, Window, as_name, as_number, as_whole
from ..data import RixsPreset, rixs_preset
from ._inputs import check_device, check_energies
from ._protocols import EnergyAxis, Spectrometer

__all__ = ["MAX_POINTS", "RixsScan", "check_devices", "passes_of"]

MAX_POINTS = 10_000_000
"""Most points of a run."""


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

    @classmethod
    def asked_for(
        cls,
        plan_name: str,
        *,
        edge: str | None = None,
        energies: Sequence[float] | None = None,
        passes: int = 1,
        dwell: float | None = None,
        windows: Sequence[str | Window] | None = None,
        pixels: int | None = None,
        sample: str | None = None,
    ) -> RixsScan:
        """Fill in what the edge knows, and check it; as for `redoxscope.plans.rixs_map`.

        Raises
        ------
        ValueError
            A value that makes no sense.
        """
        preset: RixsPreset | None = None if edge is None else rixs_preset(edge)
        if energies is None:
            if preset is None:
                raise ValueError(
                    f"{plan_name} needs edge='O K' (or another) or energies=[...] in eV"
                )
            energies = preset.energies
        if dwell is None:
            if preset is None:
                raise ValueError(f"{plan_name} needs dwell, the live time of a point in s")
            dwell = preset.dwell
        listed = check_energies(energies)
        most = MAX_POINTS // len(listed)
        if sample is not None:
            sample = as_name("sample", sample, "lmr_charged")
        if windows is None:
            windows = () if preset is None else tuple(preset.windows)
        if pixels is None:
            pixels = 0 if preset is None else preset.pixels
        if isinstance(windows, (str, Window)):
            raise ValueError(f"windows = {str(windows)!r} must be a list, as [{str(windows)!r}]")
        if not isinstance(windows, Iterable):
            raise ValueError(f"windows = {windows!r} must be a list, as ['PFY[505:535]']")
        parsed = tuple(w if isinstance(w, Window) else Window.parse(w) for w in windows)
        names = [window.name for window in parsed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two windows are called {twice[0]!r}; write name=PFY[low:high]")
        return cls(
            plan_name,
            None if preset is None else preset.edge,
            listed,
            as_whole("passes", passes, at_least=1, at_most=most),
            as_number("dwell", dwell, "s", above=0),
            parsed,
            as_whole("pixels", pixels, meaning="0: all"),
            sample,
        )

    def metadata(self, tes: Spectrometer, mono: EnergyAxis) -> dict[str, Any]:
        holder = tes.holder
        standing = self.sample or (None if holder is None else holder.position)
        return {
            "plan_name": self.plan_name,
            "contract_version": CONTRACT_VERSION,
            "detectors": [tes.name, *(counter.field for counter in tes.counters)],
            "motors": ["energy"],
            "shape": [self.passes, len(self.energies)],
            "num_points": self.passes * len(self.energies),
            "hints": {"dimensions": [[["energy"], STREAM]]},
            "energies": self.energies,
            "energy_tolerance": float(mono.tolerance),
            "passes": self.passes,
            "dwell": self.dwell,
            "edge": self.edge,
            "windows": [str(window) for window in self.windows],
            **({} if standing is None else {"holder": standing}),
        }


def check_devices(tes: Any, mono: Any) -> None:
    """Refuse what is no spectrometer or no monochromator; see `check_device`.

    Raises
    ------
    ValueError
    """
    check_device("tes", tes, Spectrometer, "TES")
    check_device("mono", mono, EnergyAxis, "Monochromator")


def passes_of(time: Any, dwell: float) -> int:
    """Passes of one dwell (s) that a time (s) takes."""
    passes = as_number("time", time, "s", above=0) / dwell
    if passes > MAX_POINTS:
        raise ValueError(
            f"time = {time} s takes {passes:.3g} points of {dwell:g} s, more than {MAX_POINTS}"
        )
    return math.ceil(passes - 1e-9)
