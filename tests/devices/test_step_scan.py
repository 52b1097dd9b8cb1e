"""Step scans: each reading belongs to its point, and is taken with beam, or said to be dark."""

from __future__ import annotations

import math
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from redoxscope.beamline import connect, simulated_beamline
from redoxscope.devices import DeviceError, SampleHolder, Shutter
from redoxscope.plans import energy_stack, with_beam, with_beam_decorator
from redoxscope.testing import made_stxm, simulated_stxm

from ..shutters import closed


@pytest.fixture(scope="module")
def slow():
    """The microscope of a beamline in real time, where monitors have time to be late."""
    from redoxscope.sim import Simulation

    with Simulation(speed=1.0, seed=2) as running:
        stxm = simulated_stxm(running.prefix)
        connect(stxm)
        yield stxm
        stxm.destroy()


def rows(docs):
    return [doc["data"] for doc in docs["event"]]


def keys_of(device):
    return set(device.describe())


def at_each_save(RE, *signals):
    """What the server says of each signal when the event is whole: nothing moves until then."""
    said = []

    def note(msg):
        if msg.command == "save":
            said.append({sig.name: sig.get(use_monitor=False) for sig in signals})

    RE.msg_hook = note
    return said


@pytest.mark.slow
def test_every_reading_is_of_its_point(slow, RE, docs):
    """Once 13 of 20 points had the counts of the point before."""
    mono, x = slow.monochromator, slow.sample_stage.x
    slow.transmission.dwell.put(0.02)
    slow.i0.dwell.put(0.02)
    said = at_each_save(
        RE, slow.transmission.counts, slow.i0.counts, mono.readback, mono.setpoint,
        mono.epu_readback, slow.zone_plate.z.user_readback,
    )  # fmt: skip
    detectors = [slow.transmission, slow.i0, slow.ring, slow.zone_plate, slow.monochromator]
    RE(with_beam(bp.scan(detectors, slow.energy, 640, 644, 9), slow.shutter))
    RE(with_beam(bp.scan([slow.transmission, slow.i0], x, 0, 4, 9), slow.shutter))
    events = rows(docs)
    assert len(events) == len(said) == 18
    for event, truth in zip(events, said, strict=True):
        assert {key: truth[key] for key in truth if key in event} == {
            key: event[key] for key in truth if key in event
        }
    assert len({event["transmission"] for event in events}) > 15  # distinct, so stale would show
    np.testing.assert_allclose(
        [event["energy"] for event in events[:9]], np.linspace(640, 644, 9), atol=0.02
    )
    np.testing.assert_allclose([e[x.name] for e in events[9:]], np.linspace(0, 4, 9), atol=1.0)
    assert slow.shutter.status.get(use_monitor=False) == 0


def test_a_monitor_that_lags_is_not_read(stxm, monkeypatch):
    """Each kind of detector asks the server; what the last monitor said is never in a document."""
    mono, motor = stxm.monochromator, stxm.sample_stage.x
    for signal in (
        stxm.transmission.counts, stxm.i0.counts, stxm.ring.current, stxm.shutter.status,
        mono.readback, mono.setpoint, mono.epu_readback, mono.epu_setpoint,
        motor.user_readback, motor.user_setpoint,
    ):  # fmt: skip
        get = type(signal).get
        monkeypatch.setattr(
            signal,
            "get",
            lambda *args, s=signal, g=get, **kw: (
                -777.0 if kw.get("use_monitor") is not False else g(s, *args, **kw)
            ),
        )
        assert signal.get() == -777.0
    for device in (stxm, stxm.energy, mono, mono.energy, stxm.transmission, motor, stxm.shutter):
        reading = device.read()
        assert reading and -777.0 not in {value["value"] for value in reading.values()}
    assert stxm.energy.read()["energy"]["timestamp"] > 1e9


