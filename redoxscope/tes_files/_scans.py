"""Scans: photons to points to spectra, yields and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.rixs import SIGNIFICANT, PointIndex, RixsCounts, bin_points, find_maximum
from ..data import RixsPreset, rixs_edges, rixs_preset
from ..documents import Bins, Window
from ..formats import TesLog
from ..photons import Photons
from ._calibrations import Calibrated, number
from ._inputs import name_of

__all__ = ["BINS", "Dip", "Scan", "count_scan", "elastic_shift", "oxygen_dip"]

BINS = Bins(200.0, 1200.0, 0.5)
BLUR_EV = 0.6
"""Smoothing (standard deviation) of a yield where it is asked what is off the edge."""
ELASTIC_EV = 5.0
"""Half width of the range in which the elastic line's photons are."""
ON_EV = 1.25
"""Half width of the range of excitations on the absorption line."""
OFF_PART = 0.3
"""Excitations at which the yield is below this part of its maximum are off the edge."""
DIP_SIGMA = 3.0
INVERSE = Window("PFY", 500.0, 540.0, "O_K")


@dataclass(frozen=True)
class Scan:
    """Scans over the same energies of the same sample, binned.

    Attributes
    ----------
    logs : tuple of TesLog
    edge : str
        Edge of the preset that covers most of the energies; "" where none does.
    windows : tuple of Window
    counts : RixsCounts
        Passes of all logs, in order.
    passes : dict of str to list of int
        Which passes are whose, by name of the log.
    report : dict of str to dict
        What there is to say on each log.
    usable : numpy.ndarray of int
        Channels that count.
    pixel_photons : dict
        Photons in the points, by channel, those of unusable pixels included.
    """

    logs: tuple[TesLog, ...]
    edge: str
    windows: tuple[Window, ...]
    counts: RixsCounts
    passes: dict[str, list[int]]
    report: dict[str, dict[str, Any]]
    usable: NDArray[np.uint16]
    pixel_photons: dict[int, int]

    @property
    def name(self) -> str:
        """Names of the logs, joined."""
        return "+".join(name_of(log) for log in self.logs)

    @property
    def pfy(self) -> Window:
        """The window whose maximum is looked for."""
        return next((w for w in self.windows if w.kind == "PFY"), Window("TFY"))


@dataclass(frozen=True)
class Dip:
    """How much less oxygen K emission there is on the absorption line than off the edge.

    Attributes
    ----------
    value, sigma : float
        Relative decrease and its standard deviation.
    on_ev : tuple of float
        Range of excitation energies on the line (eV).
    on, off : numpy.ndarray of bool [nE]
        Energies that count as such.
    """

    value: float
    sigma: float
    on_ev: tuple[float, float]
    on: NDArray[np.bool_]
    off: NDArray[np.bool_]

    @property
    def significance(self) -> float:
        """The decrease in its own standard deviations."""
        return self.value / self.sigma

    @property
    def seen(self) -> bool:
        """Whether it is more than noise; two numbers are compared, so 3 σ are enough."""
        return self.significance >= DIP_SIGMA


def preset_of(energies: NDArray[np.float64]) -> RixsPreset | None:
    """Preset of the edge whose range holds most of the energies; None below half of them."""
    best: tuple[float, RixsPreset] | None = None
    for edge in rixs_edges():
        preset = rixs_preset(edge)
        low, high = preset.zones[0][0] - 1, preset.zones[-1][1] + 1
        part = float(np.mean((energies >= low) & (energies <= high)))
        if part > 0.5 and (best is None or part > best[0]):
            best = part, preset
    return None if best is None else best[1]


