"""A session: RunEngine, devices, live map, document log and catalog, put together."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _signals
from ._simulated import simulated_tes, with_simulated_tes
from .beamline import CONNECT_TIMEOUT, PVConnectionError, connect, missing_pvs, walk_pvs
from .sim import Simulation

if TYPE_CHECKING:
    from .analysis.rixs import DamageVerdict
    from .devices import TES

__all__ = [
    "PVConnectionError",
    "Session",
    "connect",
    "missing_pvs",
    "opened_by",
    "start_session",
    "walk_pvs",
]

log = logging.getLogger("redoxscope.session")

SWITCH_INTERVAL = 5e-4
"""Longest time (s) that one thread keeps the interpreter when others wait. A line passes three
threads on its way to the map; Python's 5 ms would be the largest part of its latency."""


class Session:
    """What `start_session` returns; a context manager that ends what it started.

    Attributes
    ----------
    RE : bluesky.RunEngine
    sd : bluesky.preprocessors.SupplementalData
        What is read with every run besides: ``sd.baseline.append(device)``, ``sd.monitors``.
    cat : CatalogOfBlueskyRuns
        Opened when first used: ``cat[-1]``, ``cat[uid]``.
    stored : redoxscope.storage.CatalogWriter
        Puts runs into the catalog; ``s.stored.waiting`` are those that are not there yet.
    stxm : redoxscope.devices.STXM
    map : redoxscope.callbacks.OxidationMap
        Live map of the stack that is being taken, or was last.
    config : redoxscope.beamline.BeamlineFile
    beamline : redoxscope.beamline.Beamline
    tes : redoxscope.devices.TES
        Spectrometer, where the session has one.
    rixs : redoxscope.callbacks.RixsMap
        Live map of the RIXS run that is being taken, or was last.
    windows : WindowStore
        Named windows by edge: ``windows["Co L"]``, ``windows.save("Co L", rixs.windows)``.
    simulation : Simulation or None
    data : pathlib.Path
        Directory of logs, photon lists, calibrations and embedded catalog.
    ended_by : int or None
        Signal that ends it.
    closing : bool
    closed : threading.Event
    """

    def __init__(
        self,
        config: Any,
        *,
        simulation: Simulation | None,
        data: Path,
        catalog_directory: Path | None = None,
        tes: bool = False,
        timeout: float = CONNECT_TIMEOUT,
        engine: Callable[..., Any] | None = None,
    ):
        from ._baseline import Baseline
        from ._engine import make_engine
        from ._metadata import Metadata, ScanNumbers
        from ._spectrometer import CalibrationStore, WindowStore, prepare_tes
        from ._stored import catalog_writer
        from .beamline import ConfigError, make_beamline
        from .callbacks import OxidationMap, RixsMap
        from .documents import check_session
        from .plans import with_photons
        from .storage import DocumentLog, keep_results

        self.config, self.simulation, self.data = config, simulation, data
        self.ended_by: int | None = None
        self.closing, self.closed = False, threading.Event()
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        if tes and "tes" not in config.instruments:
            raise ConfigError(f"beamline {config.name!r} has no instrument 'tes'")
        self.beamline = make_beamline(config if tes else config.without("tes"))
        self.stxm = self.beamline.instruments["stxm"]
        self._tes: TES | None = self.beamline.instruments.get("tes")
        self._calibrations = CalibrationStore(data / "calibrations", config.name)
        self.windows = WindowStore(data / "windows.yml")
        try:
            if self._tes is not None:
                prepare_tes(self._tes, photons=data / "photons", simulated=config.simulated)
            self.beamline.connect(timeout)
            if self._tes is not None:
                if not config.simulated:  # each simulated detector has gain curves of its own
                    self._calibrations.load_newest(self._tes)
        except BaseException:
            self.beamline.destroy()
            sys.setswitchinterval(self._switch_interval)
            raise
        own = {"beamline_id": config.name, "simulated": config.simulated}
        self.RE = make_engine(
            Metadata(data / "metadata.json"),
            scan_id_source=ScanNumbers(data / "scan_id"),
            md_validator=partial(check_session, own=own),
            **({} if engine is None else {"kind": engine}),
        )
        self.RE.preprocessors.append(self._unless_ending)
        self.RE.md.update(own)
        self.sd = Baseline(baseline=self.stxm.fixed_parts, carried=self.stxm.fixed_parts)
        self.RE.preprocessors.append(self.sd)
        # In this order: what must not be lost, then what is shown, then what is stored.
        self.log = DocumentLog(data / "documents")
        self.map = OxidationMap(rate=1.0)
        self.rixs = RixsMap(rate=1.0, on_damage=self._damaged)
        self.RE.subscribe(self.log)
        self.RE.subscribe(self.map)
        self.RE.subscribe(self.rixs)
        if self._tes is not None:
            self.RE.preprocessors.append(partial(with_photons, tes=self._tes))
            self._tes.subscribe_batches(self.rixs.photons)
            self.RE.subscribe(self._calibrations.keeper(self._tes))
        self.stored = catalog_writer(
            config.catalog.profile,
            catalog_directory,
            self.log,
            None if self._tes is None else data / "photons",
        )
        self.stored.then.append(keep_results(self.map, self.rixs))
        self.RE.subscribe(self.stored)
        _signals.watch(self)
        atexit.register(self.close)

    def _unless_ending(self, plan: Any) -> Any:
        if self.closing or self.ended_by is not None:
            raise RuntimeError("the session is ending; it starts no plan any more")
        return plan

    def _damaged(self, verdict: DamageVerdict) -> None:
        from ._engine import pause_for

        shown = self.rixs.snapshot
        pause_for(self.RE, verdict.message, over=shown is not None and shown.finished)

    @property
    def tes(self) -> TES:
        """The spectrometer.

        Raises
        ------
        RuntimeError
            This session has none.
        """
        if self._tes is None:
            raise RuntimeError(
                "this session has no TES: start it with start_session(tes=True), and with the key "
                "'tes' among the instruments of its beamline file"
            )
        return self._tes

    @property
    def mono(self) -> Any:
        """The monochromator alone; `energy` of the microscope moves the zone plate with it."""
        return self.stxm.monochromator

    @property
    def cat(self) -> Any:
        """The catalog of runs (see `redoxscope.storage.open_catalog`).

        Each use waits for runs that are being stored: ``cat[-1]`` is the run that ended last.
        """
        return self.stored.catalog

    def finish(self, timeout: float | None = None) -> bool:
        """Wait for what goes on after the runs that have ended, and say for what.

        Parameters
        ----------
        timeout : float, optional
            Longest time, s; by default as long as it takes.

        Returns
        -------
        bool
            False when it is not done in that time; it goes on.
        """
        from ._finish import finish

        return finish((self.map, self.rixs, self.stored), timeout)

    @property
    def devices(self) -> dict[str, Any]:
        """The microscope and its parts by name, as the shell has them."""
        found = {name: getattr(self.stxm, name) for name in self.stxm.component_names}
        parts = {name: part for name, part in found.items() if hasattr(part, "component_names")}
        more = {"stxm": self.stxm, "energy": self.stxm.energy, "mono": self.mono}
        if self._tes is not None:
            more |= {"tes": self._tes, "holder": self._tes.holder}
        return {**more, **parts}

    def namespace(self) -> dict[str, Any]:
        """Names that an interactive session starts with."""
        from ._namespace import namespace

        return namespace(self)

    def end_run(self, reason: str) -> bool:
        """Abort what is being measured, if anything is, and wait for the end of its clean-up.

        Parameters
        ----------
        reason : str
            For the stop document.

        Returns
        -------
        bool
            False when the clean-up hangs: then scanner and shutter were told directly.
        """
        from ._engine import END_TIMEOUT, end_run, stop_now

        ended = end_run(self.RE, reason)
        if not ended:
            log.error("the run's clean-up did not end within %g s", END_TIMEOUT)
        if not ended or self.RE.state == "panicked":
            stop_now(self.stxm.scanner, self.stxm.shutter)
        return ended

    def close(self) -> None:
        """End what the session started: run, live maps, log, connections, simulated beamline.

        A run that is going on, in whatever thread, is aborted, and its clean-up waited for.
        """
        from epics.ca import poll

        from ._engine import close_engine, say_what_is_safe
        from ._finish import finish_at_the_end

        if self.closing:
            return
        self.closing = True
        with ExitStack() as steps:  # the last comes first; one that fails keeps none from coming
            steps.callback(self.closed.set)
            steps.callback(atexit.unregister, self.close)
            steps.callback(_signals.unwatch, self)
            steps.callback(sys.setswitchinterval, self._switch_interval)
            if self.simulation is not None:
                steps.callback(self.simulation.close)
            steps.callback(poll, evt=0.05)  # sends the closing of the channels, before the IOC ends
            steps.callback(self.beamline.destroy)
            for part in (self.log, self.rixs, self.map):
                steps.callback(part.close)
            steps.callback(
                finish_at_the_end,
                (self.map, self.rixs),
                self.stored,
                by_signal=self.ended_by is not None,
            )
            during_a_run = self.RE.state != "idle"
            if during_a_run:
                log.warning("the session is closed during a run: aborting it")
            by = self.ended_by
            if self.end_run("session closed" if by is None else _signals.reason(by)):
                close_engine(self.RE)
            if during_a_run:
                say_what_is_safe(self.stxm.shutter)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self.ended_by is not None:
            raise SystemExit(128 + self.ended_by)


