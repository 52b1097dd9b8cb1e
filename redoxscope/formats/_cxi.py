"""Ptychography in CXI files, as ptypy, cdtools and ptychodus read them.

The translation of a CXI file is the motion of the sample, in axes of the laboratory. The detector's
basis vectors say how its rows and columns lie in the same axes. Here rows run along -y and columns
along -x of these, so that ``translation`` is at the same time where the beam is on the sample, in
the directions in which rows and columns of the image count: readers that take translations as they
are, and readers that negate them and look at the basis vectors, see the same image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from ._errors import FormatError
from ._frame_scan import FrameScan
from ._hdf5 import opened

if TYPE_CHECKING:
    import h5py

__all__ = ["read_cxi", "write_cxi"]

VERSION = 160
BASIS = np.array([[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])
"""Of rows and columns, in pixels."""
GOOD = (0, 0x1000)
"""Bits of a pixel that means something."""
_EV = constants.e
_DATA = ("data_1/data", "instrument_1/detector_1/data")
_TRANSLATION = (
    "data_1/translation",
    "sample_1/geometry_1/translation",
    "instrument_1/detector_1/translation",
)


def write_cxi(
    path: Path,
    *,
    energy_ev: float,
    distance_um: float,
    pixel_um: float,
    shape: tuple[int, int],
    frames: Iterable[tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]],
    illumination: NDArray[np.complexfloating[Any]] | None = None,
    attributes: dict[str, str] | None = None,
) -> int:
    """Write merged frames of one energy, piece by piece.

    Parameters
    ----------
    path : Path
    energy_ev, distance_um, pixel_um : float
    shape : (int, int)
        Of a frame.
    frames : iterable of (counts [k, ny, nx], x [k], y [k])
        Photons, NaN where a pixel has no value in a frame; where the beam was on the sample (um).
    illumination : array of complex [ny, nx], optional
        The beam on the sample.
    attributes : dict of str to str, optional
        What else should be known; of the entry.

    Returns
    -------
    int
        Frames written. A pixel without value in any of them is masked in all, for the format has
        one mask.
    """
    import h5py

    bad = np.zeros(shape, bool)
    places: list[NDArray[np.float64]] = []
    with h5py.File(path, "w") as file:
        file["cxi_version"], file["number_of_entries"] = VERSION, 1
        entry = _group(file, "entry_1", "NXentry")
        entry.attrs.update(attributes or {})
        entry["definition"] = "NXcxi_ptycho"
        instrument = _group(entry, "instrument_1", "NXinstrument")
        source = _group(instrument, "source_1", "NXsource")
        joule = energy_ev * _EV
        _value(source, "energy", joule, "J")
        _value(source, "wavelength", constants.h * constants.c / joule, "m")
        if illumination is not None:
            source["illumination"] = np.asarray(illumination, np.complex64)
        beam = _group(instrument, "beam_1", "NXbeam")
        _value(beam, "energy", joule, "J")
        _value(beam, "incident_beam_energy", joule, "J")
        detector = _group(instrument, "detector_1", "NXdetector")
        size = 1e-6 * pixel_um
        _value(detector, "distance", 1e-6 * distance_um, "m")
        _value(detector, "x_pixel_size", size, "m")
        _value(detector, "y_pixel_size", size, "m")
        _value(detector, "basis_vectors", BASIS * size, "m")
        corner = [size * shape[1] / 2, size * shape[0] / 2, 1e-6 * distance_um]
        _value(detector, "corner_position", corner, "m")
        data = detector.create_dataset(
            "data", (0, *shape), np.float32, maxshape=(None, *shape), chunks=(1, *shape)
        )
        data.attrs["axes"] = "translation:y:x"
        for counts, x, y in frames:
            lacking = ~np.isfinite(counts)
            bad |= lacking.any(axis=0)
            first = data.shape[0]
            data.resize(first + len(counts), axis=0)
            data[first:] = np.where(lacking, 0, np.maximum(counts, 0))
            places.append(np.column_stack([x, y, np.zeros(len(x))]))
        detector["mask"] = bad.astype(np.uint32)
        geometry = _group(_group(entry, "sample_1", "NXsample"), "geometry_1", "NXgeometry")
        where = 1e-6 * np.concatenate(places) if places else np.zeros((0, 3))
        _value(geometry, "translation", where, "m")
        plot = _group(entry, "data_1", "NXdata")
        plot.attrs["signal"] = "data"
        plot["data"] = h5py.SoftLink(data.name)
        for group in (plot, detector):
            group["translation"] = h5py.SoftLink(f"{geometry.name}/translation")
        return int(data.shape[0])


def read_cxi(path: Path) -> FrameScan:
    """Read a CXI file of ptychography, of whatever program.

    Parameters
    ----------
    path : Path

    Returns
    -------
    FrameScan
        Frames are taken for clean: without background, exposures merged.

    Raises
    ------
    FormatError
        It is no such file; names what is missing or does not fit.
    OSError
        It cannot be opened.
    """
    with opened(path) as file:
        entry = file.get("entry_1")
        if entry is None:
            raise FormatError(f"{path} is no CXI file: it has no entry_1")
        data_name, data = _first(path, entry, _DATA, "frames")
        if data.ndim != 3:
            raise FormatError(f"{path}: {data_name} has shape {data.shape}, not [n, ny, nx]")
        n, shape = data.shape[0], (int(data.shape[1]), int(data.shape[2]))
        name, stored = _first(path, entry, _TRANSLATION, "translations of the sample")
        where = np.asarray(stored, float)
        if where.ndim != 2 or where.shape[1] < 2 or len(where) != n:
            raise FormatError(f"{path}: {name} has shape {where.shape} for {n} frames")
        if not np.isfinite(where).all():
            at = int(np.argmin(np.isfinite(where).all(axis=1)))
            raise FormatError(f"{path}: {name} has no number for frame {at}")
        detector = entry.get("instrument_1/detector_1")
        if detector is None:
            raise FormatError(f"{path}: it has no entry_1/instrument_1/detector_1")
        pixel = _number(path, detector, "x_pixel_size", "m")
        other = _number(path, detector, "y_pixel_size", "m")
        if not math.isclose(pixel, other, rel_tol=1e-3):
            raise FormatError(
                f"{path}: pixels are {1e6 * pixel:g} x {1e6 * other:g} µm; they must be square"
            )
        rows, columns = _directions(path, detector, where.shape[1])
        notes = []
        if "basis_vectors" not in detector:
            notes.append("no basis_vectors: translations are taken as they are")
        mask = np.ones(shape, bool)
        if "mask" in detector:
            bits = np.asarray(detector["mask"])
            if bits.shape != shape:
                raise FormatError(f"{path}: mask has shape {bits.shape}, frames {shape}")
            mask = np.isin(bits, GOOD)
        probe = entry.get("instrument_1/source_1/illumination")
        illumination = None if probe is None else np.asarray(probe)
        if illumination is not None and illumination.shape != shape:
            notes.append(f"the illumination has shape {illumination.shape} and is not used")
            illumination = None
        return FrameScan(
            path, _energy(path, entry), 1e6 * _number(path, detector, "distance", "m"),
            1e6 * pixel, shape, 1e6 * (where @ -columns), 1e6 * (where @ -rows), (0.0,), mask, None,
            None if illumination is None else illumination.astype(np.complex64),
            _Frames(path, data.name), tuple(notes),
        )  # fmt: skip


class _Frames:
    """Reads frames of a file that is opened each time: nothing stays open."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def __call__(self, first: int, last: int) -> NDArray[np.float32]:
        with opened(self._path) as file:
            try:
                return np.asarray(file[self._name][first:last], np.float32)[:, None]
            except (OSError, KeyError) as exc:
                raise FormatError(
                    f"{self._path}: frames {first} to {last - 1} cannot be read: {exc}"
                ) from exc


