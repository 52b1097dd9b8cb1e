"""What an absorption spectrum looks like in documents: one event per point, step or fly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..inputs import as_name, as_whole, suggestion

__all__ = [
    "XAS",
    "XAS_KEYS",
    "XAS_KINDS",
    "XAS_REFERENCE",
    "XAS_RESERVED",
    "XAS_START",
    "XasInfo",
    "XasMode",
    "sigma_key",
]

XAS = "xas"
"""``plan_name`` of absorption spectra, and the key of the start document with an `XasInfo`."""

XAS_KEYS = {"point": None, "energy": "eV", "xas_point_status": None, "xas_point_tries": None}
"""Unit of each data key of an event in the stream ``primary``; beside them one for each channel
that a mode names, its `sigma_key` where the device says it, and ``ring_current`` where the
beamline has it.

``point`` is the index in the points of the scan that the start document carries: a reader
overwrites by it, since a point can come twice after a pause. ``energy`` is the true energy that was
read back. ``xas_point_status`` is a `PointStatus`; a point that is not 0 is doubtful and in no
spectrum. A point of the role ``dark`` was measured with the shutter closed: its mean over the
run is the channel's offset. ``xas_point_tries`` says how often a point was begun. A flown point is
an event as one in steps.

A channel's unit stands in its descriptor: ``A`` is the mean current of the dwell; ``counts`` are
those of the whole dwell, which is that of the point in the scan. What was not measured is NaN.
"""

XAS_KINDS = ("yield", "transmission")
"""How a mode's value is made: ``yield`` is signal/i0, ``transmission`` is -ln(signal/i0)."""

XAS_REFERENCE = "reference"
"""Mode of a reference sample that is measured with each point, on which repeats are aligned."""

XAS_START = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "scan", "edge", "energy_tolerance", "xas",
)  # fmt: skip
"""Keys of a start document; ``holder`` stands beside them where there is one."""

XAS_RESERVED = (*XAS_START, "holder")
"""Keys of the start document of absorption spectra that only the plan may write."""


def sigma_key(key: str) -> str:
    """Data key of the standard deviation of a channel's value, in its unit.

    Of the mean over the dwell, from the readings that the device took in it; the root of the
    counts for a counter. NaN where the device does not say.
    """
    return f"{key}_sigma"


@dataclass(frozen=True)
class XasMode:
    """What a spectrum is made of.

    Parameters
    ----------
    signal, i0 : str
        Data keys of the channels.
    kind : {"yield", "transmission"}
        See `XAS_KINDS`.

    Raises
    ------
    ValueError
        No data keys, or another kind.
    """

    signal: str
    i0: str
    kind: str = "yield"

    def __post_init__(self) -> None:
        for name in ("signal", "i0"):
            as_name(f"mode {name}", getattr(self, name), "electrometer_tey")
        if self.kind not in XAS_KINDS:
            raise ValueError(
                f"mode kind = {self.kind!r} is none of {', '.join(XAS_KINDS)}"
                f"{suggestion(self.kind, XAS_KINDS)}"
            )

    @property
    def keys(self) -> tuple[str, str]:
        """Data keys that an event needs for it."""
        return self.signal, self.i0


@dataclass(frozen=True)
class XasInfo:
    """What a start document says about its spectra, under the key ``xas``.

    Parameters
    ----------
    edge : str or None
        Edge preset that it was measured with, for instance ``"Mn L"``.
    repeats : int
        Spectra of each mode; the ``repeat`` of the scan's points tells them apart.
    modes : mapping of str to XasMode
        By name: ``"TEY"``, ``"TFY"``, ``"transmission"``, ``"reference"``, or the station's own.
    fly : bool
        Whether the energy moved while it was measured.
    """

    edge: str | None
    repeats: int
    modes: Mapping[str, XasMode]
    fly: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "edge": self.edge,
            "repeats": self.repeats,
            "modes": {name: asdict(mode) for name, mode in self.modes.items()},
            "fly": self.fly,
        }

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> XasInfo:
        """What a run measured, from its start document.

        Raises
        ------
        ValueError
            It says nothing of spectra, or what makes no sense; names run and key.
        """
        run = f"run {str(start.get('uid', ''))[:8]!r}"
        content = start.get(XAS)
        if not isinstance(content, Mapping):
            raise ValueError(f"the start document of {run} says nothing of spectra (key {XAS!r})")
        try:
            modes = content["modes"]
            return cls(
                edge=content.get("edge"),
                repeats=as_whole("repeats", content["repeats"], at_least=1),
                modes={str(name): XasMode(**mode) for name, mode in dict(modes).items()},
                fly=bool(content.get("fly", False)),
            )
        except KeyError as exc:
            raise ValueError(f"{XAS} of {run} lacks the key {exc}") from None
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{XAS} of {run}: {exc}") from exc
