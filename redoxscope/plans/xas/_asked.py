"""What the plan of a spectrum is asked for, checked as far as it can be without the devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data import XasPreset, xas_edges, xas_preset
from ...documents import CONTRACT_VERSION, STREAM, XAS, XasInfo
from ...inputs import as_name
from ...scan import Role, Scan, Zone, as_scan, points_scan
from .._protocols import AbsorptionStation

__all__ = ["XasScan"]

RETRIES = 2
"""How often a doubtful point is measured again, unless the scan says otherwise."""
MEASURED = (Role.SAMPLE, Role.DOSE_CHECK, Role.DARK)


@dataclass(frozen=True)
class XasScan:
    """What is asked for.

    Attributes
    ----------
    scan : redoxscope.scan.Scan
        Of points.
    fly : bool
    sample : str or None
        Position of the sample holder; None: whatever is in the beam.
    """

    scan: Scan
    fly: bool = False
    sample: str | None = None

    @classmethod
    def asked_for(
        cls,
        *,
        edge: str | None = None,
        energies: Sequence[float] | None = None,
        zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
        repeats: int | None = None,
        dwell: float | None = None,
        sample: str | None = None,
        fly: bool = False,
        scan: Scan | Mapping[str, Any] | str | Path | None = None,
    ) -> XasScan:
        """Fill in what the edge knows, and check it; as for `redoxscope.plans.xas`.

        Raises
        ------
        ValueError
            A value that makes no sense.
        """
        if not isinstance(fly, bool):
            raise ValueError(f"fly = {fly!r} must be True or False")
        if sample is not None:
            sample = as_name("sample", sample, "lmr_charged")
        if scan is not None:
            asked = {
                "edge": edge, "energies": energies, "zones": zones, "repeats": repeats,
                "dwell": dwell,
            }  # fmt: skip
            given = [name for name, value in asked.items() if value is not None]
            if given:
                raise ValueError(
                    f"{' and '.join(given)} cannot be given beside scan, which says it already"
                )
            return cls(_measurable(as_scan(scan)), fly, sample)
        preset: XasPreset | None = None if edge is None else xas_preset(edge)
        if energies is None and zones is None:
            if preset is None:
                raise ValueError(
                    f"xas needs edge={xas_edges()[1]!r} (or another), energies=[...] or "
                    "zones=[...] in eV"
                )
            zones = preset.zones
        if dwell is None:
            if preset is None:
                raise ValueError("xas needs dwell, the time of a point in s")
            dwell = preset.dwell
        made = points_scan(
            energies=energies,
            zones=zones,
            dwell=dwell,
            passes=1 if repeats is None else repeats,
            edge=edge,
            retries=RETRIES,
        )
        return cls(made, fly, sample)

    @property
    def dwells(self) -> list[float]:
        """Dwells of the points (s), each once."""
        return list(dict.fromkeys(point.dwell for point in self.scan.points))

    def detectors(self, station: AbsorptionStation) -> list[Any]:
        """What measures it."""
        return [station.sweep] if self.fly else list(station.detectors)

    def metadata(self, station: AbsorptionStation) -> dict[str, Any]:
        """Of the start document."""
        holder = station.holder
        standing = self.sample or (None if holder is None else holder.position)
        modes = station.flown_modes if self.fly else station.modes
        info = XasInfo(self.scan.edge, self.scan.passes, modes, self.fly)
        keys = dict.fromkeys(key for mode in modes.values() for key in mode.keys)
        return {
            "plan_name": XAS,
            "contract_version": CONTRACT_VERSION,
            "detectors": [one.name for one in self.detectors(station)],
            "motors": ["energy"],
            "num_points": len(self.scan.points),
            "hints": {"dimensions": [[["energy"], STREAM]], "fields": list(keys)},
            "scan": self.scan.as_dict(),
            "edge": self.scan.edge,
            "energy_tolerance": float(station.mono.tolerance),
            XAS: info.as_dict(),
            **({} if standing is None else {"holder": standing}),
        }


def _measurable(scan: Scan) -> Scan:
    """A scan of points of a sample; any other is refused by name."""
    if scan.kind != "points":
        raise ValueError(f"scan is one of {scan.kind}; a spectrum is measured at points")
    if scan.outer:
        raise ValueError(
            f"scan has the outer loop {scan.outer[0].name!r}, which this plan cannot set"
        )
    for i, point in enumerate(scan.points):
        if point.role not in MEASURED:
            raise ValueError(
                f"scan points[{i}] has the role {str(point.role)!r}; a spectrum's are "
                f"{', '.join(map(str, MEASURED))}"
            )
    if all(point.role is Role.DARK for point in scan.points):
        raise ValueError("scan has points of the role 'dark' only; there is nothing to measure")
    return scan
