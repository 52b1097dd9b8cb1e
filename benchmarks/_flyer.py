"""A flyer that hands out synthetic lines as fast as they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from ophyd.status import Status

from redoxscope.data import edge_energies, load_references
from redoxscope.documents import STACK
from redoxscope.scan import Region, stack_scan


def _done() -> Status:
    status = Status()
    status.set_finished()
    return status


class SyntheticFlyer:
    """Lines of a disc of sample on a blank membrane, with counting noise."""

    name = "synthetic"
    parent = None

    def __init__(self, n_energies: int, side: int, lines_per_page: int = 10):
        self.side, self.lines_per_page = side, lines_per_page
        self.energies = edge_energies("Mn L3")[:n_energies]
        references = load_references("Mn L3")
        design = references.design(self.energies)
        y, x = np.mgrid[:side, :side] / side - 0.5
        thickness = np.where(np.hypot(x, y) < 0.35, 0.1, 0.0)
        rng = np.random.default_rng(1)
        self.images = []
        for a in design:
            od = thickness * (0.8 * a[0] + 0.2 * a[1])
            self.images.append(rng.poisson(1e4 * np.exp(-od)).astype(float).tolist())
        self.position = np.linspace(-3, 3, side).tolist()
        self.next = 0

    @property
    def total(self) -> int:
        return len(self.energies) * self.side

    def kickoff(self) -> Status:
        self.next = 0
        return _done()

    def complete(self) -> Status:
        return _done()

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}

    def describe_collect(self) -> dict[str, Any]:
        arrays = ("sample_x", "sample_y", "transmission", "i0")
        scalars = ("energy", "ring_current", "frame", "line", "line_status")
        array = {"source": "synthetic", "dtype": "array", "shape": [self.side]}
        keys = {key: {**array, "dtype_numpy": "<f8"} for key in arrays}
        return keys | {
            key: {"source": "synthetic", "dtype": "number", "shape": []} for key in scalars
        }

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        rows = range(self.next, min(self.next + self.lines_per_page, self.total))
        self.next = rows.stop
        at = [divmod(i, self.side) for i in rows]
        n = len(at)
        data = {
            "sample_x": [self.position] * n,
            "sample_y": [[self.position[line]] * self.side for _, line in at],
            "transmission": [self.images[k][line] for k, line in at],
            "i0": [[float("nan")] * self.side] * n,
            "energy": [self.energies[k] for k, _ in at],
            "ring_current": [500.0] * n,
            "frame": [k for k, _ in at],
            "line": [line for _, line in at],
            "line_status": [0] * n,
        }
        now = time.time()
        yield {"data": data, "timestamps": {key: [now] * n for key in data}}


def synthetic_stack(flyer: SyntheticFlyer):
    """Plan: the whole stack in pages."""
    side = flyer.side
    region = Region((0, 0), 6, side)
    scan = stack_scan(energies=flyer.energies, regions=[region], dwell=0.001, edge="Mn L3")
    md = {"plan_name": STACK, "scan": scan.as_dict(), "edge": scan.edge}

    @bpp.run_decorator(md=md)
    def inner():
        yield from bps.declare_stream(flyer, name="primary", collect=True)
        yield from bps.kickoff(flyer, wait=True)
        while flyer.next < flyer.total:
            yield Msg("collect", flyer, name="primary", return_payload=False)
            yield Msg("checkpoint")
        yield from bps.complete(flyer, wait=True)

    return (yield from inner())
