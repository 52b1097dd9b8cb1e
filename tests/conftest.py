"""Fixtures: the real parts, as processes of their own, and where the shared data are."""

from __future__ import annotations

import faulthandler
import operator
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

SPEED = 50.0


_USER_FOLDERS = {
    "REDOXSCOPE_DATA": "data",
    "TILED_PROFILES": "profiles",
    "XDG_DATA_HOME": "share",
    "XDG_CONFIG_HOME": "config",
    "XDG_CACHE_HOME": "cache",
    "XDG_STATE_HOME": "state",
    "IPYTHONDIR": "ipython",
    "MPLCONFIGDIR": "mpl",
}


def pytest_configure(config):
    """Keep catalogs, logs and profiles of the tests out of the user's folders.

    Here and not in a fixture: Tiled reads its variables when it is first imported, which
    collecting a test file may do.
    """
    home = tempfile.TemporaryDirectory(prefix="redoxscope-tests-")
    config.add_cleanup(home.cleanup)
    for name, folder in _USER_FOLDERS.items():
        path = Path(home.name) / folder
        path.mkdir()
        os.environ[name] = str(path)
    os.environ["MPLBACKEND"] = "Agg"
    # Whichever test comes first, libca reads where to look for the simulation before it is used.
    from redoxscope.sim.ioc import point_client

    point_client()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Say where every thread stands when a test has waited in vain: it may never be seen again."""
    report = yield
    if report.failed and call.duration > 60 and hasattr(report.longrepr, "addsection"):
        with tempfile.TemporaryFile("w+") as said:
            faulthandler.dump_traceback(said, all_threads=True)
            said.seek(0)
            report.longrepr.addsection("threads", said.read())
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """Print a failure when it happens: a run that is ended from outside shows no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} ({report.when}):\n{report.longreprtext[-8000:]}", flush=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The measured data beside the checkout; tests that need them skip where they are not."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the measured data are not here (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def toner(shared_data) -> Path:
    """The measured Fe L stack."""
    return shared_data / "toner_fe_l" / "71214078.h5"


@pytest.fixture(scope="session")
def simulation():
    """One simulated beamline for the whole test session, in a process of its own."""
    from redoxscope.sim import Simulation

    with Simulation(speed=SPEED, seed=1) as running:
        yield running


@pytest.fixture(scope="session")
def connected(simulation):
    """The microscope, connected to the session's beamline."""
    from redoxscope.beamline import connect
    from redoxscope.testing import simulated_stxm

    stxm = simulated_stxm(simulation.prefix)
    connect(stxm)
    stxm.shutter.time_limit.put(20.0)  # a busy machine is no fault of the blade
    yield stxm
    stxm.destroy()


@pytest.fixture(scope="session")
def fault(simulation):
    """Ask the simulated beamline for a fault: ``fault("missed_trigger 3")``."""
    from ophyd import EpicsSignal

    signal = EpicsSignal(f"{simulation.prefix}Sim:Fault", name="fault", put_complete=True)
    signal.wait_for_connection(timeout=60)
    yield lambda command: signal.set(command, timeout=30).wait()
    signal.destroy()


def _settings(stxm) -> dict[str, object]:
    """What this process keeps, and no IOC does: by name, of the whole microscope."""
    return {
        item.dotted_name: item.item.get()
        for item in stxm.walk_signals()
        if not hasattr(item.item, "pvname") and item.dotted_name != "monochromator.energy"
    }


@pytest.fixture
def stxm(connected, fault):
    """The microscope in a known state: no fault due, shutter closed, scanner idle, all at 0.

    A plan sets back what it set: a test that leaves an offset or a length behind has failed.
    """
    fault("clear")
    fault("beam_back")
    connected.scanner.stop()
    connected.shutter.set("closed").wait(timeout=30)
    connected.energy.set(640.0).wait(timeout=60)
    for pair in (connected.osa, connected.sample_stage):  # where tests before have left them
        for motor in (pair.x, pair.y):
            if abs(motor.position) > 0.5:
                motor.set(0.0).wait(timeout=60)
    before = _settings(connected)
    yield connected
    after = _settings(connected)
    for name, value in before.items():  # the next test is not to suffer
        if str(after[name]) != str(value) and name != "monochromator.offset":
            operator.attrgetter(name)(connected).put(value)
    assert {name: str(value) for name, value in after.items()} == {
        name: str(value) for name, value in before.items()
    }, "left behind by the test, or by what it ran"


@pytest.fixture
def put(stxm, request):
    """``put(signal, value)`` for the time of one test."""

    def change(signal, value):
        before = signal.get()
        request.addfinalizer(lambda: signal.put(before))
        signal.put(value)

    return change


@pytest.fixture
def RE():  # noqa: N802  the name that bluesky's users know
    """A RunEngine without signal handlers."""
    from bluesky import RunEngine

    engine = RunEngine({}, context_managers=[])
    yield engine
    if engine.state not in ("idle", "panicked"):
        engine.abort()


@pytest.fixture
def docs(RE):
    """Documents that the RunEngine emits, by name, as they come."""
    collected = defaultdict(list)
    RE.subscribe(lambda name, doc: collected[name].append(doc))
    return collected
