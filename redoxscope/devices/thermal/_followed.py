"""What a stage is to those who follow its temperature."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from ._clock import HeaterClock
from ._controller import Controller
from ._settled import Band

__all__ = ["Followed"]


class Followed(Protocol):
    """A heating stage; ``ordering`` is held while something is written to its controller."""

    name: str
    controller: Controller
    clock: HeaterClock
    ordering: threading.RLock
    switched_off: bool
    margin_s: float
    safe_temperature: float
    rate: Any
    tolerance: Any
    settle_s: Any
    instant: bool

    @property
    def label(self) -> str: ...

    @property
    def poll_s(self) -> float: ...

    @property
    def position(self) -> float: ...

    def band(self, target: float) -> Band: ...

    def celsius(self, raw: Any) -> float: ...

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float: ...

    def guarded_trouble(self) -> str: ...

    def guarded(self) -> bool: ...

    def arrived(self, job: Any) -> None: ...

    def sensor_failed(self, job: Any) -> None: ...

    def forsake(self) -> None: ...

    def released(self) -> None: ...
