"""The spectrometers of a session: where their photons go, and keeping calibrations."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bluesky import RunEngine

from ..analysis.tes import Calibration
from ..beamline import Beamline
from ..data import load_windows, rixs_preset, save_windows
from ..devices import TES
from ..documents import Window
from ..plans import with_photons

__all__ = ["CalibrationStore", "Spectrometers", "WindowStore"]

log = logging.getLogger("redoxscope.session")

SIMULATED_LIMIT = 60.0
"""``tes.time_limit`` (s) of a simulated server: it draws every photon, and on a busy machine
falls behind the speed that it was asked for."""


class Spectrometers:
    """What a session does for the spectrometers of a beamline.

    Made before they are connected.

    Parameters
    ----------
    beamline : Beamline
    data : path
        The session's data folder.

    Attributes
    ----------
    extras : dict of str to object
        What the session has by name besides: ``windows``, where there is a spectrometer.
    """

    def __init__(self, beamline: Beamline, data: Path):
        self._found = [one for one in beamline.devices.values() if isinstance(one, TES)]
        self._simulated = beamline.file.simulated
        self._store = CalibrationStore(data / "calibrations", beamline.file.name)
        self.extras: dict[str, Any] = {}
        if self._found:
            self.extras["windows"] = WindowStore(data / "windows.yml")
        for tes in self._found:
            tes.photon_directory.put(str(data / "photons"))
            if self._simulated:
                tes.time_limit.put(SIMULATED_LIMIT)

    def __bool__(self) -> bool:
        return bool(self._found)

    def calibrate(self) -> None:
        """Put the newest calibration in force; but each simulated detector has gains of its own."""
        if not self._simulated:
            for tes in self._found:
                self._store.load_newest(tes)

    def serve(self, engine: RunEngine, maps: Mapping[str, Any]) -> None:
        """Store photons with each run, show them as they come, keep calibrations."""
        for tes in self._found:
            engine.preprocessors.append(partial(with_photons, tes=tes))
            tes.subscribe_batches(maps["rixs_map"].photons)
            engine.subscribe(self._store.keeper(tes))


class CalibrationStore:
    """A folder of calibrations, one JSON file each.

    Parameters
    ----------
    directory : path
        Made when the first is kept.
    beamline : str
        Only calibrations of the same beamline are loaded.
    """

    def __init__(self, directory: Path, beamline: str):
        self.directory, self.beamline = directory, beamline

    def keep(self, calibration: Calibration) -> Path:
        """Write a calibration, whole or not at all; where it is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{calibration.uid}.json"
        text = json.dumps({"beamline": self.beamline, "calibration": calibration.to_dict()})
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
        return path

    def load(self, uid: str) -> Calibration:
        """The calibration of that uid.

        Raises
        ------
        ValueError
            There is none, or its file is not one.
        """
        path = self.directory / f"{uid}.json"
        found = self._read(path)
        if found is None:
            raise ValueError(f"no calibration {uid!r} of beamline {self.beamline!r} at {path}")
        return found

    def newest(self) -> Calibration | None:
        """The calibration of this beamline that was made last, if there is any."""
        found = [c for c in map(self._read, self.directory.glob("*.json")) if c is not None]
        return max(found, key=lambda calibration: calibration.created, default=None)

    def load_newest(self, tes: TES) -> None:
        """Put the newest calibration in force, and say which."""
        calibration = self.newest()
        if calibration is not None:
            tes.set_calibration(calibration)
            usable, total = len(calibration.usable), len(calibration.pixels)
            log.info("calibration %s: %d of %d pixels", calibration.uid, usable, total)

    def keeper(self, tes: TES) -> Callable[[str, Mapping[str, Any]], None]:
        """Callback that keeps each calibration that a run makes."""

        def keep(name: str, doc: Mapping[str, Any]) -> None:
            made = doc["data"].get("tes_calibration_uid") if name == "event" else None
            if made is not None and tes.calibration is not None and tes.calibration.uid == made:
                self.keep(tes.calibration)

        return keep

    def _read(self, path: Path) -> Calibration | None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["beamline"] != self.beamline:
                return None
            return Calibration.from_dict(content["calibration"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as exc:
            log.warning("%s is no calibration: %s", path, exc)
            return None


class WindowStore:
    """The user's windows by edge, in a file; where there are none, the preset's.

    Parameters
    ----------
    path : path
        YAML, made when the first are saved.

    Examples
    --------
    >>> windows = WindowStore(Path("windows.yml"))              # doctest: +SKIP
    >>> windows.save("Co L", rmap.windows)                      # doctest: +SKIP
    >>> RE(rixs_map(tes, mono, edge="Co L", windows=windows["Co L"]))   # doctest: +SKIP
    """

    def __init__(self, path: Path):
        self.path = path

    def __getitem__(self, edge: str) -> tuple[Window, ...]:
        """Windows of an edge.

        Raises
        ------
        ValueError
            The edge has neither saved windows nor a preset, or the file is damaged.
        """
        saved = load_windows(self.path) if self.path.exists() else {}
        return saved[edge] if edge in saved else tuple(rixs_preset(edge).windows)

    def save(self, edge: str, windows: Iterable[Window | str]) -> tuple[Window, ...]:
        """Keep windows for an edge; those of other edges stay.

        Raises
        ------
        ValueError
            A window is none, or two have the same name.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return save_windows(self.path, edge, windows)