def test_zeros_behind_the_closed_shutter_are_refused(stxm, RE, docs):
    """The obvious scan once took eleven points of zero."""
    with pytest.raises(
        DeviceError,
        match=r"stxm_transmission: stxm_shutter \(.*Shutter:Status\) "
        r"is closed.*with_beam\(plan, stxm\.shutter\).*stxm\.transmission\.dark",
    ):
        RE(bp.scan([stxm.transmission], stxm.energy, 640, 650, 11))
    assert "event" not in docs
    assert docs["stop"][0]["exit_status"] == "fail"


def test_the_obvious_scan_with_beam(stxm, RE, docs):
    stxm.transmission.dwell.put(0.02)
    RE(with_beam(bp.scan([stxm.transmission], stxm.energy, 640, 650, 11), stxm.shutter))
    events = rows(docs)
    assert len(events) == 11 and min(event["transmission"] for event in events) > 100
    np.testing.assert_allclose(
        [event["energy"] for event in events], np.linspace(640, 650, 11), atol=0.02
    )
    assert docs["start"][0]["hints"]["dimensions"] == [(["energy"], "primary")]
    assert docs["descriptor"][0]["configuration"]["energy"]["data"]["stxm_zone_plate_a0"] == 400.0
    assert stxm.shutter.status.get(use_monitor=False) == 0


@pytest.mark.parametrize("detector", ["stxm", "mono", "signal", "zone_plate"])
@pytest.mark.parametrize("axis", ["energy", "mono"])
def test_no_keys_collide(stxm, RE, docs, detector, axis):
    mono = stxm.monochromator
    detectors = {"stxm": stxm, "mono": mono, "signal": mono.energy, "zone_plate": stxm.zone_plate}
    motor = {"energy": stxm.energy, "mono": mono}[axis]
    RE(with_beam(bp.scan([detectors[detector]], motor, 640, 641, 3), stxm.shutter))
    events = rows(docs)
    assert [event["energy"] for event in events] == pytest.approx([640, 640.5, 641], abs=0.02)
    if detector == "stxm":
        assert {"transmission", "i0", "ring_current"} <= set(events[0])
        assert min(event["i0"] for event in events) > 0


def test_dark_counts_are_asked_for(stxm, RE, docs, put):
    put(stxm.transmission.dark, True)
    RE(bp.count([stxm.transmission], num=3))
    assert [event["transmission"] for event in rows(docs)] == [0.0, 0.0, 0.0]
    configuration = docs["descriptor"][0]["configuration"]["stxm_transmission"]["data"]
    assert configuration["stxm_transmission_dark"] is True
    with pytest.raises(
        DeviceError, match="a dark count.* is open: .*stxm.transmission.dark to False"
    ):
        RE(with_beam(bp.count([stxm.transmission]), stxm.shutter))
    with pytest.raises(ValueError, match="dark = 2"):
        stxm.transmission.dark.put(2)


def test_a_monitor_upstream_counts_anyway(stxm, RE, docs):
    stxm.i0.dwell.put(0.02)
    RE(bp.count([stxm.i0]))
    assert rows(docs)[0]["i0"] > 0


def test_the_beamline_file_says_what_is_behind_the_shutter(simulation):
    config = simulated_beamline(simulation.prefix)
    options = {name: entry.options for name, entry in config.devices.items()}
    assert options["transmission"].behind_shutter and not options["i0"].behind_shutter
    stxm = made_stxm(config.changed("i0", behind_shutter=True).served_as("Nowhere:"))
    assert stxm.i0.behind_shutter and stxm.transmission.behind_shutter
    stxm.destroy()


def test_a_shutter_that_closes_while_it_counts_fails_the_point(stxm):
    stxm.transmission.dwell.put(25.0)  # 0.5 s
    stxm.shutter.set("open").wait(timeout=30)
    status = stxm.transmission.trigger()
    stxm.shutter.command.put(0, wait=True)  # somebody else
    stxm.shutter.command.put(1, wait=True)
    with pytest.raises(DeviceError, match="Shutter:Status.* moved as it counted"):
        status.wait(timeout=30)
    stxm.transmission.dwell.put(0.001)