def count_scan(
    photons: Photons, logs: Sequence[TesLog], used: Calibrated, record_s: Mapping[int, float]
) -> Scan:
    """Bin the photons of scans over the same energies.

    Parameters
    ----------
    photons : Photons
        In order of time.
    logs : sequence of TesLog
    used : Calibrated
        The calibration that holds for them.
    record_s : dict
        Length of a record by channel (s).
    """
    energies = np.unique([round(e, 2) for log in logs for p in log.passes for e, _, _ in p.points])
    preset = preset_of(energies)
    windows = preset.windows if preset else _windows(energies)
    n_passes = sum(len(log.passes) for log in logs)
    counts = RixsCounts(energies, BINS, n_passes)
    usable = used.calibration.usable
    tau = float(np.nanmean([record_s.get(int(c), math.nan) for c in usable] or [math.nan]))
    passes: dict[str, list[int]] = {}
    report: dict[str, dict[str, Any]] = {}
    per_pixel: dict[int, int] = {}
    ipass = 0
    for log in logs:
        found = {"photons": 0, "photons_in_points": 0, "photons_without_energy": 0}
        exposed = lasted = 0.0
        for each in log.passes:
            mine = photons[slice(*np.searchsorted(photons.time_ns, (each.start, each.stop)))]
            starts = [p[1] for p in each.points]
            ends = [p[2] for p in each.points]
            point = PointIndex(starts, ends).point(mine.time_ns)
            energy = used.calibration.energy(mine.pixel, mine.filtered, mine.pretrigger)
            inside = point >= 0
            known = np.isfinite(energy)
            for channel, n in zip(*np.unique(mine.pixel[inside], return_counts=True), strict=True):
                per_pixel[int(channel)] = per_pixel.get(int(channel), 0) + int(n)
            found["photons"] += len(mine)
            found["photons_in_points"] += int((inside & known).sum())
            found["photons_without_energy"] += int((inside & ~known).sum())
            spectra = bin_points(energy, point, len(each.points), BINS)
            triggers = np.bincount(point[inside & known], minlength=len(each.points))
            _store(counts, ipass, each.points, spectra, triggers, tau, len(usable))
            exposed += sum(e - s for s, e in zip(starts, ends, strict=True)) * 1e-9
            lasted += (each.stop - each.start) * 1e-9
            passes.setdefault(name_of(log), []).append(ipass)
            ipass += 1
        found["photons_between_points"] = (
            found["photons"] - found["photons_in_points"] - found["photons_without_energy"]
        )
        report[name_of(log)] = {
            "sample": log.sample,
            "passes": len(log.passes),
            "points": sum(len(p.points) for p in log.passes),
            "calibration": used.name,
            "dead_time_fraction": number(1 - exposed / lasted),
            **found,
            **({"problem": log.problem} if log.problem else {}),
        }
    edge = preset.edge if preset else ""
    return Scan(tuple(logs), edge, windows, counts, passes, report, usable, per_pixel)


def _store(
    counts: RixsCounts,
    ipass: int,
    points: Sequence[tuple[float, int, int]],
    spectra: NDArray[np.int64],
    triggers: NDArray[np.int64],
    tau: float,
    pixels: int,
) -> None:
    """Put the points of a pass into the counts; exposures of the same energy add up."""
    index = np.searchsorted(counts.energies, [round(e, 2) for e, _, _ in points])
    seconds = np.array([(e - s) * 1e-9 for _, s, e in points])
    for ie in np.unique(index):
        which = index == ie
        total = float(seconds[which].sum())
        # A record excludes the next trigger of its pixel: the part of the time it takes is lost.
        lost = 0.0 if math.isnan(tau) else tau * float(triggers[which].sum()) / max(pixels, 1)
        counts.set_point(
            ipass,
            int(ie),
            spectrum=spectra[which].sum(0),
            seconds=total,
            live=max(1 - lost / total, 0.0),
        )


def _windows(energies: NDArray[np.float64]) -> tuple[Window, ...]:
    """Windows for energies that no preset is for: everything, and what is near the elastic line."""
    low, high = float(energies.min()) - 15.0, float(energies.max()) + 5.0
    low, high = max(low, BINS.low), min(high, BINS.high)
    return (Window("TFY"), Window("PFY", low, high)) if low < high else (Window("TFY"),)


