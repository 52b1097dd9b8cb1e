"""Frames of a detector, announced by stream documents, read back through the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.plans import expose
from redoxscope.scan import Exposures, Scan
from redoxscope.storage import CatalogWriter, DocumentLog
from redoxscope.testing import FakeAxis, FakeFrames, make_engine, paused_after, run_resuming


def test_frames_come_back_and_belong_to_their_positions(
    tmp_path: Path, home: Path, embedded: Any
) -> None:
    """After a pause, too, when one frame more is in the file than there are events."""
    engine, documents = make_engine()
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    engine.subscribe(writer)
    folder = home / "data" / "frames"
    folder.mkdir(parents=True)
    x, y, energy = FakeAxis("x"), FakeAxis("y"), FakeAxis("energy", unit="eV")
    camera = FakeFrames(folder, picture=lambda n: np.full((4, 5), 10 * x.position))
    positions = [(float(i), 0.0) for i in range(30)]
    scan = Scan(exposures=(Exposures(640.0, 0.1, positions),))
    plan = expose(camera, scan, x, y, energy)
    messages = [message.command for message in expose(camera, scan, x, y, energy)]
    third_save = [i for i, command in enumerate(messages) if command == "save"][2]
    assert run_resuming(engine, paused_after(plan, third_save)) == 1
    run = writer.catalog[documents.start["uid"]]
    events, frames = run["primary"].read(), run["frames"].read()
    assert frames["camera_images"].shape == (31, 4, 5)
    assert frames["camera_images"].dtype == np.dtype("<u2")
    assert events["point"].values.tolist() == list(range(30))
    rows = events["camera_frame"].values
    assert len(set(rows)) == 30
    for place, row in zip(positions, rows, strict=True):
        np.testing.assert_array_equal(frames["camera_images"].values[row], 10 * place[0])
    (source,) = run["frames"]["camera_images"].data_sources()
    assert source.assets[0].data_uri.endswith(".h5")
    assert Scan.from_start(run.start) == scan
