"""Signals that are made and destroyed while ophyd still asks for their limits and units."""

from __future__ import annotations

import threading

import ophyd
import pytest
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd._pyepics_shim import PyepicsShimPV

from redoxscope.devices import guard_channels

TIMEOUT = 10.0


@pytest.fixture
def slow_answers(monkeypatch):
    """Asking takes until ``let`` is set; ``began`` says that it has begun."""
    guard_channels()  # as the first device does
    began, let = threading.Event(), threading.Event()
    ask = PyepicsShimPV.get_all_metadata_blocking

    def slowly(self, timeout):
        if threading.current_thread() is not threading.main_thread():
            began.set()
            assert let.wait(TIMEOUT)
        return ask(self, timeout)

    monkeypatch.setattr(PyepicsShimPV, "get_all_metadata_blocking", slowly)
    yield began, let
    let.set()


def test_a_signal_is_hung_up_when_it_was_asked(simulation, slow_answers):
    """libca ends the process with a segmentation fault where the channel goes under the asking."""
    began, let = slow_answers
    signal = EpicsSignalRO(f"{simulation.prefix}Holder:Sample:RBV", name="alone")  # nobody else's
    assert began.wait(TIMEOUT)
    pv, at = signal._read_pv, []
    cleared = ophyd._pyepics_shim.epics.ca.clear_channel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ophyd._pyepics_shim.epics.ca,
            "clear_channel",
            lambda chid: (at.append(let.is_set()), cleared(chid))[1],
        )
        ending = threading.Thread(target=signal.destroy)
        ending.start()
        ending.join(0.2)
        assert ending.is_alive() and not at
        let.set()
        ending.join(TIMEOUT)
    assert not ending.is_alive() and at == [True]
    assert pv.chid is None


def test_signals_of_a_moment(simulation):
    """Each is destroyed as soon as it answered."""
    for _ in range(50):
        signal = EpicsSignal(f"{simulation.prefix}Shutter:Cmd", name="command")
        signal.wait_for_connection(timeout=TIMEOUT)
        assert signal.get() in (0, 1)
        signal.destroy()
