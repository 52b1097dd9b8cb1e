"""A beamline file in tests: what is wrong with it, fakes for it, and a session on a simulation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophyd import Device, EpicsSignalRO
from ophyd.signal import EpicsSignalBase
from ophyd.sim import (
    FakeEpicsSignal,
    FakeEpicsSignalRO,
    fake_device_cache,
    make_fake_device,
)

from ..beamline import Beamline, BeamlineFile, ConfigError, load_beamline
from ..dry_run import State, layout_of
from ..sim import Simulation, isolate_client
from ._fake_lines import FakeMicroscope
from ._fake_parts import FakeAxis
from ._fake_ptycho import FakePtycho
from ._fake_spectrometer import FakeMono, FakeSpectrometer

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["FakeBeamline", "beamline_problems", "fake_beamline", "simulated_session"]


def beamline_problems(path: str | Path) -> list[str]:
    """What is wrong with a beamline file, a line each; no PV is looked for.

    It is read, fakes of its devices are made, and the simulation is asked whether it could stand
    for it.

    Parameters
    ----------
    path : str or Path
    """
    try:
        file = load_beamline(path)
        fake_beamline(file)
        layout_of(file)
    except ConfigError as exc:
        return str(exc).splitlines()
    return []


class FakeBeamline(Beamline):
    """A beamline of fakes: nothing connects, nothing takes time.

    Attributes
    ----------
    devices, instruments : dict of str to object
        By the names of the file.
    """

    def connect(self, timeout: float = 0.0) -> None:
        """Everything is there."""

    def destroy(self) -> None:
        """There is nothing to hang up."""


def fake_beamline(file: BeamlineFile) -> FakeBeamline:
    """Fakes under the names of a beamline file, on which its plans run in no time.

    An instrument ``stxm`` is a `FakeMicroscope` with the file's counters, one ``tes`` a
    `FakeSpectrometer`, one ``ptycho`` a `FakePtycho`; an energy axis is a `FakeMono`, a sample
    holder a `FakeAxis`. Any other device with PVs is made by ophyd's ``make_fake_device``, and one
    without as it is.

    Parameters
    ----------
    file : BeamlineFile
    """
    devices: dict[str, Any] = {}
    instruments: dict[str, Any] = {}
    roles = {name: dict(one.roles) for name, one in file.instruments.items()}
    stxm, tes, ptycho = roles.get("stxm"), roles.get("tes"), roles.get("ptycho")
    for bound in filter(None, (stxm, tes, ptycho)):
        if bound.get("energy") is not None:
            devices.setdefault(bound["energy"], FakeMono(bound["energy"]))
    if stxm is not None:
        fields = ["transmission", *(["i0"] if stxm.get("i0") else []), *stxm.get("counters", ())]
        microscope = FakeMicroscope(fields=fields)
        instruments["stxm"] = microscope
        parts = {"scanner": microscope.scanner, "sample_stage": microscope.sample_stage}
        parts["shutter"] = microscope.shutter
        devices |= {stxm[role]: part for role, part in parts.items() if stxm.get(role)}
    if tes is not None:
        mono = devices.get(tes.get("energy", ""), FakeMono())
        detector = FakeSpectrometer(mono, tes["detector"])
        instruments["tes"] = devices[tes["detector"]] = detector
        if tes.get("shutter"):
            detector.shutter = devices.setdefault(tes["shutter"], detector.shutter)
        if tes.get("holder"):
            detector.holder = devices.setdefault(tes["holder"], FakeAxis(tes["holder"]))
    if ptycho is not None:
        station = instruments["ptycho"] = FakePtycho(mono=devices[ptycho["energy"]])
        devices |= {ptycho["camera"]: station.camera, ptycho["path"]: station.path}
        if ptycho.get("shutter"):
            station.shutter = devices.setdefault(ptycho["shutter"], station.shutter)
    for name in file.devices:
        if name not in devices:
            devices[name] = _fake(file, name)
    return FakeBeamline(file, devices, instruments)


def _fake(file: BeamlineFile, name: str) -> Any:
    entry = file.devices[name]
    if not issubclass(entry.cls, Device):
        made = fake_device_cache.get(entry.cls, entry.cls)  # a signal by itself
        return FakeAxis(name) if entry.own else made(**entry.options, name=name)
    _know_signals(entry.cls)
    made = make_fake_device(entry.cls)
    if not entry.own:
        return made(**entry.options, name=name)
    keywords = {} if hasattr(entry.cls, "kickoff") else entry.options.keywords()
    return made(file.prefix + entry.prefix, name=name, **keywords)


def _know_signals(cls: type) -> None:
    """Have ophyd know fakes of all signals of a device class; else it would make real ones."""
    for component in getattr(cls, "_sig_attrs", {}).values():
        part = component.cls
        if issubclass(part, EpicsSignalBase):
            fake = FakeEpicsSignalRO if issubclass(part, EpicsSignalRO) else FakeEpicsSignal
            fake_device_cache.setdefault(part, fake)
        elif issubclass(part, Device):
            _know_signals(part)


@contextmanager
def simulated_session(
    path: str | Path,
    *,
    speed: float = 50.0,
    state: State | None = None,
    data: str | Path | None = None,
) -> Iterator[Session]:
    """A session on a simulation that serves the PVs of a beamline file. Once per process.

    No real PV can be reached: EPICS clients of this process look at the simulation only, and each
    PV that has connected is looked at once more.

    Parameters
    ----------
    path : str or Path
    speed : float
        Simulated seconds per real second.
    state : State, optional
        How the beamline stood, as `redoxscope.dry_run.read_state` reads it.
    data : str or Path, optional
        Data folder; by default one that is removed.

    Raises
    ------
    redoxscope.beamline.ConfigError
        The file is wrong, or the simulation cannot serve it.
    redoxscope.sim.SimulationError
        EPICS is in use in this process already, or the simulation does not start.
    """
    file = load_beamline(path)
    layout = layout_of(file, state)
    isolate_client()
    with ExitStack() as stack:
        if data is None:
            data = stack.enter_context(tempfile.TemporaryDirectory(prefix="beamline-test-"))
        folder = Path(data)
        dastard = folder / "dastard"
        dastard.mkdir(parents=True, exist_ok=True)
        simulation = stack.enter_context(
            Simulation(
                layout=layout,
                speed=speed,
                options={"no-shutter": not file.has_shutter},
                tes={"data": dastard} if file.of_class("tes") else False,
            )
        )
        from ..dry_run.support import check_simulated, on_the_simulation
        from ..session import Session

        session = stack.enter_context(
            Session(
                on_the_simulation(file, simulation),
                simulation=None,
                data=folder,
                catalog_directory=folder,
            )
        )
        for _, device in session.beamline.roots():
            check_simulated(device, simulation.port)
        yield session
