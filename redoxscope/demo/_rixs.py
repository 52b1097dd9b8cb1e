"""The demonstration of a RIXS run: calibration, passes, summary and pictures."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.rixs import Places
from ..documents import STREAM, TOTALS_STREAM
from ..formats import writable_folder
from ..inputs import as_number
from ..scan import Scan
from ._stack import DemoResult

__all__ = ["RixsTiming", "run_rixs"]

CALIBRATION_TIME = 300.0
"""Live time (s) on the reference: about 3000 photons in each pixel."""


class RixsTiming:
    """Callback that notes what a RIXS run brought, and how long each point took."""

    def __init__(self, on_point: Callable[[int, int, float], None] | None = None) -> None:
        self.on_point = on_point
        self.start: Mapping[str, Any] = {}
        self.scan: Scan | None = None
        self._places: Places | None = None
        self.stop: Mapping[str, Any] = {}
        self.totals: dict[str, int] = {}
        self.verdict: dict[str, Any] = {}
        self.late = self.lost = self.photons = 0
        self.times: dict[int, float] = {}
        self.energies: dict[int, float] = {}
        self._streams: dict[str, str] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            verdict = self.verdict
            self.__init__(self.on_point)  # type: ignore[misc]
            self.start, self.verdict = doc, verdict
            self.scan = Scan.from_start(doc)
            self._places = Places.of(self.scan)
        elif name == "descriptor":
            self._streams[doc["uid"]] = doc["name"]
        elif name == "event":
            self._event(self._streams[doc["descriptor"]], doc)
        elif name == "stop":
            self.stop = doc

    def _event(self, stream: str, doc: Mapping[str, Any]) -> None:
        data = doc["data"]
        if stream == STREAM and "tes_counts" in data:
            point = data["point"]
            self.times[point] = doc["time"]
            self.energies[point] = data["energy"]
            self.photons += data["tes_counts"]
            self.late += data["tes_late"]
            self.lost += data["tes_lost"]
            if self.on_point is not None and self._places is not None:
                self.on_point(*self._places.place(point), data["energy"])
        elif stream == TOTALS_STREAM:
            self.totals = dict(data)
        elif stream == "calibration":
            self.verdict = dict(data)

    @property
    def final(self) -> tuple[int, int]:
        """Photons late and lost: complete where the run read its totals."""
        t = self.totals
        return (t["tes_total_late"], t["tes_total_lost"]) if t else (self.late, self.lost)

    def overhead_ms(
        self, *, speed: float, time_to: Callable[[float, float], float]
    ) -> float | None:
        """Mean real time (ms) of a point beyond its dwell and the monochromator's move."""
        if self.scan is None:
            return None
        found = []
        for point, when in self.times.items():
            before = self.times.get(point - 1)
            if before is None:
                continue
            move = time_to(self.energies[point], self.energies[point - 1])
            found.append(when - before - (self.scan.points[point].dwell + move) / speed)
        return float(np.mean(found) * 1e3) if found else None


