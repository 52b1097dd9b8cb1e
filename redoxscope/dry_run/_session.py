"""The session of a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..beamline import BeamlineFile, CatalogOptions, ConfigError
from ..devices import DeviceError
from ..inputs import Unmeasured
from ..session import Session
from ..session.support import CalibrationStore, at_heat_speed
from ..sim import Simulation
from ._calibration import stand_in
from ._engine import DryEngine, Rehearsal
from ._frames import line_of_script

__all__ = ["DrySession", "check_simulated", "Opener"]

LOOPBACK = ("localhost", "127.0.0.1")


class DrySession(Session):
    """A session whose engine foretells, on a simulated beamline that outlives it.

    Without ``full`` there are no documents, and nothing is kept: the live maps and the catalog are
    not measured.
    """

    def __init__(self, file: BeamlineFile, *, rehearsal: Rehearsal, **kwargs: Any):
        self._rehearsal = rehearsal
        engine = partial(DryEngine, rehearsal=rehearsal)
        super().__init__(file, simulation=None, engine=engine, **kwargs)
        for instrument in self.beamline.instruments.values():
            if hasattr(instrument, "check_scan"):
                instrument.check_scan = self._telling(instrument.check_scan)
        for name in file.heaters:
            heater = self.beamline.devices[name]
            heater.check_value = self._telling(heater.check_value)
            heater.instant = not rehearsal.full
        if rehearsal.full:
            return
        self.RE.dispatcher.unsubscribe_all()
        for part in self.maps.values():
            part.close()
        self.maps = dict.fromkeys(self.maps, Unmeasured(self._note))

    def show(self, *args: Any, **kwargs: Any) -> Any:
        """As of a session; there is nothing to show where nothing is measured."""
        if self._rehearsal.full:
            return super().show(*args, **kwargs)
        return Unmeasured(self._decides)

    def finish(self, timeout: float | None = None) -> bool:
        """As of a session; nothing is pending where nothing is measured."""
        return super().finish(timeout) if self._rehearsal.full else True

    def _finish_at_the_end(self) -> None:
        if self._rehearsal.full:
            super()._finish_at_the_end()
        else:
            self.stored.close(0.0)

    @property
    def cat(self) -> Any:
        return super().cat if self._rehearsal.full else Unmeasured(self._note)

    def logged(self, logs: Path, uid: Any) -> Any:  # type: ignore[override]
        """As of a session; of a run that was foretold nothing is known, and nothing left."""
        known = isinstance(uid, Unmeasured)
        if not known and not any(one.startswith(uid) for one in self._rehearsal.foretold):
            return super().logged(logs, uid)
        self._note("nothing is left of a run that was not measured: 0 s")
        return Unmeasured(self._note)

    def _note(self, text: str) -> None:
        self._rehearsal.account.note(text, line_of_script())

    def _telling(self, check: Callable[..., Any]) -> Callable[..., Any]:
        """Have a refusal known also where a plan catches it, as that of a night does."""

        def told(*args: Any, **kwargs: Any) -> Any:
            try:
                return check(*args, **kwargs)
            except Exception as exc:
                self._rehearsal.refused(exc)
                raise

        return told


def check_simulated(device: Any, port: int) -> None:
    """Refuse to go on where a PV is answered by anything but the simulation.

    Raises
    ------
    DeviceError
        Names the PV, and who answers.
    """
    walk = getattr(device, "walk_signals", None)
    signals = [device] if walk is None else [item.item for item in walk(include_lazy=False)]
    for signal in signals:
        pv = getattr(signal, "_read_pv", None)
        host = getattr(pv, "host", None)
        if host is None:
            continue
        name, _, number = str(host).partition(":")
        if name not in LOOPBACK or number != str(port):
            raise DeviceError(
                f"{signal.name}: the PV {signal.pvname} is answered by {host}, which is not "
                "the simulated beamline: the dry run ends here"
            )


class Opener:
    """Opens the sessions of a script, on the simulated beamline.

    Parameters
    ----------
    config : BeamlineFile
        Of the beamline file.
    file : Path or None
        The beamline file; None where none was given.
    simulation : Simulation
    data : Path
        Folder for what the script would keep.
    kept : Path
        The user's data folder: of it, calibrations of the spectrometer and earlier runs are read.
    rehearsal : Rehearsal
    """

    def __init__(
        self,
        config: BeamlineFile,
        *,
        file: Path | None,
        simulation: Simulation,
        data: Path,
        kept: Path,
        rehearsal: Rehearsal,
    ):
        self._config, self._file, self._simulation = config, file, simulation
        self._data, self._rehearsal = data, rehearsal
        self._kept = kept
        self._calibrations = CalibrationStore(kept / "calibrations", config.name)
        self.sessions: list[Session] = []

    def __call__(self, beamline: str | Path | None, *, tes: bool | None, timeout: float) -> Session:
        if beamline is not None and self._file is None:
            raise ConfigError(
                f"the script starts its session with {beamline}: give redoxscope dry-run "
                f"--beamline {beamline}, too"
            )
        if beamline and self._file and Path(beamline).resolve() != self._file.resolve():
            self._rehearsal.account.note(
                f"the script starts its session with {beamline}; the dry run is of {self._file}",
                line_of_script(),
            )
        file = self._config
        if tes and "tes" not in file.instruments:
            raise ConfigError(f"beamline {file.name!r} has no instrument 'tes'")
        session = DrySession(
            on_the_simulation(file.without("tes") if tes is False else file, self._simulation),
            rehearsal=self._rehearsal,
            data=self._data,
            catalog_directory=self._data,
            earlier=None if self._rehearsal.full else self._kept / "documents",
            timeout=timeout,
        )
        self.sessions.append(session)
        for _, device in session.beamline.roots():
            check_simulated(device, self._simulation.port)
        for name in session.file.of_class("area_detector"):
            session.beamline.devices[name].keeps = False
        for name in session.file.of_class("tes"):
            self._calibrate(session.beamline.devices[name])
        return session

    def _calibrate(self, tes: Any) -> None:
        """Have as many usable pixels as the user's newest calibration."""
        kept = self._calibrations.newest()
        if kept is None:
            return
        if self._rehearsal.full:
            self._rehearsal.account.note(
                "the calibration that is kept is of another array than the simulated one: with "
                "--full a script begins with tes_calibrate"
            )
        else:
            tes.set_calibration(stand_in(len(kept.usable)))

    def close(self) -> None:
        """Close what the script left open."""
        for session in self.sessions:
            session.close()


def on_the_simulation(config: BeamlineFile, simulation: Simulation) -> BeamlineFile:
    """The beamline with the simulated Dastard for its own, and a catalog of its own."""
    config = at_heat_speed(config, simulation)
    if simulation.dastard is not None:
        there = {
            "host": "127.0.0.1",
            "port": simulation.dastard.base,
            "time_scale": simulation.speed,
            "backend": "dastard",
            "source": None,
            "path": "",
        }
        for name in config.of_class("tes"):
            config = config.changed(name, **there)
    # Folder, words and bad pixels are those of the real camera; the simulated one has its own.
    camera = {"path": "", "read_path": "", "external": "External", "internal": "Internal"}
    for name in config.of_class("area_detector"):
        config = config.changed(name, **camera, readout=0.0)
    if "ptycho" in config.instruments:
        config = config.with_instrument("ptycho", mask=None)
    return replace(config, simulated=True, catalog=CatalogOptions())
