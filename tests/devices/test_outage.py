"""What was lost for a while can be written again (libca does not repeat the rights)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading

import ophyd
import pytest
from epics import ca
from ophyd import Component, Device, EpicsMotor, EpicsSignal, EpicsSignalRO
from ophyd.utils import DisconnectedError

from redoxscope.devices import Monochromator, Motor, Shutter, _outage, survive_outages
from redoxscope.devices._base import DeviceError, Move, NoAnswerError, answering, ask


class Channel:
    """What libca says about one PV, which no server has."""

    def __init__(self, signal):
        self.pv = signal._read_pv
        self.limits = 0
        self.pv.get_ctrlvars = lambda **_: {"upper_ctrl_limit": self.limits, "units": "eV"}
        # ophyd would ask the server that is not there, in threads that all signals share.
        self.pv.get_all_metadata_callback = lambda *_, **__: None
        signal._received_first_metadata[signal.pvname] = True
        self.rights(True)
        self.tell(True)

    def tell(self, connected):
        for callback in self.pv.connection_callbacks:
            callback(pvname=self.pv.pvname, conn=connected, pv=self.pv)
        settle()

    def rights(self, yes):
        for callback in self.pv.access_callbacks:
            callback(yes, yes, pv=self.pv)

    def lose(self):
        for callback in self.pv.connection_callbacks:
            callback(pvname=self.pv.pvname, conn=False, pv=self.pv)
        self.rights(False)
        settle()


def settle():
    """Until ophyd's threads have passed on what they were told, one after the other."""
    for name in ("metadata", "monitor"):
        told = threading.Event()
        ophyd.cl.get_dispatcher().get_thread_context(name).run(told.set)
        assert told.wait(60)


@pytest.fixture
def channel(monkeypatch, simulation):
    """Make a signal believe that it is connected, through a channel that the test holds."""
    monkeypatch.setattr(ca, "read_access", lambda chid: 1)
    monkeypatch.setattr(ca, "write_access", lambda chid: 1)
    made = []

    def make(signal):
        made.append(signal)
        channel = Channel(signal)
        assert signal.connected
        return channel

    yield make
    for signal in made:
        signal.destroy()


class Foreign(Device):
    """A device of a class that is not ours."""

    motor = Component(EpicsMotor, "m1")
    switch = Component(EpicsSignal, "Switch")


def foreign(part):
    device = Foreign("Nowhere:", name="foreign")
    survive_outages(device)
    survive_outages(device)
    return part(device)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Shutter("Nowhere:", name="shutter").command,
        lambda: Motor("Nowhere:M", name="motor").user_setpoint,
        lambda: Motor("Nowhere:M", name="motor").motor_stop,
        lambda: foreign(lambda device: device.switch),
        lambda: foreign(lambda device: device.motor.user_setpoint),
    ],
    ids=["shutter", "motor", "stop of a motor", "foreign signal", "foreign motor"],
)
def test_rights_are_asked_anew(channel, make):
    signal = make()
    there = channel(signal)
    assert signal.write_access
    there.lose()
    assert not signal.connected and not signal.write_access
    there.tell(True)  # and nothing about rights, as libca does it
    assert signal.connected and signal.write_access


def test_who_waits_for_the_connection_may_write(channel):
    """The rights are there before the connection is: a put waits for the latter only."""
    signal = Shutter("Nowhere:", name="shutter").command
    there = channel(signal)
    there.lose()
    seen = []
    signal.subscribe(
        lambda *, connected, write_access, **_: seen.append((connected, write_access)),
        event_type=signal.SUB_META,
        run=False,
    )
    there.tell(True)
    assert seen == [(True, True)]


def test_a_server_that_allows_no_writing_is_believed(channel, monkeypatch):
    signal = Shutter("Nowhere:", name="shutter").command
    there = channel(signal)
    there.lose()
    monkeypatch.setattr(ca, "write_access", lambda chid: 0)
    there.tell(True)
    assert signal.connected and not signal.write_access


