"""Profiles of the particles in a map that is stored with a run."""

from __future__ import annotations

import math
from typing import Any

from redoxscope.callbacks import MapProfiles, profiles_of
from redoxscope.inputs import unless_unmeasured

from ._read import list_results, read_results

__all__ = ["profiles"]

MAPS = ("ptychography", "oxidation_map")
"""Analyses that store maps, the finer one first."""
BLUR = 1.2
"""Width of the blur of a reconstruction (full, at half maximum) in half-pitches."""


@unless_unmeasured()
def profiles(
    run: Any,
    *,
    time: float,
    resolution: float | None = None,
    part: str | None = None,
    analysis: str | None = None,
    version: int | None = None,
    bin: float | None = None,
    shape: str | None = "sphere",
    section: float | None = None,
    time_sigma: float = 0.0,
) -> MapProfiles:
    """How far a change has gone into the particles of a run: profiles, models, D.

    From the map that is stored with the run. Nothing is stored by itself:
    ``store_results(cat, uid, profiles(run, time=...).results)``.

    Parameters
    ----------
    run : BlueskyRun
        ``cat[-1]``.
    time : float
        How long the change has gone on (s).
    resolution : float, optional
        Full width at half maximum of the map's blur (µm). By default that of a reconstruction,
        from its half-pitch; a map of a microscope needs one.
    part : str, optional
        Region, where there are several.
    analysis : {"ptychography", "oxidation_map"}, optional
        Whose map; by default the first of these that has one.
    version : int, optional
        Of the stored results; by default the newest.
    bin : float, optional
        Width of a bin (µm); by default a pixel.
    shape : {"sphere", "cylinder"} or None
        What the particles are; None: both are tried.
    section : float, optional
        Thickness of the section of which they are part (µm).
    time_sigma : float
        Standard deviation of ``time`` (s).

    Returns
    -------
    MapProfiles
        Of the reduced species where the map has two, else of the map's own.

    Raises
    ------
    ValueError
        The run has no such map, no single whole particle is in it, no resolution is known, or a
        number is none.
    """
    chosen = analysis
    if chosen is None:
        stored = {one.analysis for one in list_results(run)}
        chosen = next((name for name in MAPS if name in stored), MAPS[0])
    data = read_results(run, chosen, part=part, version=version)
    who = f"run {str(run.metadata['start']['uid'])[:8]}"
    if "fraction" not in data:
        raise ValueError(f"{who}: its {chosen} has no map of a fraction")
    told = data["fraction"].attrs.get("species") or data.attrs.get("species") or ()
    names = [str(name) for name in told]
    share, name = data["fraction"].values, names[0] if names else ""
    if len(names) == 2:
        share, name = 1.0 - share, names[1]
    if resolution is None:
        pitch = data.attrs.get("half_pitch_um")
        if pitch is None or not math.isfinite(pitch):
            raise ValueError(
                f"{who}: how much its {chosen} is blurred is not known; give resolution= (µm)"
            )
        resolution = BLUR * float(pitch)
    return profiles_of(
        share, data["fraction_sigma"].values, data["thickness"].values, data["x"].values,
        data["y"].values, time=time, resolution=resolution, name=name, part=part or "", bin=bin,
        shape=shape, section=section, time_sigma=time_sigma,
        made_with={"analysis": chosen, "version": int(data.attrs["version"])},
    )  # fmt: skip
