"""Every device can be made where there is no beamline, and making or connecting moves nothing."""

from __future__ import annotations

import inspect
import time

import pytest
from ophyd import Device

import redoxscope.devices
from redoxscope.beamline import connect, simulated_beamline, walk_pvs
from redoxscope.devices import (
    STXM,
    FocusedEnergy,
    Monochromator,
    PtychoStation,
    XASStation,
    ZonePlate,
)
from redoxscope.testing import made_stxm, simulated_stxm

CLASSES = [
    cls
    for name in redoxscope.devices.__all__
    if inspect.isclass(cls := getattr(redoxscope.devices, name)) and issubclass(cls, Device)
]


def test_the_walk_finds_them():
    assert len(CLASSES) >= 10


@pytest.mark.parametrize("cls", CLASSES)
def test_made_while_disconnected(simulation, cls):
    began = time.monotonic()
    if cls is STXM:
        with pytest.raises(TypeError, match="missing 7 required"):
            cls(name="device")
        return
    if cls is PtychoStation:
        with pytest.raises(TypeError, match="missing 6 required"):
            cls(name="device")
        return
    if cls is XASStation:
        with pytest.raises(TypeError, match="missing 2 required"):
            cls(name="device")
        return
    if cls is FocusedEnergy:
        parts = {
            "monochromator": Monochromator("Nowhere:", name="mono"),
            "zone_plate": ZonePlate("Nowhere:", name="zp"),
        }
        device = cls(name="device", **parts)
    else:
        device = cls("Nowhere:", name="device")
    assert time.monotonic() - began < 20  # nothing was waited for
    assert device.name == "device"
    assert repr(device)
    for component in getattr(device, "component_names", ()):
        assert getattr(cls, component).doc or issubclass(cls, redoxscope.devices.Motor)
    device.destroy()


def test_connecting_moves_nothing(simulation, stxm):
    """Every value of every PV is the same before and after; none was written."""

    def everything():
        return {
            pv: (signal.item.get(use_monitor=False), signal.item.timestamp)
            for signal in stxm.walk_signals(include_lazy=True)
            if (pv := getattr(signal.item, "pvname", None)) and "Ring:" not in pv
        }

    before = everything()
    assert len(before) > 100
    other = simulated_stxm(simulation.prefix)
    connect(other)
    for signal in other.walk_signals(include_lazy=True):
        signal.item.get()
    other.read(), other.describe(), other.read_configuration(), other.describe_configuration()
    other.destroy()
    after = everything()
    assert {pv for pv in before if str(before[pv]) != str(after[pv])} == set()


def test_parts_hang_up_in_their_own_way(simulation, monkeypatch):
    """A class of somebody's own may have more than PVs; one that fails keeps none from it."""
    asked = []

    def fails(part):
        asked.append(part.name)
        raise RuntimeError("no")

    stxm = simulated_stxm(simulation.prefix)
    monkeypatch.setattr(Monochromator, "destroy", fails)
    with pytest.raises(RuntimeError, match="no"):
        stxm.destroy()
    assert asked == [stxm.monochromator.name]
    assert stxm.ring.current._destroyed and stxm.shutter.mode._destroyed


def test_what_does_not_answer_is_named(simulation):
    config = simulated_beamline(simulation.prefix)
    stxm = made_stxm(config.changed("ring", pvs={"Current": "NO:SUCH:PV"}))
    for found in stxm.walk_signals():  # however busy the machine: what is there has answered
        if getattr(found.item, "pvname", "NO:SUCH:PV") != "NO:SUCH:PV":
            found.item.wait_for_connection(timeout=60)
    with pytest.raises(ConnectionError) as caught:
        connect(stxm, timeout=2)
    assert "1 PVs" in str(caught.value)
    assert "NO:SUCH:PV  (stxm.ring.current)" in str(caught.value)
    assert [pv for _, pv, connected in walk_pvs(stxm) if not connected] == ["NO:SUCH:PV"]
    stxm.destroy()
