"""A file of a microscope as the sample of the simulated beamline."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..formats import FormatError, StxmFile, replaced

__all__ = ["write_sample"]


def write_sample(
    found: StxmFile,
    path: str | os.PathLike[str],
    *,
    region: str | None = None,
) -> list[str]:
    """Write a region for ``redoxscope sim --sample``.

    Parameters
    ----------
    found : StxmFile
    path : str or Path
        HDF5 file; replaced where it is there.
    region : str, optional
        One of several.

    Returns
    -------
    list of str
        What is left out: images with lines that are missing, and of energies that come again.

    Raises
    ------
    FormatError
        There is no region, or several and none is named, or less than two whole images of two
        lines; or it would take the place of the file itself.
    """
    import h5py

    path = Path(path)
    if path.exists() and path.samefile(found.path):
        raise FormatError(f"the sample would take the place of {found.path.name} itself")

    if not found.stacks:
        raise FormatError(f"{found.path.name} has no images of a sample")
    names = [stack.name for stack in found.stacks]
    if region is None and len(names) > 1:
        raise FormatError(f"{found.path.name} has the regions {', '.join(names)}: name one")
    if region is not None and region not in names:
        raise FormatError(f"{found.path.name} has no region {region!r}, only {', '.join(names)}")
    stack = found.stacks[names.index(region) if region is not None else 0]
    first = np.diff(stack.energy, prepend=-np.inf) > 0  # of an energy that comes again
    whole = first & ~np.isnan(stack.counts).any(axis=(1, 2))
    if whole.sum() < 2 or min(stack.counts.shape[1:]) < 2:
        raise FormatError(
            f"{found.path.name} has {int(whole.sum())} whole images of {stack.counts.shape[1:]} "
            "pixels; a sample needs two, of two lines"
        )
    with replaced(path) as part, h5py.File(part, "w") as file:
        file["counts"] = stack.counts[whole]
        file["energy"], file["x"], file["y"] = stack.energy[whole], stack.x, stack.y
        file["dwell"] = 1e3 * stack.dwell[whole]
        if stack.ring_current is not None and np.isfinite(stack.ring_current[whole]).all():
            file["ring_current"] = stack.ring_current[whole]
    return [
        f"{energy:g} eV is left out: {'it is not whole' if one else 'it is there already'}"
        for energy, one in zip(stack.energy[~whole], first[~whole], strict=True)
    ]
