"""A soak as something that is set, in seconds."""

from __future__ import annotations

from typing import Any, Protocol

from ophyd.status import Status

from ...inputs import as_number
from ._soak import Soaked

__all__ = ["SoakTime"]


class Soaks(Protocol):
    """A heating stage."""

    name: str

    @property
    def soaked(self) -> Soaked | None: ...

    @property
    def soak_status(self) -> tuple[float, Status] | None: ...

    def soak(self, seconds: float, timeout: float | None = None) -> Status: ...

    def stop(self, *, success: bool = False) -> None: ...


class SoakTime:
    """A soak as something that bluesky sets: ``bps.mv(heater.soaking, 18000)``, in seconds.

    The RunEngine sets it again after a pause: the same time goes on with the same soak.
    """

    def __init__(self, stage: Soaks):
        self.parent = stage

    @property
    def name(self) -> str:
        """Name of the stage, and what it does."""
        return f"{self.parent.name}_soaking"

    def __repr__(self) -> str:
        return self.name

    @property
    def position(self) -> float:
        """Time in band so far (s)."""
        soaked = self.parent.soaked
        return 0.0 if soaked is None else soaked.in_band_s

    def check_value(self, seconds: Any) -> None:
        """Refuse what is no time (s).

        Raises
        ------
        ValueError
        """
        as_number(f"{self.name}: seconds", seconds, "s", above=0)

    def time_to(self, seconds: float, start: float | None = None) -> float:
        """Time (s) that it takes, where it stays in band."""
        return float(seconds)

    def set(self, seconds: Any, timeout: Any = None) -> Status:
        """Soak, as ``soak`` of the stage; goes on where it soaks so long already."""
        under_way = self.parent.soak_status
        if under_way is not None and under_way[0] == as_number(self.name, seconds, "s", above=0):
            return under_way[1]
        return self.parent.soak(seconds, timeout)

    def stop(self, *, success: bool = False) -> None:
        """End it, unless ``success`` (the RunEngine pausing): then it goes on."""
        if self.parent.soak_status is not None:
            self.parent.stop(success=success)
