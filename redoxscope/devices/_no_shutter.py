"""Where there is no shutter: the sample has beam all the time, and it is said so."""

from __future__ import annotations

import logging
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.status import Status

from ._base import DeviceError, done
from ._shutter import mode_of
from ._watch import Held

__all__ = ["NoShutter"]

log = logging.getLogger("redoxscope.shutter")


class NoShutter(Device):
    """Stands for a shutter that the beamline file does not have. It moves nothing.

    ``status`` is always open: nothing takes the beam from the sample, before, between and after
    lines, nor when a plan has ended.
    """

    status = Cpt(Signal, value=1, kind="normal", doc="1: nothing takes the beam away")
    mode = Cpt(Signal, value=0, kind="omitted", doc="0: nobody moves it")

    told_to_follow = False
    interrupted = False
    is_open = True
    blade = None
    takes_beam = False

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.status.pvname = self.mode.pvname = "none"

    @property
    def follows(self) -> bool:
        """Whether it was told to follow the scanner."""
        return self.told_to_follow

    def following(self) -> list[Held]:
        """Nothing."""
        return []

    def check_free(self) -> None:
        """Nothing says who measures."""

    def check_open_time(self, seconds: float, what: str) -> None:
        """Nothing limits it."""

    def check_holds(self) -> None:
        """Nothing: there is beam without it."""

    def disown(self) -> None:
        """Nothing: nobody is named."""

    def stage(self) -> list[object]:
        """Say what it means that there is none."""
        log.warning(
            "%s: the beamline file has no shutter: the sample has beam all the time, also between "
            "lines, in pauses and after the plan, however it ends",
            self.name,
        )
        return super().stage()

    def set(self, value: str | int) -> Status:
        """Take ``"follow"`` and ``"closed"``, as plans say them, and do nothing.

        Raises
        ------
        DeviceError
            ``"hold"``: nothing would end it.
        """
        value = mode_of(self.name, value)
        if value == "hold":
            raise DeviceError(f"{self.name}: there is no shutter to hold open")
        self.told_to_follow, self.interrupted = value == "follow", False
        return done()

    def stop(self, *, success: bool = False) -> None:
        """Nothing to close."""
        self.told_to_follow, self.interrupted = False, success
