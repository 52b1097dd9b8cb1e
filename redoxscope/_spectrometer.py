"""The spectrometer of a session: connecting it, and keeping its calibrations."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .analysis.tes import Calibration
from .data import load_windows, rixs_preset, save_windows
from .devices import TES
from .documents import Window

__all__ = ["CalibrationStore", "WindowStore", "prepare_tes"]

log = logging.getLogger("redoxscope.session")

SIMULATED_LIMIT = 60.0
"""``tes.time_limit`` (s) of a simulated server: it draws every photon, and on a busy machine
falls behind the speed that it was asked for."""


def prepare_tes(tes: TES, *, photons: Path, simulated: bool) -> None:
    """Say where the photon lists go, and how long a simulated server may take to answer."""
    tes.photon_directory.put(str(photons))
    if simulated:
        tes.time_limit.put(SIMULATED_LIMIT)


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
