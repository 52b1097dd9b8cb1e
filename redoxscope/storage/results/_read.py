"""Results of a run, out of the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...inputs import unless_unmeasured
from ._store import SPEC, key_of, part_key

if TYPE_CHECKING:
    import xarray

__all__ = ["StoredResults", "list_results", "read_results"]


@dataclass(frozen=True)
class StoredResults:
    """What an analysis found in a run, one time.

    Attributes
    ----------
    analysis : str
    version : int
        1 for the first; each later one counts up.
    key : str
        Where it is: ``run[key]``.
    parts : tuple of str
        Regions or other parts; empty where there is one only.
    stored : str
        When, in UTC (ISO 8601).
    software : str
        What stored it, with its version.
    """

    analysis: str
    version: int
    key: str
    parts: tuple[str, ...]
    stored: str
    software: str


@unless_unmeasured()
def list_results(run: Any) -> list[StoredResults]:
    """All results that are stored with a run, by analysis and version.

    Parameters
    ----------
    run : BlueskyRun
        For instance ``catalog[-1]``.
    """
    found = []
    for key, child in run.base.items():
        if SPEC not in {spec.name for spec in child.specs}:
            continue
        attrs = child.metadata["attrs"]
        if attrs["complete"]:
            found.append(
                StoredResults(
                    attrs["analysis"],
                    attrs["version"],
                    key,
                    tuple(attrs["parts"]),
                    attrs["stored"],
                    attrs["software"],
                )  # fmt: skip
            )
    return sorted(found, key=lambda one: (one.analysis, one.version))


@unless_unmeasured()
def read_results(
    run: Any, analysis: str, *, part: str | None = None, version: int | None = None
) -> xarray.Dataset:
    """What an analysis found in a run: its arrays with coordinates and units.

    Parameters
    ----------
    run : BlueskyRun
    analysis : str
        Its name: ``"oxidation_map"``.
    part : str, optional
        Region or other part; needed where there are several.
    version : int, optional
        By default the newest.

    Returns
    -------
    xarray.Dataset
        ``attrs`` say version, software, parameters, references and doubts.

    Raises
    ------
    ValueError
        There is none of that name, version or part; lists what there is.
    """
    start = run.metadata["start"]
    stored = list_results(run)
    found = [one for one in stored if one.analysis == analysis]
    who = f"run {str(start['uid'])[:8]}"
    if not found:
        others = ", ".join(sorted({one.analysis for one in stored})) or "none at all"
        raise ValueError(
            f"{who} has no results of {analysis!r} (it has: {others}); store_results(catalog, uid) "
            "makes them"
        )
    chosen = [one for one in found if version in (None, one.version)]
    if not chosen:
        raise ValueError(
            f"{who} has no version {version!r} of {analysis}, only "
            f"{', '.join(str(one.version) for one in found)}"
        )
    newest = chosen[-1]
    place = run.base[key_of(newest.analysis, newest.version)]
    if not newest.parts:
        if part:
            raise ValueError(f"{who} has {analysis} of one part only, so not of {part!r}")
        return _read(place)
    if part not in newest.parts:
        wanted = f"part = {part!r} is none of them" if part is not None else "give part="
        raise ValueError(f"{who} has {analysis} of {', '.join(newest.parts)}: {wanted}")
    return _read(place[part_key(part)])


def _read(place: Any) -> xarray.Dataset:
    # Each array by itself: Tiled's way by a table fails where all are single numbers.
    return place.read(optimize_wide_table=False)