def _first(path: Path, entry: h5py.Group, names: tuple[str, ...], what: str) -> tuple[str, Any]:
    for name in names:
        if name in entry:
            return f"entry_1/{name}", entry[name]
    raise FormatError(f"{path} has no {what}: neither of {', '.join(names)} in entry_1")


def _number(path: Path, group: h5py.Group, name: str, unit: str) -> float:
    if name not in group:
        raise FormatError(f"{path}: {group.name} has no {name} ({unit})")
    value = np.asarray(group[name], float).ravel()
    if value.size != 1 or not np.isfinite(value[0]) or value[0] <= 0:
        raise FormatError(f"{path}: {group.name}/{name} = {value} must be one number > 0 ({unit})")
    return float(value[0])


def _energy(path: Path, entry: h5py.Group) -> float:
    source = entry.get("instrument_1/source_1")
    if source is None:
        raise FormatError(f"{path}: it has no entry_1/instrument_1/source_1")
    if "energy" in source:
        joule = _number(path, source, "energy", "J")
    else:
        joule = constants.h * constants.c / _number(path, source, "wavelength", "m")
    if joule > 1e-10:
        raise FormatError(
            f"{path}: source_1/energy = {joule:g} is no photon's energy in J; is it in eV?"
        )
    return joule / _EV


def _directions(
    path: Path, detector: h5py.Group, axes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along which rows and columns count."""
    basis = BASIS
    if "basis_vectors" in detector:
        basis = np.asarray(detector["basis_vectors"], float)
        if basis.shape == (2, 3):
            basis = basis.T
        length = np.linalg.norm(basis, axis=0) if basis.shape == (3, 2) else np.zeros(2)
        if not (length > 0).all():
            raise FormatError(f"{path}: basis_vectors must be two vectors, (3, 2) or (2, 3)")
        basis = basis / length
    return basis[:axes, 0], basis[:axes, 1]


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["NX_class"] = kind
    return made


def _value(group: h5py.Group, name: str, value: Any, unit: str) -> None:
    group[name] = value
    group[name].attrs["units"] = unit
