"""The data of images: what is declared as a stream, flown and collected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...documents import FOLLOWED
from ...scan import Outer

__all__ = ["LineStream"]


class LineStream:
    """Lines of the images of one region, as events that name their frame.

    bluesky keeps what a device says of its data for a whole run, and lines of two regions differ
    in length: so each region has one of these. What flies the lines does not know of it.

    Parameters
    ----------
    scanner : redoxscope.plans.LineScanner
        What flies them.
    parts : sequence of device
        What stands still meanwhile. Its readings go into the configuration of the descriptor.
    outer : sequence of Outer
        Loops around the images; each line says where their axes are.

    Attributes
    ----------
    frame : int
        Index of the image that is being flown, in the scan's frames.
    around : list of float
        Where the axes of the outer loops are during that image.
    first_line : int
        Line of the image that the scanner's first one is: another than 0 where the rest of one is
        flown.
    followed : tuple of float or None
        By how much (x, y; µm) its region was moved after the sample; None where none is.
    """

    parent = None

    def __init__(
        self, scanner: Any, parts: Sequence[Any] = (), outer: Sequence[Outer] = ()
    ) -> None:
        self.name: str = scanner.name
        self.frame = self.first_line = 0
        self.around = [math.nan] * len(outer)
        self.followed: tuple[float, float] | None = None
        self._outer = tuple(outer)
        self._scanner = scanner
        self._parts = tuple(parts)

    def __repr__(self) -> str:
        return f"LineStream({self.name})"

    @property
    def hints(self) -> dict[str, Any]:
        """Those of the scanner."""
        return dict(getattr(self._scanner, "hints", {}))

    def kickoff(self) -> Any:
        """Fly every line of an image; a status."""
        return self._scanner.kickoff()

    def complete(self) -> Any:
        """End the image; a status."""
        return self._scanner.complete()

    def describe_collect(self) -> dict[str, Any]:
        """Data keys of a line."""
        whole = {"dtype": "integer", "shape": [], "dtype_numpy": "<i8", "source": "scan"}
        number = {"dtype": "number", "shape": [], "dtype_numpy": "<f8", "source": "scan"}
        keys = {**self._scanner.describe_collect(), "frame": whole}
        keys |= {one.name: {**number, "units": one.unit} for one in self._outer}
        if self.followed is not None:
            keys |= {key: {**number, "units": "um"} for key in FOLLOWED}
        return keys

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """Pages of the lines that are ready, in order."""
        for page in self._scanner.collect_pages():
            stamps = page["timestamps"]["line"]
            own: dict[str, Any] = {"frame": self.frame}
            own |= {one.name: at for one, at in zip(self._outer, self.around, strict=True)}
            own |= zip(FOLLOWED, self.followed or (), strict=False)
            more: dict[str, list[Any]] = {key: [v] * len(stamps) for key, v in own.items()}
            if self.first_line:
                more["line"] = [line + self.first_line for line in page["data"]["line"]]
            yield {
                **page,
                "data": {**page["data"], **more},
                "timestamps": {**page["timestamps"], **{key: list(stamps) for key in more}},
            }

    def read_configuration(self) -> dict[str, Any]:
        """The scanner's configuration, and all that the other parts say."""
        values = dict(self._scanner.read_configuration())
        for part in self._parts:
            values |= {**part.read(), **part.read_configuration()}
        return values

    def describe_configuration(self) -> dict[str, Any]:
        keys = dict(self._scanner.describe_configuration())
        for part in self._parts:
            keys |= {**part.describe(), **part.describe_configuration()}
        return keys
