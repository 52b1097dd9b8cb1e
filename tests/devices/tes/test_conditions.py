"""What others change while a point is measured: found by watching, with fakes that tell at once."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ophyd.signal import EpicsSignalBase

from redoxscope.devices import DeviceError, LineCounter, Monochromator, RingCurrent, SampleHolder
from redoxscope.devices._base import NoAnswerError
from redoxscope.devices._beam_memory import BeamMemory
from redoxscope.devices._positioner import FreshSignalRO
from redoxscope.devices._watch import Held, Watch
from redoxscope.devices.tes._conditions import TESConditions
from redoxscope.documents import PointStatus


class PV:
    """A signal whose monitor comes at once, or never."""

    SUB_META = "meta"

    def __init__(self, name, value):
        self.name, self.pvname, self.value = name, f"BL:{name}", value
        self.subs = {}
        self.silent = self.dead = False

    def get(self, **_):
        if self.dead:
            raise TimeoutError("no answer within 2 s")
        return self.value

    def subscribe(self, function, event_type=None, run=True):
        self.subs[function] = event_type
        if run:
            function(value=self.value)

    def clear_sub(self, function, event_type=None):
        self.subs.pop(function, None)

    def put(self, value):
        self.value = value
        if not self.silent:
            self.tell(value)

    def tell(self, value):
        for function in [f for f, kind in self.subs.items() if kind is None]:
            function(value=value)

    def link(self, connected):
        for function in [f for f, kind in self.subs.items() if kind == "meta"]:
            function(connected=connected)


ENERGY, DWELL = 641.0, 1.2


def beamline():
    own = PV("user_offset", 0.25)
    mono = SimpleNamespace(
        name="mono",
        edge=PV("edge", "Mn L3"),
        user_offset=own,
        offset=SimpleNamespace(get=lambda: own.value),
        readback=PV("readback", 640.76),
        setpoint=PV("setpoint", 640.75),
        epu_readback=PV("epu_readback", 640.9),
        epu_setpoint=PV("epu_setpoint", 640.75),
        tolerance=0.02,
        epu_tolerance=0.5,
    )
    mono.axes = (
        ("energy", mono.setpoint, mono.readback, mono.tolerance),
        ("epu", mono.epu_setpoint, mono.epu_readback, mono.epu_tolerance),
    )
    disowned = []
    result = SimpleNamespace(point=7)
    acquisition = SimpleNamespace(result=result, disown=disowned.append)
    i0 = SimpleNamespace(name="i0", dwell=PV("i0_dwell", DWELL), counts=PV("i0", 24_000.0))
    tes = SimpleNamespace(
        name="tes",
        source="dastard://here",
        shutter=SimpleNamespace(
            name="shutter", status=PV("status", 1), mode=PV("mode", 2), command=PV("cmd", 1)
        ),
        holder=SimpleNamespace(
            name="holder", readback=PV("holder", "gold"), target=PV("target", "gold")
        ),
        ring=SimpleNamespace(name="ring", current=PV("current", 300.0)),
        i0=i0,
        counters=(i0,),
        run=SimpleNamespace(acquisition=acquisition),
        disowned=disowned,
    )
    return mono, tes


def judged(mono, tes, during=lambda: None, conditions=None):
    conditions = TESConditions(tes) if conditions is None else conditions
    asked = {"mono": mono, "energy": ENERGY, "sample": "gold", "dwell": DWELL, "point": 3}
    conditions.set(asked).wait(60)
    during()
    conditions.trigger().wait(60)
    return conditions


def test_nothing_happens():
    mono, tes = beamline()
    conditions = judged(mono, tes)
    verdict = conditions.verdict
    assert (verdict.status, verdict.reasons, verdict.taken) == (PointStatus.OK, (), "")
    assert tes.disowned == []
    tes.shutter.status.put(0)  # after the point nobody minds
    assert conditions.verdict.status == PointStatus.OK


CHANGES = {
    "mono": ("mono.readback", 644.0, PointStatus.ENERGY, "is 644 eV where 640.75 eV was asked for"),
    "mono-asked": ("mono.setpoint", 644.0, PointStatus.ENERGY, "644 eV"),
    "mono-nan": ("mono.readback", float("nan"), PointStatus.ENERGY, "nan eV"),
    "epu": ("mono.epu_readback", 645.0, PointStatus.ENERGY, "645 eV"),
    "epu-asked": ("mono.epu_setpoint", 645.0, PointStatus.ENERGY, "645 eV"),
    "offset": ("mono.user_offset", 0.0, PointStatus.ENERGY, "0 eV where 0.25 eV was asked for"),
    "edge": ("mono.edge", "Co L3", PointStatus.ENERGY, "Co L3 where Mn L3 was asked for"),
    "sample": (
        "tes.holder.readback",
        "copper",
        PointStatus.SAMPLE,
        "is copper where gold was asked for",
    ),
    "sample-asked": ("tes.holder.target", "copper", PointStatus.SAMPLE, "is copper"),
    "closed": ("tes.shutter.status", 0, PointStatus.SHUTTER, "is 0 where 1 was asked for .open"),
    "dwell": ("tes.i0.dwell", 0.3, PointStatus.COUNTER, "is 0.3 s where 1.2 s was asked for"),
    "dump": ("tes.ring.current", 0.0, PointStatus.BEAM, "fell from 300 to 0 mA"),
}


def pv_of(mono, tes, path):
    target = SimpleNamespace(mono=mono, tes=tes)
    for part in path.split("."):
        target = getattr(target, part)
    return target


@pytest.mark.parametrize("back", [True, False], ids=["away-and-back", "away"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_another_client_changes_is_found(what, back):
    path, value, flag, words = CHANGES[what]
    mono, tes = beamline()
    pv = pv_of(mono, tes, path)
    before = pv.value

    def change():
        pv.put(value)
        if back:
            pv.put(before)

    conditions = judged(mono, tes, change)
    assert conditions.verdict.status == flag
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(*conditions.verdict.reasons)
    assert pv.name in conditions.verdict.reasons[0]
    assert conditions.read()["tes_point_status"]["value"] == int(flag)
    assert conditions.read()["point"]["value"] == 3
    assert set(conditions.describe()) == set(conditions.read())
    assert tes.disowned == [7]  # nor does a calibration take it


@pytest.mark.parametrize("what", CHANGES)
def test_what_had_changed_before_is_found(what):
    path, value, flag, _ = CHANGES[what]
    mono, tes = beamline()
    pv = pv_of(mono, tes, path)
    if what == "offset":  # then the target is another
        mono.user_offset.value = value
    elif what == "edge":  # the plan set it
        mono.edge.value, flag = value, PointStatus.OK
    elif what == "dump":
        conditions = judged(mono, tes)
        pv.put(value)
        assert "no stored beam" in judged(mono, tes, conditions=conditions).verdict.reasons[0]
        return
    else:
        pv.value = value
    assert judged(mono, tes).verdict.status == flag


@pytest.mark.parametrize("which, value", [("mode", 0), ("mode", 1), ("command", 0)])
def test_who_takes_the_shutter_is_told(which, value):
    mono, tes = beamline()
    verdict = judged(mono, tes, lambda: getattr(tes.shutter, which).put(value)).verdict
    assert verdict.status == PointStatus.SHUTTER
    assert getattr(tes.shutter, which).pvname in verdict.taken


def test_a_dead_man_has_taken_nothing():
    mono, tes = beamline()
    verdict = judged(mono, tes, lambda: tes.shutter.status.put(0)).verdict
    assert verdict.status == PointStatus.SHUTTER and verdict.taken == ""


def test_a_command_that_goes_back_by_itself_says_nothing():
    mono, tes = beamline()
    tes.shutter.command.value = 0
    assert not judged(mono, tes).verdict.status


@pytest.mark.parametrize("back", [False, True])
def test_a_connection_that_broke_is_an_outage(back):
    """What happened meanwhile is hidden, and nobody has meddled: the point is measured again."""
    mono, tes = beamline()

    def cut():
        mono.readback.link(connected=False)
        if back:
            mono.readback.link(connected=True)

    with pytest.raises(NoAnswerError, match="PV BL:readback disconnected"):
        judged(mono, tes, cut)
    assert tes.disowned == [7]


@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize(
    "path", ["mono.readback", "tes.i0.counts", "tes.holder.target", "tes.shutter.mode"]
)
def test_what_does_not_answer_is_an_outage(path, when):
    """A shutter that cannot be asked was taken by nobody."""
    mono, tes = beamline()
    pv = pv_of(mono, tes, path)
    pv.dead = when == "before" and path != "tes.i0.counts"

    def hang():
        pv.dead = True

    with pytest.raises(NoAnswerError, match="no answer"):
        judged(mono, tes, hang)


def test_after_an_outage_the_next_point_is_judged_anew():
    mono, tes = beamline()
    conditions = TESConditions(tes)
    with pytest.raises(NoAnswerError):
        judged(mono, tes, lambda: mono.readback.link(connected=False), conditions)
    assert not judged(mono, tes, conditions=conditions).verdict.status


def test_an_outage_is_waited_for_and_nothing_else():
    _, tes = beamline()
    tes.outage = PV("outage", 5.0)
    conditions = TESConditions(tes)
    for signal in (tes.shutter.status, tes.shutter.mode, tes.ring.current, tes.i0.counts):
        signal.connected = True
    tes.holder.readback.connected = True
    assert conditions.back_after(DeviceError("stuck")) is None
    conditions.back_after(NoAnswerError("silent")).wait(60)
    tes.shutter.mode.connected = False
    conditions.back_after(DeviceError("disconnected")).wait(60)
    tes.outage.value, tes.ring.current.dead = 0.05, True
    with pytest.raises(DeviceError, match="BL:current, which did not come back"):
        conditions.back_after(NoAnswerError("silent")).wait(60)


def test_all_values_are_asked_at_once():
    """One round trip for a point, not a dozen; and one time limit in an outage."""
    together, held = threading.Barrier(4), []
    for name in "abcd":
        pv = PV(name, 1.0)

        def get(pv=pv, **_):
            together.wait(60)  # nobody is answered until all are asked
            return pv.value

        pv.get = get
        held.append(Held(name, pv, 1.0, 0.1))
    watch = Watch()
    assert not watch.ask(watch.hold(held), anew=True)
    assert watch.silent == []


def test_a_change_that_no_monitor_brought_is_found_at_the_end():
    mono, tes = beamline()
    mono.readback.silent = True
    assert judged(mono, tes, lambda: mono.readback.put(700.0)).verdict.status == PointStatus.ENERGY


def test_what_a_monitor_brings_from_before_does_not_count():
    """The server says already that the energy is there; its monitor is still on its way."""
    pv = PV("readback", 641.0)
    first = [639.0]

    def subscribe(function, event_type=None, run=True):
        PV.subscribe(pv, function, event_type, run=False)
        if run:
            function(value=first[0])

    def get(**_):  # while it is asked, the monitors come
        for value in (640.0, 641.0):
            pv.tell(value)
        return 641.0

    pv.subscribe, pv.get = subscribe, get
    watch = Watch()
    held = [Held("mono", pv, 641.0, 0.1, "eV")]
    expected = watch.hold(held)
    assert not watch.ask(expected, anew=True)
    pv.get = lambda **_: 641.0
    assert not watch.ask(expected)
    again = watch.hold(held)
    watch.ask(again, anew=True)
    pv.tell(650.0)
    pv.tell(641.0)
    assert watch.ask(again) == {
        pv: "mono (BL:readback) is 650 eV where 641 eV was asked for (tolerance 0.1 eV)"
    }
    assert not watch.ask(expected)  # of a point that is over


def test_a_monitor_that_is_late_is_waited_for(monkeypatch):
    monkeypatch.setattr("redoxscope.devices._watch.CATCH_UP", 60.0)
    pv = PV("readback", 641.0)
    later = threading.Timer(0.1, lambda: pv.tell(641.0))
    watch = Watch()
    expected = watch.hold([Held("mono", pv, 641.0, 0.1, "eV")])
    pv.tell(639.0)
    later.start()
    assert not watch.ask(expected, anew=True)
    later.join()
    assert not watch.ask(expected)


def test_without_shutter_holder_ring_and_counters():
    mono, tes = beamline()
    tes.shutter = tes.holder = tes.ring = tes.i0 = None
    tes.counters = ()
    assert not judged(mono, tes).verdict.status


def test_a_point_under_way_has_no_verdict():
    mono, tes = beamline()
    conditions = judged(mono, tes)
    asked = {"mono": mono, "energy": ENERGY, "sample": None, "dwell": DWELL, "point": 0}
    conditions.set(asked).wait(60)
    assert conditions.verdict is None
    with pytest.raises(RuntimeError, match="no point was judged"):
        conditions.read()
    conditions.release()


def test_what_belongs_to_a_point_is_asked_of_the_server_not_of_the_last_monitor():
    """A put is complete before the monitors come: they would be those of the point before."""
    devices = (
        Monochromator("BL:Mono:", name="mono"),
        LineCounter("BL:I0:", name="i0"),
        RingCurrent("BL:Ring:", name="ring"),
        SampleHolder("BL:Holder:", name="holder"),
    )
    for device in devices:
        for attribute in device.read_attrs:
            signal = getattr(device, attribute)
            if isinstance(signal, EpicsSignalBase):
                assert type(signal).read is FreshSignalRO.read, signal.name
        device.destroy()


# -- the beam -------------------------------------------------------------------------------


def test_a_fall_of_the_monitor_is_found_and_believed_only_where_it_stays():
    beam = BeamMemory()
    assert beam.monitor(640.0, 24_000.0, 1.2) == ""
    assert beam.monitor(641.0, 20_000.0, 1.2) == ""  # another energy, another intensity
    assert "says 9000, 20000 was expected" in beam.monitor(642.0, 9_000.0, 1.2)
    assert "says 2000" in beam.monitor(642.0, 2_000.0, 1.2)  # it goes on falling
    assert beam.monitor(642.0, 19_000.0, 1.2) == ""
    assert "says 15000, 20000" in beam.monitor(641.0, 15_000.0, 1.2)  # in the next pass
    assert beam.monitor(641.0, 15_100.0, 1.2) == ""  # it is so: the optics
    assert beam.monitor(641.0, 15_000.0, 1.2) == ""


@pytest.mark.parametrize("counts", [0.0, -1.0, float("nan"), float("inf")])
def test_a_monitor_that_counts_nothing_is_no_beam_however_often(counts):
    beam = BeamMemory()
    assert all(beam.monitor(640.0, counts, 1.2) for _ in range(5))


def test_darkness_is_never_believed():
    beam = BeamMemory()
    beam.monitor(640.0, 24_000.0, 1.2)
    assert all(beam.monitor(640.0, 30.0, 1.2) for _ in range(5))


def test_noise_of_a_weak_monitor_is_no_fall():
    beam = BeamMemory()
    counts = np.random.default_rng(1).poisson(20.0, 300) + 1
    assert not any(beam.monitor(640.0, float(n), 1.0) for n in counts)


def test_a_monitor_that_falls_with_the_stored_current_is_no_fall():
    beam = BeamMemory()
    for ring in np.linspace(500.0, 150.0, 8):  # passes of two hours each, at two energies
        for energy, per_mA in ((640.0, 40.0), (641.0, 60.0)):
            assert beam.current([ring, ring]) == ""
            assert beam.monitor(energy, per_mA * ring, 1.2) == ""
    assert beam.current([150.0, 150.0]) == ""  # it is as it was, the monitor is not
    assert "says 4000, 6000 was expected" in beam.monitor(640.0, 4000.0, 1.2)
    assert beam.monitor(641.0, 5000.0, 1.2)  # nor is a current of another point that of this one


def test_a_beam_that_decays_is_there():
    beam = BeamMemory()
    for current in np.linspace(300.0, 100.0, 50):
        assert beam.current([current, current - 0.1]) == ""
    assert "no stored beam" in beam.current([10.0, 10.0])
    assert "nan" in beam.current([float("nan")])
    assert BeamMemory().current([]) and BeamMemory().current([0.0])


def test_a_monitor_that_is_a_current_has_a_sigma_of_its_own():
    beam = BeamMemory()
    assert beam.monitor(640.0, 1e-9, 1.0, 1e-12) == ""
    assert beam.monitor(640.1, 0.9e-9, 1.0, 1e-12) == ""  # another energy: it may
    assert "says 7e-10, 1e-09 was expected" in beam.monitor(640.0, 7e-10, 1.0, 1e-12)
    noisy = BeamMemory()
    noisy.monitor(640.0, 1e-9, 1.0, 2e-10)
    assert noisy.monitor(640.0, 7e-10, 1.0, 2e-10) == ""  # within its noise
    assert "says nan" in noisy.monitor(640.0, float("nan"), 1.0, 1e-12)


def test_some_may_be_asked_only_at_the_end():
    """What is not asked rests on its monitor, which is heard; the rest is asked."""
    one, other = PV("one", 1.0), PV("other", 1.0)
    watch = Watch()
    held = [Held("a", one, 1.0), Held("b", other, 1.0)]
    expected = watch.hold(held)
    one.silent = other.silent = True
    one.put(2.0), other.put(2.0)
    seen = watch.ask(expected, anew=True, only=lambda held: held.signal is one)
    assert list(seen) == [one]
    other.silent = False
    other.tell(3.0)
    assert other in watch.ask(expected)
