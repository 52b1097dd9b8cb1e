"""A calibration that was applied: what, when, instead of what, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from math import isfinite
from typing import Any

from ..inputs import plain_number

__all__ = ["Calibration", "local_time"]

NUMBERS = ("values", "sigma")
NUMBERS_OR_NONE = ("before", "file")


def _is_finite(value: Any) -> bool:
    number = plain_number(value)
    return number is not None and isfinite(number)


def _is_scale(one: Any) -> bool:
    """Whether it is an energy offset, of a device at an edge or at none."""
    return (
        isinstance(one, Mapping)
        and set(one) == {"device", "edge", "offset"}
        and isinstance(one["device"], str)
        and isinstance(one["edge"], str | None)
        and _is_finite(one["offset"])
    )


def local_time(text: str) -> str:
    """A time as ISO 8601 has it, as a clock here showed it: ``2026-11-27 00:43``."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, repr=False)
class Calibration:
    """An applied calibration, as it is kept.

    Attributes
    ----------
    uid, kind, of, device, beamline : str
    values, sigma : mapping of str to float
    units : mapping of str to str
    before : mapping of str to float or None
        What it replaced; None where nothing was set.
    file : mapping of str to float or None
        What the beamline file had.
    source : mapping
        Runs, references, options.
    made, applied : str
        When (ISO 8601).
    reverted : str
        When; empty while it is not.
    """

    uid: str
    kind: str
    of: str
    device: str
    beamline: str
    values: Mapping[str, float]
    sigma: Mapping[str, float]
    units: Mapping[str, str]
    before: Mapping[str, float | None]
    file: Mapping[str, float | None]
    source: Mapping[str, Any]
    made: str
    applied: str
    reverted: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Calibration:
        """What `as_dict` gave.

        Raises
        ------
        ValueError
            It is none.
        """
        known = {each.name for each in fields(cls)}
        if not isinstance(content, Mapping) or set(content) != known:
            raise ValueError("it has not the keys of a calibration")
        for key in known - {*NUMBERS, *NUMBERS_OR_NONE, "units", "source"}:
            if not isinstance(content[key], str):
                raise ValueError(f"its {key} is no text")
        names = content["values"]
        for key in (*NUMBERS, *NUMBERS_OR_NONE, "units"):
            part = content[key]
            if not isinstance(part, Mapping) or set(part) != set(names):
                raise ValueError(f"its {key} is not of the names of its values")
            for value in part.values():
                right = {
                    "units": isinstance(value, str),
                    "sigma": plain_number(value) is not None,  # not finite where nothing is known
                    "values": _is_finite(value),
                }.get(key, value is None or _is_finite(value))
                if not right:
                    raise ValueError(f"its {key} has {value!r:.40}")
        source = content["source"]
        runs = source.get("runs", []) if isinstance(source, Mapping) else None
        if not isinstance(runs, list | tuple) or not all(isinstance(run, str) for run in runs):
            raise ValueError("its source does not say runs")
        scales = source.get("energy_scale", [])
        if not isinstance(scales, list | tuple) or not all(map(_is_scale, scales)):
            raise ValueError("its source does not say energy offsets")
        datetime.fromisoformat(content["applied"])
        if content["reverted"]:
            datetime.fromisoformat(content["reverted"])
        return cls(**content)

    def __repr__(self) -> str:
        return f"<{self}>"

    def told(self) -> dict[str, Any]:
        """What a start document says of it."""
        return {
            "uid": self.uid,
            "kind": self.kind,
            "of": self.of,
            "device": self.device,
            "values": dict(self.values),
            "sigma": dict(self.sigma),
            "units": dict(self.units),
            "applied": self.applied,
            "runs": list(self.source.get("runs", ())),
        }

    def __str__(self) -> str:
        shown = ", ".join(
            f"{name} {value:.6g} ± {self.sigma[name]:.2g} {self.units[name]}"
            for name, value in self.values.items()
        )
        end = f", reverted {local_time(self.reverted)}" if self.reverted else ""
        applied = local_time(self.applied)
        return f"{self.uid[:8]}  {self.of} ({self.device}): {shown}; applied {applied}{end}"
