"""A run of ptychography, from the plan into the catalog and out of it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.callbacks import PtychoOptions, ptychography_from_run
from redoxscope.callbacks.ptychography._batch import _of_catalog
from redoxscope.callbacks.ptychography.analysis import ANALYSIS
from redoxscope.plans import ptychography
from redoxscope.storage import _find, read_results, run_documents, store_results
from redoxscope.storage.results import _derive
from redoxscope.testing import FakePtycho, make_engine

from .test_results import put

OPTIONS = PtychoOptions(live_updates=1, updates=2, modes=1, resolution=False)


def picture(energy: float, x: float, y: float, time: float, beam: bool) -> np.ndarray:
    """A ring of light that says where it was taken."""
    rows, columns = np.indices((64, 64)) - 32
    ring = np.exp(-((np.hypot(rows, columns) - 6) ** 2) / 8)
    light = 2e4 * time * ring * (1 + 0.3 * np.sin(20 * x + 0.1 * columns)) if beam else 0.0
    return 200 + light


@pytest.fixture
def documents(tmp_path: Path) -> list:
    station = FakePtycho(tmp_path, picture=picture, shape=(64, 64))
    engine, documents = make_engine()
    region = {"center": (0.1, 0.2), "size": 0.2}
    engine(
        ptychography(
            station, region, energies=[640.0, 650.0], step=0.05, exposures=(0.1, 0.4),
            dark_frames=2,
        )
    )  # fmt: skip
    return list(documents)


def test_the_catalog_gives_the_same_reconstruction_and_keeps_it(
    documents: list, tmp_path: Path, embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = ptychography_from_run(documents, OPTIONS)[""]
    assert want.pace.frames == want.pace.total == 32 and not want.pace.left_out
    run = put(tmp_path / "log", embedded, documents)
    found = ptychography_from_run(run, OPTIONS)[""]
    described = next(doc for name, doc in _of_catalog(run) if name == "descriptor")
    assert described["data_keys"]["ring_current"]["units"] == "mA"  # what light is counted in
    for one, other in zip(found.images, want.images, strict=True):
        np.testing.assert_array_equal(one.object, other.object)
        np.testing.assert_array_equal(one.positions_um, other.positions_um)
    uid = run.metadata["start"]["uid"]
    assert store_results(embedded, uid, found) == ["ptychography"]
    stored = read_results(embedded[uid], "ptychography")
    np.testing.assert_array_equal(stored["object_1"].values, want.images[1].object)
    assert stored.attrs["energies_eV"] == [640.0, 650.0]
    assert stored["x_0"].attrs["units"] == "µm"
    # Made of the run by name only: its frames are found.
    quick = replace(ANALYSIS, options=lambda: OPTIONS)
    monkeypatch.setattr(_derive, "analyses", lambda: [quick])
    assert store_results(embedded, uid) == ["ptychography_v2"]
    again = read_results(embedded[uid], "ptychography")
    np.testing.assert_array_equal(again["object_1"].values, want.images[1].object)


def test_blocks_of_several_regions_are_all_in_one_stream(tmp_path: Path, embedded: Any) -> None:
    station = FakePtycho(tmp_path, picture=picture, shape=(64, 64))
    engine, documents = make_engine()
    regions = [
        {"name": "left", "center": (0.0, 0.0), "size": 0.1},
        {"name": "right", "center": (0.5, 0.0), "size": 0.1},
    ]
    engine(ptychography(station, regions, energies=[640.0], step=0.05, exposures=0.1))
    run = put(tmp_path / "log", embedded, list(documents))
    blocks = run.metadata["stop"]["num_events"]["primary"]
    pages = [doc for name, doc in run_documents(run) if name == "event_page"]
    assert sum(len(page["seq_num"]) for page in pages) == blocks > 2
    assert _find._done(run).partition("/")[0] == str(blocks)
