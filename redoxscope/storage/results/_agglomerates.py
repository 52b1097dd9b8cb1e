"""Agglomerates in a map that is stored with a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redoxscope.callbacks import MapAgglomerates, agglomerates_of
from redoxscope.inputs import unless_unmeasured

from ._read import read_results

__all__ = ["agglomerates"]


@unless_unmeasured()
def agglomerates(
    run: Any,
    *,
    rim: float | None = None,
    part: str | None = None,
    analysis: str = "oxidation_map",
    version: int | None = None,
    gap: float | None = None,
    least_diameter: float | None = None,
    threshold: float | None = None,
    edges: Sequence[float] | None = None,
    block: float | None = None,
) -> MapAgglomerates:
    """Agglomerates in a run's map: at one thickness inside and outside, near the edge and deep.

    From the map that is stored with the run. Nothing is stored by itself:
    ``store_results(cat, uid, agglomerates(run).results)``.

    Parameters
    ----------
    run : BlueskyRun
        ``cat[-1]``.
    rim : float, optional
        How far the exterior reaches in from an outline (µm); by default 10 pixels.
    part : str, optional
        Region, where there are several.
    analysis : {"oxidation_map", "ptychography"}
        Whose map.
    version : int, optional
        Of the stored results; by default the newest.
    gap : float, optional
        Particles that are no farther apart (µm) belong together; by default 6 pixels.
    least_diameter : float, optional
        From which on an agglomerate is a large one (µm); by default 40 pixels.
    threshold : float, optional
        Thickness above which there is particle; by default by Otsu's method.
    edges : sequence of float, optional
        Of the bins of thickness.
    block : float, optional
        Side of the patches whose pixels are correlated (µm); by default 4 pixels.

    Returns
    -------
    MapAgglomerates
        Of the reduced species where the map has two, else of the map's own.

    Raises
    ------
    ValueError
        The run has no such map, or a number is none.
    """
    data = read_results(run, analysis, part=part, version=version)
    if "fraction" not in data:
        who = f"run {str(run.metadata['start']['uid'])[:8]}"
        raise ValueError(f"{who}: its {analysis} has no map of a fraction")
    told = data["fraction"].attrs.get("species") or data.attrs.get("species") or ()
    names = [str(name) for name in told]
    share, name = data["fraction"].values, names[0] if names else ""
    if len(names) == 2:
        share, name = 1.0 - share, names[1]
    return agglomerates_of(
        share, data["fraction_sigma"].values, data["thickness"].values, data["x"].values,
        data["y"].values, rim=rim, name=name, part=part or "", gap=gap,
        unit=str(data["thickness"].attrs.get("units") or data["thickness"].attrs.get("unit") or ""),
        least_diameter=least_diameter, threshold=threshold, edges=edges, block=block,
        made_with={"analysis": analysis, "version": int(data.attrs["version"])},
    )  # fmt: skip