def test_a_dwell_that_the_dead_man_would_end(stxm):
    stxm.transmission.dwell.put(31.0)
    stxm.shutter.set("hold").wait(timeout=30)
    try:
        with pytest.raises(
            ValueError, match="takes 31 s, longer than stxm_shutter.dead_man = 30 s"
        ):
            stxm.transmission.trigger()
    finally:
        stxm.transmission.dwell.put(0.001)


# -- with beam


class FakeShutter(SimpleNamespace):
    name, dead_man, status, parent = "shutter", None, None, None
    __hash__ = object.__hash__

    def set(self, value):
        raise AssertionError("messages only")


class Part(SimpleNamespace):
    parent = None
    __hash__ = object.__hash__

    def trigger(self):
        raise AssertionError("messages only")


def told(plan):
    return [(msg.command, getattr(msg.obj, "name", None), *msg.args) for msg in plan]


HOLD = [("set", "shutter", "hold"), ("wait", None)]
CLOSE = [("set", "shutter", "closed"), ("wait", None)]


def test_it_is_asked_before_each_point_and_closed_at_the_end():
    shutter, a, b = FakeShutter(), Part(name="a"), Part(name="b")

    def points():
        for _ in range(2):
            yield from bps.checkpoint()
            yield from bps.trigger(a, group="g")
            yield from bps.trigger(b, group="g")
            yield from bps.wait("g")
        return "the plan's own"

    def whole():
        assert (yield from with_beam(points(), shutter)) == "the plan's own"

    point = [("checkpoint", None), *HOLD, ("trigger", "a"), ("trigger", "b"), ("wait", None)]
    assert told(whole()) == [*HOLD, *point, *point, *CLOSE]


def test_the_decorator_does_the_same():
    shutter = FakeShutter()

    @with_beam_decorator(shutter)
    def plan(n):
        """What it does."""
        yield from bps.sleep(n)

    assert plan.__doc__ == "What it does."
    for _ in range(2):
        assert told(plan(1)) == [*HOLD, ("sleep", None, 1), *CLOSE]


@pytest.mark.parametrize("shutter", [None, "shutter", Shutter, Part(name="x")])
def test_something_else_than_a_shutter(shutter):
    with pytest.raises(ValueError, match="shutter = .* is not a device such as"):
        with_beam(bps.null(), shutter)


@pytest.mark.parametrize("ending", ["error", "abort", "stop", "halt"])
def test_the_shutter_is_closed_whatever_ends_the_plan(stxm, RE, docs, ending):
    opened = []

    def plan():
        yield from bps.checkpoint()
        yield from bps.trigger(stxm.transmission, wait=True)
        opened.append(stxm.shutter.is_open)
        if ending == "error":
            raise RuntimeError("went wrong")
        yield from bps.pause()

    error = RuntimeError if ending == "error" else RunEngineInterrupted
    with pytest.raises(error):
        RE(with_beam(plan(), stxm.shutter))
    if ending != "error":
        getattr(RE, ending)()
    assert opened == [True]
    closed(stxm.shutter)  # by what ended the plan: nobody here asks for it
    assert stxm.shutter.mode.get(use_monitor=False) == 0


@pytest.fixture
def somebody_else(simulation):
    """Write a PV of the shutter as another client does; written when this returns."""
    from caproto.sync.client import write

    return lambda suffix, value: write(f"{simulation.prefix}{suffix}", value, notify=True)


@pytest.mark.parametrize(
    ("suffix", "says"), [("Shutter:Cmd", "is 0 where 1 was"), ("Shutter:Mode", "is 0 where 2 was")]
)
def test_a_shutter_that_somebody_took_is_not_opened_again(stxm, somebody_else, suffix, says):
    shutter = stxm.shutter
    for _ in range(2):
        shutter.set("hold").wait(timeout=30)  # asked again, as each point does
    somebody_else(suffix, 0)
    with pytest.raises(DeviceError, match=rf"{suffix}\) {says} asked.*somebody else.*'closed'"):
        shutter.set("hold")
    assert not shutter.is_open
    shutter.set("closed").wait(timeout=30)  # who wants it all the same says so
    shutter.set("hold").wait(timeout=30)
    assert shutter.is_open


