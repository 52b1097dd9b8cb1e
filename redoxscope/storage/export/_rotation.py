"""Rotation series for tomography programs: NXtomo and Data Exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from redoxscope.documents import IN_BAND, STREAM, TOMOGRAPHY
from redoxscope.scan import Role, Scan

from ._content import Content

__all__ = ["write_dxchange", "write_nxtomo"]

Array = NDArray[Any]
FRAMES = "frames"
BLOCK = 64 << 20
"""Bytes of frames that are in memory at a time."""
IMAGE_KEY = {Role.SAMPLE: 0, Role.I0: 1, Role.DARK: 2}
"""As NXtomo numbers them: projection, flat, dark."""


@dataclass(frozen=True)
class _Series:
    """The frames of a run in the order in which they were taken; arrays are [n].

    Attributes
    ----------
    angle : float64
        Read back (deg).
    key : uint8
        As in `IMAGE_KEY`.
    time : float64
        s since 1970.
    dwell : float64
        s.
    energy : float64
        eV.
    row : int64
        Of the frame in the detector's file.
    temperature, in_band : or None
        degC.
    """

    content: Content
    md: Mapping[str, Any]
    angle: Array
    key: Array
    time: Array
    dwell: Array
    energy: Array
    row: Array
    temperature: Array | None
    in_band: Array | None

    def frames(self) -> Any:
        """The detector's frames, read when they are asked for."""
        return self.content.run[FRAMES][self.md["images"]]

    def copy(self, chosen: Array, into: h5py.Group, name: str) -> h5py.Dataset:
        """Write the chosen frames, in their order, a block at a time."""
        source = self.frames()
        shape, dtype = tuple(source.shape[1:]), np.dtype(source.dtype)
        made = into.create_dataset(
            name, shape=(len(chosen), *shape), dtype=dtype, chunks=(1, *shape)
        )
        for first, last in _blocks(self.row[chosen], int(np.prod(shape)) * dtype.itemsize):
            rows = self.row[chosen][first:last]
            low = int(rows.min())
            made[first:last] = np.asarray(source[low : int(rows.max()) + 1])[rows - low]
        return made