def elastic_shift(
    photons: Photons, scan: Scan, used: Calibrated, top_ev: float
) -> tuple[float, float] | None:
    """Where the elastic line is below the edge, less the monochromator's energy (eV), and σ.

    A check that owes nothing to the calibration. ``top_ev`` is where the yield is largest. None
    where it has no maximum (NaN), so that it is not known what is below the edge, or where no
    line stands 5 σ above what is beside it.
    """
    if math.isnan(top_ev):
        return None
    off: list[NDArray[np.float64]] = []
    for log in scan.logs:
        for each in log.passes:
            mine = photons[slice(*np.searchsorted(photons.time_ns, (each.start, each.stop)))]
            point = PointIndex([p[1] for p in each.points], [p[2] for p in each.points]).point(
                mine.time_ns
            )
            mono = np.append([p[0] for p in each.points], np.nan)[point]
            energy = used.calibration.energy(mine.pixel, mine.filtered, mine.pretrigger)
            below = mono < top_ev - 4.0
            off.append((energy - mono)[below & np.isfinite(energy)])
    loss = np.concatenate(off) if off else np.empty(0)
    # Above the elastic line there is nothing but background, below it there are losses.
    start = loss[np.abs(loss) < 12.0]
    if len(start) < 30:
        return None
    count, edges = np.histogram(start, np.arange(-12.0, 12.5, 1.0))
    centre = float(edges[int(np.convolve(count, np.ones(3), "same").argmax())] + 0.5)
    near = start
    for _ in range(20):
        near = loss[np.abs(loss - centre) < ELASTIC_EV]
        if len(near) < 30:
            return None
        centre = float(np.mean(near))
    beside = int(((loss > centre + 2 * ELASTIC_EV) & (loss < centre + 4 * ELASTIC_EV)).sum())
    if len(near) - beside < SIGNIFICANT * math.sqrt(len(near) + beside):
        return None
    return centre, float(np.std(near) / np.sqrt(len(near)))


def oxygen_dip(scan: Scan) -> Dip | None:
    """How the oxygen K emission dips on the absorption line of another edge.

    On the line: within 1.25 eV of the maximum of the PFY. Off the edge: wherever the PFY is
    below 0.3 of its maximum. Rates are counts over live time; no monitor is needed for two
    ranges of the same passes, but its drift is in the result.

    Returns
    -------
    Dip or None
        None where the scan crosses the oxygen K edge itself, where the PFY has no maximum, or
        where there is too little to say.
    """
    energies = scan.counts.energies
    if energies.min() < INVERSE.high + 5:
        return None
    pfy = scan.counts.yields(scan.pfy)
    top = find_maximum(energies, pfy.value, pfy.sigma)
    if not top.found:
        return None
    x = np.exp(-0.5 * ((energies[:, None] - energies) / BLUR_EV) ** 2)
    known = np.isfinite(pfy.value)
    smooth = (x[:, known] @ pfy.value[known]) / x[:, known].sum(1)
    on = known & (np.abs(energies - top.energy_ev) <= ON_EV)
    off = known & (smooth < OFF_PART * smooth.max()) & ~on
    counts, exposure, _, _ = scan.counts.summed()
    n = counts[:, INVERSE.slice(BINS)].sum(1)
    n_on, n_off = int(n[on].sum()), int(n[off].sum())
    if n_on < 25 or n_off < 25:
        return None
    rate_on, rate_off = n_on / exposure[on].sum(), n_off / exposure[off].sum()
    ratio = float(rate_on / rate_off)
    return Dip(
        1 - ratio,
        ratio * math.sqrt(1 / n_on + 1 / n_off),
        (top.energy_ev - ON_EV, top.energy_ev + ON_EV),
        on,
        off,
    )
