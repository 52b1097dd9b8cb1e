"""What a calibration found, to be looked at; nothing has changed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = ["Proposal", "now", "said"]

DIGITS = {"eV": 3, "µm": 2, "µm/eV": 5}


def now() -> str:
    """Time with its zone, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def said(value: float | None, unit: str) -> str:
    """A value with its unit, or that there is none."""
    return "none" if value is None else f"{value:.{DIGITS.get(unit, 4)}f} {unit}"


@dataclass(frozen=True, eq=False, repr=False)
class Proposal:
    """Values that a calibration found for a device, with their σ and where they come from.

    It shows itself, in text and as a picture, and changes nothing: `Calibrations.apply` does.

    Attributes
    ----------
    kind : str
        ``"energy"``, ``"focus"`` or ``"aperture"``.
    of : str
        The edge, or what is calibrated.
    device : str
        Its name in documents; empty where the run does not say it, for the only one there is.
    values, sigma : mapping of str to float
        What is proposed, and the standard deviations.
    units : mapping of str to str
    was : mapping of str to float or None
        What held in the run; None where nothing was set.
    conditions : mapping of str to float
        What must hold on the device when it is applied, as it did in the run.
    energies : tuple of float
        At which it was measured (eV).
    source : mapping
        Runs, references and options that it comes from, as JSON takes them.
    doubts : tuple of str
        What speaks against it.
    found : object
        What the analysis found, for the picture.
    made : str
        When (ISO 8601).
    beamline : str
        Of the runs; empty where they do not say it.
    """

    kind: str
    of: str
    device: str
    values: Mapping[str, float]
    sigma: Mapping[str, float]
    units: Mapping[str, str]
    was: Mapping[str, float | None]
    energies: tuple[float, ...]
    source: Mapping[str, Any]
    conditions: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    found: Any = None
    made: str = field(default_factory=now)
    beamline: str = ""

    def __repr__(self) -> str:
        runs = ", ".join(uid[:8] for uid in self.source.get("runs", ()))
        which = f" ({self.device})" if self.device else ""
        lines = [f"proposed for {self.of}{which}, from run {runs}; not applied:"]
        for name, value in self.values.items():
            unit = self.units[name]
            digits = DIGITS[unit]
            lines.append(
                f"  {name} = {value:.{digits}f} ± {self.sigma[name]:.{digits}f} {unit}, "
                f"{self._before(name)}"
            )
        return "\n".join([*lines, *(f"  doubt: {doubt}" for doubt in self.doubts)])

    def _before(self, name: str) -> str:
        value = self.was.get(name)
        if value is not None:
            return f"was {said(value, self.units[name])}"
        return "was not set" if self.device else "what it was the run does not say"

    def figure(self) -> Any:
        """A matplotlib figure of what was measured and of the fit."""
        from ._draw import draw

        return draw(self)
