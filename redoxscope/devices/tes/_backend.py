"""What a run needs of whoever controls the server."""

from __future__ import annotations

from typing import Protocol

from ._client import DastardClient, RunFiles

__all__ = ["Backend", "DastardBackend"]


class Backend(Protocol):
    """Begins and ends runs; every method raises `DastardError` where it fails."""

    tells_points: bool

    def begin_run(
        self, label: str, *, path: str, off: bool, ljh: bool, calibrating: bool
    ) -> RunFiles: ...

    def end_run(self) -> None: ...

    def point_begun(self, point: int, start_ns: int) -> None: ...

    def point_ended(self) -> None: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class DastardBackend:
    """Dastard itself. It is told of runs, not of points: photons carry their own time."""

    tells_points = False

    def __init__(self, client: DastardClient):
        self._client = client
        self._begun = False  # a run that did not begin may have left files open all the same

    def begin_run(
        self, label: str, *, path: str, off: bool, ljh: bool, calibrating: bool
    ) -> RunFiles:
        self._begun = off or ljh
        return self._client.begin_run(label, path=path, off=off, ljh=ljh)

    def end_run(self) -> None:
        begun, self._begun = self._begun, False
        if begun or self._client.writing:
            self._client.end_run()

    def point_begun(self, point: int, start_ns: int) -> None:
        """It need not know."""

    def point_ended(self) -> None:
        """It need not know."""

    def cancel(self) -> None:
        self._client.cancel()

    def close(self) -> None:
        """The client is closed by who made it."""
