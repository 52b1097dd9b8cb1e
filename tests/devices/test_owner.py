"""Two clients on one beamline: the second is refused, and ends nothing of the first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import bluesky.plans as bp
import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from redoxscope.beamline import connect
from redoxscope.devices import BeamlineBusyError, _owner
from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack
from redoxscope.testing import simulated_stxm, validate_run


class PlayedPV:
    """A PV with a name in it, whose server may be silent."""

    def __init__(self):
        self.value, self.connected, self.silent, self.pvname = "", True, False, "Owner"

    def get(self, **_):
        if self.silent:
            raise TimeoutError("Failed to read Owner within 2.00 sec")
        return self.value

    def put(self, value, **_):
        self.value = value

    def destroy(self):
        self.connected = False


@pytest.mark.parametrize("outage", [{"silent": True}, {"connected": False}])
def test_a_name_that_could_not_be_taken_away_is_so_at_the_end_of_the_session(outage, caplog):
    owner, pv = _owner.Owner("Owner"), PlayedPV()
    owner._signal = pv
    owner.take()
    assert pv.value == owner.me
    vars(pv).update(outage)
    owner.release()
    assert f"names {owner.me} still" in caplog.text
    vars(pv).update(silent=False, connected=True)
    owner.destroy()
    assert pv.value == ""


def test_a_beamline_that_is_gone_is_told_once(caplog):
    owner, pv = _owner.Owner("Owner"), PlayedPV()
    owner._signal = pv
    owner.take()
    pv.connected = False
    for _ in range(2):  # the session ends, then the process
        owner.destroy()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"Owner names {owner.me} still")


def test_where_nobody_can_be_named_nothing_is_owed(caplog):
    owner, pv = _owner.Owner("Owner"), PlayedPV()
    pv.connected, owner._signal = False, pv
    owner.take()
    owner.release()
    assert not owner.taken and not caplog.records


@pytest.fixture(scope="module")
def other(simulation):
    """Another client's microscope."""
    stxm = simulated_stxm(simulation.prefix)
    connect(stxm)
    yield stxm
    stxm.destroy()


@pytest.fixture
def first(other, stxm):
    """The other client takes a stack: its RunEngine and documents, when lines have come."""
    engine, docs, flying = RunEngine({}, context_managers=[]), [], threading.Event()

    def tell(name, doc):
        docs.append((name, doc))
        if name == "event_page":
            flying.set()

    def run():
        try:
            engine(energy_stack(other, energies=[640, 641], pixels=(10, 20), size=2.0, dwell=0.5))
        except RunEngineInterrupted:
            pass  # as the test wanted it

    engine.subscribe(tell)
    thread = threading.Thread(target=run)
    thread.start()
    assert flying.wait(30)
    yield engine, docs, thread
    if engine.state != "idle":
        engine.abort()
    thread.join()


def test_second_client_is_refused_and_ends_nothing(first, other, stxm, RE):
    _, docs, thread = first
    before = stxm.zone_plate.z.position
    for plan in (energy_stack(stxm, energies=[640], pixels=4, size=1.0), bp.count([stxm])):
        with pytest.raises(BeamlineBusyError, match=f"follows the scanner.*{os.getpid()}"):
            RE(plan)
    with pytest.raises(BeamlineBusyError, match="not opened"):
        stxm.shutter.set("open")
    stxm.unstage()
    stxm.scanner.stop()
    thread.join()
    validate_run(docs)
    assert docs[-1][1]["exit_status"] == "success"
    statuses = {s for n, doc in docs if n == "event_page" for s in doc["data"]["line_status"]}
    assert statuses <= {LineStatus.OK, LineStatus.RETRIED}  # two clients, one busy process
    assert stxm.zone_plate.z.position == pytest.approx(before, abs=30)
    RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0, dwell=0.01))  # it is free again


def test_second_client_is_refused_while_the_first_is_paused(first, stxm, RE):
    engine, docs, thread = first
    engine.request_pause()
    thread.join()
    assert engine.state == "paused"
    with pytest.raises(BeamlineBusyError, match="is taken for"):
        RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0))
    engine.resume()
    assert docs[-1][1]["exit_status"] == "success"


def test_what_a_dead_client_held_open_is_taken_over_whole(stxm):
    """Whoever asks after the shutter was staged, as the spectrometer does, finds it free too."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stxm.shutter.set("hold").wait(60)
    stxm.shutter._ours = False  # that was another client
    name = stxm.shutter._owner.me.replace(f" {os.getpid()} ", f" {dead.pid} ")
    stxm.shutter._owner.signal.put(name, wait=True)
    stxm.shutter.stage()
    try:
        stxm.shutter.check_free()
        stxm.shutter.set("closed").wait(60)
    finally:
        stxm.shutter.unstage()
    assert not stxm.shutter.is_open
    assert stxm.shutter._owner.other(ask=True) == ""


def test_scanner_that_flies_for_somebody_without_a_name(stxm, RE):
    """A client that knows nothing of ours, as the beamline's own program."""
    scanner = stxm.scanner
    scanner.unstage()
    scanner.source.nx.set(10).wait(30)
    scanner.source.ny.set(50).wait(30)
    scanner.source.dwell.set(0.5).wait(30)
    flying = threading.Event()
    token = scanner.source.state.subscribe(lambda value, **_: flying.set() if value == 1 else None)
    scanner.source.go.put(0)
    assert flying.wait(30)
    scanner.source.state.unsubscribe(token)
    try:
        with pytest.raises(BeamlineBusyError, match="flies for somebody else"):
            RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0))
        scanner.unstage()
        assert scanner.source.state.get(use_monitor=False, timeout=60) == 1
    finally:
        scanner.source.abort.set(1).wait(timeout=30)


@pytest.mark.parametrize("mode", [1, 2])
def test_shutter_that_a_dead_client_left(other, stxm, RE, mode):
    """No name, or that of a process that is no more: the former has to be freed by hand."""
    other.shutter.mode.set(mode).wait(30)
    plan = energy_stack(stxm, energies=[640], pixels=4, size=1.0, dwell=0.01)
    with pytest.raises(BeamlineBusyError, match=r"stxm\.shutter\.free\(\)"):
        RE(plan)
    stxm.shutter.free()
    RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0, dwell=0.01))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = f"x@{_owner._HOST} {gone.pid} abcd"
    assert _owner.is_dead(name) and not _owner.is_dead(f"x@elsewhere {gone.pid} abcd")
    assert not _owner.is_dead(f"x@{_owner._HOST} {os.getpid()} abcd")
    other.shutter._owner.signal.set(name).wait(30)
    other.shutter.mode.set(mode).wait(30)
    RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0, dwell=0.01))
    assert stxm.shutter._owner.signal.get(use_monitor=False, timeout=60) == ""


def test_a_beamline_without_the_name_of_the_owner(stxm, RE, monkeypatch):
    monkeypatch.setattr(stxm.shutter, "_owner", _owner.Owner(None))
    RE(energy_stack(stxm, energies=[640], pixels=4, size=1.0, dwell=0.01))
