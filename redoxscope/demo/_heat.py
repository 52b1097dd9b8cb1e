"""The demonstration of an experiment in temperature: before, heated, after."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.xas import Spectrum
from ..formats import writable_folder
from ..inputs import as_number, as_whole
from ._heat_found import LIMIT, MapPair, Pair, Temperature, compared, map_pair, yields_of
from ._heat_measure import XAS_REPEATS, measured
from ._heat_runs import HeatRuns
from ._stack import DemoResult

__all__ = ["HeatTold", "run_heat"]

TARGET_C, RATE, SOAK_S = 100.0, 2.0, 5 * 3600.0
"""As in the paper: °C, °C/min, s in band."""

CALIBRATION_TIME = 120.0
"""Live time on the reference (s)."""

LATE_S = 60.0
"""By how much (s, real) the simulation may be late: on a busy machine it is."""

SAMPLE = "lmr_charged"
"""The piece on the heating stage."""


@dataclass
class HeatTold:
    """What is told while it goes on; each may be None.

    Attributes
    ----------
    begin : callable
        All options make sense and the simulation is started.
    start : callable
        The session.
    run : callable
        Part of the experiment and start document of each run.
    point : callable
        Data of each point.
    heating : callable
        bluesky's report of how far the heating is: ``time_remaining`` (s) and ``fraction``.
    """

    begin: Callable[[], None] | None = None
    start: Callable[[Any], None] | None = None
    run: Callable[[str, Mapping[str, Any]], None] | None = None
    point: Callable[[Mapping[str, Any]], None] | None = None
    heating: Callable[[Mapping[str, Any]], None] | None = None


def run_heat(
    *,
    speed: float = 20.0,
    heat_speed: float = 600.0,
    seed: int = 1,
    out: Path = Path("demo-heat"),
    soak: float = SOAK_S,
    repeats: int = XAS_REPEATS,
    passes: int = 4,
    told: HeatTold | None = None,
    simulation_options: dict[str, object] | None = None,
) -> DemoResult:
    """Measure a charged electrode, heat it, measure it again, and say what changed.

    Parameters
    ----------
    speed : float
        Simulated seconds per real second, of detectors and monochromator.
    heat_speed : float
        The same of the heating stage.
    seed : int
        Of detectors and noise.
    out : path
        Folder for ``heat.png`` and ``summary.json``.
    soak : float
        Time in band (s).
    repeats, passes : int
        Of each absorption spectrum, and of the O K map.
    told : HeatTold, optional
    simulation_options : dict, optional
        Further options of the simulated beamline.

    Returns
    -------
    DemoResult

    Raises
    ------
    ValueError
        An option that makes no sense. Nothing was started and no folder made.
    """
    from bluesky.utils import RunEngineInterrupted

    from ..plans import before_after, tes_calibrate
    from ..session import start_session
    from ..session.support import cause_of
    from ..sim import SimulationError, check_options

    told = told or HeatTold()
    check_options(speed, seed, simulation_options, tes=True)
    as_number("heat_speed", heat_speed, above=0)
    as_number("soak", soak, "s", above=0)
    as_whole("repeats", repeats, at_least=2)
    as_whole("passes", passes, at_least=1)
    writable_folder(out)
    if told.begin is not None:
        told.begin()
    began = time.monotonic()
    failure: Exception | None = None
    with start_session(
        speed=speed,
        heat_speed=heat_speed,
        seed=seed,
        tes=True,
        simulation_options=simulation_options,
    ) as session:
        heater = session.heater
        tolerance = float(heater.tolerance.get())
        heater.margin_s += LATE_S * heat_speed
        runs = HeatRuns(heater.name, told.run, told.point)
        session.RE.subscribe(runs)
        if told.heating is not None:
            hook: Any = _Watching(heater.name, told.heating)
            session.RE.waiting_hook = hook
        if told.start is not None:
            told.start(session)
        measures = measured(SAMPLE, repeats, passes)
        for plan in (
            lambda: tes_calibrate(session.tes, session.mono, time=CALIBRATION_TIME),
            lambda: before_after(measures, heater, TARGET_C, rate=RATE, soak=soak),
        ):
            try:
                session.RE(plan())
            except RunEngineInterrupted:
                session.end_run("interrupted at the keyboard")
                break
            except Exception as exc:  # what was taken is still worth a picture and a summary
                failure = cause_of(session.simulation, exc)
                break
        session.finish()
        if isinstance(failure, SimulationError):
            raise failure  # there is nobody left to ask
        found = _Found.of(runs, session, heat_speed)
    wall = time.monotonic() - began
    summary = {
        **_summary(runs, found, tolerance),
        "wall_s": wall,
        "target_c": TARGET_C,
        "speed": speed,
        "heat_speed": heat_speed,
        "seed": seed,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    picture = out / "heat.png"
    if found.pairs or found.temperature is not None:
        from matplotlib.figure import Figure

        from ._heat_draw import draw_heat

        figure = Figure(figsize=(17, 19))
        draw_heat(figure, found.pairs, found.maps, found.temperature)
        figure.savefig(picture, dpi=110)
    if failure is not None:
        raise failure
    return DemoResult(
        runs.starts[-1]["uid"] if runs.starts else "",
        summary,
        picture,
        str(summary["exit_status"]),
        session.stored.waiting,
    )


class _Watching:
    """Waiting hook that hands on what a heating says of itself, of all that is waited for."""

    def __init__(self, heater: str, told: Callable[[Mapping[str, Any]], None]) -> None:
        self._heater, self._told = heater, told

    def __call__(self, statuses: Any) -> None:
        for status in statuses or ():
            if hasattr(status, "watch"):
                status.watch(self._hear)

    def _hear(self, **report: Any) -> None:
        if report.get("name") == self._heater:
            self._told(report)


@dataclass(frozen=True)
class _Found:
    """What the experiment showed."""

    pairs: Sequence[Pair]
    maps: MapPair | None
    temperature: Temperature | None

    @classmethod
    def of(cls, runs: HeatRuns, session: Any, heat_speed: float) -> _Found:
        """Read the runs before and after from the catalog, and compare them."""
        from ..callbacks import rixs_from_run, xas_from_run

        spectra: dict[str, dict[tuple[str, str], Spectrum]] = {"before": {}, "after": {}}
        maps: dict[str, Any] = {}
        for start in runs.starts:
            part, edge = runs.part(start), start.get("edge") or ""
            if part not in spectra or runs.status.get(start["uid"]) != "success":
                continue
            run = session.cat[start["uid"]]
            if start["plan_name"] == "xas":
                found = dict(xas_from_run(run).means)
            else:
                snapshot = rixs_from_run(run)
                found = yields_of(snapshot, edge)
                if edge == "O K":
                    maps[part] = snapshot
            spectra[part] |= {(edge, mode): one for mode, one in found.items()}
        pair = None
        if len(maps) == 2:
            pair = map_pair(maps["before"], maps["after"], EMISSION)
        return cls(
            compared(spectra["before"], spectra["after"]), pair, runs.temperature(heat_speed)
        )


EMISSION = (515.0, 534.0)
"""Emission (eV) of the maps that is shown."""


def _summary(runs: HeatRuns, found: _Found, tolerance: float) -> dict[str, Any]:
    soak = runs.soak
    target = float(runs.heating.get("target_c", np.nan)) if runs.heating else np.nan
    temperature = found.temperature
    settle = np.nan if temperature is None else temperature.settle_s(target, tolerance)
    statuses = [runs.status.get(start["uid"], "fail") for start in runs.starts]
    ended = next((status for status in statuses if status != "success"), "success")
    return {
        "uids": runs.uids(),
        "experiment": next(
            (s["experiment"]["uid"] for s in runs.starts if "experiment" in s), None
        ),
        "exit_status": ended,
        **_against_the_model(found),
        "limit_sigma": LIMIT,
        "soak_in_band_s": _number(soak.get("in_band", np.nan)),
        "soak_left_out_s": _number(soak.get("left_out", np.nan)),
        "overshoot_c": None if temperature is None else _number(temperature.overshoot_c(target)),
        "settle_s": _number(settle),
    }


def _against_the_model(found: _Found) -> dict[str, Any]:
    """The spectra, each with what the model gives; and whether all was found as it is there."""
    from ._heat_truth import otherwise, simulated, simulated_sample

    spectra = [pair.summary() for pair in found.pairs]
    if not spectra or found.temperature is None:
        return {"spectra": spectra, "as_simulated": None, "otherwise": []}
    sample = simulated_sample(found.temperature)
    changes = [simulated(pair, sample) for pair in found.pairs]
    for one, change in zip(spectra, changes, strict=True):
        one["simulated"] = _number(change)
    wrong = otherwise(list(found.pairs), changes)
    return {"spectra": spectra, "as_simulated": not wrong, "otherwise": wrong}


def _number(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
