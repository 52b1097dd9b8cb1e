"""Starting and ending the IOC process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...inputs import as_number, as_whole
from .._layout import Layout
from ..camera import CameraFaults
from ..dastard import ServerFaults, SimulatedDastard
from ..physics.ptycho import CameraModel
from ..process import Child, SimulationError, answer_repeater_requests, check_free, free_port
from ._faults import Faults
from ._fly_faults import FlyFaults
from ._heat_faults import HeatFaults

__all__ = ["Simulation", "check_options", "client_environment", "isolate_client", "point_client"]

_ports: list[int] = []
"""Ports that libca of this process searches; it reads its environment only once."""

_PORTS_PER_PROCESS = 4
CONTRACTS = ("index", "fly")
_running: set[int] = set()
_started: dict[int, int] = {}
"""Simulations so far, by port."""


def client_environment(ports: Sequence[int]) -> dict[str, str]:
    """Environment with which a Channel Access client finds IOCs on loopback ports only."""
    return {
        "EPICS_CA_ADDR_LIST": " ".join(f"127.0.0.1:{port}" for port in ports),
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
    }


def _with_the_users(ours: dict[str, str]) -> dict[str, str]:
    """Beside the simulation, the servers that the user's environment names are found as before."""
    theirs = os.environ.get("EPICS_CA_ADDR_LIST", "").split()
    mine = ours["EPICS_CA_ADDR_LIST"].split()
    both = {**ours, "EPICS_CA_ADDR_LIST": " ".join(mine + [a for a in theirs if a not in mine])}
    for name in ("EPICS_CA_AUTO_ADDR_LIST", "EPICS_CA_MAX_ARRAY_BYTES"):
        if theirs and name in os.environ:
            both[name] = os.environ[name]
    return both


def _in_use() -> str | None:
    """A PV that this process has used, where libca has read its environment already."""
    ca = sys.modules.get("epics.ca")
    # A context stays in it from the first channel on, also when all were closed again.
    contexts = getattr(ca, "_cache", {})
    if not contexts:
        return None
    return next((name for names in contexts.values() for name in names), "a PV closed since")


def _check_unused() -> None:
    """Refuse where libca has read its environment already: it would not find the simulation.

    Raises
    ------
    SimulationError
    """
    used = _in_use()
    if used is not None:
        raise SimulationError(
            f"EPICS is in use in this process already ({used}), and its client reads where to "
            "look for PVs only once: it would not find the simulated beamline. Start the session "
            "first, or in a new process; or run `redoxscope sim` beside it, and set what that says "
            "before Python is started"
        )


def _take_ports() -> None:
    while len(_ports) < _PORTS_PER_PROCESS:
        port = free_port()
        if port not in _ports:
            _ports.append(port)


def point_client() -> None:
    """Point libca of this process at the ports of its simulations; again is no error.

    Raises
    ------
    SimulationError
        It is in use already.
    """
    if _ports:
        return
    _check_unused()
    _take_ports()
    os.environ.update(_with_the_users(client_environment(_ports)))
    os.environ["EPICS_CA_REPEATER_PORT"] = str(answer_repeater_requests())


def isolate_client() -> None:
    """Let EPICS clients of this process find its simulations and nothing else, whatever the user's
    environment names.

    Raises
    ------
    SimulationError
        EPICS is in use in this process already: it may know real PVs.
    """
    used = _in_use()
    if used is not None:
        raise SimulationError(
            f"EPICS is in use in this process already ({used}): a dry run, which must reach no "
            "real PV, begins in a new process"
        )
    _take_ports()
    nobody = str(free_port())
    os.environ.update(client_environment(_ports))
    os.environ.update(
        EPICS_CA_NAME_SERVERS="",
        EPICS_CA_REPEATER_PORT=str(answer_repeater_requests()),
        EPICS_PVA_ADDR_LIST="127.0.0.1",
        EPICS_PVA_AUTO_ADDR_LIST="NO",
        EPICS_PVA_NAME_SERVERS="",
        EPICS_PVA_BROADCAST_PORT=nobody,
        EPICS_PVA_SERVER_PORT=nobody,
    )


def _take_port() -> int:
    """Next port of this process; one that another program has taken meanwhile is passed over."""
    point_client()
    taken: OSError | None = None
    for port in _ports:
        if port in _running:
            continue
        try:
            check_free(port)
        except OSError as exc:
            taken = exc
            continue
        _running.add(port)
        return port
    if taken is not None:
        raise SimulationError(f"no port is left for a simulated beamline: {taken}")
    raise SimulationError(
        f"{_PORTS_PER_PROCESS} simulated beamlines are running in this process already; close one"
    )


def _new_prefix(port: int) -> str:
    """A prefix that this process has not used: libca looks for a name that it lost more and more
    seldom, so that one that comes back may stay away for minutes.
    """
    _started[port] = count = _started.get(port, 0) + 1
    return f"RS{port}:" if count == 1 else f"RS{port}-{count}:"


