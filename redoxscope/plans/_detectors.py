"""The kinds of detectors beside those that fly lines (`LineScanner`): points and frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import Stageable, Triggerable

from ..scan import Exposures

__all__ = ["FrameStream", "FramesDetector", "PointDetector"]


@runtime_checkable
class PointDetector(Triggerable, Protocol):
    """Detector that counts once when it is triggered.

    The status of ``trigger`` is done when ``read`` gives the new count. A point that a pause broke
    off ends its status well, without a count: the plan triggers again.
    """

    name: str

    def read(self) -> Any: ...

    def describe(self) -> Any: ...


class FrameStream(Protocol):
    """The data of a frames detector: rows of a file, announced by stream documents.

    Shape, type and chunks of a row are fixed for a run.
    """

    name: str

    def describe_collect(self) -> dict[str, Any]: ...

    def collect_asset_docs(
        self, index: int | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]: ...

    def get_index(self) -> int: ...


@runtime_checkable
class FramesDetector(Stageable, Triggerable, Protocol):
    """Area detector: each trigger adds one frame to a file.

    Trigger and data are separate parts, so that events and frames are in streams of their own:
    ``read`` gives the row of the last frame, by which an event names it, whatever came between.

    Attributes
    ----------
    name : str
    dwell : Movable
        Time of an exposure (s).
    frames : int
        Frames in the file; grows before the status of their trigger is done. A frame that a pause
        broke off is not in it, and its status ends well.
    images : FrameStream
        What is declared and collected as a stream.
    """

    name: str
    dwell: Any
    frames: int
    images: FrameStream

    def check_exposures(self, exposures: Sequence[Exposures]) -> None:
        """Refuse what it cannot do, before anything moves; `ValueError` with value and limit."""
        ...

    def read(self) -> Any: ...

    def describe(self) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...
