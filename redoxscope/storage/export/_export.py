"""One call for all forms of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redoxscope.formats import writable_folder
from redoxscope.inputs import suggestion, unless_unmeasured

from ._content import Content, content_of
from ._csv import write_csv
from ._cxi import write_cxi_files
from ._hdf5 import write_hdf5
from ._nxstxm import write_nxstxm
from ._rotation import write_dxchange, write_nxtomo
from ._tiff import write_tiff

__all__ = ["FORMATS", "export_run"]

Plan = Mapping[Path, Callable[[Path], None]]
FORMATS: dict[str, Callable[[Content, Path], Plan]] = {
    "hdf5": write_hdf5,
    "tiff": write_tiff,
    "csv": write_csv,
    "nxtomo": write_nxtomo,
    "dxchange": write_dxchange,
    "cxi": write_cxi_files,
    "nxstxm": write_nxstxm,
}
"""What makes files of each form: their paths, and what writes them."""

_NO_RESULTS = "no results are stored with it (store_results(catalog, uid) makes them)"
_NO_SERIES = "it is no rotation series (rotation_series takes one)"
_WHY_NOT = {
    "tiff": _NO_RESULTS,
    "csv": _NO_RESULTS,
    "nxtomo": _NO_SERIES,
    "dxchange": _NO_SERIES,
    "cxi": "it is no ptychography",
    "nxstxm": "it is no scan of a microscope",
}
_OF_RESULTS = {"tiff": "an image", "csv": "a spectrum or a yield"}
_BARE = ("tiff", "csv")
"""Forms that have no room for metadata."""


@unless_unmeasured()
def export_run(
    run: Any,
    form: str = "hdf5",
    folder: str | os.PathLike[str] = ".",
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write a run and what was found in it into files.

    Parameters
    ----------
    run : BlueskyRun
        For instance ``catalog[-1]``.
    form : {"hdf5", "tiff", "csv", "nxtomo", "dxchange", "cxi", "nxstxm"}
        ``hdf5``: one file with the stack as arrays [energy, y, x], the columns of its streams and
        all results. ``tiff``: the stack and each map of the newest results, for ImageJ: in µm, the
        energies as labels. ``csv``: each spectrum and yield of the newest results, a column with a
        unit each. ``nxtomo``, ``dxchange``: a rotation series, for tomography programs. ``cxi``:
        ptychography, merged frames of each energy, for ptypy, cdtools and ptychodus. ``nxstxm``:
        images, spectra, focus and OSA scans, with the maps beside them, for Mantis and aXis2000.
    folder : str or Path
        Where they go; made if missing. Names begin with scan number and uid. For ``tiff`` and
        ``csv``, which have no room for it, parameters, references and doubts go into a JSON file.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        There is no such form, or nothing of the run that it can hold.
    FileExistsError
        One of the files is there.
    OSError
        The folder cannot be written.
    """
    if form not in FORMATS:
        near = suggestion(form, FORMATS) if isinstance(form, str) else ""
        raise ValueError(f"form = {form!r:.40} must be one of {', '.join(FORMATS)}{near}")
    place = Path(folder)
    content = content_of(run)
    plan = dict(FORMATS[form](content, place))
    if not plan:
        why = _WHY_NOT[form]
        if form in _OF_RESULTS and content.results:
            held = ", ".join(dict.fromkeys(one.analysis for one, _ in content.results))
            why = f"none of its results ({held}) is {_OF_RESULTS[form]}; hdf5 has all of it"
        raise ValueError(f"run {content.uid[:8]} has nothing that goes into {form}: {why}")
    if form in _BARE:
        plan[place / f"{content.name}_{form}.json"] = content.write_json
    there = [path for path in plan if path.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{there[0]} is there already: give another folder, or overwrite it (overwrite=True, "
            "--overwrite)"
        )
    writable_folder(place, "the export")
    for path, write in plan.items():
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            write(part)
            part.replace(path)  # whole, or not at all
        finally:
            part.unlink(missing_ok=True)
    return list(plan)
