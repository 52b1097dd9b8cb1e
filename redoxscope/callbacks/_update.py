"""Updates in the wire form: to the view, and from a host in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ._analysis import Update
from ._registry import analysis
from .wire import WireError

__all__ = ["update_from_wire", "update_to_wire"]


def update_to_wire(
    update: Update, most: int | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of an update.

    Parameters
    ----------
    update : Update
    most : int, optional
        Most pixels a side of what is sent; all of them by default.

    Raises
    ------
    ValueError, TypeError
        Its analysis is not known, or its snapshot has a field that cannot be sent.
    """
    record = analysis(update.analysis)
    snapshot = update.snapshot if most is None else record.thin(update.snapshot, most)
    packed, arrays = record.to_wire(snapshot)
    header = {
        "run": update.run,
        "analysis": update.analysis,
        "part": update.part,
        "parts": list(update.parts),
        "final": update.final,
        "snapshot": packed,
    }
    return header, arrays


def update_from_wire(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Update:
    """Make an update of what `update_to_wire` made of one.

    Raises
    ------
    WireError, ValueError
        It is none, or its analysis is not known here.
    """
    run, name, part, parts = (header.get(key) for key in ("run", "analysis", "part", "parts"))
    if not (isinstance(run, str) and isinstance(name, str) and isinstance(part, str)):
        raise WireError("a snapshot does not say what it is of")
    if not (isinstance(parts, list) and all(isinstance(each, str) for each in parts)):
        raise WireError("a snapshot does not say what parts there are")
    snapshot = analysis(name).from_wire(header.get("snapshot") or {}, arrays)
    return Update(run, name, part, tuple(parts), snapshot, header.get("final") is True)
