"""What a simulated beamline is called and how it stands: data, made from a beamline file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..data import ENERGY_RANGE
from ..optics import ZonePlateGeometry

__all__ = [
    "ENERGY_MOTOR",
    "FLY",
    "KEPT",
    "KEPT_OF_COUNTERS",
    "KEPT_OF_GUARDS",
    "SERVED_COUNTERS",
    "Layout",
]

FLY = "STXMSIM:"
"""Start of the PVs of the FLY contract."""
ENERGY_MOTOR = f"{FLY}XPS:energy"

SERVED_COUNTERS = {"Trans:": "transmission", "I0:": "i0"}
"""Prefix of the simulation's own counters, and the data key that each has."""

KEPT = {
    "Mono:Energy", "Mono:Energy:RBV", "Mono:EPU", "Mono:EPU:RBV", "Mono:Velocity", "Mono:Settle",
    "Scan:XStart", "Scan:XStop", "Scan:NX", "Scan:YStart", "Scan:YStop", "Scan:NY", "Scan:Dwell",
    "Scan:Flyback", "Scan:RunUp", "Scan:MinDwell", "Scan:MaxDwell", "Scan:MaxPoints",
    "Shutter:DeadMan",
}  # fmt: skip
"""PVs whose value a simulation takes from the real beamline. Not who measures, nor what flies:
a simulation begins at rest, with the shutter closed."""

KEPT_OF_COUNTERS = {"DeadTime", "Saturation", "Dwell"}


KEPT_OF_GUARDS = {
    f"{stage}:Guard:{pv}"
    for stage in ("Heater", "Linkam", "Euro")
    for pv in ("Ceiling", "DeadMan", "Safe")
}
"""What a plan is refused by, of the heating stages' guards."""

_COMPANIONS = ("_RBV", "Write")
"""Ends of the names of PVs that a client has beside one that it names."""


@dataclass(frozen=True)
class Layout:
    """Names and state of a beamline, for the process that simulates it.

    Parameters
    ----------
    beamline : str
        Its name.
    names : mapping of str to str
        For each PV of the simulation (``"Mono:Energy"``) that the beamline has: its name there.
    geometry : mapping of str to float
        Fields of `ZonePlateGeometry`.
    counters : mapping of str to bool
        Further counters, and whether the shutter takes their light; ``names`` has their PVs below
        ``Counters.NAME:``.
    offsets : sequence of (float, float)
        Energy of an edge (eV) and true minus monochromator energy there (eV).
    motors : sequence of str
        Further motor records; ``names`` has their PVs as ``Motors.NAME``.
    plain : mapping of str to object
        Further PVs of the beamline, by name, that keep what is written; and their value.
    values : mapping of str to mapping
        By PV of the simulation: ``value``, ``limits``, ``enum`` of the real one.
    """

    beamline: str
    names: Mapping[str, str]
    geometry: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, bool] = field(default_factory=dict)
    offsets: tuple[tuple[float, float], ...] = ()
    motors: tuple[str, ...] = ()
    plain: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({part.name: getattr(self, part.name) for part in fields(self)})

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
        """
        try:
            content = json.loads(text)
            pairs = tuple((float(energy), float(offset)) for energy, offset in content["offsets"])
            return cls(**{**content, "offsets": pairs, "motors": tuple(content["motors"])})
        except (KeyError, TypeError) as exc:
            raise ValueError(f"layout: {exc!r}: not what a beamline file is made into") from exc

    @property
    def fly(self) -> bool:
        """Whether the beamline has devices of the FLY contract."""
        return any(name.startswith(FLY) for name in self.names)

    def with_companions(self, served: Iterable[str]) -> dict[str, str]:
        """``names``, and those of readbacks and of what is written under a longer name."""
        found = dict(self.names)
        for name in served:
            for end in _COMPANIONS:
                first = name.removesuffix(end)
                if name not in found and first != name and first in self.names:
                    found[name] = self.names[first] + end
        return found

    def zone_plate(self) -> ZonePlateGeometry | None:
        """The zone plate; None where the beamline says nothing of it."""
        return ZonePlateGeometry(**self.geometry) if self.geometry else None

    def offset_at(self, energy: float) -> float:
        """True minus monochromator energy (eV) near an energy (eV): that of the nearest edge."""
        if not self.offsets:
            return 0.0
        return min(self.offsets, key=lambda pair: abs(pair[0] - energy))[1]

    def value(self, pv: str, default: Any) -> Any:
        """What the real beamline's PV said, or the simulation's own."""
        value = self.values.get(pv, {}).get("value")
        return default if value is None else value

    def limits(self, pv: str, default: tuple[float, float]) -> tuple[float, float]:
        """Limits of the real beamline's PV, or the simulation's own."""
        low, high = self.values.get(pv, {}).get("limits", default)
        return float(low), float(high)

    def clipped(self, energy: float) -> float:
        """Energy (eV) at which the model of the sample is asked: it does not cover all energies."""
        low, high = ENERGY_RANGE
        return min(max(energy, low), high)
