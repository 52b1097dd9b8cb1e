"""The live maps of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bluesky import RunEngine

from ..callbacks import ApartHost, Host, OxidationMap, RixsMap, analyses
from ._engine import pause_for

__all__ = ["live_maps"]


def live_maps(
    engine: RunEngine,
    *,
    gpu: bool = False,
    earlier: Callable[[str], Iterable[tuple[str, dict[str, Any]]]] | None = None,
) -> dict[str, Any]:
    """A live map for each analysis, by its name; each takes the runs that it can read.

    Parameters
    ----------
    engine : bluesky.RunEngine
        Paused where a map finds that the sample is being damaged.
    gpu : bool
        Whether frames of ptychography are reconstructed on a GPU.
    earlier : callable, optional
        Documents of a run that has ended, by its uid, which another may continue.

    Raises
    ------
    ValueError
        There is no GPU, or no CuPy.
    """
    ended: set[str] = set()
    engine.subscribe(lambda _, doc: ended.add(doc["run_start"]), "stop")

    def damaged(verdict: Any, run: str) -> None:
        pause_for(engine, verdict.message, over=lambda: run in ended)

    rixs = RixsMap(rate=1.0, on_damage=damaged)
    maps: dict[str, Any] = {
        "oxidation_map": OxidationMap(rate=1.0, earlier=earlier),
        "rixs_map": rixs,
    }
    others = [one for one in analyses() if one.name not in maps]
    chosen: dict[str, dict[str, Any]] = {"ptychography": {"gpu": True}} if gpu else {}
    hosts = {
        one.name: ApartHost(one, options=chosen.get(one.name), rate=1.0)
        if one.apart
        else Host([one], rate=1.0)
        for one in others
    }
    return {**maps, **hosts}
