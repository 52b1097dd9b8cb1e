"""A session: RunEngine, devices, live map, document log and catalog, put together."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from .sim import Simulation

__all__ = ["PVConnectionError", "Session", "start_session"]

log = logging.getLogger("redoxscope.session")

CONNECT_TIMEOUT = 10.0
SWITCH_INTERVAL = 5e-4
"""Longest time (s) that one thread keeps the interpreter when others wait. A line passes three
threads on its way to the map; Python's 5 ms would be the largest part of its latency."""


class PVConnectionError(ConnectionError):
    """PVs that do not answer, by name."""


def walk_pvs(device: Any) -> Iterator[tuple[str, str, bool]]:
    """Device and attribute, PV name, and whether it is connected, for every PV of a device."""
    for item in device.walk_signals(include_lazy=True):
        name = getattr(item.item, "pvname", None)
        if name is not None:
            yield item.dotted_name, name, bool(item.item.connected)


def connect(device: Any, timeout: float = CONNECT_TIMEOUT) -> None:
    """Wait until every PV of a device answers.

    Raises
    ------
    PVConnectionError
        Lists every PV that does not, with the part of the device it belongs to.
    """
    missing = missing_pvs(device, timeout)
    if missing:
        lines = "\n".join(f"  {pv}  ({device.name}.{attr})" for attr, pv in missing)
        raise PVConnectionError(f"{len(missing)} PVs do not answer within {timeout:g} s:\n{lines}")


def missing_pvs(device: Any, timeout: float = CONNECT_TIMEOUT) -> list[tuple[str, str]]:
    """Attribute and PV name of everything that does not answer within ``timeout`` (s)."""
    try:
        device.wait_for_connection(timeout=timeout)
    except TimeoutError:
        return [(attr, pv) for attr, pv, connected in walk_pvs(device) if not connected]
    return []