def _blocks(rows: Array, size: int) -> Iterator[tuple[int, int]]:
    """Parts of the list whose frames lie together in the file and fit into memory."""
    most = max(BLOCK // max(size, 1), 1)
    first = 0
    for k in range(1, len(rows) + 1):
        if k == len(rows) or np.ptp(rows[first : k + 1]) >= most:
            yield first, k
            first = k


def _series(content: Content) -> _Series | None:
    """The series; None where the run is none.

    Raises
    ------
    ValueError
        It ended before its first frame.
    """
    md = content.start.get(TOMOGRAPHY)
    if not isinstance(md, Mapping):
        return None
    scan = Scan.from_start(content.start)
    events = content.run[STREAM].read() if STREAM in content.run else None
    if events is None or not events["exposure"].size or FRAMES not in content.run:
        raise ValueError(f"run {content.uid[:8]} ended before its first frame")
    part = np.asarray(events["exposure"].values, int)
    heater = md.get("heater")
    temperature = events[heater] if heater else None
    in_band = events.get(IN_BAND.format(heater=heater)) if heater else None
    return _Series(
        content,
        md,
        np.asarray(events[md["rotation"]].values, float),
        np.array([IMAGE_KEY[scan.exposures[i].role] for i in part], np.uint8),
        np.asarray(events["time"].values, float),
        np.array([scan.exposures[i].times[0] for i in part]),
        np.asarray(events[md["energy"]].values, float),
        np.asarray(events[md["frame"]].values, np.int64),
        None if temperature is None else np.asarray(temperature.values, float),
        None if in_band is None else np.asarray(in_band.values, bool),
    )


def write_nxtomo(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """One file with all frames as they came, and which of them are flats and darks."""
    found = _series(content)
    if found is None:
        return {}
    return {folder / f"{content.name}_nxtomo.nx": partial(_nxtomo, found)}


def write_dxchange(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """One file with projections, flats and darks apart; refused without a projection."""
    found = _series(content)
    if found is None:
        return {}
    if not (found.key == IMAGE_KEY[Role.SAMPLE]).any():
        raise ValueError(
            f"run {content.uid[:8]} ended before its first projection; nxtomo can hold it"
        )
    return {folder / f"{content.name}_dxchange.h5": partial(_dxchange, found)}


def _nxtomo(series: _Series, path: Path) -> None:
    start = series.content.start
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry")
        entry.attrs["default"] = "data"
        entry["definition"] = "NXtomo"
        entry["title"] = str(start.get("sample") or series.content.uid)
        entry["start_time"] = _iso(float(start["time"]))
        stop = series.content.stop.get("time")
        entry["end_time"] = _iso(float(stop if stop is not None else series.time[-1]))
        entry["entry_identifier"] = series.content.uid
        instrument = _group(entry, "instrument", "NXinstrument")
        source = _group(instrument, "source", "NXsource")
        source["name"] = str(start.get("beamline_id") or "")
        source["type"] = "Synchrotron X-ray Source"
        source["probe"] = "x-ray"
        beam = _group(instrument, "beam", "NXbeam")
        _value(beam, "incident_energy", float(np.median(series.energy)) / 1e3, "keV")
        detector = _group(instrument, "detector", "NXdetector")
        data = series.copy(np.arange(len(series.row)), detector, "data")
        data.attrs["interpretation"] = "image"
        detector["image_key"] = series.key
        detector["image_key_control"] = series.key.astype(np.int8)
        _value(detector, "count_time", series.dwell, "s")
        pixel = series.md.get("pixel_size_um")
        if pixel is not None:
            for name in ("x_pixel_size", "y_pixel_size"):
                _value(detector, name, 1e-6 * pixel, "m")
        sample = _group(entry, "sample", "NXsample")
        sample["name"] = str(start.get("sample") or "")
        _value(sample, "rotation_angle", series.angle, "degree")
        if series.temperature is not None:
            _value(sample, "temperature", series.temperature, "degC")
        if series.in_band is not None:
            sample["temperature_in_band"] = series.in_band
        plot = _group(entry, "data", "NXdata")
        plot.attrs["signal"] = "data"
        for name, target in (
            ("data", detector["data"]),
            ("rotation_angle", sample["rotation_angle"]),
            ("image_key", detector["image_key"]),
        ):
            plot[name] = h5py.SoftLink(target.name)


def _dxchange(series: _Series, path: Path) -> None:
    start = series.content.start
    with h5py.File(path, "w") as file:
        file["implements"] = "exchange:measurement:process"
        exchange = file.create_group("exchange")
        chosen = {role: np.flatnonzero(series.key == key) for role, key in IMAGE_KEY.items()}
        for suffix, role in (("", Role.SAMPLE), ("_white", Role.I0), ("_dark", Role.DARK)):
            which = chosen[role]
            if not which.size:
                continue
            made = series.copy(which, exchange, f"data{suffix}")
            made.attrs["axes"] = f"theta{suffix}:y:x"
            made.attrs["units"] = "counts"
            _value(exchange, f"theta{suffix}", series.angle[which], "deg")
        _value(file, "measurement/instrument/monochromator/energy",
               float(np.median(series.energy)) / 1e3, "keV")  # fmt: skip
        detector = file.create_group("measurement/instrument/detector")
        _value(detector, "exposure_time", float(np.median(series.dwell)), "s")
        pixel = series.md.get("pixel_size_um")
        if pixel is not None:
            for name in ("actual_pixel_size_x", "actual_pixel_size_y"):
                _value(detector, name, float(pixel), "um")
        file["measurement/sample/name"] = str(start.get("sample") or "")
        projections = chosen[Role.SAMPLE]
        if series.temperature is not None:
            _value(file, "measurement/sample/temperature", series.temperature[projections], "degC")
        if series.in_band is not None:
            file["measurement/sample/temperature_in_band"] = series.in_band[projections]
        file["process/acquisition/start_date"] = _iso(float(start["time"]))
        file["process/acquisition/uid"] = series.content.uid
        for name, times in (("projection", projections), ("flat", chosen[Role.I0])):
            _value(file, f"process/acquisition/time_{name}", series.time[times], "s since 1970")


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["NX_class"] = kind
    return made


def _value(group: h5py.Group, name: str, value: Any, unit: str) -> None:
    group[name] = value
    group[name].attrs["units"] = unit


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
