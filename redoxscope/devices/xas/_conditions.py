"""What has to hold while a point of a spectrum is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ophyd.status import Status

from ...documents import PointStatus
from .._conditions import PointConditions
from .._watch import Held

__all__ = ["XASConditions"]


class XASConditions(PointConditions):
    """Also counts how often a point was begun, and knows points without light.

    ``set`` takes ``dark`` besides, whether the shutter is to be closed, and ``flown``, whether it
    is a line, whose energy moves.
    """

    status_key = "xas_point_status"

    def __init__(self, station: Any):
        super().__init__(station)
        self._station = station
        self._tries: tuple[int | None, int] = (None, 0)

    def begin_run(self) -> None:
        super().begin_run()
        self._tries = (None, 0)

    def set(self, asked: Mapping[str, Any]) -> Status:
        point, tries = self._tries
        self._tries = (asked["point"], tries + 1 if asked["point"] == point else 1)
        return super().set(asked)

    def _wanted(self, asked: Mapping[str, Any]) -> Iterator[tuple[PointStatus, Held]]:
        moving = self._station.mono.pair if asked.get("flown") else ()
        for flag, held in super()._wanted(asked):
            # On a line the energy moves, which its own reading judges, and no detector is asked.
            if not asked.get("flown") or (
                held.signal not in moving and flag is not PointStatus.COUNTER
            ):
                yield flag, held

    def _asked_first(self, held: Held) -> bool:
        """Only what the plan itself has just moved: its monitors may still be on their way.

        The rest stands since the point before, and is asked for after this one: points of a
        spectrum are short, and many.
        """
        shutter = self._station.shutter
        moved = [*self._station.mono.pair, *([] if shutter is None else [shutter.status])]
        return held.target is None or held.signal in moved

    def _light(self, asked: Mapping[str, Any]) -> Iterator[tuple[PointStatus, Held]]:
        shutter = self._station.shutter
        if not asked["dark"]:
            yield from super()._light(asked)
        elif shutter is not None:
            held = Held(shutter.name, shutter.status, 0, meaning="closed for the dark")
            yield PointStatus.SHUTTER, held

    def _monitor(self, asked: Mapping[str, Any]) -> str:
        if asked["dark"] or (asked.get("flown") and "i0" not in self._station.flown_channels):
            return ""
        if asked.get("flown"):
            value, sigma = self._station.flown.monitor()
            return self.beam.monitor(float(asked["energy"]), value, 1.0, sigma)
        value, per, sigma = self._station.monitor(float(asked["dwell"]))
        return self.beam.monitor(float(asked["energy"]), value, per, sigma)

    def read(self) -> dict[str, Any]:
        found = super().read()
        tries = {"value": self._tries[1], "timestamp": found["point"]["timestamp"]}
        return {**found, "xas_point_tries": tries}

    def describe(self) -> dict[str, Any]:
        found = super().describe()
        return {**found, "xas_point_tries": dict(found["point"])}
