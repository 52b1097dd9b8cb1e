"""A photon list that grows point by point, as a collectable object, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import Msg

from redoxscope.documents import PHOTON_STREAM
from redoxscope.formats import PhotonAsset, PhotonListWriter
from redoxscope.photons import Photons

T0 = 1_700_000_000_000_000_000


def some_photons(n: int, seed: int = 0, start: int = T0) -> Photons:
    """Photons of 12 pixels within a second."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(300, 900, n).astype(np.float32)
    energy[::7] = np.nan
    return Photons.of(
        rng.integers(1, 12, n),
        start + np.sort(rng.integers(0, 10**9, n)),
        rng.normal(8000, 500, n),
        rng.normal(1500, 1, n),
        energy,
    )


class Collected:
    """An object that is collected, delegating to the asset."""

    name = "tes_photons"
    parent = None

    def __init__(self, path: Path, points: int, per_point: int) -> None:
        self.writer = PhotonListWriter(path, calibration={"uid": "cal-1"})
        self.asset = PhotonAsset(self.writer)
        self.batches = [
            some_photons(per_point, seed=i, start=T0 + i * 10**9) for i in range(points)
        ]

    def take(self, point: int) -> None:
        batch = self.batches[point]
        late = np.arange(len(batch)) % 50 == 0
        self.writer.append(batch, np.where(late, point - 1, point), late)

    def describe_collect(self) -> dict[str, Any]:
        return self.asset.describe_collect()

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict]]:
        yield from self.asset.collect_asset_docs(index)

    def get_index(self) -> int:
        return self.asset.get_index()


def photon_run(obj: Collected, energy: Any) -> Iterator[Msg]:
    """One run: an event per point, photons collected after each."""

    @bpp.run_decorator(md={"plan_name": "rixs_map"})
    def inner() -> Iterator[Msg]:
        yield from bps.declare_stream(obj, name=PHOTON_STREAM, collect=True)
        for point in range(len(obj.batches)):
            yield from bps.checkpoint()
            obj.take(point)
            yield from bps.trigger_and_read([energy])
            yield Msg("collect", obj, name=PHOTON_STREAM, return_payload=False)

    return (yield from inner())
