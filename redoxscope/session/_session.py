"""The session: what was declared in the beamline file, and what serves all of it."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bluesky import RunEngine

from ..beamline import CONNECT_TIMEOUT, BeamlineFile, make_beamline
from ..sim import Simulation
from ..storage import DocumentLog, keep_results, logged_run
from . import _signals
from ._calibrated import in_force
from ._ending import Ending
from ._files import nxstxm_files
from ._finish import finish, finish_at_the_end
from ._live import Shown, live_maps
from ._made import session_engine
from ._names import Named, devices_of, known_by_name
from ._prompt import shown_at_the_prompt
from ._publish import publish_documents, publish_frames
from ._spectrometer import Spectrometers
from ._stored import catalog_writer

__all__ = ["Session"]

SWITCH_INTERVAL = 5e-4
"""Longest time (s) that one thread keeps the interpreter when others wait. A line passes three
threads on its way to the map; Python's 5 ms would be the largest part of its latency."""


class Session(Named, Shown, Ending):
    """What `start_session` returns; a context manager that ends what it started.

    Every device and instrument of the beamline file is an attribute (``s.stxm``, ``s.mono``), and
    every live map (``s.oxidation_map``, ``s.rixs_map``); ``s.devices`` and ``s.maps`` have them
    by name. ``s.show()`` shows all maps.

    Attributes
    ----------
    RE : bluesky.RunEngine
    sd : bluesky.preprocessors.SupplementalData
        What is read with every run besides: ``sd.baseline.append(device)``, ``sd.monitors``.
    cat : CatalogOfBlueskyRuns
        Opened when first used: ``cat[-1]``, ``cat[uid]``.
    beamline : redoxscope.beamline.Beamline
    devices : dict of str to device
        Devices and instruments by name.
    maps : dict of str to callback
        Live map of each analysis, by its name.
    log : redoxscope.storage.DocumentLog
    calibrations : redoxscope.calibrations.Calibrations
        Of energies, focus and aperture: what is in force, and what was.
    stored : redoxscope.storage.CatalogWriter
        Puts runs into the catalog; ``s.stored.waiting`` are those that are not there yet.
    windows : WindowStore
        With a spectrometer. Named windows by edge: ``windows["Co L"]``.
    publisher : redoxscope.callbacks.DocumentPublisher or None
    nxstxm : redoxscope.storage.nxstxm.NxstxmFiles or None
        Where NXstxm files are written while it measures.
    cosmic : redoxscope.callbacks.CosmicPublisher or None
    simulation : Simulation or None
    data : pathlib.Path
        Directory of logs, photon lists, calibrations and embedded catalog.
    """

    def __init__(
        self,
        file: BeamlineFile,
        *,
        simulation: Simulation | None,
        data: Path,
        catalog_directory: Path | None = None,
        timeout: float = CONNECT_TIMEOUT,
        engine: Callable[..., RunEngine] = RunEngine,
        earlier: Path | None = None,
        publish: str = "",
        nxstxm: str = "",
        cosmic: str = "",
        gpu: bool = False,
    ):
        super().__init__()
        self.simulation, self.data = simulation, data
        with ExitStack() as steps:  # in the order in which the end undoes them, the last first
            steps.callback(self.closed.set)
            steps.enter_context(shown_at_the_prompt())
            steps.callback(atexit.unregister, self.close)
            steps.callback(_signals.unwatch, self)  # a signal hinders no clean-up
            steps.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(SWITCH_INTERVAL)
            if simulation is not None:
                steps.callback(simulation.close)
            self.beamline = make_beamline(file)
            steps.callback(_hang_up, self.beamline)
            self.devices = devices_of(self.beamline)
            spectrometers = Spectrometers(self.beamline, data)
            self.beamline.connect(timeout)
            spectrometers.calibrate()
            self.RE, self.sd = session_engine(self.beamline, data, kind=engine)
            self.RE.preprocessors.insert(0, self.unless_ending)
            self.log = DocumentLog(data / "documents")
            logs = earlier or self.log.directory
            self.RE.preprocessors.append(known_by_name(self, logs))
            self.maps = live_maps(self.RE, gpu=gpu, earlier=partial(logged_run, logs))
            self.calibrations = in_force(self.beamline, self.RE, data)
            self.extras = {**spectrometers.extras, "calibrations": self.calibrations}
            photons = data / "photons" if spectrometers else None
            maps = self.maps.values()
            self._kept = keep_results(*maps)
            self.stored = catalog_writer(
                file.catalog.profile, catalog_directory, self.log, photons, [self._kept]
            )
            # In this order: what must not be lost, then what is shown, then what is stored.
            for part in (self.log, *maps, self.stored):
                self.RE.subscribe(part)
            steps.callback(self._hide)
            for part in (self.log, *maps):
                steps.callback(part.close)
            self.publisher = publish_documents(publish, self.beamline, self.RE, steps)
            self.nxstxm = nxstxm_files(nxstxm, data, self.RE, steps)
            self.cosmic = publish_frames(cosmic, self.RE, steps)
            steps.callback(self._finish_at_the_end)
            spectrometers.serve(self.RE, self.maps)
            _signals.watch(self)
            atexit.register(self.close)
            self._steps = steps.pop_all()

    @property
    def file(self) -> BeamlineFile:
        """What the beamline file says."""
        return self.beamline.file

    @property
    def cat(self) -> Any:
        """The catalog of runs (see `redoxscope.storage.open_catalog`).

        Each use waits for runs that are being stored: ``cat[-1]`` is the run that ended last.
        """
        return self.stored.catalog

    @staticmethod
    def logged(logs: Path, uid: str) -> Any:
        """The documents of a run in a folder of document logs."""
        return logged_run(logs, uid)

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
        files = () if self.nxstxm is None else (self.nxstxm,)
        return finish((*self.maps.values(), *files, self.stored, self._kept), timeout)

    def _finish_at_the_end(self) -> None:
        by_signal = self.ended_by is not None
        finish_at_the_end(self.maps.values(), self.stored, self._kept, by_signal=by_signal)


def _hang_up(beamline: Any) -> None:
    from epics.ca import poll

    beamline.destroy()
    poll(evt=0.05)  # sends the closing of the channels, before a simulated IOC ends