class Session:
    """What `start_session` returns; a context manager that ends what it started.

    Attributes
    ----------
    RE : bluesky.RunEngine
    cat : CatalogOfBlueskyRuns
        Opened when first used: ``cat[-1]``, ``cat[uid]``.
    stxm : redoxscope.devices.STXM
    map : redoxscope.callbacks.OxidationMap
        Live map of the stack that is being taken, or was last.
    config : redoxscope.config.BeamlineConfig
    simulation : Simulation or None
    data : pathlib.Path
        Directory of logs and embedded catalog.
    """

    def __init__(
        self,
        config: Any,
        *,
        simulation: Simulation | None,
        data: Path,
        catalog_directory: Path | None = None,
        timeout: float = CONNECT_TIMEOUT,
    ):
        from bluesky import RunEngine
        from bluesky.preprocessors import SupplementalData

        from .callbacks import DocumentLog, OxidationMap
        from .catalog import CatalogWriter
        from .config import make_stxm

        self.config, self.simulation, self.data = config, simulation, data
        self._catalog_directory = catalog_directory
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.stxm = make_stxm(config)
        try:
            connect(self.stxm, timeout)
            data.mkdir(parents=True, exist_ok=True)
        except BaseException:
            self.stxm.destroy()
            raise
        # Ctrl-C can be handled in the main thread only.
        in_main = threading.current_thread() is threading.main_thread()
        self.RE = RunEngine(
            {},
            context_managers=None if in_main else [],
            scan_id_source=_ScanNumbers(data / "scan_id"),
        )
        self.RE.md["beamline_id"] = config.name
        self.RE.md["simulated"] = config.simulated
        stxm = self.stxm
        self.RE.preprocessors.append(
            SupplementalData(baseline=[stxm.zone_plate, stxm.osa, stxm.sample_stage])
        )
        # In this order: what must not be lost, then what is shown, then what is stored.
        self.log = DocumentLog(data / "documents")
        self.map = OxidationMap(rate=1.0)
        self.RE.subscribe(self.log)
        self.RE.subscribe(self.map)
        self.RE.subscribe(CatalogWriter(_Lazily(lambda: self.cat), self.log))

    @cached_property
    def cat(self) -> Any:
        """The catalog of runs (see `redoxscope.catalog.open_catalog`)."""
        from .catalog import open_catalog

        return open_catalog(self.config.catalog.profile, directory=self._catalog_directory)

    @property
    def devices(self) -> dict[str, Any]:
        """The microscope and its parts by name, as the shell has them."""
        parts = {name: getattr(self.stxm, name) for name in self.stxm.component_names}
        return {"stxm": self.stxm, "energy": self.stxm.energy, **parts}

    def namespace(self) -> dict[str, Any]:
        """Names that an interactive session starts with."""
        import bluesky.plan_stubs as bps
        import bluesky.plans as bp
        import bluesky.preprocessors as bpp

        from . import callbacks, data, plans

        names = {name: getattr(plans, name) for name in ("energy_stack",)}
        helpers = {
            "OxidationMap": callbacks.OxidationMap,
            "MapView": callbacks.MapView,
            "oxidation_map": callbacks.oxidation_map,
            "load_references": data.load_references,
            "references_from_csv": data.references_from_csv,
        }
        session = {"s": self, "RE": self.RE, "cat": self.cat, "bp": bp, "bps": bps, "bpp": bpp}
        return {**self.devices, **names, **helpers, **session, "omap": self.map}

    def close(self) -> None:
        """End the live map's thread, the log and the simulated beamline."""
        from epics.ca import poll

        if self.RE.state not in ("idle", "panicked"):
            log.warning("the session is closed during a run: aborting it")
            self.RE.abort("session closed")
        self.map.close()
        self.log.close()
        self.stxm.destroy()
        poll(evt=0.05)  # sends the closing of the channels, before the IOC is gone
        if self.simulation is not None:
            self.simulation.close()
        sys.setswitchinterval(self._switch_interval)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _ScanNumbers:
    """Scan numbers that go on from session to session, kept in a file."""

    def __init__(self, path: Path):
        self._path = path

    def __call__(self, md: Mapping[str, Any]) -> int:
        try:
            last = int(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            last = 0
        except ValueError as exc:
            log.warning("%s is damaged (%s): scan numbers start again at 1", self._path, exc)
            last = 0
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(str(last + 1), encoding="utf-8")
        new.replace(self._path)
        return last + 1


class _Lazily:
    """Stands for the catalog until it is used: opening it takes seconds."""

    def __init__(self, get: Any):
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._get()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._get()


def start_session(
    beamline: str | Path | None = None,
    *,
    sample: str | Path = "lmr",
    speed: float = 1.0,
    seed: int = 1,
    data: str | Path | None = None,
    timeout: float = CONNECT_TIMEOUT,
    simulation_options: Mapping[str, object] | None = None,
) -> Session:
    """Start a session on a beamline, or on the simulated one.

    Parameters
    ----------
    beamline : path, optional
        A beamline file. By default, or when the file says ``simulated: true`` and has no
        prefix, the simulated beamline is started with the session and ends with it.
    sample : str or path
        What the simulated beamline holds: ``"lmr"``, or an HDF5 file with a measured stack.
    speed : float
        Simulated seconds per real second.
    seed : int
        Of the simulated sample and noise.
    data : path, optional
        Directory for logs and embedded catalog; by default ``$REDOXSCOPE_DATA``, else the
        user's data directory. An embedded catalog that exists keeps its place.
    timeout : float
        Longest time (s) for the PVs to answer.
    simulation_options : mapping, optional
        Further options of ``python -m redoxscope.sim``.

    Returns
    -------
    Session

    Raises
    ------
    redoxscope.config.ConfigError
        The beamline file is wrong.
    PVConnectionError
        Lists the PVs that do not answer. Nothing has moved.
    redoxscope.sim.SimulationError
        The simulated beamline does not start (a wrong sample file, say).

    Examples
    --------
    >>> from redoxscope import start_session
    >>> from redoxscope.plans import energy_stack
    >>> with start_session(speed=20) as s:                      # doctest: +SKIP
    ...     s.RE(energy_stack(s.stxm, edge="Mn L3", pixels=50))
    ...     run = s.cat[-1]
    """
    simulation: Simulation | None = None
    own = beamline is None
    if beamline is not None:
        from .config import load_beamline

        config = load_beamline(beamline)
        own = config.simulated and not config.prefix
    try:
        if own:
            # Before anything loads the EPICS client: it reads its environment once.
            simulation = Simulation(
                sample, speed=speed, seed=seed, options=simulation_options, wait=False
            )
            if beamline is None:
                from .config import simulated_beamline

                config = simulated_beamline(simulation.prefix)
            else:
                config = config.model_copy(update={"prefix": simulation.prefix})
        from . import callbacks, devices  # noqa: F401  seconds of imports, while the IOC starts
        from .catalog import data_directory

        if simulation is not None:
            simulation.wait_ready()
        folder = data_directory(data)
        return Session(
            config,
            simulation=simulation,
            data=folder,
            catalog_directory=None if data is None else folder,
            timeout=timeout,
        )
    except BaseException:
        if simulation is not None:
            simulation.close()
        raise
