"""Exposures on the axes and the shutter of the simulated beamline; the camera is a fake."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from redoxscope.formats import path_of_uri
from redoxscope.plans import expose
from redoxscope.scan import Exposures, Scan
from redoxscope.testing import Documents, FakeFrames, paused_after, run_resuming

from ..shutters import closed

PLACES = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))


@pytest.fixture
def camera(stxm, tmp_path):
    """Its frames hold whether there was beam."""

    def picture(n):
        return np.full((4, 5), int(stxm.shutter.is_open))

    return FakeFrames(tmp_path, picture=picture)


@pytest.mark.parametrize("paused", [None, "set shutter", "trigger camera", "save "])
def test_exposures(stxm, RE, camera, paused):
    documents = Documents()
    RE.subscribe(documents)
    stage = stxm.sample_stage
    scan = Scan(exposures=[Exposures(e, 0.1, PLACES) for e in (640.0, 641.0)], edge="Mn L3")

    def plan():
        return expose(
            camera,
            scan,
            stage.fine_x,
            stage.fine_y,
            stxm.energy,
            shutter=stxm.shutter,
            also=[stxm.i0],
        )

    number = -1
    if paused is not None:
        command, _, device = paused.partition(" ")
        sent = [(m.command, getattr(m.obj, "name", None) or "") for m in plan()]
        found = [i for i, (c, name) in enumerate(sent) if c == command and device in name]
        number = found[3]
    assert run_resuming(RE, paused_after(plan(), number), lambda: closed(stxm.shutter)) == (
        paused is not None
    )
    documents.validate()
    rows = list(documents.rows().values())
    assert [(row["exposure"], row["point"]) for row in rows] == [
        (i, k) for i in range(2) for k in range(len(PLACES))
    ]
    for row in rows:
        x, y = PLACES[row["point"]]
        assert row[stage.fine_x.name] == pytest.approx(x, abs=0.05)
        assert row[stage.fine_y.name] == pytest.approx(y, abs=0.05)
        assert row["energy"] == pytest.approx((640.0, 641.0)[row["exposure"]], abs=0.03)
        assert row["i0"] > 0
    assert documents.stop["exit_status"] == "success"
    closed(stxm.shutter)
    (resource,) = documents.named("stream_resource")
    with h5py.File(path_of_uri(resource["uri"])) as file:
        light = file[resource["parameters"]["dataset"]][:, 0, 0]
    assert all(light[row["camera_frame"]] == 1 for row in rows)