def run_rixs(
    *,
    edge: str = "O K",
    passes: int = 5,
    speed: float = 20.0,
    seed: int = 1,
    sample: str = "lmr_charged",
    out: Path = Path("demo-rixs"),
    window: bool = True,
    energies: Sequence[float] | None = None,
    calibration_time: float = CALIBRATION_TIME,
    on_begin: Callable[[], None] | None = None,
    on_start: Callable[[Any], None] | None = None,
    on_stage: Callable[[str, int], None] | None = None,
    on_point: Callable[[int, int, float], None] | None = None,
    simulation_options: dict[str, object] | None = None,
) -> DemoResult:
    """Calibrate the simulated spectrometer, measure a RIXS map, leave the results in a folder.

    Parameters
    ----------
    edge : str
        ``"O K"``, ``"Mn L"``, ``"Co L"`` or ``"Ni L"``.
    passes : int
        How often to go through the energies.
    speed : float
        Simulated seconds per real second.
    seed : int
        Of detector and noise.
    sample : str
        ``"lmr_charged"``, ``"lmr_pristine"`` or ``"lmr_heated"``.
    out : path
        Folder for ``rixs_map.png``, ``summary.json`` and, where there is no window,
        ``live.png``, the picture while it runs.
    window : bool
        Show the map in a window where there is a display.
    energies : sequence of float, optional
        Instead of those of the edge (eV).
    calibration_time : float
        Live time on the reference (s).
    on_begin, on_start, on_stage, on_point : callable, optional
        Told that all options make sense and the simulation is started; the session; the name of
        what begins and its number of points; and each point (pass, energy index, energy in eV).
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

    from ..callbacks import MapView, draw_rixs
    from ..plans import CALIBRATION_POINT, RixsScan, rixs_map, tes_calibrate
    from ..session import start_session
    from ..session.support import cause_of
    from ..sim import RIXS_SAMPLES, SimulationError, check_options

    if sample not in RIXS_SAMPLES:
        raise ValueError(f"sample = {sample!r} is none of {', '.join(RIXS_SAMPLES)}")
    options: dict[str, Any] = {
        "edge": edge, "passes": passes, "energies": energies, "sample": sample,
    }  # fmt: skip
    asked = RixsScan.asked_for("rixs_map", **options)  # refuses bad input before anything starts
    check_options(speed, seed, simulation_options, tes=True)
    as_number("calibration_time", calibration_time, "s", above=0)
    writable_folder(out)
    if on_begin is not None:
        on_begin()
    timing = RixsTiming(on_point)
    failure: Exception | None = None
    interrupted = False
    with start_session(
        speed=speed, seed=seed, tes=True, simulation_options=simulation_options
    ) as session:
        tes, mono, live = session.tes, session.mono, session.rixs_map
        session.RE.subscribe(timing)
        if on_start is not None:
            on_start(session)
        calibration = tes_calibrate(tes, mono, time=calibration_time)
        stages = (
            ("calibration", calibration, math.ceil(calibration_time / CALIBRATION_POINT)),
            ("map", rixs_map(tes, mono, **options), len(asked.scan.points)),
        )
        with MapView(out, window=window) as view:
            live.on_update = view
            for name, plan, points in stages:
                if on_stage is not None:
                    on_stage(name, points)
                try:
                    session.RE(plan)
                except RunEngineInterrupted:
                    session.end_run("interrupted at the keyboard")
                    interrupted = True
                except Exception as exc:  # what was taken is still worth a picture and a summary
                    failure = cause_of(session.simulation, exc)
                if failure is not None or interrupted:
                    break
            session.finish()
        if isinstance(failure, SimulationError):
            raise failure  # there is nobody left to ask
        snapshot = live.snapshot
        failure = failure or live.error
        if failure is not None and timing.start.get("plan_name") != "rixs_map":
            raise failure
        overhead = timing.overhead_ms(speed=speed, time_to=mono.time_to)
        latencies = list(live.latencies_ms)
    summary = {
        **_summary(timing, snapshot, sample, seed),
        "speed": speed,
        "software_ms_per_point": overhead,
        "map_latency_ms_p95": float(np.percentile(latencies, 95)) if latencies else None,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    picture = out / "rixs_map.png"
    if snapshot is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(12, 8.5))
        draw_rixs(figure, snapshot)
        figure.savefig(picture, dpi=120)
    if failure is not None:
        raise failure
    return DemoResult(
        summary["uid"], summary, picture, str(summary["exit_status"]), session.stored.waiting
    )


def _summary(timing: RixsTiming, snapshot: Any, sample: str, seed: int) -> dict[str, Any]:
    start = timing.start
    late, lost = timing.final
    feature = None if snapshot is None else next(iter(snapshot.features.values()), None)
    damage = None if snapshot is None else snapshot.damage
    return {
        "uid": start["uid"],
        "plan": start["plan_name"],
        "exit_status": timing.stop.get("exit_status"),
        "edge": start["edge"],
        "sample": sample,
        "passes": Scan.from_start(start).passes,
        "points": len(timing.times),
        "photons": timing.photons,
        "photons_late": late,
        "photons_lost": lost,
        "pixels_used": None if snapshot is None else snapshot.pixels_used,
        "pixels_calibrated": timing.verdict.get("tes_pixels_ok"),
        "pfy_chi2_dof": None if snapshot is None else _pfy_chi2(snapshot, sample, seed),
        "spfy_significance": None if feature is None else _number(feature.significance),
        "spfy_found": feature is not None and bool(feature.found),
        "passes_worst_sigma": None if damage is None else _number(damage.worst),
        "message": "" if snapshot is None else snapshot.message,
        "wall_s": _number(timing.stop.get("time", np.nan) - start["time"]),
    }


def _number(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _pfy_chi2(snapshot: Any, sample: str, seed: int) -> float | None:
    """χ² per degree of freedom of the first PFY against the model's, one scale fitted."""
    from ..sim import Beam, RixsModel, TesArray

    pfy = next((y for y in snapshot.yields.values() if y.window.kind == "PFY"), None)
    if pfy is None or snapshot.pixels is None:
        return None
    array, model, beam = TesArray(seed=seed), RixsModel(seed), Beam()
    used = snapshot.pixels.channel[snapshot.pixels.usable] - 1
    record = array.pulses.n_samples * array.pulses.frame_ns * 1e-9
    part = pfy.window.slice(snapshot.bins)
    truth = []
    for energy in snapshot.energies:
        recorded = array.expected(model.emission(sample, energy), snapshot.bins, used)
        alive = 1 - recorded.sum() * record / len(used)
        # The monitor has a spectrum of its own, which is in what was divided by it.
        truth.append(recorded[part].sum() / alive / beam.monitor_efficiency(energy))
    return chi2_dof(pfy.value, pfy.counts, np.array(truth))


def chi2_dof(
    value: NDArray[np.float64], counts: NDArray[np.int64], truth: NDArray[np.float64]
) -> float | None:
    """χ² per degree of freedom of rates [n] against a truth [n] known but for its scale.

    The variance is that of the counts expected, not of those found: at few counts the latter
    favours points that fluctuated down.
    """
    known = np.isfinite(value) & (counts > 0)
    if known.sum() < 2:
        return None
    exposure = counts[known] / value[known]
    scale = counts[known].sum() / (truth[known] * exposure).sum()
    expected = scale * truth[known] * exposure
    chi2 = ((counts[known] - expected) ** 2 / expected).sum()
    return float(chi2 / (known.sum() - 1))
