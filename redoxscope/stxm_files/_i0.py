"""I0 that was measured on its own, for a stack of another file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.oxidation import I0Spectrum
from ..callbacks.oxidation import as_i0, i0_of_run
from ..formats import FormatError, ImageStack, StxmFile, read_i0_table, read_stxm

__all__ = ["given_i0", "own_i0"]


def given_i0(i0: Any, found: StxmFile, documents: Any) -> tuple[StxmFile, I0Spectrum]:
    """The spectrum, and the stacks that it is for: without their monitor where it has none.

    Parameters
    ----------
    i0 : path, StxmFile, run, (energies, counts[, sigma]) or I0Spectrum
        A file of a microscope (an empty place: images, a line, a point), a table, a run of the
        catalog, or numbers: counts per pixel at the stack's dwell.
    found : StxmFile
        What it is for.
    documents : callable
        Makes documents of a file.

    Raises
    ------
    FileNotFoundError, FormatError, ValueError
        It cannot be read, is of a wrong unit, gives no I0, or does not cover the stack's energies.
    """
    monitored = all(stack.i0 is not None for stack in found.stacks)
    if isinstance(i0, (str, os.PathLike)):
        path = Path(i0)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        i0 = read_stxm(path) if _of_a_microscope(path) else _of_table(path)
    spectrum = _of_file(i0, monitored, documents) if isinstance(i0, StxmFile) else as_i0(i0)
    if spectrum.ratio and not monitored:
        raise ValueError(f"i0 is per monitor count, but {found.path.name} has no monitor")
    if monitored and not spectrum.ratio:
        found = replace(
            found,
            stacks=tuple(
                replace(
                    stack,
                    i0=None,
                    remarks=(*stack.remarks, "the monitor is not used: the I0 has none"),
                )
                for stack in found.stacks
            ),
        )
        spectrum = replace(spectrum, ratio=False)
    for stack in found.stacks:
        spectrum.at(stack.energy, stack.dwell)  # raises where it does not cover them
    return found, spectrum


def own_i0(found: StxmFile, documents: Any) -> tuple[StxmFile, I0Spectrum | None]:
    """The same of the images of the empty beam in the file itself; none where they give none."""
    empty = replace(found, stacks=found.empty, empty=(), left_out=())
    try:
        return given_i0(empty, found, documents)
    except ValueError as exc:
        said = (*found.left_out, f"the images of the empty beam are not used: {exc}")
        return replace(found, left_out=said), None


def _of_a_microscope(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() == ".hdr" or file.read(8) == b"\x89HDF\r\n\x1a\n"


def _of_table(path: Path) -> I0Spectrum:
    table = read_i0_table(path)
    dwell = 1.0 if table.per_second else None
    try:
        return I0Spectrum(table.energies, table.values, table.sigma, dwell, False, source=path.name)
    except ValueError as exc:  # an energy that is there twice
        raise FormatError(f"{path.name}: {exc}") from exc


def _of_file(file: StxmFile, monitored: bool, documents: Any) -> I0Spectrum:
    """I0 of an empty place: of all its pixels where it is a line or a point."""
    name = file.path.name
    if file.empty:
        file = replace(file, stacks=file.empty, empty=())
    if len(file.stacks) > 1:
        regions = ", ".join(stack.name for stack in file.stacks)
        raise FormatError(f"{name} has the regions {regions}; an I0 is of one")
    (stack,) = file.stacks
    if not monitored and stack.i0 is not None:
        file = replace(file, stacks=(replace(stack, i0=None),))
        (stack,) = file.stacks
    if min(stack.counts.shape[1:]) > 1:
        try:
            return replace(i0_of_run(list(documents(file))), source=name)
        except ValueError as exc:
            raise FormatError(f"{name} gives no I0: {exc}") from exc
    _check_even(name, stack)
    energies, at = np.unique(stack.energy, return_inverse=True)
    pixels, light, watched = np.zeros((3, len(energies)))
    good = np.isfinite(stack.counts)
    if stack.i0 is not None:
        good &= np.isfinite(stack.i0)
        np.add.at(watched, at, np.where(good, stack.i0, 0.0).sum(axis=(1, 2)))
    time = stack.dwell[:, None, None] * good
    np.add.at(light, at, np.where(good, stack.counts, 0.0).sum(axis=(1, 2)))
    np.add.at(pixels, at, time.sum(axis=(1, 2)))
    there = (light > 0) & ((watched > 0) | (stack.i0 is None))
    if not there.any():
        raise FormatError(f"{name} gives no I0: it has no counts")
    energies, light, watched, pixels = (a[there] for a in (energies, light, watched, pixels))
    if stack.i0 is not None:
        values = light / watched
        sigma = values * np.sqrt(1 / light + 1 / watched)
        return I0Spectrum(energies, values, sigma, 1.0, True, source=name)
    return I0Spectrum(energies, light / pixels, np.sqrt(light) / pixels, 1.0, False, source=name)


def _check_even(name: str, stack: ImageStack) -> None:
    """Refuse pixels of a line that differ by more than their noise and 2 %: a sample is there."""
    counts = stack.counts.reshape(len(stack.energy), -1)
    monitor = np.zeros_like(counts) if stack.i0 is None else stack.i0.reshape(counts.shape)
    there = np.isfinite(counts + monitor)
    pixels = there.any(axis=0)
    whole = there[:, pixels].all(axis=1)
    light, watched = (one[:, pixels][whole].sum(axis=0) for one in (counts, monitor))
    if not there.any():
        return  # that it has no counts is told by the caller
    if not whole.any():
        raise FormatError(f"{name} gives no I0: no energy is measured at all its pixels")
    if not light.any():
        return
    noise = 1 / np.maximum(light, 1.0)
    if stack.i0 is not None:
        noise, light = noise + 1 / np.maximum(watched, 1.0), light / np.maximum(watched, 1.0)
    low, high = np.percentile(light / light.mean(), [5, 95])  # 3.3 standard deviations apart
    if high - low > 0.02 + 4.0 * np.sqrt(np.median(noise)):
        raise FormatError(
            f"{name} gives no I0: its pixels differ by {high - low:.0%}, so it is not empty all "
            "along"
        )