def test_what_only_reads_stays_so(channel):
    signal = Shutter("Nowhere:", name="shutter").status
    assert isinstance(signal, EpicsSignalRO)
    there = channel(signal)
    there.lose()
    there.tell(True)
    assert signal.read_access and not signal.write_access


def test_limits_are_read_anew_and_the_log_says_it_once_for_all(channel, caplog, monkeypatch):
    due = []
    monkeypatch.setattr(_outage, "call_later", lambda seconds, tell: due.append(tell))
    for name in ("_lost", "_back"):  # none that an earlier test has not told yet
        old = getattr(_outage, name)
        monkeypatch.setattr(_outage, name, _outage._News(old.what, old._then))
    mono = Monochromator("Nowhere:", name="mono")
    there = [channel(mono.setpoint), channel(mono.epu_setpoint)]
    with caplog.at_level(logging.WARNING, "redoxscope.devices"):
        for one in there:
            one.lose()
        for one in there:
            one.limits = 900.0
            one.tell(True)
        for tell in due:
            tell()
    after_outage()
    assert [record.getMessage() for record in caplog.records] == [
        "2 PVs do not answer any more: Nowhere:Energy, Nowhere:EPU",
        "2 PVs answer again, and may be read and written as their server says: "
        "Nowhere:Energy, Nowhere:EPU",
    ]
    assert mono.setpoint.limits[1] == mono.epu_setpoint.limits[1] == 900.0


def after_outage():
    for thread in threading.enumerate():
        if thread.name == "after-outage":
            thread.join(60)
            assert not thread.is_alive()


def test_no_channel_is_asked_while_it_is_hung_up(channel):
    """libca ends the process when it is asked of a channel that is being cleared."""
    signal = Motor("Nowhere:M", name="motor").user_setpoint
    there = channel(signal)
    happened = []
    hung_up = threading.Thread(target=lambda: (signal.destroy(), happened.append("hung up")))

    def asked(**_):
        hung_up.start()
        hung_up.join(0.3)  # as long as it takes where nothing keeps it
        happened.append("answered")
        return {}

    there.pv.get_ctrlvars = asked
    _outage._ask_limits([signal.pvname])
    after_outage()
    hung_up.join(60)
    assert happened == ["answered", "hung up"]


def test_what_was_hung_up_is_asked_no_more(channel):
    motor = Motor("Nowhere:M", name="motor")
    there = [channel(motor.user_readback), channel(motor.user_setpoint)]
    asked = []

    def answer(**_):
        asked.append(1)
        motor.user_setpoint._destroyed = motor.user_readback._destroyed = True
        return {}

    for one in there:
        one.pv.get_ctrlvars = answer
    _outage._ask_limits([motor.user_readback.pvname, motor.user_setpoint.pvname])
    after_outage()
    assert asked == [1]


def test_a_server_that_is_silent_again_is_asked_once(channel, caplog):
    """Else each of its PVs would be waited for, and so would who closes the session."""
    motor = Motor("Nowhere:M", name="motor")
    there = [channel(motor.user_readback), channel(motor.user_setpoint)]
    asked = []
    for one in there:
        one.pv.get_ctrlvars = lambda **_: asked.append(1)
    _outage._ask_limits([motor.user_readback.pvname, motor.user_setpoint.pvname])
    after_outage()
    assert asked == [1] and "limits and units were not read" in caplog.text


class Silent:
    """A PV that answers after it failed to, once for each error."""

    name = pvname = "X:Silent"

    def __init__(self, *errors, connected=True):
        self.errors, self.connected = list(errors), connected

    def get(self, **_):
        if self.errors:
            raise self.errors.pop(0)
        return 1.0


NO_ANSWERS = [
    TimeoutError("no answer"),
    DisconnectedError("gone"),
    ca.ChannelAccessGetFailure("Get failed", "X:Silent", 192),
    ca.CASeverityException("get", "lost"),
]


