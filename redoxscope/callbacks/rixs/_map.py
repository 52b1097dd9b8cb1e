"""The live RIXS map: points and photons in, map and yields out, on a thread of its own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...analysis.rixs import DamageVerdict
from ...contract import Window
from ...photons import LiveBatch
from .._live import LiveCallback, Message
from ._pixels import PixelTally
from ._reader import RixsOptions, RixsReader, is_rixs, with_window
from ._snapshot import RixsSnapshot

__all__ = ["RixsMap"]

logger = logging.getLogger(__name__)

MIN_PERIOD = 0.05
"""Shortest time (s) between two snapshots."""

STAMPS = 256
"""Photons of a batch whose latency is noted."""

SHARE = 2.0
"""The worker rests so many times longer than it computes: it shares the interpreter."""


class RixsMap(LiveCallback[RixsReader, RixsSnapshot]):
    """Live excitation x emission map with its yields: ``RE.subscribe(RixsMap())``.

    Takes the documents of RIXS runs (see ``redoxscope.contract``), one run after another; other
    runs are ignored, but for the verdict of a calibration on the pixels. With
    ``tes.subscribe_batches(rixs.photons)`` the photons of the point under way are shown as they
    come; its event then overwrites them. On the RunEngine's thread a document is only put into
    a queue; an error in the map never reaches the RunEngine.

    Parameters
    ----------
    windows : iterable of str or Window, optional
        ``"PFY[765:785]"``, ``"oxo=sPFY[522.3:525.1]"``, ``"iPFY[500:540]"``, ``"XES[530:532]"``,
        ``"TFY"`` (eV); by default those of each run's start document.
    elastic_mask : float, optional
        Leave out emission closer than this to the excitation (eV).
    on_update : callable, optional
        Called with a `RixsSnapshot` from the worker thread, at most ``rate`` times a second and
        at the end. It should not block; what it raises is logged and it is not called again.
    damage_limit : float
        Standard deviations from which on a difference between passes counts as damage.
    on_damage : callable, optional
        Called with a ``DamageVerdict`` from the worker thread, once in a run, when the limit is
        first exceeded.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    drain_timeout : float
        Longest time the stop document waits for the final map, s.

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

    what = "RIXS map"

    def __init__(
        self,
        windows: Iterable[str | Window] | None = None,
        *,
        elastic_mask: float | None = None,
        on_update: Callable[[RixsSnapshot], object] | None = None,
        damage_limit: float = 5.0,
        on_damage: Callable[[DamageVerdict], object] | None = None,
        rate: float = 2.0,
        drain_timeout: float = 60.0,
    ) -> None:
        super().__init__(on_update=on_update, rate=rate, drain_timeout=drain_timeout)
        parsed = None if windows is None else tuple(map(_window, windows))
        self.options = RixsOptions(parsed, elastic_mask, damage_limit)
        self.on_damage = on_damage
        self.point_latencies_ms: deque[float] = deque(maxlen=100_000)
        self.period = MIN_PERIOD
        self._pixels = PixelTally()
        self._verdicts: set[str] = set()
        self._point_stamps: list[float] = []
        self._warned = False

    # -- from any thread -----------------------------------------------------------------------

    def photons(self, batch: LiveBatch) -> None:
        """Take photons of the point under way. Returns at once."""
        self._post("photons", batch)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Windows of the current or last run; before the first, those given."""
        self._answered()
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
        self._ask("window", ("set", new))

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
        self._ask("window", ("remove", name))

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
        self._ask("window", ("mask", width))

    def set_pixels(
        self, channels: Iterable[int], ok: Iterable[bool], reasons: Iterable[str] | None = None
    ) -> None:
        """Say which pixels are used and why not; a calibration run says so by itself."""
        self._ask("pixels", (list(channels), list(ok), None if reasons is None else list(reasons)))

    # -- on the worker's thread ----------------------------------------------------------------

    def _accepts(self, start: Mapping[str, Any]) -> bool:
        return is_rixs(start)

    def _open(self, start: Mapping[str, Any]) -> RixsReader:
        self._pixels.clear()
        self.point_latencies_ms.clear()
        self._point_stamps.clear()
        self._warned = False
        self.period = MIN_PERIOD
        return RixsReader(start, self.options, self._pixels)

    def _take_rows(self, reader: RixsReader, name: str, doc: Mapping[str, Any]) -> Iterable[float]:
        self._point_stamps.extend(reader.take(name, doc))
        return ()

    def _other(self, message: Message) -> Iterable[float]:
        name, content = message
        if name == "photons":
            return self._take_photons(content)
        if name == "window":
            self._change(*content)
        elif name == "pixels":
            self._pixels.judge(*content)
            self._show_now(self._reader)
        elif name == "descriptor" and "tes_pixel_ok" in content.get("data_keys", {}):
            self._verdicts.add(content["uid"])
        elif name == "event" and content["descriptor"] in self._verdicts:
            self._pixels.judge_from(content["data"])
        elif name == "stop":
            self._verdicts.clear()
        return ()

    def _take_photons(self, batch: LiveBatch) -> Iterable[float]:
        reader = self._reader
        if reader is None or self._error is not None or not self._run:
            return ()
        if not reader.photons(batch):
            return ()
        self._changed = True
        times = batch.local_time
        return times[:: max(1, len(times) // STAMPS)].tolist()

    def _change(self, what: str, value: Any) -> None:
        reader = self._reader
        if reader is None or self._error is not None:
            return
        if what == "mask":
            reader.set_elastic_mask(value)
        elif what == "set":
            reader.set_windows(with_window(reader.windows, value))
        else:
            reader.set_windows([w for w in reader.windows if w.name != value])
        self._show_now(reader)

    def _show_now(self, reader: RixsReader | None) -> None:
        if reader is not None and self._error is None and reader.counts is not None:
            self._changed = True
            self._due = 0.0  # the user waits for it

    def _after(self, now: float, cost: float) -> None:
        self.period = max(MIN_PERIOD, SHARE * cost)
        self.point_latencies_ms.extend(1e3 * (now - stamp) for stamp in self._point_stamps)
        self._point_stamps.clear()
        damage = None if self.snapshot is None else self.snapshot.damage
        if damage is None or not damage.damaged or self._warned:
            return
        self._warned = True
        logger.warning("RIXS map of run %s: %s", self._run, damage.message)
        if self.on_damage is not None:
            try:
                self.on_damage(damage)
            except Exception:
                logger.exception("on_damage failed")


def _window(text: str | Window) -> Window:
    return text if isinstance(text, Window) else Window.parse(text)
