"""The array sees the beam of the simulated beamline."""

from __future__ import annotations

import numpy as np
import pytest
from ophyd import EpicsSignal

from redoxscope.sim import Simulation

from .client import Client

SPEED = 20.0


@pytest.fixture(scope="module")
def beamline():
    with Simulation(speed=SPEED, tes=True) as running:
        yield running


@pytest.fixture
def client(beamline):
    with Client(beamline.dastard.base) as client:
        client.call("SendAllStatus", "")
        client.sync()
        if not client.seen["STATUS"][-1]["Running"]:
            client.start()
        yield client


@pytest.fixture
def put(beamline):
    """Set a PV by its suffix and wait for its completion."""
    signals = {}

    def put(suffix, value):
        if suffix not in signals:
            signals[suffix] = EpicsSignal(
                beamline.prefix + suffix, name="pv", put_complete=True, string=True
            )
            signals[suffix].wait_for_connection(timeout=60)
        signals[suffix].set(value, timeout=60).wait()

    yield put
    put("Shutter:Cmd", 0)
    for signal in signals.values():
        signal.destroy()


def counts(client):
    """Photons in a second of the server's that begins after now."""
    return sum(client.more("TRIGGERRATE", 3)[-1]["CountsSeen"])


def counts_until(client, wanted):
    """Look at second after second: on a busy machine the server is behind its clock."""
    for _ in range(60):
        if wanted(found := counts(client)):
            break
    return found


def test_no_photons_behind_a_closed_shutter(client, put):
    assert counts_until(client, lambda n: n == 0) == 0
    put("Shutter:Cmd", 1)
    assert counts_until(client, lambda n: n > 300) > 300
    put("Shutter:Cmd", 0)
    assert counts_until(client, lambda n: n == 0) == 0


def test_the_sample_is_that_of_the_holder(beamline, client, put):
    put("Shutter:Cmd", 1)
    counts_until(client, lambda n: n > 300)  # it has caught up with the shutter
    before = counts(client)
    put("Holder:Sample", "reference")
    readback = EpicsSignal(beamline.prefix + "Holder:Sample:RBV", name="rbv", string=True)
    readback.wait_for_connection(timeout=60)
    assert readback.get() == "reference"
    assert readback.enum_strs == ("lmr_pristine", "lmr_charged", "lmr_heated", "reference")
    readback.destroy()
    assert counts_until(client, lambda n: n > 3 * before) > 3 * before
    put("Holder:Sample", "lmr_charged")
    assert counts_until(client, lambda n: n < 2 * before) < 2 * before


def test_the_elastic_line_follows_the_energy(client, put):
    """Every pixel's highest pulses move up with the monochromator."""
    put("Shutter:Cmd", 1)

    def height():
        counts(client)
        client.photons()
        client.frames.clear()
        client.until(lambda: len(client.frames) > 3000)
        return np.quantile(client.photons()["coefs"][:, 2], 0.995)

    def move(energy):
        put("Mono:EPU", energy)
        put("Mono:Energy", energy)

    move(640.0)
    first = height()
    move(760.0)
    for _ in range(60):  # on a busy machine the server is behind its clock
        if (second := height()) > 1.1 * first:
            break
    assert second > 1.1 * first
    put("Mono:EPU", 640.0)  # at another energy than the monochromator there is no light
    assert counts_until(client, lambda n: n == 0) == 0
    put("Mono:Energy", 640.0)
    assert counts_until(client, lambda n: n > 300) > 300


def test_the_array_is_told_what_the_heated_sample_has_become():
    from redoxscope.sim.ioc._bench import Bench
    from redoxscope.sim.ioc._clock import InstantClock
    from redoxscope.sim.physics.stxm import build_model

    class Link:
        def tell(self, **state):
            self.state = state

    link = Link()
    bench = Bench(build_model("lmr", seed=1), prefix="T:", clock=InstantClock(), dastard=link)
    bench.sample.advance(5 * 3600.0, 100.0)
    bench._tell()
    assert link.state["sample"] == "lmr_charged"
    assert link.state["parts"] == {"lmr_charged": 0.05, "lmr_heated": 0.95}
    bench.holder.readback._data["value"] = "reference"  # another sample is not on the stage
    bench._tell()
    assert link.state["parts"] == {}


def test_faults_are_passed_on(beamline, client, put):
    put("Shutter:Cmd", 1)
    put("Sim:Fault", "beam_dump")
    assert counts_until(client, lambda n: n == 0) == 0
    put("Sim:Fault", "beam_back")
    assert counts_until(client, lambda n: n > 300) > 300
    put("Sim:Fault", "dastard rate 0")
    assert counts_until(client, lambda n: n == 0) == 0
    put("Sim:Fault", "dastard clear")
    assert counts_until(client, lambda n: n > 300) > 300


def test_a_server_that_comes_back_hears_of_the_beam_again(beamline, client, put):
    put("Shutter:Cmd", 1)
    beamline.dastard.kill()
    put("Shutter:Cmd", 0)
    put("Shutter:Cmd", 1)
    beamline.dastard.restart()
    with Client(beamline.dastard.base) as again:
        again.start()
        again.until(lambda: again.frames)


def test_a_beamline_without_a_dastard_says_so():
    from redoxscope.sim.ioc._bench import Bench
    from redoxscope.sim.ioc._clock import Clock
    from redoxscope.sim.physics.stxm import build_model

    bench = Bench(build_model("lmr", seed=1), prefix="X:", clock=Clock())
    with pytest.raises(ValueError, match="there is no simulated Dastard here"):
        bench.request_fault("dastard drop 1")


def test_both_processes_end_together():
    with Simulation(tes={"speed": SPEED, "sample": "reference"}) as running:
        dastard = running.dastard
        assert dastard.alive and dastard.speed == SPEED
    assert not dastard.alive and not running.alive
