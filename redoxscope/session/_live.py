"""The live maps of a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bluesky import RunEngine

from ..callbacks import ApartHost, Host, MapView, OxidationMap, RixsMap, analyses
from ._engine import pause_for

__all__ = ["Shown", "live_maps"]


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


class Shown:
    """Shows the live maps that it has by name.

    Attributes
    ----------
    maps : dict of str to callback
    """

    maps: Mapping[str, Any]
    _view: MapView | None = None

    def show(self, folder: str | os.PathLike[str] = "live", *, window: bool = True) -> MapView:
        """Show every live map and picture of a scan from the next update on.

        A window for each kind where there is a display, else pictures in a folder; see `MapView`.
        What was shown before in another window or folder is not any more.

        Parameters
        ----------
        folder : path
            For ``live.png`` and its like, without a display; made where it is not there.
        window : bool
            False writes pictures also where there is a display.

        Returns
        -------
        MapView
        """
        view = MapView(folder, window=window)
        for live in self.maps.values():
            live.on_update = view
        self._hide()
        self._view = view
        return view

    def _hide(self) -> None:
        if self._view is not None:
            self._view.close()
