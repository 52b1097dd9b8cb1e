"""What falls on the sample in front of the simulated array, and since when."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..physics.rixs import PHASES

__all__ = ["START_ENERGY", "BeamHistory", "BeamState"]

START_ENERGY = 640.0
"""Until told otherwise (eV)."""

LIMITS = {"energy": (1e-3, 1e5), "flux": (0.0, 1000.0)}
"""Of what falls on the sample (eV; relative)."""


@dataclass(frozen=True)
class BeamState:
    """State of the beamline as the detector sees it.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    flux : float
        Relative to full; 0 without beam.
    open : bool
        Whether the shutter lets it through.
    sample : str
        Name of what stands in the beam.
    parts : tuple of (str, float)
        What it has become, and the share of each; empty: it is what its name says.
    """

    energy: float = START_ENERGY
    flux: float = 1.0
    open: bool = False
    sample: str = "lmr_charged"
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def on_sample(self) -> float:
        """Relative flux on the sample."""
        return self.flux if self.open else 0.0

    def changed(self, message: Mapping[str, Any], samples: tuple[str, ...]) -> BeamState:
        """The state after a message with any of the fields.

        Raises
        ------
        ValueError
            A value that is no number, out of range, or an unknown sample or part.
        """
        new: dict[str, Any] = {}
        for name, (low, high) in LIMITS.items():
            if name in message:
                value = float(message[name])
                if not (math.isfinite(value) and low <= value <= high):
                    raise ValueError(f"beam {name} = {value} must be a number, {low} to {high}")
                new[name] = value
        if "open" in message:
            new["open"] = bool(message["open"])
        if "sample" in message:
            if message["sample"] not in samples:
                raise ValueError(
                    f"unknown sample {message['sample']!r}; known: {', '.join(samples)}"
                )
            new["sample"] = message["sample"]
        if "parts" in message:
            new["parts"] = _parts(message["parts"])
        return replace(self, **new)


def _parts(given: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    for name, share in given.items():
        if name not in PHASES:
            raise ValueError(f"unknown part {name!r}; known: {', '.join(PHASES)}")
        if not 0 <= float(share) <= 1:  # NaN too
            raise ValueError(f"part {name} = {share} must be a share, 0 to 1")
    return tuple((name, float(share)) for name, share in given.items())


class BeamHistory:
    """Changes of the beam that the array has still to draw photons for."""

    def __init__(self, beam: BeamState):
        self._times: list[int] = [0]
        self._beams = [beam]

    @property
    def latest(self) -> BeamState:
        return self._beams[-1]

    def add(self, when_ns: int, beam: BeamState) -> None:
        """A new state from a time (ns) on; never before one that is known already."""
        self._times.append(max(when_ns, self._times[-1]))
        self._beams.append(beam)

    def stretches(self, begin_ns: int, end_ns: int) -> Iterator[tuple[int, int, BeamState]]:
        """Begin, end (ns) and state of each stretch between two times; forgets what is before."""
        first = bisect.bisect_right(self._times, begin_ns) - 1
        del self._times[:first], self._beams[:first]
        self._times[0] = min(self._times[0], begin_ns)
        for i, beam in enumerate(self._beams[:]):
            begin = max(begin_ns, self._times[i])
            end = min(end_ns, self._times[i + 1]) if i + 1 < len(self._times) else end_ns
            if end > begin:
                yield begin, end, beam