def test_what_is_silent_is_waited_for_however_it_says_so():
    signal = Silent(*NO_ANSWERS)
    waiting = answering("mono", [signal], TimeoutError("no answer"), 20)
    waiting.wait(timeout=60)
    assert not signal.errors


@pytest.mark.parametrize(
    ("error", "connected", "waits"),
    [
        (NoAnswerError("late"), True, True),
        (TimeoutError("late"), True, True),
        (DeviceError("it stopped elsewhere"), True, False),
        (DeviceError("no write access"), False, True),
    ],
)
def test_only_an_outage_is_waited_for(error, connected, waits):
    waiting = answering("mono", [Silent(connected=connected)], error, 20)
    assert (waiting is not None) is waits


def test_what_does_not_come_back_is_named():
    signal = Silent(*[TimeoutError("no answer")] * 1000)
    waiting = answering("mono", [signal], TimeoutError("it was late"), 0.3)
    with pytest.raises(DeviceError, match=r"it was late; waiting for X:Silent.* within 0.3 s"):
        waiting.wait(timeout=60)


@pytest.mark.parametrize("error", NO_ANSWERS[2:])
def test_a_pv_lost_as_it_is_asked_did_not_answer(error):
    with pytest.raises(TimeoutError, match="X:Silent"):
        ask(Silent(error))


def test_a_move_tells_an_outage_from_a_failure():
    def silent():
        raise TimeoutError("no answer")

    def elsewhere():
        raise DeviceError("stopped elsewhere")

    for step, outage in ((silent, True), (elsewhere, False)):
        move = Move("motor moving", 10)
        move.attempt(step)
        assert isinstance(move.exception(timeout=60), NoAnswerError) is outage
    late = Move("motor moving", 0)
    assert isinstance(late.exception(timeout=60), NoAnswerError)


HELD = textwrap.dedent("""
    import logging, os, signal, threading

    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record):
            if "PVs answer again" in record.getMessage():
                told.set()

    logging.getLogger("redoxscope.devices").addHandler(Told())
    from redoxscope.sim import Simulation

    with Simulation(speed=50, seed=1) as simulation:
        from redoxscope.testing import simulated_stxm
        from redoxscope.devices import DeviceError
        from redoxscope.beamline import connect

        stxm = simulated_stxm(simulation.prefix)
        connect(stxm)
        stxm.shutter.set("open").wait(timeout=60)
        z = stxm.zone_plate.z.user_setpoint
        lost = threading.Event()

        def changed(*, connected, **_):
            if not connected:
                lost.set()

        z.subscribe(changed, event_type=z.SUB_META, run=False)
        os.kill(simulation.pid, signal.SIGSTOP)
        try:
            assert lost.wait(60), "the outage was not noticed"
        finally:
            os.kill(simulation.pid, signal.SIGCONT)
        # libca may take the circuit for dead and make another: the connection comes back twice.
        for attempt in range(10):
            try:
                connect(stxm, timeout=30)
                stxm.shutter.set("closed").wait(timeout=60)
                break
            except (ConnectionError, DeviceError) as exc:
                assert "No write access" not in str(exc), exc
        stxm.shutter.set("closed").wait(timeout=60)
        assert stxm.shutter.status.get(use_monitor=False) == 0
        stxm.energy.set(642.0).wait(timeout=60)
        stxm.scanner.stop()
        assert told.wait(30), "the log does not say that the PVs are back"
        print("all is well")
        stxm.destroy()
""")


@pytest.mark.slow
def test_a_server_that_was_held(tmp_path):
    """A real server process stands still until libca gives it up, then goes on."""
    script = tmp_path / "held.py"
    script.write_text(HELD, encoding="utf-8")
    # A second instead of 30: how long libca waits before it asks whether the server lives.
    environment = {**os.environ, "EPICS_CA_CONN_TMO": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=180
    )
    assert "all is well" in done.stdout, done.stdout + done.stderr
