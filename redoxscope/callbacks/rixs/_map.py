"""The live RIXS map: points and photons in, map and yields out, on a thread of its own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ...analysis.rixs import DamageVerdict
from ...documents import Window
from ...photons import LiveBatch
from .._analysis import Update
from .._documents import rows_of
from .._live_map import LiveMap
from ._pixels import PixelTally
from ._reader import RixsOptions, RixsReader
from ._snapshot import RixsSnapshot
from .analysis import ANALYSIS

__all__ = ["RixsMap"]

logger = logging.getLogger(__name__)


class RixsMap(LiveMap[RixsReader, RixsSnapshot]):
    """Live excitation x emission map with its yields: ``RE.subscribe(RixsMap())``.

    Takes the documents of RIXS runs (see ``redoxscope.documents``), one run after another; other
    runs are ignored, but for the verdict of a calibration on the pixels. With
    ``tes.subscribe_batches(rixs.photons)`` the photons of the point under way are shown as they
    come; its event then overwrites them. On the RunEngine's thread a document is only put into
    a queue and nothing waits; an error in the map never reaches the RunEngine.

    Parameters
    ----------
    windows : iterable of str or Window, optional
        ``"PFY[765:785]"``, ``"oxo=sPFY[522.3:525.1]"``, ``"iPFY[500:540]"``, ``"XES[530:532]"``,
        ``"TFY"`` (eV); by default those of each run's start document.
    elastic_mask : float, optional
        Leave out emission closer than this to the excitation (eV).
    on_update : callable, optional
        Called with an `Update`, which has the `RixsSnapshot`, from the worker thread, at most
        ``rate`` times a second and at the end. It should not block; what it raises is logged and
        it is not called again.
    damage_limit : float
        Standard deviations from which on a difference between passes counts as damage.
    on_damage : callable, optional
        Called with a ``DamageVerdict`` and the run's uid from the worker thread, once in a run,
        when the limit is first exceeded.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    timeout : float
        Longest time (s) that a look at the final map, and `close`, wait for it.

    Attributes
    ----------
    latencies_ms : collections.deque of float
        From each photon shown live to the snapshot that holds it (ms), a sample of them.
    point_latencies_ms : collections.deque of float
        The same from the reading of each point (ms).

    Raises
    ------
    ValueError
        If a window or the rate is not one.
    """

    def __init__(
        self,
        windows: Iterable[str | Window] | None = None,
        *,
        elastic_mask: float | None = None,
        on_update: Callable[[Update], object] | None = None,
        damage_limit: float = 5.0,
        on_damage: Callable[[DamageVerdict, str], object] | None = None,
        rate: float = 2.0,
        timeout: float = 60.0,
    ) -> None:
        parsed = None if windows is None else tuple(map(_window, windows))
        self._pixels = PixelTally()
        self._verdicts: set[str] = set()
        self._warned = ""
        self.on_damage = on_damage
        options = RixsOptions(parsed, elastic_mask, damage_limit, pixels=self._pixels)
        super().__init__(ANALYSIS, options, on_update=on_update, rate=rate, timeout=timeout)

    # -- from any thread -----------------------------------------------------------------------

    def photons(self, batch: LiveBatch) -> None:
        """Take photons of the point under way. Returns at once."""
        self.send("photons", batch)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Windows of the current or last run; before the first, those given."""
        reader = self._reader
        return reader.windows if reader is not None else self.options.windows or ()

    def set_window(self, window: str | Window) -> None:
        """Put in a window, in place of the one of its name, for all points of this run.

        Parameters
        ----------
        window : str or Window
            ``"PFY[765:780]"`` takes the place of the PFY there is; ``"ll=PFY[672:684]"`` stands
            beside it.

        Raises
        ------
        ValueError
            It is no window, or reaches beyond the spectra of the run.
        RuntimeError
            There is no run yet.
        """
        new = _window(window)
        reader = self._reader
        if reader is None:
            raise RuntimeError("there is no RIXS run yet whose windows could be changed")
        if not new.in_excitation and reader.counts is not None:
            new.slice(reader.bins)
        self.send("window", new, at_once=True)

    def remove_window(self, name: str) -> None:
        """Take out the window of this name.

        Raises
        ------
        ValueError
            There is none; the message lists those there are.
        """
        names = [window.name for window in self.windows]
        if name not in names:
            raise ValueError(
                f"no window is called {name!r}; there are {', '.join(names) or 'none'}"
            )
        self.send("no window", name, at_once=True)

    def set_elastic_mask(self, width: float | None) -> None:
        """Leave out emission closer than this to the excitation (eV), in all points; None: none.

        Raises
        ------
        ValueError
            It is negative or not finite.
        """
        if width is not None and not 0 <= width < float("inf"):
            raise ValueError(f"elastic_mask = {width} eV, but must be at least 0 eV")
        self.options = replace(self.options, elastic_mask=width)
        self.send("elastic mask", width, at_once=True)

    def set_pixels(
        self, channels: Iterable[int], ok: Iterable[bool], reasons: Iterable[str] | None = None
    ) -> None:
        """Say which pixels are used and why not; a calibration run says so by itself."""
        verdict = list(channels), list(ok), None if reasons is None else list(reasons)
        self.send("pixels", verdict, at_once=True)

    @property
    def latencies_ms(self) -> deque[float]:
        return self._latencies("photons")

    @property
    def point_latencies_ms(self) -> deque[float]:
        return self._latencies("event")

    # -- on the worker's thread ----------------------------------------------------------------

    def _take(self, name: str, content: Any, document: bool, at_once: bool, of: str) -> None:
        """Read the verdict on pixels of any run, too: it holds for the runs that follow."""
        if name == "pixels" and not document:
            self._pixels.judge(*content)
        elif name == "descriptor" and "tes_pixel_ok" in content.get("data_keys", {}):
            self._verdicts.add(content["uid"])
        elif name in ("event", "event_page") and content["descriptor"] in self._verdicts:
            for _, data, _ in rows_of(name, content, "tes_pixel_ok"):
                self._pixels.judge_from(data)
        elif name == "stop":
            self._verdicts.clear()
        super()._take(name, content, document, at_once, of)

    def _show(self, update: Update) -> None:
        super()._show(update)
        damage = update.snapshot.damage
        if damage is None or not damage.damaged or self._warned == update.run:
            return
        self._warned = update.run
        logger.warning("RIXS map of run %s: %s", update.run, damage.message)
        if self.on_damage is not None:
            try:
                self.on_damage(damage, update.run)
            except Exception:
                logger.exception("on_damage failed")


def _window(text: str | Window) -> Window:
    return text if isinstance(text, Window) else Window.parse(text)
