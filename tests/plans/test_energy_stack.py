"""The plan when nothing goes wrong: its messages, its documents, what moves."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.documents import LineStatus
from redoxscope.scan import Scan, stack_scan
from redoxscope.testing import validate_run

from .conftest import ENERGIES, check_stack, pages


@pytest.mark.parametrize("stopped", [False, True], ids=["arrived", "stopped by a pause"])
def test_messages(stxm, stack, monkeypatch, stopped):
    """Exactly these, for 2 energies; with a scanner that says it needs 2 lines."""
    said = iter([False, True] * 2)
    monkeypatch.setattr(type(stxm.scanner), "flown", property(lambda self: next(said)))
    monkeypatch.setattr(type(stxm.energy), "at", lambda self, energy: not stopped)
    plan = stack(pixels=2, size=1.0)
    messages = [(msg.command, getattr(msg.obj, "name", None)) for msg in plan]
    collect, checkpoint = ("collect", "stxm_scanner"), ("checkpoint", None)
    go = [checkpoint, ("set", "energy"), ("wait", None)]
    line = [("trigger", "stxm_scanner"), ("wait", None)]
    image = [("kickoff", "stxm_scanner"), ("wait", None), *line, collect, checkpoint, *line]
    end = [collect, checkpoint, ("complete", "stxm_scanner"), checkpoint, ("wait", None)]
    assert messages == [
        ("set", "stxm_monochromator_edge"), ("wait", None),
        ("stage", "stxm"), ("subscribe", None), ("open_run", None), ("unsubscribe", None),
        ("null", "stxm"), ("subscribe", None), ("null", "run"), ("null", "pauses"),
        checkpoint, ("wait", None), ("prepare", "stxm_scanner"), ("wait", None), checkpoint,
        checkpoint, ("declare_stream", None), checkpoint, ("set", "stxm_shutter"), ("wait", None),
        *go, *image, ("set", "energy"), *end, *(go if stopped else []), *image, *end,
        ("unsubscribe", None),
        ("stop", "stxm_scanner"), ("set", "stxm_shutter"), ("wait", None),
        ("close_run", None), ("unstage", "stxm"),
        ("set", "stxm_monochromator_edge"), ("wait", None),
    ]  # fmt: skip


def test_documents(RE, stack, record, safe):
    """One run, every line once, by the contract."""
    RE(stack(md={"sample": {"name": "test"}}))
    data = check_stack(record)
    assert set(data["line_status"]) == {LineStatus.OK}
    start, stop = record[0][1], record[-1][1]
    assert start["plan_name"] == "stxm_energy_stack" and start["contract_version"] == 2
    assert start["shape"] == [2, 3, 4]
    region = {"center": (0, 0), "size": (2.0, 3.0), "pixels": (4, 3)}
    scan = stack_scan(energies=ENERGIES, regions=[region], dwell=0.05)
    assert Scan.from_start(start) == scan
    assert start["sample"] == {"name": "test"}
    assert start["extents"] == [[639.0, 640.0], [-1.0, 1.0], [-0.75, 0.75]]
    assert stop["exit_status"] == "success" and stop["reason"] == ""
    safe()


def test_time_stamps_rise_and_are_the_controllers(RE, stack, record):
    RE(stack())
    stamps = [t for name, doc in record if name == "event_page" for t in doc["timestamps"]["line"]]
    assert np.all(np.diff(stamps) > 0)
    assert record[0][1]["time"] < stamps[0] < stamps[-1] < record[-1][1]["time"]


def test_configuration_holds_what_the_analysis_needs(RE, stack, record):
    RE(stack())
    descriptor = next(doc for name, doc in record if name == "descriptor")
    data = descriptor["configuration"]["stxm_scanner"]["data"]
    for key in ("transmission_dead_time", "transmission_saturation", "i0_dead_time"):
        assert isinstance(data[key], float)
    assert data["stxm_scanner_source_nx"] == 4


def test_edge_gives_energies_references_and_offset(stxm, RE, stack, record):
    stxm.monochromator.edge_offsets["Mn L3"] = 0.25
    try:
        RE(stack(edge="Mn L3", energies=[639.0, 641.0, 643.0, 645.0], pixels=2))
    finally:
        stxm.monochromator.edge_offsets.clear()
    assert record[0][1]["references"]["names"] == ["Mn4+", "Mn3+"]
    assert stxm.monochromator.setpoint.get() == pytest.approx(645.0 - 0.25)
    assert pages(record)["energy"][-1] == pytest.approx(645.0)
    assert stxm.monochromator.edge.get() == ""
    assert stxm.energy.position == pytest.approx(644.75)  # without the edge's offset again
    focus = -(stxm.zone_plate.a1.get() * 645 - 400)
    assert stxm.zone_plate.z.position == pytest.approx(focus, abs=0.5)


def test_falling_energies(RE, stack, record):
    RE(stack(energies=ENERGIES[::-1]))
    check_stack(record, energies=ENERGIES[::-1])


def test_a_region_beyond_the_fine_stage_moves_the_coarse_one(stxm, RE, stack, record, safe):
    try:
        RE(stack(center=(40.0, -25.0), pixels=2, size=1.0))
        assert stxm.sample_stage.x.position == pytest.approx(40, abs=1)
        assert stxm.sample_stage.y.position == pytest.approx(-25, abs=1)
        data = next(doc for name, doc in record if name == "event_page")["data"]
        np.testing.assert_allclose(np.mean(data["sample_x"][0]), 40, atol=0.2)
        safe()
    finally:
        for motor in (stxm.sample_stage.x, stxm.sample_stage.y):
            motor.set(0.0).wait(timeout=30)


def test_image_after_image_without_a_move(stxm, RE, record):
    """The controller flies back after the last line: the next image waits until it is idle."""
    from bluesky import plan_stubs as bps
    from bluesky import preprocessors as bpp

    from redoxscope.scan import Raster

    @bpp.run_decorator()
    def images():
        yield from bps.prepare(stxm.scanner, Raster(0, 1, 2, 0, 1, 2, 0.001), wait=True)
        yield from bps.declare_stream(stxm.scanner, name="primary", collect=True)
        for _ in range(5):
            yield from bps.kickoff(stxm.scanner, wait=True)
            while not stxm.scanner.finished:
                yield from bps.trigger(stxm.scanner, wait=True)
                yield from bps.collect(stxm.scanner, name="primary")
            yield from bps.complete(stxm.scanner, wait=True)

    RE(images())
    assert sum(len(d["seq_num"]) for n, d in record if n == "event_page") == 10
    stxm.shutter.set("closed").wait(timeout=30)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (
            lambda start, page, keys: page["data"]["line"].__setitem__(0, 5),
            "frame 0, line 5 where",
        ),
        (lambda start, page, keys: page["data"]["transmission"].__setitem__(0, [1.0]), "list of 4"),
        (
            lambda start, page, keys: page["data"]["transmission"][0].__setitem__(1, float("nan")),
            "NaN",
        ),
        (lambda start, page, keys: page["data"]["line_status"].__setitem__(0, 2), "not all NaN"),
        (lambda start, page, keys: keys["energy"].pop("units"), "units None"),
        (lambda start, page, keys: page["seq_num"].__setitem__(0, 3), "gap"),
        (lambda start, page, keys: start.pop("edge"), "'edge'"),
        (lambda start, page, keys: start.pop("scan"), "carries no scan"),
        (lambda start, page, keys: page["data"]["frame"].__setitem__(0, 1), "frame 1, line 0 wh"),
        (lambda start, page, keys: page["timestamps"]["i0"].__setitem__(0, 7.0), "time stamps"),
    ],
)
def test_the_validator_finds_what_is_wrong(RE, stack, record, break_it, says):
    RE(stack(energies=[640.0]))
    validate_run(record)
    start = record[0][1]
    keys = next(doc for name, doc in record if name == "descriptor")["data_keys"]
    page = next(doc for name, doc in record if name == "event_page")
    break_it(start, page, keys)
    with pytest.raises(ValueError, match=says):
        validate_run(record)