def test_what_the_dead_man_closed_is_opened_again(stxm):
    """A long move between two points: nobody has taken anything."""
    shutter, before = stxm.shutter, stxm.shutter.dead_man.get()
    shutter.dead_man.put(2.0, wait=True)
    try:
        shutter.set("hold").wait(timeout=30)
        closed(shutter)
        shutter.dead_man.put(before, wait=True)
        shutter.set("hold").wait(timeout=30)
        assert shutter.is_open
    finally:
        shutter.dead_man.put(before, wait=True)


def test_a_command_that_goes_back_by_itself_tells_nothing(stxm, somebody_else, monkeypatch):
    """Where the command PV is a push button, only the mode says that it was taken."""
    shutter = stxm.shutter
    monkeypatch.setattr(shutter, "_latches", False)
    monkeypatch.setattr(shutter.command, "get", lambda **_: 0)
    shutter.set("hold").wait(timeout=30)
    shutter.set("hold").wait(timeout=30)
    somebody_else("Shutter:Mode", 0)
    with pytest.raises(DeviceError, match="Shutter:Mode"):
        shutter.set("hold")


def test_between_two_points_of_a_scan_it_is_not_opened_again(stxm, RE, docs, somebody_else):
    RE.subscribe(lambda name, doc: somebody_else("Shutter:Cmd", 0), "event")
    with pytest.raises(DeviceError, match="Shutter:Cmd.* is 0 .*is not opened again"):
        RE(with_beam(bp.count([stxm.transmission], num=3), stxm.shutter))
    assert len(docs["event"]) == 1 and docs["stop"][0]["exit_status"] == "fail"
    assert not stxm.shutter.is_open


def test_a_pause_closes_it_and_the_point_is_counted_again(stxm, RE, docs):
    stxm.transmission.dwell.put(25.0)  # 0.5 s
    counting, count = threading.Event(), []

    def hook(msg):
        if msg.command == "trigger" and msg.obj is stxm.transmission:
            count.append(msg)
            if len(count) == 2:
                counting.set()

    def pause():
        assert counting.wait(60)
        RE.request_pause()

    RE.msg_hook = hook
    thread = threading.Thread(target=pause)
    thread.start()
    plan = bp.scan([stxm.transmission], stxm.energy, 640, 641, 3)
    with pytest.raises(RunEngineInterrupted):
        RE(with_beam(plan, stxm.shutter))
    thread.join()
    closed(stxm.shutter)  # by the pause: nobody here asks for it
    RE.resume()
    events = rows(docs)
    assert [doc["seq_num"] for doc in docs["event"]] == [1, 2, 3]
    bright = [event["transmission"] for event in events]
    assert min(bright) > 0.5 * max(bright) and len(count) == 4
    assert docs["stop"][0]["exit_status"] == "success"
    assert not stxm.shutter.is_open
    stxm.transmission.dwell.put(0.001)


def test_a_stack_within_has_its_own_way_with_the_shutter(stxm, RE, docs):
    RE(with_beam(energy_stack(stxm, energies=[640.0, 641.0], pixels=3, size=1), stxm.shutter))
    assert docs["stop"][0]["exit_status"] == "success"
    assert sum(len(doc["seq_num"]) for doc in docs["event_page"]) == 6
    assert not stxm.shutter.is_open


# -- everything that moves


@pytest.fixture
def holder(simulation):
    holder = SampleHolder(f"{simulation.prefix}Holder:", name="holder")
    connect(holder)
    yield holder
    holder.destroy()


