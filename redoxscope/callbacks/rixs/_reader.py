"""Documents of one RIXS run, in; maps and yields, out. No threads here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import dead_time_corrected
from ...analysis.rixs import Places, RixsCounts, spectrum_of
from ...data import FeatureRange, rixs_edges, rixs_preset
from ...documents import STREAM, TOTALS_STREAM, Bins, PointStatus, Window
from ...inputs import as_whole
from ...photons import LiveBatch
from ...scan import Scan
from .._analysis import Reader
from .._documents import Doc, check_version, configured, rows_of
from .._room import room_for
from ._pixels import PixelTally
from ._results import results_of
from ._snapshot import RixsSnapshot, UnderWay

__all__ = ["RixsOptions", "RixsReader", "is_rixs", "with_window"]

COUNT_BYTES = 4
"""Memory of a bin's photons in one pass."""
CELL_BYTES = 100
"""Memory of a cell of the map: rate, deviation, counts and coverage, and copies of them."""
PLANS = ("rixs_map", "xes")
ENERGY_TOLERANCE = 0.05
"""Distance (eV) of the energy read from the one planned at which a point counts, where the start
document does not say (``energy_tolerance``)."""

STAMPS = 256
"""Photons of a batch whose latency is noted."""


@dataclass(frozen=True)
class RixsOptions:
    """Choices a user makes for a map; see `RixsMap`."""

    windows: tuple[Window, ...] | None = None
    elastic_mask: float | None = None
    damage_limit: float = 5.0
    feature: FeatureRange | None = None
    pixels: PixelTally | None = None


def is_rixs(start: Doc) -> bool:
    """Whether a start document announces a RIXS run."""
    return start.get("plan_name") in PLANS and isinstance(start.get("scan"), Mapping)


def _feature_of(start: Doc) -> FeatureRange | None:
    """Where the edge's feature shows; None for an edge without one or without a preset."""
    edge = start.get("edge")
    return rixs_preset(edge).feature if edge in rixs_edges() else None


def with_window(windows: Iterable[Window], new: Window) -> tuple[Window, ...]:
    """Windows with another put in, in place of the one of its name."""
    listed = list(windows)
    names = [window.name for window in listed]
    if new.name not in names:
        return (*listed, new)
    listed[names.index(new.name)] = new
    return tuple(listed)


