"""Images and stacks of any microscope, as its file has them, brought to one form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..inputs import as_number
from ._errors import FormatError
from ._stxm_hdf5 import read_hdf5
from ._stxm_hdr import read_hdr
from ._stxm_parts import EMPTY, ImageStack, Raw, StxmFile

__all__ = ["read_stxm"]

Array = NDArray[np.float64]
COUNTS = ("", "1", "count", "counts", "ct", "cts", "events", "photons")
"""Units of what is counted, one by one."""
RATES = {
    "hz": 1.0, "1/s": 1.0, "s-1": 1.0, "s^-1": 1.0, "cps": 1.0, "c/s": 1.0, "counts/s": 1.0,
    "counts/sec": 1.0, "count/s": 1.0, "cts/s": 1.0, "ct/s": 1.0, "photons/s": 1.0,
    "khz": 1e3, "kcps": 1e3, "kcts/s": 1e3, "counts/ms": 1e3, "mhz": 1e6, "mcps": 1e6,
}  # fmt: skip
"""Units in which a counter gives a rate, in counts per second."""
SCALES = {
    "m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "micrometre": 1.0, "nm": 1e-3,
}  # fmt: skip
"""Micrometres of a unit."""
SMALLEST_STEP = 1e-3
"""µm. No zone plate resolves 1 nm: positions without a unit in smaller steps are in mm."""
ELECTRONVOLTS = {"": 1.0, "ev": 1.0, "electronvolt": 1.0, "electronvolts": 1.0, "kev": 1e3}
LEAST_EV = 20.0
"""Below it no microscope of this kind measures: such energies are in keV, or none."""
MOST_EV = 1e5
"""Above it nothing is imaged by a zone plate: such energies are no energies, or not in keV."""
MOST_NAMED = 4
AGAIN = re.compile(r", no\. \d+$")
"""Ends the name of what our own files have for the second time."""
UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, OSError, ArithmeticError, RuntimeError,
    MemoryError,
)  # fmt: skip
"""What reading a file raises that is not what it says it is."""


def read_stxm(
    path: str | os.PathLike[str],
    *,
    channel: str | None = None,
    dwell: float | None = None,
    position_unit: str | None = None,
) -> StxmFile:
    """Read images or a stack of any microscope.

    NXstxm (of this package, Pixelator and PolLux, CLS, pystxmcontrol), ALS and MAX IV ``.hdr`` with
    its ``.xim``, Data Exchange as Mantis writes it, and HDF5 with ``counts`` as for a measured
    sample. Which it is, is seen from the content.

    Parameters
    ----------
    path : str or Path
    channel : str, optional
        Detector; by default the first.
    dwell : float, optional
        Time per pixel (s), where the file does not say it, or is wrong.
    position_unit : str, optional
        Unit of positions (``"um"``, ``"mm"``), where the file says none.

    Returns
    -------
    StxmFile
        Rates become counts, axes rise, positions are in µm. One of the empty beam alone has no
        stacks.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is none of these, holds something else than images or spectra of a sample, has no such
        channel, data that are neither counts nor rates or no dwell (then sigma, which follows from
        counts, is not known), counts below zero, energies that are none, or positions that are no
        regular grid. Names the file and what is wrong in it.
    """
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path} is a folder, and no file of a microscope")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if dwell is not None:
        dwell = as_number("dwell", dwell, "s", above=0)
    if position_unit is not None and position_unit not in SCALES:
        raise ValueError(f"position_unit = {position_unit!r} is none of {', '.join(SCALES)}")
    read: Callable[..., tuple[StxmFile, list[Raw]]]
    with path.open("rb") as file:
        read = read_hdf5 if file.read(8) == b"\x89HDF\r\n\x1a\n" else read_hdr
    try:
        said, regions = read(path, channel)
        found = [(raw, in_order(path, raw, dwell, position_unit)) for raw in regions]
        stacks = tuple(stack for raw, stack in found if not raw.role)
        # Those of a dose check are of the beam later on, and of few energies.
        empty = tuple(s for raw, s in found if raw.role == EMPTY and not AGAIN.search(raw.name))
        if not stacks and len(empty) != 1:
            raise FormatError(f"{path.name} has no images of a sample")
        if stacks and not any(np.nansum(stack.counts) > 0 for stack in stacks):
            raise FormatError(f"{path.name} has no counts: all are NaN or 0, nothing was measured")
    except FormatError as exc:
        if path.name in str(exc):
            raise
        raise FormatError(f"{path.name}: {exc}") from exc
    except UNREADABLE as exc:
        what = f"it has no {exc.args[0]!r}" if isinstance(exc, KeyError) and exc.args else exc
        raise FormatError(f"{path.name} cannot be read: {what}") from exc
    empty = empty if len(empty) == 1 else ()  # several: of an outer loop's values
    kept = {id(stack) for stack in (*stacks, *empty)}
    others = [f"{raw.name} is left out" for raw, stack in found if id(stack) not in kept]
    return replace(said, stacks=stacks, empty=empty, left_out=tuple(others))


def in_order(path: Path, raw: Raw, dwell: float | None, position_unit: str | None) -> ImageStack:
    """A region with rising axes, in µm, eV, s and counts.

    Raises
    ------
    FormatError
        As `read_stxm`.
    """
    where, remarks = f"{path.name}, {raw.name}", list(raw.remarks)
    for name, axis in (("energy", raw.energy), ("y", raw.y), ("x", raw.x)):
        if np.ndim(axis) != 1 or not len(axis):
            raise FormatError(f"{where}: the {name} axis has the shape {np.shape(axis)}")
    shape = (len(raw.energy), len(raw.y), len(raw.x))
    if raw.counts.shape != shape:
        raise FormatError(f"{where}: data of {raw.counts.shape} where axes are of {shape}")
    counts = np.array(raw.counts, dtype=np.float64)
    i0 = None if raw.i0 is None else np.array(raw.i0, dtype=np.float64)
    times = np.broadcast_to(np.asarray(raw.dwell, dtype=np.float64), len(raw.energy)).copy()
    if dwell is not None:
        times[:] = dwell
    if (times <= 0).any():
        raise FormatError(
            f"{where}: the file has a dwell of {times.min():g} s; it must be above 0 s: give the "
            "dwell (s)"
        )
    if not np.isfinite(times).all():
        raise FormatError(
            f"{where}: the file does not say how long a pixel was counted, so the sigma of counts "
            "is not known: give the dwell (s)"
        )
    _check_counts(where, "counts", counts)
    _unmeasured(counts, remarks)
    rate = counts_per_second(raw.unit)
    if rate is None:
        raise FormatError(
            f"{where}: its data are in {raw.unit!r}, which are neither counts nor a rate of them, "
            "so their sigma is not known"
        )
    if rate:
        counts *= rate * times[:, None, None]
        remarks.append(f"rates ({raw.unit}) times the dwell are the counts")
    if i0 is not None:
        unit = raw.i0_unit or raw.unit
        rate = counts_per_second(unit)
        if rate is None:
            i0 = None
            remarks.append(f"the monitor is in {unit!r}, which are no counts: not used")
        else:
            _check_counts(where, "counts of the monitor", i0)
            if rate:
                i0 *= rate * times[:, None, None]
                remarks.append(f"rates of the monitor ({unit}) times the dwell are its counts")
    if raw.energy_unit.lower() not in ELECTRONVOLTS:
        raise FormatError(f"{where}: its energies are in {raw.energy_unit!r}, not in eV")
    per_ev, scale = ELECTRONVOLTS[raw.energy_unit.lower()], micrometres(raw, position_unit, remarks)
    axes = []
    for name, values, dim in (("energy", raw.energy, 0), ("y", raw.y, 1), ("x", raw.x, 2)):
        values = np.asarray(values, dtype=np.float64) * (per_ev if dim == 0 else scale)
        if not np.isfinite(values).all():
            raise FormatError(f"{where}: the {name} axis has values that are no numbers")
        order = np.argsort(values, kind="stable")
        if not np.array_equal(order, np.arange(len(values))):
            counts = np.take(counts, order, axis=dim)
            i0 = None if i0 is None else np.take(i0, order, axis=dim)
            falls = np.array_equal(order, np.arange(len(values))[::-1])
            remarks.append(f"the {name} axis was {'turned' if falls else 'sorted'}")
        axes.append(values[order])
        if dim == 0:
            _check_energies(where, values[order], remarks)
            times, current = times[order], raw.ring_current
            current = None if current is None else np.asarray(current, dtype=float)[order]
        else:
            _check_grid(where, name, values[order])
    return ImageStack(
        raw.name, axes[0], axes[2], axes[1], counts, times, i0, current, tuple(remarks)
    )


def counts_per_second(unit: str) -> float | None:
    """What a rate in a unit is multiplied by; 0 of counts, None of what is neither."""
    known = unit.strip().lower()
    if known in COUNTS:
        return 0.0
    if known.startswith("mh") and unit.strip().startswith("m"):  # not of millions
        return None
    return RATES.get(known)


def micrometres(raw: Raw, asked: str | None, remarks: list[str]) -> float:
    """What positions are multiplied by."""
    if asked is not None:
        return SCALES[asked]
    if raw.position_unit.lower() in SCALES:
        return SCALES[raw.position_unit.lower()]
    steps = [abs(np.diff(values)).mean() for values in (raw.x, raw.y) if len(values) > 1]
    if steps and min(steps) < SMALLEST_STEP:
        remarks.append(
            f"positions have no unit; taken as mm, since their step would be {min(steps):.2g} µm"
        )
        return SCALES["mm"]
    return 1.0


def _unmeasured(counts: Array, remarks: list[str]) -> None:
    """Say what is missing; zeros at the end, where some programs leave them, count as missing."""
    lines = counts.reshape(-1, counts.shape[-1])
    lit = np.flatnonzero(np.nan_to_num(lines).any(axis=1))
    rest = lines[int(lit[-1]) + 1 :] if lit.size else lines[:0]
    zeros = (rest == 0).all(axis=1)
    if zeros.any():
        remarks.append(f"the last {int(zeros.sum())} lines are zeros: not measured")
        rest[zeros] = np.nan
    missing = np.isnan(lines).all(axis=1)
    if missing.any():
        remarks.append(f"{int(missing.sum())} of {len(lines)} lines are missing")
    partly = np.isnan(lines).any(axis=1) & ~missing
    if partly.any():
        remarks.append(f"{int(partly.sum())} lines are measured in part, and not used")


def _check_counts(where: str, what: str, values: Array) -> None:
    """Counts are whole or not, NaN where there are none, but never below zero."""
    if np.isinf(values).any():
        raise FormatError(f"{where}: {int(np.isinf(values).sum())} {what} are infinite")
    below = values < 0
    if below.any():
        raise FormatError(
            f"{where}: {int(below.sum())} {what} are below zero, down to {np.nanmin(values):g}: "
            "these are no counts, so their sigma is not known"
        )


def _check_energies(where: str, values: Array, remarks: list[str]) -> None:
    if values[0] < LEAST_EV:
        raise FormatError(
            f"{where}: the energy axis has {values[0]:g} eV; it must be above {LEAST_EV:g} eV"
        )
    if values[-1] > MOST_EV:
        raise FormatError(
            f"{where}: the energy axis has {values[-1]:g} eV; it must be below {MOST_EV:g} eV"
        )
    again = values[1:][np.diff(values) == 0]
    if again.size:
        named = ", ".join(f"{energy:g}" for energy in again[:MOST_NAMED])
        more = f" and {again.size - MOST_NAMED} more" if again.size > MOST_NAMED else ""
        remarks.append(f"energies that come again are dose checks: {named}{more} eV")


def _check_grid(where: str, name: str, values: Array) -> None:
    if len(values) < 2:
        return
    step = (values[-1] - values[0]) / (len(values) - 1)
    off = np.abs(values - np.linspace(values[0], values[-1], len(values))).max()
    if not step > 0 or off > step / 2:
        raise FormatError(
            f"{where}: the {name} positions are no regular grid (off by up to {off:.3g} µm at a "
            f"step of {step:.3g} µm)"
        )
