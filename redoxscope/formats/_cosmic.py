"""Ptychography of pystxmcontrol: raw frames of the COSMIC beamline in a ``.stxm`` file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import FormatError
from ._frame_scan import FrameScan
from ._hdf5 import opened

__all__ = ["read_cosmic"]

Decode = Callable[[NDArray[np.uint16]], tuple[NDArray[Any], NDArray[np.bool_]]]

_ROOT = "entry0/ccd0"
LEAST_EV = 20.0
"""No zone plate is made for a lower energy."""


def read_cosmic(path: Path, decode: Decode | None = None) -> FrameScan:
    """Read raw frames, darks and places.

    With double exposure the short frame comes first at each place, also of the darks. In the
    file's metadata ``dwell1`` is the long time (ms), the distance is in mm, the pixel in um, places
    are (y, x) in um; how many darks it announces does not count, but those that are there.

    Parameters
    ----------
    path : Path
    decode : callable, optional
        Makes of a raw frame its counts, and where they are good, as
        `redoxscope.analysis.ptychography.gain_bits` does. A pixel that is no good is infinite in
        its frame, as if it were full. By default raw values are counts.

    Returns
    -------
    FrameScan

    Raises
    ------
    FormatError
        It is no such file; names what is missing or does not fit.
    OSError
        It cannot be opened.
    """
    with opened(path) as file:
        exposed, dark = (file.get(f"{_ROOT}/{name}") for name in ("exp", "dark"))
        if exposed is None or not len(exposed):
            raise FormatError(f"{path} has no frames in {_ROOT}/exp")
        said = _metadata(path, file)
        double = bool(said.get("double_exposure", said.get("isDoubleExp")))
        m = 2 if double else 1
        long = _positive(path, said, "dwell1", "ms") / 1e3
        times: tuple[float, ...] = (long,)
        if double:
            short = _positive(path, said, "dwell2", "ms") / 1e3
            if short >= long:
                raise FormatError(
                    f"{path}: dwell1 = {1e3 * long:g} ms is the long exposure and must be longer "
                    f"than dwell2 = {1e3 * short:g} ms"
                )
            times = short, long
        numbers = _numbered(path, exposed)
        where = np.asarray(said.get("translations", ()), float)
        if where.ndim != 2 or where.shape[1] != 2 or not np.isfinite(where).all():
            raise FormatError(f"{path}: translations of its metadata must be places (y, x) in um")
        n = min(len(numbers) // m, len(where))
        notes = []
        if len(numbers) != m * len(where):
            notes.append(
                f"{len(numbers)} frames for {len(where)} places of {m}: the first {n} places are "
                "used"
            )
        if numbers[: n * m] != list(range(n * m)):
            missing = next(k for k in range(n * m) if k not in set(numbers))
            raise FormatError(f"{path}: frame {missing} is missing; places would be mixed up")
        shape: tuple[int, ...] = exposed["0"].shape
        if len(shape) != 2:
            raise FormatError(f"{path}: frame 0 has shape {shape}, not [ny, nx]")
        ny, nx = shape
        geometry = said.get("geometry")
        if not isinstance(geometry, Mapping):
            raise FormatError(f"{path}: its metadata has no geometry")
        darks, mask = _darks(path, dark, m, shape, decode)
        return FrameScan(
            path, _energy(path, said),
            1e3 * _positive(path, geometry, "distance", "mm"),
            _positive(path, geometry, "psize", "um"), (ny, nx),
            where[:n, 1], where[:n, 0], times, mask,
            darks, None, _Raw(path, m, shape, decode), tuple(notes),
        )  # fmt: skip


class _Raw:
    def __init__(self, path: Path, m: int, shape: tuple[int, ...], decode: Decode | None) -> None:
        self._path, self._m, self._shape, self._decode = path, m, shape, decode

    def __call__(self, first: int, last: int) -> NDArray[np.float32]:
        out = np.empty((last - first, self._m, *self._shape), np.float32)
        with opened(self._path) as file:
            for k in range(first, last):
                for j in range(self._m):
                    name = f"exp/{k * self._m + j}"
                    counts, good = _frame(self._path, file, name, self._shape, self._decode)
                    out[k - first, j] = np.where(good, counts, np.inf)
        return out


def _frame(
    path: Path, file: Any, name: str, shape: tuple[int, ...], decode: Decode | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Counts of a frame, and where they are good."""
    try:
        frame = np.asarray(file[f"{_ROOT}/{name}"])
    except (OSError, KeyError) as exc:
        raise FormatError(f"{path}: {_ROOT}/{name} cannot be read: {exc}") from exc
    if frame.shape != shape:
        raise FormatError(f"{path}: {_ROOT}/{name} has shape {frame.shape}, others {shape}")
    if decode is None:
        return frame, np.ones(shape, dtype=bool)
    if frame.dtype != np.uint16:
        raise FormatError(
            f"{path}: {_ROOT}/{name} has values of type {frame.dtype}; gain bits are in uint16"
        )
    return decode(frame)


def _darks(
    path: Path, group: Any, m: int, shape: tuple[int, ...], decode: Decode | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean of each exposure time, and where each has one."""
    numbers = _numbered(path, group) if group is not None else []
    if len(numbers) < m:
        raise FormatError(
            f"{path} has {len(numbers)} frames without beam in {_ROOT}/dark; there must be one at "
            f"least for each of the {m} exposure times"
        )
    total, seen = np.zeros((m, *shape)), np.zeros((m, *shape), dtype=int)
    for j in range(m):
        chosen = [k for k in numbers if k % m == j]
        if not chosen:  # all of its pedestal would be taken for light
            raise FormatError(
                f"{path} has no frame without beam of exposure {j + 1} of {m} in {_ROOT}/dark"
            )
        for k in chosen:
            counts, good = _frame(path, group.file, f"dark/{k}", shape, decode)
            total[j] += np.where(good, counts, 0)
            seen[j] += good
    return total / np.maximum(seen, 1), np.all(seen > 0, axis=0)


def _metadata(path: Path, file: Any) -> Mapping[str, Any]:
    if "metadata" not in file:
        raise FormatError(f"{path} has no metadata")
    text = np.asarray(file["metadata"]).ravel()[0]
    try:
        said = json.loads(text)
        if isinstance(said, str):  # written twice, by some versions
            said = json.loads(said)
    except (TypeError, ValueError) as exc:
        raise FormatError(f"{path}: its metadata is no JSON: {exc}") from exc
    if not isinstance(said, Mapping):
        raise FormatError(f"{path}: its metadata is no JSON object")
    return said


def _numbered(path: Path, group: Any) -> list[int]:
    try:
        return sorted(map(int, group))
    except ValueError as exc:
        raise FormatError(f"{path}: frames in {group.name} must be called 0, 1, …") from exc


def _energy(path: Path, said: Mapping[str, Any]) -> float:
    value = _positive(path, said, "energy", "eV")
    if value < LEAST_EV:
        raise FormatError(
            f"{path}: energy = {value:g} is no X-ray energy in eV; is it in J or keV?"
        )
    return value


def _positive(path: Path, said: Mapping[str, Any], name: str, unit: str) -> float:
    try:
        value = float(said[name])
    except (KeyError, TypeError, ValueError):
        raise FormatError(f"{path}: its metadata has no {name} ({unit})") from None
    if not math.isfinite(value) or value <= 0:
        raise FormatError(f"{path}: {name} = {value:g} must be a number > 0 ({unit})")
    return value
