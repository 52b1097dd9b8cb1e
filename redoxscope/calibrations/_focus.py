"""A0 and A1 of a zone plate, from focus scans."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..analysis.focus import SPREAD, BestFocus, best_focus, fit_focus
from ..inputs import unless_unmeasured
from ._proposal import Proposal
from ._runs import Rows, beamline_of, device_with, documents_of, rows_of

__all__ = ["calibrate_focus"]

ALONG_Z = "zone_plate_z"
HELD = 1e-6
"""Relative standard deviation of an A1 that was not measured."""


class Focus(NamedTuple):
    """A best focus, and the energy (eV) and the place of the sample (µm) it belongs to."""

    energy: float
    sample_z: float
    best: BestFocus


@unless_unmeasured()
def calibrate_focus(*runs: Any, aperture: Any = None) -> Proposal:
    """Propose A0 and A1 from focus scans over a line of the sample.

    Parameters
    ----------
    *runs : run or iterable of (name, document)
        Of ``focus_scan``, at one energy or several. With one energy A1 stays as it is, and A0
        alone is found.
    aperture : run or iterable of (name, document), optional
        Of ``osa_focus``, at an energy of one of the runs: the distance of both foci is A0, whatever
        the zero of the zone plate's motor is.

    Returns
    -------
    Proposal
        Of ``a0`` (µm) and ``a1`` (µm/eV), for `Calibrations.apply`.

    Raises
    ------
    ValueError
        No run, one that is given twice, runs of several beamlines or zone plates, or none of these
        plans; scans in which there is no focus, or which do not hold it;
        an aperture's focus at an energy at which the sample's is not known; a run that does not say
        where the sample stage is along the beam, or what A0 and A1 are.
    """
    if not runs:
        raise ValueError("no run is given; at least one of focus_scan is needed")
    read = [rows_of(documents_of(run), "focus_scan") for run in runs]
    others = None if aperture is None else rows_of(documents_of(aperture), "osa_focus")
    every = read if others is None else [*read, others]
    beamline = beamline_of(rows.start for rows in every)
    plate = _plate(read)
    foci = [focus for rows in read for focus in _foci(rows, "line")]
    configuration = read[0].configuration
    was = {key: float(configuration[f"{plate}_{key}"]) for key in ("a0", "a1")}
    doubts: list[str] = []
    given: dict[str, Any] = {}
    if others is not None:
        given["a0"] = _between(foci, _foci(others, "point"))
    elif np.ptp([focus.energy for focus in foci]) < SPREAD:
        given["a1"] = (was["a1"], HELD * was["a1"])
        doubts.append("foci at one energy: A1 was not measured and stays as it is")
    line = fit_focus(
        [focus.energy for focus in foci],
        [focus.best.z - focus.sample_z for focus in foci],
        [focus.best.sigma for focus in foci],
        **given,
    )
    if line.chi2 > 4:
        doubts.append(
            f"the foci miss the line by {line.chi2**0.5:.1f} times their σ: an energy offset that "
            "is not the same at all edges does that; calibrate the energies first"
        )
    scales = _scales(every)
    if len({(scale["device"], scale["edge"]) for scale in scales}) < len(scales):
        doubts.append("the energy offset at an edge was not the same in all runs")
    source = {
        "runs": [str(rows.start.get("uid", "")) for rows in every],
        "energy_scale": scales,
        "foci": [
            {"energy": focus.energy, "z": focus.best.z, "sigma": focus.best.sigma,
             "sample_z": focus.sample_z}
            for focus in foci
        ],
        "covariance": line.covariance.tolist(),
        "chi2": None if np.isnan(line.chi2) else line.chi2,
    }  # fmt: skip
    return Proposal(
        kind="focus", of="zone plate", device=plate,
        values={"a0": line.a0, "a1": line.a1}, sigma={"a0": line.a0_sigma, "a1": line.a1_sigma},
        units={"a0": "µm", "a1": "µm/eV"}, was=was,
        energies=tuple(sorted({focus.energy for focus in foci})),
        source=source, doubts=tuple(doubts), found=(line, foci), beamline=beamline,
    )  # fmt: skip


def _plate(read: list[Rows]) -> str:
    """The zone plate of all of the runs.

    Raises
    ------
    ValueError
        They have several, or one of them is given twice: its noise would count as another's.
    """
    uids = [str(rows.start.get("uid", "")) for rows in read]
    twice = next((uid for uid in uids if uids.count(uid) > 1), None)
    if twice is not None:
        raise ValueError(f"run {twice[:8]} is given {uids.count(twice)} times")
    plates = dict.fromkeys(device_with(rows.configuration, "_a1", "_a0") for rows in read)
    if len(plates) > 1:
        raise ValueError(f"the runs are of several zone plates: {', '.join(plates)}")
    return next(iter(plates))


def _scales(read: list[Rows]) -> list[dict[str, Any]]:
    """Energy offsets (eV) of the runs, which the foci belong to; of those that say theirs."""
    found: list[dict[str, Any]] = []
    for rows in read:
        try:
            mono = device_with(rows.configuration, "_edge", "_user_offset", "_offset")
        except ValueError:  # stepped points do not say what stands still
            continue
        edge, offset = (rows.configuration[f"{mono}_{key}"] for key in ("edge", "offset"))
        scale = {"device": mono, "edge": str(edge or ""), "offset": float(offset)}
        if scale not in found:
            found.append(scale)
    return found


def _foci(rows: Rows, index: str) -> list[Focus]:
    """Best foci of a run, one for each energy."""
    loops = [loop.name for loop in rows.scan.outer]
    if loops != ([ALONG_Z] if index == "line" else [ALONG_Z, "osa_x"]):
        raise ValueError(
            f"run {str(rows.start.get('uid', ''))[:8]} has loops over {', '.join(loops)}: take one "
            "with nothing around it, for the focus may move with that"
        )
    detectors = list(rows.start["detectors"])
    sample_z = math.nan  # of the aperture the place of the sample is not asked
    if index == "line":
        stage = device_with(rows.configuration, "_fine_x", "_z")
        sample_z = float(rows.configuration[f"{stage}_z"])
    parts = rows.scan.frames if index == "line" else rows.scan.points
    which = rows.data["frame" if index == "line" else "point"]
    asked = np.array([parts[int(i)].energy for i in which])
    counts = rows.counts(detectors[0])
    monitor = rows.counts("i0") if "i0" in detectors[1:] else None
    found = []
    for energy in sorted(set(asked.tolist())):
        here = asked == energy
        z, lines = np.asarray(rows.data[ALONG_Z], dtype=float)[here], counts[here]
        light = None if monitor is None else monitor[here]
        if index == "point":  # one value each: as lines, the fast axis along them
            width = int(rows.start["shape"][-1])
            z = np.nanmean(_lines(z, width), axis=1)
            lines = _lines(lines, width)
            light = None if light is None else _lines(light, width)
        energies = np.asarray(rows.data["energy"], dtype=float)[here]
        energies = energies[np.isfinite(energies)]
        if not len(energies):
            run = str(rows.start.get("uid", ""))[:8]
            raise ValueError(f"run {run}, {energy:g} eV: no photon energy was read")
        true = float(energies.mean())
        known = np.isfinite(z)
        try:
            best = best_focus(z[known], lines[known], None if light is None else light[known])
        except ValueError as exc:
            run = str(rows.start.get("uid", ""))[:8]
            raise ValueError(f"run {run}, {energy:g} eV: {exc}") from exc
        found.append(Focus(true, sample_z, best))
    return found


def _lines(values: np.ndarray, width: int) -> np.ndarray:
    """Points as lines; the last one may lack some."""
    whole = np.full(-(-len(values) // width) * width, np.nan)
    whole[: len(values)] = values
    return whole.reshape(-1, width)


def _between(sample: list[Focus], aperture: list[Focus]) -> tuple[float, float]:
    """A0 and its σ (µm): how much further downstream the zone plate focuses on the sample."""
    for one in aperture:
        near = min(sample, key=lambda focus: abs(focus.energy - one.energy))
        if abs(near.energy - one.energy) < 0.05:
            apart = near.best.z - near.sample_z - one.best.z
            return apart, float(np.hypot(near.best.sigma, one.best.sigma))
    energies = ", ".join(f"{focus.energy:g}" for focus in aperture)
    raise ValueError(
        f"the aperture's focus was measured at {energies} eV, and the sample's at no such energy: "
        "both must be known at the same"
    )