class RixsReader(Reader[RixsSnapshot]):
    """Feeds the points of one run to `RixsCounts`.

    Parameters
    ----------
    start : dict
        Start document of a RIXS run.
    options : RixsOptions
        Choices of the user.

    Raises
    ------
    ValueError, KeyError
        If the start document is not one of a RIXS run.
    """

    def __init__(self, start: Doc, options: RixsOptions | None = None) -> None:
        check_version(start)
        self.start = start
        self.options = options or RixsOptions()
        self.pixels = PixelTally(self.options.pixels)
        self.scan = Scan.from_start(start)
        self.places = Places.of(self.scan)
        self.windows = self.options.windows or tuple(map(Window.parse, start.get("windows", ())))
        self.elastic_mask = self.options.elastic_mask
        self.feature = self.options.feature or _feature_of(start)
        self.counts: RixsCounts | None = None
        self._dead_time = 0.0
        self._found: dict[int, tuple[int, int]] = {}  # late and lost, by tes_point
        self._doubtful: dict[tuple[int, int], PointStatus] = {}  # by pass and energy
        self._photons = np.zeros((self.places.passes, len(self.energies)), dtype=np.int64)
        self._totals: dict[str, int] = {}
        self._totals_uid = ""
        self._last = -1, -math.inf  # point and start (ns) of the last event
        self._live: tuple[float, NDArray[np.int64]] | None = None
        self._made: RixsSnapshot | None = None
        self._before: RixsSnapshot | None = None
        self._complete = False
        self._ended: tuple[bool, str] = False, ""
        self._refused = ""

    @property
    def energies(self) -> NDArray[np.float64]:
        """Excitation energies (eV)."""
        return self.places.energies

    @property
    def bins(self) -> Bins:
        """Emission bins of the run.

        Raises
        ------
        ValueError
            If no descriptor has come yet.
        """
        if self.counts is None:
            raise ValueError("the run has no points yet, so its emission bins are not known")
        return self.counts.bins

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are wanted."""
        name = descriptor.get("name")
        if name == TOTALS_STREAM:
            self._totals_uid = descriptor["uid"]
        elif name == STREAM:
            self.configure(descriptor.get("configuration", {}))
        return name in (STREAM, TOTALS_STREAM)

    def configure(self, configuration: Any) -> None:
        """Take bins, dead time and pixels from a descriptor's configuration."""
        for device in (configuration or {}).values():
            self.pixels.judge_from(device.get("data", {}))
        if self.counts is not None:
            return  # a second descriptor of the same stream: the bins have not changed
        low, high, step = (
            configured(configuration, f"tes_spectrum_{part}") for part in ("low", "high", "step")
        )
        if low is None or high is None or step is None:
            raise ValueError("the descriptor's configuration has no tes_spectrum_low, _high, _step")
        self._dead_time = configured(configuration, "i0_dead_time") or 0.0
        bins = Bins(low, high, step)
        cells = len(self.energies) * len(bins)
        room_for(
            f"a RIXS map of {len(self.energies)} energies, {len(bins)} bins and "
            f"{self.places.passes} passes",
            cells * (COUNT_BYTES * self.places.passes + CELL_BYTES),
        )
        self.counts = RixsCounts(self.energies, bins, self.places.passes)

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its points (s)."""
        stamps = []
        for _, data, stamp in rows_of(name, doc, "tes_spectrum"):
            if doc["descriptor"] == self._totals_uid:
                self.totals(data)
            else:
                self.point(data)
                stamps.append(stamp)
        return stamps

    def totals(self, data: Doc) -> None:
        """Take the counts of the whole run."""
        self._totals = {key: int(value) for key, value in data.items()}
        self._made = None

    def point(self, data: Doc) -> None:
        """Take one point; it replaces what came of the same point of the scan before.

        Raises
        ------
        ValueError
            It is none of the scan's or no whole number, or came before the descriptor.
        """
        if self.counts is None:
            raise ValueError("a point came before the descriptor that says its emission bins")
        number = as_whole("point", data["point"])
        ipass, index = self.places.place(number)
        begin, end = int(data["tes_point_start"]), int(data["tes_point_end"])
        late, lost = int(data["tes_late"]), int(data["tes_lost"])
        doubt = self._doubt(index, data)
        if doubt:
            self._doubtful[ipass, index] = doubt
            self.counts.drop_point(ipass, index)
            self.counts.late[ipass, index], self.counts.lost[ipass, index] = late, lost
            self._photons[ipass, index] = 0
        else:
            self._doubtful.pop((ipass, index), None)
            i0, sigma = self._monitor(data.get("i0"), self.scan.points[number].dwell)
            self.counts.set_point(
                ipass,
                index,
                spectrum=np.asarray(data["tes_spectrum"]),
                seconds=1e-9 * (end - begin),
                live=float(data["tes_live_fraction"]),
                i0=i0,
                i0_sigma=sigma,
                late=late,
                lost=lost,
            )
            self._photons[ipass, index] = int(data["tes_counts"])
        self._found[int(data["tes_point"])] = late, lost
        self._last = number, begin
        if self._live is not None and self._live[0] <= begin:
            self._live = None
        self._made = None

    def _doubt(self, index: int, data: Doc) -> PointStatus:
        """Why a point must not count; it may be of another energy than the planned one."""
        status = PointStatus(int(data.get("tes_point_status", 0)))
        limit = float(self.start.get("energy_tolerance", ENERGY_TOLERANCE))
        if not abs(float(data["energy"]) - self.energies[index]) <= limit + 1e-9:
            status |= PointStatus.ENERGY
        return status

    @property
    def doubts(self) -> str:
        """What is left out because it is doubtful, in words; "" where nothing is."""
        if not self._doubtful:
            return ""
        reasons = [
            f"{(flag.name or '').lower()} {n}"
            for flag in PointStatus
            if (n := sum(flag in status for status in self._doubtful.values()))
        ]
        return f"{len(self._doubtful)} doubtful points are left out ({', '.join(reasons)})."

    def _monitor(self, value: Any, dwell: float) -> tuple[float | None, float]:
        """I0 as it would be without dead time, and its sigma (counts)."""
        if value is None or not math.isfinite(value):
            return None, 0.0
        seen = float(value)
        true = float(dead_time_corrected(seen, dwell, self._dead_time))
        if not (math.isfinite(true) and seen > 0):
            return None, 0.0
        return true, true / math.sqrt(seen)  # see log_variance: var(ln N_true) = 1 / N_seen

    def told(self, kind: str, content: Any) -> list[float] | None:
        """Take what is no document.

        ``"photons"``: a `LiveBatch`. ``"window"``: one to be put in; ``"no window"``: the name of
        one to be taken out. ``"elastic mask"``: its width (eV) or None. ``"pixels"``: what
        `PixelTally.judge` takes.
        """
        if kind == "photons":
            if self._ended[0] or not self.photons(content):
                return None
            times = content.local_time
            return times[:: max(1, len(times) // STAMPS)].tolist()
        if kind == "window":
            self.set_windows(with_window(self.windows, content))
        elif kind == "no window":
            self.set_windows([window for window in self.windows if window.name != content])
        elif kind == "elastic mask":
            self.set_elastic_mask(content)
        elif kind == "pixels":
            self.pixels.judge(*content)
        else:
            return None
        return None if self.counts is None else []

    def photons(self, batch: LiveBatch) -> bool:
        """Take photons of the point under way; whether they are to be shown.

        Those of a point whose event has come, or of one older than the newest seen, are not.
        """
        if self.counts is None or batch.point_start_ns <= self._last[1]:
            return False
        if self._live is None or self._live[0] < batch.point_start_ns:
            if self._last[0] + 1 >= len(self.places):
                return False
            self._live = float(batch.point_start_ns), np.zeros(len(self.bins), dtype=np.int64)
        elif self._live[0] > batch.point_start_ns:
            return False
        self._live[1][:] += spectrum_of(batch.energy, self.bins)
        self.pixels.add(batch.pixel)
        return True

    def set_windows(self, windows: Sequence[Window]) -> None:
        """Take other windows, for all points."""
        self.windows, self._made = tuple(windows), None

    def set_elastic_mask(self, width: float | None) -> None:
        """Leave out emission closer than this to the excitation (eV); None: nothing."""
        self.elastic_mask, self._made = width, None

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, RixsSnapshot]:
        """Return what there is; ``full`` with significance and comparison of passes."""
        if self.counts is None:
            raise ValueError("the run has no descriptor of its points")
        if final:
            self._ended, self._live = (True, message), None
        if self._made is None or (full and not self._complete):
            self._made = self._results(self.counts, full)
            self._complete = full
        finished, ending = self._ended
        damage = self._made.damage
        warning = f"{damage.message}." if damage is not None and damage.damaged else ""
        shown = replace(
            self._made,
            message=" ".join(
                part for part in (ending or message, warning, self.doubts, self._refused) if part
            ),
            finished=finished,
            under_way=self._under_way(),
            pixels=self.pixels.health(),
        )
        return {"": shown}

    def _results(self, counts: RixsCounts, full: bool) -> RixsSnapshot:
        late = sum(late for late, _ in self._found.values())
        lost = sum(lost for _, lost in self._found.values())
        snapshot, self._refused = results_of(
            counts,
            self.windows,
            elastic_mask=self.elastic_mask,
            feature=self.feature,
            damage_limit=self.options.damage_limit,
            full=full,
            before=self._before,
        )
        self._before = snapshot
        edge, sample = str(self.start.get("edge") or ""), str(self.start.get("holder") or "")
        used = self._totals.get("tes_total_pixels")
        health = self.pixels.health()
        if used is None and health is not None:  # no totals: the run ended early
            used = int(health.usable.sum())
        return replace(
            snapshot,
            uid=str(self.start.get("uid", "")),
            points_done=int(np.isfinite(counts.seconds).sum()),
            points_total=len(self.places),
            photons=int(self._photons.sum()),
            late=self._totals.get("tes_total_late", late),
            lost=self._totals.get("tes_total_lost", lost),
            outside=self._totals.get("tes_total_outside", 0),
            pixels_used=used,
            edge=edge,
            sample=sample,
            title=" · ".join(part for part in (f"{edge} RIXS".strip(), sample) if part),
        )

    def _under_way(self) -> UnderWay | None:
        if self._live is None or self.counts is None:
            return None
        number = min(self._last[0] + 1, len(self.places) - 1)
        ipass, index = self.places.place(number)
        exposure = self.counts.exposure[:, index]
        return UnderWay(
            ipass, index, self._live[1].copy(), self.scan.points[number].dwell,
            float(np.nansum(exposure)),
        )  # fmt: skip