@pytest.mark.parametrize("axis", ["energy", "mono", "x", "fine_x", "osa", "shutter"])
def test_relative_moves_come_back(stxm, RE, docs, axis):
    motor = {
        "energy": stxm.energy, "mono": stxm.monochromator, "x": stxm.sample_stage.x,
        "fine_x": stxm.sample_stage.fine_x, "osa": stxm.osa.x, "shutter": stxm.shutter,
    }[axis]  # fmt: skip
    key = {"energy": "energy", "mono": "energy", "shutter": "stxm_shutter_status"}.get(
        axis, motor.name
    )
    before = motor.read()[key]["value"]
    RE(bp.rel_scan([stxm.i0], motor, 0, 1, 2))
    assert [event[key] for event in rows(docs)] == pytest.approx([before, before + 1], abs=0.5)
    assert motor.read()[key]["value"] == pytest.approx(before, abs=0.5)


def test_the_holder_goes_back(holder, RE):
    here = holder.position
    other = next(sample for sample in holder.samples if sample != here)
    RE(bpp.reset_positions_wrapper(bps.mv(holder, other)))
    assert holder.position == here
    assert holder.read()[holder.name]["value"] == here


def test_the_shutter_takes_what_it_reads(stxm):
    for value, is_open in ((np.int64(1), True), (0, False), (1.0, True), (np.float32(0), False)):
        stxm.shutter.set(value).wait(timeout=30)
        assert stxm.shutter.is_open is is_open
        reading = stxm.shutter.read()[stxm.shutter.status.name]["value"]
        assert reading == int(is_open)
    stxm.shutter.set(1).wait(timeout=30)
    assert stxm.shutter.mode.get(use_monitor=False) == 2  # not for ever
    stxm.shutter.set(0).wait(timeout=30)
    for value in (2, 0.5, math.nan, True, np.bool_(True), None, "Open", [1], b"open"):
        with pytest.raises(ValueError, match="stxm_shutter"):
            stxm.shutter.set(value)
    assert not stxm.shutter.is_open


@pytest.mark.parametrize("limit", [0.0, math.nan, -1.0])
def test_without_a_dead_man_nothing_is_held_open(stxm, monkeypatch, limit):
    monkeypatch.setattr(stxm.shutter.dead_man, "get", lambda **_: limit)
    with pytest.raises(DeviceError, match="dead_man .*DeadMan.* says .* s: must be "):
        stxm.shutter.set("hold")
    with pytest.raises(DeviceError, match="DeadMan"):
        stxm.check_dwell(0.001, 10)
    assert not stxm.shutter.is_open


@pytest.mark.parametrize(
    ("name", "bad"),
    [("min_dwell", math.nan), ("max_dwell", 0.0), ("flyback", math.nan), ("flyback", -1.0),
     ("max_points", math.nan), ("max_points", 0)],
)  # fmt: skip
def test_a_scanner_that_says_nothing_sensible(stxm, monkeypatch, name, bad):
    monkeypatch.setattr(getattr(stxm.scanner.source, name), "get", lambda **_: bad)
    with pytest.raises(DeviceError, match=f"scanner_source_{name} .*PV .* says {bad}"):
        stxm.check_dwell(0.001, 10)


def test_the_code_of_the_how_to_page_runs(stxm, RE, docs, put):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "step-scans.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    put(stxm.monochromator.edge, "")
    names = {"RE": RE, "stxm": stxm, "mono": stxm.monochromator, "bp": bp, "bps": bps}
    names |= {"with_beam": with_beam, "with_beam_decorator": with_beam_decorator}
    mine = [block for block in blocks if "tes" not in block]  # those are run where there is one
    for block in mine:
        exec(block, names)  # noqa: S102
    assert len(mine) == 5 and stxm.monochromator.edge.get() == "Mn L3"
    assert {stop["exit_status"] for stop in docs["stop"]} == {"success"}
    assert [len(doc) for doc in (docs["start"], docs["stop"])] == [6, 6]
    assert not stxm.shutter.is_open
    for counter in (stxm.transmission, stxm.i0):
        counter.dwell.put(0.001)
