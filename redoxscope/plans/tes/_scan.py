"""What a RIXS plan is asked for, checked as far as it can be without the devices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data import RixsPreset, rixs_edges, rixs_preset
from ...documents import CONTRACT_VERSION, STREAM, Window
from ...inputs import as_name, as_number, as_whole
from ...scan import MAX_PARTS, Role, Scan, Zone, as_scan, points_scan
from .._inputs import check_device
from .._protocols import EnergyAxis, Spectrometer

__all__ = ["RETRIES", "RixsScan", "check_devices", "passes_of"]

RETRIES = 2
"""How often a doubtful point is measured again, unless the scan says otherwise."""
MEASURED = (Role.SAMPLE, Role.DOSE_CHECK)
"""Roles of points that are measured with the sample in the beam."""


@dataclass(frozen=True)
class RixsScan:
    """What is asked for, checked as far as it can be without the devices.

    Attributes
    ----------
    plan_name : str
    scan : redoxscope.scan.Scan
        Of points.
    windows : tuple of Window
    pixels : int
        Most pixels that are used; 0: all.
    sample : str or None
        Position of the sample holder; None: whatever is in the beam.
    """

    plan_name: str
    scan: Scan
    windows: tuple[Window, ...] = ()
    pixels: int = 0
    sample: str | None = None

    @classmethod
    def asked_for(
        cls,
        plan_name: str,
        *,
        edge: str | None = None,
        energies: Sequence[float] | None = None,
        zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
        passes: int | None = None,
        dwell: float | None = None,
        windows: Sequence[str | Window] | None = None,
        pixels: int | None = None,
        sample: str | None = None,
        scan: Scan | Mapping[str, Any] | str | Path | None = None,
    ) -> RixsScan:
        """Fill in what the edge knows, and check it; as for `redoxscope.plans.rixs_map`.

        Raises
        ------
        ValueError
            A value that makes no sense.
        """
        if scan is not None:
            asked = {"energies": energies, "zones": zones, "passes": passes, "dwell": dwell}
            given = [name for name, value in {"edge": edge, **asked}.items() if value is not None]
            if given:
                raise ValueError(
                    f"{' and '.join(given)} cannot be given beside scan, which says it already"
                )
            made = _measurable(as_scan(scan))
            edge = made.edge
        preset: RixsPreset | None = None
        if edge is not None and (scan is None or edge in rixs_edges()):
            preset = rixs_preset(edge)
        if scan is None:
            if energies is None and zones is None:
                if preset is None:
                    raise ValueError(
                        f"{plan_name} needs edge='O K' (or another), energies=[...] or zones=[...] "
                        "in eV"
                    )
                energies = preset.energies
            if dwell is None:
                if preset is None:
                    raise ValueError(f"{plan_name} needs dwell, the live time of a point in s")
                dwell = preset.dwell
            made = points_scan(
                energies=energies,
                zones=zones,
                dwell=dwell,
                passes=1 if passes is None else passes,
                edge=None if preset is None else preset.edge,
                retries=RETRIES,
            )
        if sample is not None:
            sample = as_name("sample", sample, "lmr_charged")
        if windows is None:
            windows = () if preset is None else tuple(preset.windows)
        if pixels is None:
            pixels = 0 if preset is None else preset.pixels
        return cls(
            plan_name, made, _parsed(windows), as_whole("pixels", pixels, meaning="0: all"), sample
        )

    @property
    def dwells(self) -> list[float]:
        """Dwells of the points (s), each once."""
        return list(dict.fromkeys(point.dwell for point in self.scan.points))

    def metadata(self, tes: Spectrometer, mono: EnergyAxis) -> dict[str, Any]:
        """Of the start document."""
        holder = tes.holder
        standing = self.sample or (None if holder is None else holder.position)
        return {
            "plan_name": self.plan_name,
            "contract_version": CONTRACT_VERSION,
            "detectors": [tes.name, *(counter.field for counter in tes.counters)],
            "motors": ["energy"],
            "num_points": len(self.scan.points),
            "hints": {"dimensions": [[["energy"], STREAM]]},
            "scan": self.scan.as_dict(),
            "edge": self.scan.edge,
            "energy_tolerance": float(mono.tolerance),
            "windows": [str(window) for window in self.windows],
            **({} if standing is None else {"holder": standing}),
        }


def _measurable(scan: Scan) -> Scan:
    """A scan of points of a sample; any other is refused by name."""
    if scan.kind != "points":
        raise ValueError(f"scan is one of {scan.kind}; a spectrometer measures points")
    if scan.outer:
        raise ValueError(
            f"scan has the outer loop {scan.outer[0].name!r}, which this plan cannot set"
        )
    for i, point in enumerate(scan.points):
        if point.role not in MEASURED:
            raise ValueError(
                f"scan points[{i}] has the role {str(point.role)!r}; a spectrometer's are "
                f"{' or '.join(map(str, MEASURED))}"
            )
    return scan


def _parsed(windows: Any) -> tuple[Window, ...]:
    if isinstance(windows, (str, Window)):
        raise ValueError(f"windows = {str(windows)!r} must be a list, as [{str(windows)!r}]")
    if not isinstance(windows, Iterable):
        raise ValueError(f"windows = {windows!r} must be a list, as ['PFY[505:535]']")
    parsed = tuple(w if isinstance(w, Window) else Window.parse(w) for w in windows)
    names = [window.name for window in parsed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two windows are called {twice[0]!r}; write name=PFY[low:high]")
    return parsed


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
    if passes > MAX_PARTS:
        raise ValueError(
            f"time = {time} s takes {passes:.3g} points of {dwell:g} s, more than {MAX_PARTS}"
        )
    return math.ceil(passes - 1e-9)
