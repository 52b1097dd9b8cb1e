"""Somebody else moves something while an image is flown: found, put right or said, never silent."""

from __future__ import annotations

import numpy as np
import pytest
from ophyd import EpicsSignal

from redoxscope.devices import DeviceError
from redoxscope.documents import LineStatus

from .conftest import check_documents, pages

ENERGIES = [640.0, 641.0]
LINES = 15
"""Of 4 pixels x 0.6 s / 50: an image takes most of a second, so that the other one is in time."""


@pytest.fixture
def elsewhere(simulation):
    """Write a PV as another client does: ``elsewhere("Mono:Energy", 700)``."""
    signals = {}

    def put(suffix, value):
        if suffix not in signals:
            signals[suffix] = EpicsSignal(simulation.prefix + suffix, name=suffix)
            signals[suffix].wait_for_connection(timeout=60)
        signals[suffix].put(value, wait=False)

    yield put
    for signal in signals.values():
        signal.destroy()


@pytest.fixture
def image(RE, stack):
    """Run a stack; ``meddle()`` when the first line of the first image has come."""

    def run(meddle, **options):
        def hook(name, doc):
            if name == "event_page" and not run.meddled:
                run.meddled = True
                meddle()

        run.meddled = False
        RE.subscribe(hook)
        options = {
            "energies": ENERGIES,
            "pixels": (4, LINES),
            "dwell": 0.6,
            "retries": 20,
        } | options
        return RE(stack(**options))

    return run


def taken_where_asked(record, size=(2.0, 3.0), nx=4):
    """Every line that counts as taken has its energy, its place and its light."""
    check_documents(record)
    data = pages(record)
    rows = (np.arange(LINES) - (LINES - 1) / 2) * size[1] / LINES
    for i in range(len(data["seq_num"])):
        if data["line_status"][i] not in (LineStatus.OK, LineStatus.RETRIED):
            continue
        k, line = data["frame"][i], data["line"][i]
        assert data["energy"][i] == pytest.approx(ENERGIES[k], abs=0.02)
        np.testing.assert_allclose(data["sample_y"][i], rows[line], atol=0.1)
        assert min(data["transmission"][i]) > 1e4 and min(data["i0"][i]) > 1e4
    return data


@pytest.mark.parametrize(
    ("suffix", "value", "unit"),
    [("Mono:Energy", 642.0, "eV"), ("Mono:EPU", 645.0, "eV"), ("ZP:Z", -4900.0, "um")],
)
def test_energy_and_focus_are_asked_for_again(
    image, elsewhere, record, safe, caplog, suffix, value, unit, stxm
):
    image(lambda: elsewhere(suffix, value))
    data = taken_where_asked(record)
    assert len(data["seq_num"]) == 2 * LINES
    assert LineStatus.RETRIED in data["line_status"]
    assert suffix in caplog.text and f"{unit} where" in caplog.text
    assert "asked for again" in caplog.text
    assert stxm.zone_plate.z.position == pytest.approx(stxm.energy.focus(641.0), abs=0.5)
    safe()


@pytest.mark.parametrize(
    ("suffix", "value"),
    [("XStart", -5.0), ("XStop", 0.25), ("YStart", 0.1), ("NX", 3), ("NY", 77), ("Dwell", 0.02)],
)
def test_the_raster_is_written_again(image, elsewhere, record, safe, caplog, suffix, value):
    image(lambda: elsewhere("Scan:" + suffix, value))
    data = taken_where_asked(record)
    assert len(data["seq_num"]) == 2 * LINES
    assert LineStatus.RETRIED in data["line_status"]
    assert "Scan:" + suffix in caplog.text
    safe()


@pytest.mark.parametrize(
    ("suffix", "value", "home"),
    [("Sample:X", 3.0, 0), ("Sample:Y", -0.4, 0), ("Sample:Z", 20.0, 0), ("OSA:Y", 30.0, 0)],
)
def test_what_the_scan_must_not_move_back_ends_it(
    stxm, image, elsewhere, record, safe, suffix, value, home
):
    device, axis = suffix.split(":")
    motor = getattr(stxm.sample_stage if device == "Sample" else stxm.osa, axis.lower())
    try:
        with pytest.raises(DeviceError, match=f"{suffix}.* um where 0 um was asked for"):
            image(lambda: elsewhere(suffix, value))
        taken_where_asked(record)
        assert record[-1][1]["exit_status"] == "fail"
        safe()
    finally:
        elsewhere(suffix + ".STOP", 1)
        motor.set(home).wait(timeout=30)


def test_there_and_back_within_a_line(image, elsewhere, record, stxm, caplog):
    """At the end of the line all is as it should be; the line is not."""
    image(
        lambda: (elsewhere("ZP:Z", -5165.0), elsewhere("ZP:Z", stxm.energy.focus(640.0))),
    )
    data = taken_where_asked(record)
    assert LineStatus.RETRIED in data["line_status"]
    assert "was disturbed: stxm_zone_plate_z" in caplog.text


def test_without_retries_the_lines_are_flagged(image, elsewhere, record, caplog):
    image(lambda: elsewhere("Mono:Energy", 643.0), retries=0)
    data = taken_where_asked(record)
    assert len(data["seq_num"]) == 2 * LINES
    disturbed = [i for i, s in enumerate(data["line_status"]) if s == LineStatus.DISTURBED]
    assert disturbed and np.isfinite(data["transmission"][disturbed[0]]).all()
    assert "stored as DISTURBED" in caplog.text


@pytest.mark.parametrize(("suffix", "value"), [("Shutter:Mode", 0), ("Shutter:Mode", 2)])
def test_the_shutter_taken_away_ends_it(image, elsewhere, record, safe, suffix, value):
    with pytest.raises(DeviceError, match="was taken out of following the scanner"):
        image(lambda: elsewhere(suffix, value))
    taken_where_asked(record)
    safe()


def test_moved_between_images(RE, stack, elsewhere, record, safe, stxm):
    """After the energy was reached, before the image begins."""

    def hook(msg):
        if msg.command == "kickoff":
            hook.images += 1
            if hook.images == 2:
                stxm.zone_plate.z.user_setpoint.put(-5200.0, wait=True)

    hook.images = 0
    RE.msg_hook = hook
    RE(stack(energies=ENERGIES, pixels=(4, LINES), dwell=0.6))
    taken_where_asked(record)
    assert stxm.zone_plate.z.position == pytest.approx(stxm.energy.focus(641.0), abs=0.5)
    safe()
