"""How much dose a place of a sample may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, overload

from ...inputs import as_number, check_keys, known_or
from ._ledger import Ledger

__all__ = ["DoseLimit", "as_dose_limit"]


@dataclass(frozen=True)
class DoseLimit:
    """The largest dose of any pixel, and what is known of the sample.

    Parameters
    ----------
    limit : float
        Gy, with what the place had before.
    before : float
        What it had before (Gy). In a mapping it may be what ``dose_so_far(cat, sample, regions)``
        gives, which is refused where it does not know all.
    density : float, optional
        g/cm³; by default 4.2 with the shipped references.
    thickness : float, optional
        µm. Without it, the dose is that of the side where the beam enters, the largest.

    Raises
    ------
    ValueError
        One of them is no number or negative, or no room is left.
    """

    limit: float
    before: float = 0.0
    density: float | None = None
    thickness: float | None = None

    def __post_init__(self) -> None:
        limit = as_number("dose_limit", self.limit, "Gy", above=0)
        before = as_number("dose_limit before", self.before, "Gy", at_least=0)
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "before", before)
        for name, unit in (("density", "g/cm³"), ("thickness", "µm")):
            value = getattr(self, name)
            if value is not None:
                found = as_number(f"dose_limit {name}", value, unit, above=0)
                object.__setattr__(self, name, found)
        if before >= limit:
            raise ValueError(
                f"dose_limit = {limit:g} Gy is reached: the sample has had {before:g} Gy there"
            )

    def as_dict(self) -> dict[str, float]:
        """For a start document; what is not given is left out."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


@overload
def as_dose_limit(value: None) -> None: ...
@overload
def as_dose_limit(value: DoseLimit | Mapping[str, Any] | float) -> DoseLimit: ...
def as_dose_limit(value: Any) -> DoseLimit | None:
    """A limit from what a user or a queue gives: Gy, a mapping of its parameters, itself, or none.

    ``before`` of a mapping may be a `Ledger`.

    Raises
    ------
    ValueError
        It is none of these, a value makes no sense, or the ledger lacks the dose of a run.
    """
    if value is None or isinstance(value, DoseLimit):
        return value
    if isinstance(value, Mapping):
        names = [one.name for one in fields(DoseLimit)]
        check_keys("dose_limit", value, names, needed=1)
        return DoseLimit(**{key: _gray(one) for key, one in value.items()})
    return DoseLimit(value)


def _gray(value: Any) -> Any:
    """What a ledger sums up; everything else as it is."""
    value = known_or(
        value, 0.0, "what the sample had before is not known; its limit counts from the plan on"
    )
    if not isinstance(value, Ledger):
        return value
    if value.unknown:
        listed = "; ".join(value.unknown[:3]) + ("; …" if len(value.unknown) > 3 else "")
        raise ValueError(
            "dose_limit before: the sample has had more than what is known, so that no limit can "
            f"be kept: {listed}. Give the most that it may have had there as a number (Gy)"
        )
    return value.gray
