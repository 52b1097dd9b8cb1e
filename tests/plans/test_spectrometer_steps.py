"""The spectrometer as a detector of bluesky's own plans, on the simulated beamline."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import event_model
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from redoxscope.callbacks import photons_of_run
from redoxscope.devices import DeviceError
from redoxscope.documents import PHOTON_STREAM, STREAM, TOTALS_STREAM
from redoxscope.plans import rixs_map, with_beam

from ..devices.tes.parts import truth
from ..shutters import closed


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    from redoxscope import start_session

    with start_session(speed=20, tes=True, data=tmp_path_factory.mktemp("data")) as s:
        s.tes.set_calibration(truth())
        s.RE(bps.mv(s.mono, 640.0, s.stxm.i0.dwell, 1.0))
        yield s


@pytest.fixture
def count(session):
    """Run a plan of bluesky's; its documents."""
    record = []
    token = session.RE.subscribe(lambda name, doc: record.append((name, doc)))

    def go(plan, beam=True):
        session.RE(with_beam(plan, session.stxm.shutter) if beam else plan)
        return record

    go.record = record
    yield go
    if session.RE.state != "idle":
        session.RE.abort()
    session.RE.unsubscribe(token)


def events(record, stream=STREAM):
    names = {doc["uid"]: doc["name"] for name, doc in record if name == "descriptor"}
    found = {}
    for name, doc in record:
        if name == "event" and names[doc["descriptor"]] == stream:
            found[doc["seq_num"]] = doc["data"]
    return [found[n] for n in sorted(found)]


def whole(session, record, points):
    """Documents are valid, and every photon of every point is in the catalog, once."""
    for name, doc in record:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
        json.dumps(doc)
    assert record[-1][1]["exit_status"] == "success"
    closed(session.stxm.shutter)
    done = events(record)
    assert len(done) == points and min(data["tes_counts"] for data in done) > 10
    run = session.cat[record[0][1]["uid"]]
    assert {STREAM, PHOTON_STREAM, TOTALS_STREAM} <= set(run)
    stored = run[STREAM].read()
    assert stored["tes_counts"].values.tolist() == [data["tes_counts"] for data in done]
    photons = photons_of_run(run)
    used = np.isin(photons.photons.pixel, session.tes.calibration.usable)
    for data in done:
        own = used & (photons.point == data["tes_point"]) & ~photons.late.astype(bool)
        assert own.sum() == data["tes_counts"]
        assert sum(data["tes_spectrum"]) <= data["tes_counts"]
    totals = events(record, TOTALS_STREAM)[0]
    assert totals["tes_total_photons"] == len(photons)
    column = run[PHOTON_STREAM]["tes_photon_time"].read()
    np.testing.assert_array_equal(np.asarray(column), photons.photons.time_ns)


def test_count(session, count):
    record = count(bp.count([session.tes, session.stxm.i0], num=3))
    whole(session, record, 3)
    assert min(data["i0"] for data in events(record)) > 0


PLANS = {
    "scan": lambda s: bp.scan([s.tes, s.stxm.i0], s.mono, 638.0, 642.0, 3),
    "rel_scan": lambda s: bp.rel_scan([s.tes], s.mono, -2.0, 2.0, 3),
    "list_scan": lambda s: bp.list_scan([s.tes], s.stxm.energy, [642.0, 638.0, 640.0]),
}


@pytest.mark.parametrize("what", PLANS)
def test_scans(session, count, what):
    record = count(PLANS[what](session))
    whole(session, record, 3)
    asked = [642.0, 638.0, 640.0] if what == "list_scan" else [638.0, 640.0, 642.0]
    assert [d["energy"] for d in events(record)] == pytest.approx(asked, abs=0.02)
    if what == "rel_scan":
        assert session.mono.position == pytest.approx(640.0, abs=0.02)
    session.RE(bps.mv(session.stxm.energy, 640.0))


def test_the_code_of_the_how_to_page_runs(session, count):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "step-scans.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    first, own = (block for block in blocks if "tes" in block)
    names = {**session.namespace(), "RE": session.RE}
    exec(first.replace("525, 550, 51", "638, 642, 3").replace("2.0", "1.0"), names)  # noqa: S102
    whole(session, count.record, 3)
    before = list(session.RE.preprocessors)
    try:
        exec(own, names)  # noqa: S102  it is on this RunEngine already: the photons come once
        count.record.clear()
        whole(session, count(bp.count([session.tes])), 1)
    finally:
        session.RE.preprocessors[:] = before