_opener: Callable[..., Session] | None = None


@contextmanager
def opened_by(opener: Callable[..., Session]) -> Iterator[None]:
    """Have another function open the sessions that `start_session` is asked for: a dry run."""
    global _opener
    before, _opener = _opener, opener
    try:
        yield
    finally:
        _opener = before


def start_session(
    beamline: str | Path | None = None,
    *,
    sample: str | Path = "lmr",
    speed: float = 1.0,
    seed: int = 1,
    data: str | Path | None = None,
    tes: bool | None = None,
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
        Data folder, made on first use; by default ``$REDOXSCOPE_DATA``, else the user's data
        directory. Logs and photon lists go there, and the catalog lies in it unless the profile is
        a facility's.
    tes : bool, optional
        With the spectrometer. By default, when the beamline file has one; the simulated beamline
        that is started without a file has it only when asked.
    timeout : float
        Longest time (s) in which no further PV answers.
    simulation_options : mapping, optional
        Further options of ``python -m redoxscope.sim``.

    Returns
    -------
    Session

    Raises
    ------
    redoxscope.beamline.ConfigError
        The beamline file is wrong.
    PVConnectionError
        Lists the PVs that do not answer. Nothing has moved.
    redoxscope.storage.CatalogError
        The data folder held runs before and is gone (a disk that is not mounted), or cannot be
        written.
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
    if _opener is not None:
        return _opener(beamline, tes=tes, timeout=timeout)
    simulation: Simulation | None = None
    own, contract = beamline is None, "index"
    if beamline is not None:
        from .beamline import load_beamline

        config = load_beamline(beamline)
        tes = "tes" in config.instruments if tes is None else tes
        own = config.simulated and not config.prefix
        contract = "fly" if config.of_class("fly_scanner") else "index"
    try:
        if own:
            # Before anything loads the EPICS client: it reads its environment once.
            simulation = Simulation(
                sample,
                speed=speed,
                seed=seed,
                options=simulation_options,
                tes=simulated_tes(data) if tes else False,
                wait=False,
                contract=contract,
            )
            from .beamline import simulated_beamline

            if beamline is None:
                config = simulated_beamline(simulation.prefix)
            else:
                config = config.served_as(simulation.prefix)
        from . import callbacks, devices  # noqa: F401  seconds of imports, while the IOC starts
        from .storage import data_folder

        if simulation is not None:
            simulation.wait_ready()
            config = with_simulated_tes(config, simulation)
        folder = data_folder(data)
        return Session(
            config,
            simulation=simulation,
            data=folder,
            catalog_directory=None if data is None else folder,
            tes=bool(tes),
            timeout=timeout,
        )
    except BaseException:
        if simulation is not None:
            simulation.close()
        raise
