"""What the scans of a shift cost beyond the times that the devices declare, at ``--speed 1``.

``python -m benchmarks.bench_shift`` prints the figures; `rows` returns them. On both kinds of
scanner: one that flies an image by itself and stamps its lines, and one of the FLY contract,
which is told of each line. What a simulated server takes itself is in these figures:
`bench_fly` tells it apart.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope import start_session
from redoxscope.plans import (
    detector_image,
    energy_stack,
    focus_scan,
    line_spectrum,
    map_then_zoom,
    osa_image,
)
from redoxscope.plans._schedule import schedule
from redoxscope.scan import Scan

Row = dict[str, object]
NX, NY, DWELL = 100, 8, 0.001
ENERGIES = [float(energy) for energy in range(638, 650)]
POINTS = (8, 3)
POINT_DWELL = 0.02
KINDS = ("stamped lines", "FLY contract")
FLY_POLL = 0.001
"""Of the simulated FLY server (s); at the 20 ms of its original a line mostly waits for that."""


class _Lines:
    """When the lines of the last run were done, by the server's time stamps."""

    def __init__(self) -> None:
        self.scan: Scan | None = None
        self.done: dict[tuple[int, int], float] = {}

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self.scan, self.done = Scan.from_start(doc), {}
        elif name == "event_page" and "line" in doc["data"]:
            data, stamps = doc["data"], doc["timestamps"]["line"]
            lines = zip(data["frame"], data["line"], stamps, data["line_status"], strict=True)
            for frame, line, stamp, status in lines:
                if status:
                    raise RuntimeError(f"line {line} of frame {frame} has status {status}")
                self.done[frame, line] = stamp


def _ms(values: Iterator[float]) -> float:
    return 1e3 * float(np.median(list(values)))


def _of_lines(lines: _Lines, stxm: Any) -> dict[str, float]:
    """Medians (ms): a line beyond its flight, an image's first beyond move and flight; declared."""
    assert lines.scan is not None
    times, frames = schedule(lines.scan, stxm), range(1, len(lines.scan.frames))
    last = [lines.scan.regions[frame.region].pixels[1] - 1 for frame in lines.scan.frames]
    two, one = (sum(stxm.scanner.frame_time(NX, n, DWELL)[:2]) for n in (2, 1))
    flying = two - one
    first = times.motion + times.live + times.flight - np.multiply(last, flying)
    steps = (
        stamp - lines.done[frame, line - 1] - flying
        for (frame, line), stamp in lines.done.items()
        if line > 0
    )
    return {
        "line": _ms(steps) if last[0] else np.nan,
        "image": _ms(lines.done[k, 0] - lines.done[k - 1, last[k - 1]] - first[k] for k in frames),
        "flying": 1e3 * flying,
        "moving": _ms(float(times.motion[k]) for k in frames),
    }


def _row(what: str, kind: str, value: float, target: float | None, reference: str) -> Row:
    return {
        "what": f"{what}, {kind}", "value": value, "unit": "ms", "target": target,
        "reference": reference,
    }  # fmt: skip


def _flown(s: Any, kind: str) -> list[Row]:
    """A stack, a line spectrum and a focus scan."""
    lines = _Lines()
    token = s.RE.subscribe(lines)
    s.RE(energy_stack(s.stxm, energies=ENERGIES, pixels=(NX, NY), size=5, dwell=DWELL))
    stack = _of_lines(lines, s.stxm)
    of = {"length": 5, "pixels": NX, "dwell": DWELL}
    s.RE(line_spectrum(s.stxm, energies=ENERGIES, **of))
    spectrum = _of_lines(lines, s.stxm)
    s.RE(focus_scan(s.stxm, energies=640, travel=20, steps=6, **of))
    focus = _of_lines(lines, s.stxm)
    s.RE.unsubscribe(token)
    own = kind == KINDS[0]
    flying = f"beyond {stack['flying']:.0f} ms of flying"
    return [
        _row("stack, a line", kind, stack["line"], 1.0 if own else None, flying),
        _row("stack, an energy", kind, stack["image"], 20.0 if own else None,
             f"{flying} and {stack['moving']:.0f} ms to move"),
        _row("line spectrum, a line and its energy", kind, spectrum["image"], None,
             f"{flying} and {spectrum['moving']:.0f} ms to move"),
        _row("focus scan, a line and its place", kind, focus["image"], None,
             f"{flying} and {focus['moving']:.0f} ms to move"),
    ]  # fmt: skip


def _stepped(s: Any, name: str) -> Row:
    """A point of a grid of steps, beyond its dwell and the move."""
    plan, size = {"osa_image": (osa_image, 60.0), "detector_image": (detector_image, 600.0)}[name]
    stage = s.stxm.osa if name == "osa_image" else s.stxm.detector_stage
    events: list[dict[str, Any]] = []
    token = s.RE.subscribe(lambda _, doc: events.append(doc), "event")
    s.RE(plan(s.stxm, energy=640, size=size, pixels=POINTS, dwell=POINT_DWELL))
    s.RE.unsubscribe(token)
    taken = [
        b["time"] - a["time"]
        for a, b in pairwise(e for e in events if "point" in e["data"])
        if b["data"]["point"] % POINTS[0]
    ]
    move = 1e3 * float(stage.x.time_to(size / POINTS[0], 0.0))
    return _row(
        f"{name}, a point", "stepped", _ms(iter(taken)) - 1e3 * POINT_DWELL - move, None,
        f"beyond {1e3 * POINT_DWELL:.0f} ms to count and {move:.0f} ms to move; the next row "
        "begins with the shutter",
    )  # fmt: skip


def _zoomed(s: Any) -> Row:
    """From the map's stop document to the start document of the stack of what was found."""
    told: dict[str, list[dict[str, Any]]] = {"start": [], "stop": []}
    token = s.RE.subscribe(lambda name, doc: told[name].append(doc) if name in told else None)
    s.RE(
        map_then_zoom(
            s.stxm, edge="Mn L3", map_energies=[635, 643], size=16, pixels=48, tile=16,
            number=1, zoom_size=4, zoom_pixels=10, stack={"energies": [640.0, 643.0]},
        )
    )  # fmt: skip
    s.RE.unsubscribe(token)
    if len(told["start"]) != 2:
        raise RuntimeError("map_then_zoom found no particle to take a stack of")
    zoom = told["start"][1]["zoom"]
    return _row(
        "map_then_zoom, map done -> stack begun", "stamped lines",
        1e3 * (told["start"][1]["time"] - told["stop"][0]["time"]), None,
        f"{zoom['found']} particles found on 48 x 48 pixels at two energies",
    )  # fmt: skip


def _on_stamped() -> list[Row]:
    with start_session(speed=1.0) as s:
        found = _flown(s, KINDS[0])
        return [*found, _stepped(s, "osa_image"), _stepped(s, "detector_image"), _zoomed(s)]


def _on_fly() -> list[Row]:
    text = resources.files("redoxscope").joinpath("beamlines/fly.yml").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fly.yml"
        file.write_text(text, "utf-8")
        with start_session(file, speed=1.0, simulation_options={"fly-poll": FLY_POLL}) as s:
            return _flown(s, KINDS[1])


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*_on_stamped(), *_on_fly()]


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