def test_behind_the_closed_shutter_nothing_is_counted(session, count):
    with pytest.raises(DeviceError, match=r"tes: stxm_shutter .* is closed.*tes\.dark to True"):
        count(bp.count([session.tes]), beam=False)
    assert count.record[-1][1]["exit_status"] == "fail" and not events(count.record)


def test_dark_counts_are_asked_for(session, count):
    session.RE(bps.mv(session.tes.dark, True))
    try:
        record = count(bp.count([session.tes]), beam=False)
    finally:
        session.RE(bps.mv(session.tes.dark, False))
    assert events(record)[0]["tes_counts"] < 10
    primary = next(d for n, d in record if n == "descriptor" and d["name"] == STREAM)
    assert primary["configuration"]["tes"]["data"]["tes_dark"] is True


def test_a_shutter_that_closes_within_a_point_fails_it(session, count):
    """As it fails a counter's: in a step scan nobody measures the point again."""
    once = threading.Event()

    def close(batch):
        if not once.is_set():
            once.set()
            session.stxm.shutter.command.put(0, wait=False)

    end = session.tes.subscribe_batches(close)
    session.tes.dwell.put(4.0)
    try:
        with pytest.raises(DeviceError, match="Shutter:Status.* moved as it counted"):
            count(bp.count([session.tes]))
    finally:
        end()
        session.tes.dwell.put(1.0)
    assert count.record[-1][1]["exit_status"] == "fail"


def test_a_pause_within_a_point_measures_it_again(session, count):
    RE, left = session.RE, [3]

    def pause(batch):
        left[0] -= 1
        if left[0] == 0:
            RE.request_pause()

    end = session.tes.subscribe_batches(pause)
    try:
        with pytest.raises(RunEngineInterrupted):
            count(bp.scan([session.tes], session.mono, 639.0, 641.0, 3))
    finally:
        end()
    closed(session.stxm.shutter)  # by the pause: nobody here asks for it
    RE.resume()
    whole(session, count.record, 3)


def test_the_plans_of_the_spectrometer_announce_their_photons_themselves(session, count):
    """Declared once, totals read once, though the session adds the photons to every plan."""
    record = count(
        rixs_map(session.tes, session.mono, energies=[640.0, 641.0], dwell=1.0, passes=1),
        beam=False,
    )
    names = [doc["name"] for name, doc in record if name == "descriptor"]
    assert sorted(names) == ["baseline", "heater_monitor", STREAM, PHOTON_STREAM, TOTALS_STREAM]
    whole(session, record, 2)


# -- and everything else in bluesky's own plans, into the catalog


AXES = {
    "energy": lambda s: (s.stxm.energy, 640.0),
    "mono": lambda s: (s.mono, 640.0),
    "stage": lambda s: (s.stxm.sample_stage.x, 0.0),
}


@pytest.mark.parametrize("what", AXES)
def test_counters_in_scans_along_everything_that_moves(session, count, what):
    stxm, (axis, here) = session.stxm, AXES[what](session)
    session.RE(bps.mv(axis, here, stxm.transmission.dwell, 0.02, stxm.i0.dwell, 0.02))
    key = "energy" if what in ("energy", "mono") else axis.name
    counters = [stxm.transmission, stxm.i0, stxm.ring]
    asked = [here, here + 0.5, here + 1.0]
    for plan in (
        bp.scan(counters, axis, here, here + 1.0, 3),
        bp.rel_scan(counters, axis, 0.0, 1.0, 3),
        bp.list_scan(counters, axis, asked),
    ):
        record = list(count(plan))
        count.record.clear()
        for name, doc in record:
            event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
        run = session.cat[record[0][1]["uid"]]
        assert PHOTON_STREAM not in set(run)  # the spectrometer has no part in it
        stored = run[STREAM].read()
        np.testing.assert_allclose(stored[key].values, asked, atol=0.1)
        assert stored["transmission"].values.min() > 10 and stored["i0"].values.min() > 10
        closed(stxm.shutter)
        session.RE(bps.mv(axis, here))
    session.RE(bps.mv(stxm.i0.dwell, 1.0))


@pytest.mark.parametrize("what", ["stxm", "energy", "mono"])
def test_everything_can_be_counted(session, count, what):
    device = {"stxm": session.stxm, "energy": session.stxm.energy, "mono": session.mono}[what]
    record = count(bp.count([device], num=2))
    stored = session.cat[record[0][1]["uid"]][STREAM].read()
    np.testing.assert_allclose(stored["energy"].values, 640.0, atol=0.02)
    assert len(events(record)) == 2 and set(events(record)[0]) >= {"energy"}
