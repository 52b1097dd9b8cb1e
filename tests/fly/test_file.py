"""A beamline file may name other contracts; what does not go together is refused."""

from __future__ import annotations

import logging

import pytest

from redoxscope.beamline import ConfigError, parse_beamline
from redoxscope.devices import (
    DeviceError,
    FlyCounter,
    FlyLines,
    FlyShutter,
    MotorMonochromator,
    NoShutter,
)
from redoxscope.scan import Outer, steps_scan
from redoxscope.testing import made_stxm

from .conftest import beamline_file

NO_SHUTTER = {
    "    shutter: shutter ": "    # no shutter: ",
    '  shutter: {class: fly_shutter, prefix: "P:STXMSIM:SHUTTER1:"}\n': "",
}


@pytest.fixture
def made():
    devices = []

    def make(**changes):
        devices.append(made_stxm(beamline_file("P:", **changes)))
        return devices[-1]

    yield make
    for device in devices:
        device.destroy()


def test_each_part_is_of_its_contract(made):
    stxm = made()
    source = stxm.scanner.source
    assert isinstance(source, FlyLines) and source.go.pvname == "P:STXMSIM:E712:FLY:GO"
    assert isinstance(stxm.monochromator, MotorMonochromator)
    assert stxm.monochromator.setpoint.pvname == "P:STXMSIM:XPS:energy.VAL"
    assert isinstance(stxm.i0, FlyCounter) and isinstance(stxm.shutter, FlyShutter)
    assert stxm.transmission.line.pvname == "P:STXMSIM:E712:FLY:DATA:default"
    assert stxm.i0.line.pvname == "P:STXMSIM:E712:FLY:DATA:i0"
    assert stxm.transmission.field == "transmission"


def test_options_arrive(made):
    stxm = made(
        **{
            "run_up: 0 ": "run_up: 2.5 ",
            "overhead: 0.05": "overhead: 0.2",
            "dead_time: 0 ": "dead_time: 2.0e-8 ",
            "settle: 0.2 ": "settle: 0.5 ",
        }
    )
    limits = stxm.scanner.source.limits()
    assert limits.run_up == 2.5 and limits.max_points == 16384
    time = stxm.scanner.frame_time(100, 50, 0.001)
    assert time.live == pytest.approx(5.0) and time.flight == pytest.approx(50 * 0.2)
    dead_time = stxm.transmission.dead_time.read()
    assert dead_time["transmission_dead_time"]["value"] == 2e-8
    assert stxm.transmission.saturation.name == "transmission_saturation"
    assert stxm.monochromator.settle.get() == 0.5


def test_without_a_shutter_it_is_said_what_that_means(made, caplog):
    stxm = made(**NO_SHUTTER)
    assert isinstance(stxm.shutter, NoShutter)
    with caplog.at_level(logging.WARNING):
        stxm.shutter.stage()
    assert "the sample has beam all the time" in caplog.text
    assert stxm.shutter.set("follow").done and stxm.shutter.set("closed").done
    stxm.shutter.stop()
    assert stxm.shutter.is_open
    with pytest.raises(RuntimeError, match="no shutter to hold open"):
        stxm.shutter.set("hold")


@pytest.mark.parametrize("shutter", [True, False], ids=["gate", "none"])
def test_points_are_refused_where_nothing_would_close_what_is_held_open(made, shutter):
    stxm = made(**{} if shutter else NO_SHUTTER)
    axes = [(Outer(f"osa_{axis}", "um"), [0.0, 1.0]) for axis in "yx"]
    checks = stxm.checks(steps_scan(energy=640, dwell=0.01, slow=axes[0], fast=axes[1]))
    next(checks)  # that nobody else measures
    check = next(checks)
    if not shutter:
        check()  # there is beam without it
        return
    with pytest.raises(DeviceError, match="no dead man, so it is not held open"):
        check()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('{class: fly_counter, prefix: "P:STXMSIM:I0:", key: i0,',
         '{class: counter, prefix: "P:STXMSIM:I0:",',
         "instruments.stxm.i0 = 'i0' (counter) is of the contract 'stamped' and must be of 'fly'"),
        ("class: fly_shutter", "class: shutter",
         "instruments.stxm.shutter = 'shutter' (shutter) is of the contract 'stamped' and must"),
        ("class: motor_monochromator", "class: motor_mono",
         "devices.mono.class = 'motor_mono' is neither a class of redoxscope nor the path of an "
         "installed one, as ophyd.EpicsMotor; did you mean"),
        ("axis: x  ", "axes: x  ", "unknown key 'devices.scanner.axes'; did you mean 'axis'?"),
        ("run_up: 0 ", "run_up: -1 ", "devices.scanner.run_up = -1"),
        ("dead_time: 0 ", "dead_time: no ", "devices.transmission.dead_time = False"),
        ("settle: 0.2 ", "settle: -1 ", "devices.mono.settle = -1"),
        ("class: fly_scanner", "class: scanner", "unknown key 'devices.scanner.overhead'"),
    ],
)  # fmt: skip
def test_refused(old, new, says):
    with pytest.raises(ConfigError) as caught:
        beamline_file("P:", **{old: new})
    assert says in str(caught.value), str(caught.value)


def test_counts_of_no_group_are_refused():
    """The counts of a line are a PV of the FLY group."""
    with pytest.raises(ConfigError) as caught:
        parse_beamline(
            'name: a\ndevices:\n  diode: {class: fly_counter, prefix: "D:"}\n', "here.yml"
        )
    assert "here.yml:3: key 'devices.diode.pvs.DATA' is missing" in str(caught.value)