def check_options(
    speed: float = 1.0,
    seed: int = 1,
    options: Mapping[str, object] | None = None,
    tes: bool | Mapping[str, Any] = False,
    contract: str = "index",
    heat_speed: float | None = None,
) -> None:
    """Refuse what the simulated beamline would refuse, without the seconds that its start takes.

    Parameters
    ----------
    speed, seed, options, tes, contract, heat_speed
        As for `Simulation`; of the options the faults are looked at.

    Raises
    ------
    ValueError
        Names the option and what it may be.
    """
    as_number("speed", speed, above=0)
    if heat_speed is not None:
        as_number("heat_speed", heat_speed, above=0)
    as_whole("seed", seed)
    if contract not in CONTRACTS:
        raise ValueError(f"contract = {contract!r} is none of {', '.join(CONTRACTS)}")
    faults = (options or {}).get("fault", [])
    for command in [faults] if isinstance(faults, str) else list(faults):  # type: ignore[call-overload]
        first, _, rest = str(command).partition(" ")
        if first == "fly":
            if contract != "fly":
                raise ValueError(f"fault {command!r}: the FLY contract is not served here")
            FlyFaults().request(rest)
        elif first == "heat":
            HeatFaults().request(rest)
        elif first == "camera":
            CameraFaults().request(rest)
        elif first != "dastard":
            Faults().request(str(command))
        elif not tes:
            raise ValueError(f"fault {command!r}: there is no simulated Dastard here")
        else:
            ServerFaults().request(rest)


class Simulation(Child):
    """A simulated beamline in a process of its own.

    Parameters
    ----------
    sample : str or pathlib.Path
        ``"lmr"`` for the simulated electrode, or an HDF5 file with a measured stack.
    speed : float
        Simulated seconds per real second.
    heat_speed : float, optional
        The same for heating stages and the vacuum, which are slow; by default ``speed``.
    seed : int
        Of sample and noise.
    port : int, optional
        Channel Access port; by default a free one that this process's client searches.
    prefix : str, optional
        Start of the PV names.
    options : mapping of str to object, optional
        Further options of ``python -m redoxscope.sim``, e.g. ``{"a1-error": 0.02}``; a list
        repeats the option.
    wait : bool
        Return when it answers. With False the caller has something to do meanwhile and calls
        `wait_ready` itself.
    tes : bool or mapping
        Also a simulated Dastard, which sees the beam of this beamline; a mapping holds options
        for it, as of `SimulatedDastard`.
    contract : str
        ``"index"``: the scanner's lines have stamped indices. ``"fly"``: beside it, on the same
        axes and counters, the FLY contract is served, as `fly_prefix`.
    layout : Layout, optional
        The beamline that is simulated, made by `redoxscope.dry_run.layout_of`: its PV names, zone
        plate and state. Only what begins with ``Sim:`` has the prefix then.
    instant : bool
        What takes time on a beamline is over at once.

    Attributes
    ----------
    fly_prefix : str
        Start of the PV names of the FLY contract.
    dastard : SimulatedDastard or None

    Raises
    ------
    ValueError
        Speed, seed or a fault that makes no sense.
    SimulationError
        The process does not start, with what it printed.
    """

    def __init__(
        self,
        sample: str | Path = "lmr",
        *,
        speed: float = 1.0,
        heat_speed: float | None = None,
        seed: int = 1,
        port: int | None = None,
        prefix: str | None = None,
        options: Mapping[str, object] | None = None,
        wait: bool = True,
        tes: bool | Mapping[str, Any] = False,
        contract: str = "index",
        layout: Layout | None = None,
        instant: bool = False,
    ):
        if layout is not None and layout.fly:
            contract = "fly"
        check_options(speed, seed, options, tes, contract, heat_speed)
        self.dastard: SimulatedDastard | None = None
        self._frames: TemporaryDirectory[str] | None = None
        self._own_port = port is None
        self.port = _take_port() if port is None else port
        self.prefix = _new_prefix(self.port) if prefix is None else prefix
        named = (options or {}).get("fly-prefix")
        self.fly_prefix = f"{self.prefix}STXMSIM:" if named is None else str(named)
        self.contract = contract
        self.speed = speed
        self.heat_speed = speed if heat_speed is None else heat_speed
        arguments: dict[str, object] = {
            "sample": sample,
            "speed": speed,
            "heat-speed": heat_speed,
            "seed": seed,
            "port": self.port,
            "contract": contract,
            "layout": None if layout is None else layout.to_json(),
            "instant": instant,
        }
        try:
            if tes:
                given = {} if tes is True else dict(tes)
                given = {"speed": speed, "seed": seed, **given, "wait": False}
                self.dastard = SimulatedDastard(**given)
                arguments["dastard-control"] = self.dastard.control_port
            arguments |= {"prefix": self.prefix, **(options or {})}
            whole = CameraModel.shape[0]
            self.camera_binning = whole // int(str(arguments.get("camera-size", whole)))
            if "camera-data" not in arguments:
                self._frames = TemporaryDirectory(prefix="redoxscope-camera-")
                arguments["camera-data"] = self._frames.name
            super().__init__("redoxscope.sim", "the simulated beamline", arguments)
        except BaseException:
            self._release()
            raise
        if wait:
            self.wait_ready()

    def wait_ready(self) -> list[str]:
        """Wait until the IOC answers, and Dastard where there is one.

        Raises
        ------
        SimulationError
            One of them ended instead, or did not answer in time; with what it printed.
        """
        try:
            if self.dastard is not None:
                self.dastard.wait_ready()
        except SimulationError:
            self.close()
            raise
        return super().wait_ready()

    def _release(self) -> None:
        if self.dastard is not None:
            self.dastard.close()
        if self._frames is not None:
            self._frames.cleanup()
        if self._own_port:
            _running.discard(self.port)

    def close(self) -> None:
        """End the process, and Dastard's where there is one; done when they have ended."""
        super().close()
        self._release()
