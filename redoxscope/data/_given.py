"""References as they are given to a plan: as such, or in a form that JSON can say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.inputs import suggestion

from ._edges import EDGES
from ._files import references_from_csv, references_from_h5
from ._references import References, load_references

__all__ = ["as_references"]

_OPTIONS = ("unit", "min_thickness", "valences")
_TABLE = ("names", "energies", "spectra")
_HDF5 = (".h5", ".hdf5", ".hdf", ".nxs")


def as_references(value: Any) -> References:
    """References from whatever says which.

    Parameters
    ----------
    value : References, str, path or mapping
        The spectra themselves; the name of an edge whose shipped ones are meant (``"Mn L3"``);
        the path of a CSV or HDF5 file (see `references_from_csv`, `references_from_h5`); a file
        with options, ``{"file": "mine.csv", "unit": "OD", "valences": [4, 3]}``; or the table,
        ``{"names": [...], "energies": [eV], "spectra": [[...], ...], "unit": "OD"}``.

    Raises
    ------
    ValueError
        It is none of these, or what it names cannot be read.
    """
    if isinstance(value, References):
        return value
    if isinstance(value, (str, os.PathLike)):
        name = os.fspath(value)
        return load_references(name) if name in EDGES else _from_file(value, {})
    if isinstance(value, Mapping):
        return _from_mapping(dict(value))
    raise ValueError(f"references = {_shown(value)} {_WANTED}")


_WANTED = (
    "must be reference spectra, from load_references('Mn L3'), references_from_csv(…) or "
    "References(…); or an edge, or the path of a file (.csv, .h5), or a mapping with 'file' or "
    "with 'names', 'energies' and 'spectra'"
)


def _from_file(path: Any, options: dict[str, Any]) -> References:
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"references.file = {_shown(path)} must be the path of a file (.csv, .h5)")
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return references_from_csv(path, **options)
    if suffix in _HDF5:
        return references_from_h5(path, **options)
    close = suggestion(os.fspath(path), [edge for edge, found in EDGES.items() if found.species])
    raise ValueError(f"references = {os.fspath(path)!r} {_WANTED}{close}")


def _from_mapping(given: dict[str, Any]) -> References:
    needed = ("file",) if "file" in given else _TABLE
    for key in needed:
        if key not in given:
            raise ValueError(f"references lacks {key!r}; it {_WANTED}")
    more = ("names",) if "file" in given else ("source",)
    allowed = (*needed, *_OPTIONS, *more)
    for key in given:
        if key not in allowed:
            raise ValueError(
                f"references[{key!r}] is not known{suggestion(key, allowed)}; "
                f"known: {', '.join(allowed)}"
            )
    if "file" in given:
        options = {key: value for key, value in given.items() if key != "file"}
        if "names" in options and Path(str(given["file"])).suffix.lower() == ".csv":
            raise ValueError("references['names'] is for HDF5 files; a CSV file names its columns")
        return _from_file(given["file"], options)
    options = {key: given[key] for key in _OPTIONS if key in given}
    options.setdefault("unit", "1/µm")
    try:
        spectra = np.asarray(given["spectra"], dtype=float)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"references['spectra'] is no table of numbers: {exc}") from None
    source = str(given.get("source", "given with the plan"))
    names, energies = given["names"], given["energies"]
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ValueError(f"references['names'] = {_shown(names)} must be a list of names")
    return References(
        names=tuple(names), energies=energies, spectra=spectra, source=source, **options
    )


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
