"""The demonstration of an energy stack: a real run, its summary and its picture."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..documents import IMAGE, STACK, LineStatus
from ..formats import writable_folder
from ..scan import Scan

__all__ = ["DemoResult", "StackTiming", "run_stack"]


@dataclass(eq=False)
class StackTiming:
    """Callback that notes when each line was done, to say what the software cost.

    Times of the last taking of a line count; arrays are [frames, lines of the tallest region].
    """

    start: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] = field(default_factory=dict)
    scan: Scan | None = None
    done: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    status: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    on_line: Callable[[int, int, float], None] | None = None
    _streams: set[str] = field(default_factory=set)

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._streams = set()
            if doc.get("plan_name") not in (STACK, IMAGE):
                return
            self.start, self.stop, self.scan = doc, {}, Scan.from_start(doc)
            shape = (len(self.scan.frames), max(r.pixels[1] for r in self.scan.regions))
            self.done, self.status = np.full(shape, np.nan), np.full(shape, np.nan)
        elif name == "descriptor" and self.scan is not None and self._is_ours(doc):
            if self.scan.region_in(doc["name"]) is not None:
                self._streams.add(doc["uid"])
        elif name == "event_page" and doc["descriptor"] in self._streams:
            data = doc["data"]
            for row, (k, line) in enumerate(zip(data["frame"], data["line"], strict=True)):
                self.done[k, line] = doc["timestamps"]["transmission"][row]
                self.status[k, line] = data["line_status"][row]
                if self.on_line is not None:
                    self.on_line(k, line, data["energy"][row])
        elif name == "stop" and self._is_ours(doc):
            self.stop = doc

    def _is_ours(self, doc: dict[str, Any]) -> bool:
        return doc["run_start"] == self.start.get("uid")

    def summary(
        self, *, speed: float, flyback: float, time_to: Callable[[float, float], float]
    ) -> dict[str, Any]:
        """Where the time went.

        Parameters
        ----------
        speed : float
            Simulated seconds per real second (1 at a real beamline).
        flyback : float
            Time (s) that the scanner declares per line.
        time_to : callable
            Time (s) that the microscope declares for a move to an energy from another (eV).

        Returns
        -------
        dict
            ``live_s`` (sum of dwells); in real seconds ``engine_s``, ``wall_s``; in real
            milliseconds ``software_ms_per_line`` (within an image, beyond dwell and fly-back)
            and ``software_ms_per_energy`` (between images, beyond one line and the move of the
            energy or the fly-back; None for a single image).
        """
        assert self.scan is not None, "no stack was seen"
        frames, regions = self.scan.frames, self.scan.regions
        live = np.array([f.dwell * regions[f.region].pixels[0] for f in frames])
        last = [regions[f.region].pixels[1] - 1 for f in frames]
        period = (live + flyback) / speed
        moves = np.array(
            [
                0.0 if a.energy == b.energy else time_to(b.energy, a.energy) / speed
                for a, b in pairwise(frames)
            ]
        )
        taken = np.isfinite(self.done).sum(axis=1)
        again = (self.status >= LineStatus.RETRIED).sum(axis=1)
        per_line = np.diff(self.done, axis=1) - period[:, None]
        clean = (self.status[:, 1:] == 0) & np.isfinite(per_line)
        ends = self.done[np.arange(len(frames)), last]
        # It flies back after the last line, and the energy moves meanwhile; none before the first.
        gaps = self.done[1:, 0] - ends[:-1] - live[1:] / speed - np.maximum(moves, flyback / speed)
        gaps = gaps[np.isfinite(gaps) & (self.status[1:, 0] == 0)]
        return {
            "live_s": float(taken @ live),
            "engine_s": float((taken + again) @ period + moves.sum()),
            "wall_s": _number(self.stop.get("time", np.nan) - self.start["time"]),
            "software_ms_per_line": _mean_ms(per_line[clean]),
            "software_ms_per_energy": _mean_ms(gaps),
        }


def _number(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _mean_ms(values: np.ndarray) -> float | None:
    return float(values.mean() * 1e3) if values.size else None


@dataclass(frozen=True)
class DemoResult:
    """What a demonstration left behind."""

    uid: str
    summary: dict[str, Any]
    picture: Path
    exit_status: str
    waiting: dict[Path, str] = field(default_factory=dict)


def run_stack(
    *,
    edge: str = "Mn L3",
    sample: str | Path = "lmr",
    pixels: int = 80,
    speed: float = 10.0,
    seed: int = 1,
    out: Path = Path("demo"),
    window: bool = True,
    on_begin: Callable[[], None] | None = None,
    on_start: Callable[[Any], None] | None = None,
    on_line: Callable[[int, int, float], None] | None = None,
    simulation_options: dict[str, object] | None = None,
) -> DemoResult:
    """Take an energy stack on the simulated beamline and leave its results in a folder.

    Parameters
    ----------
    edge : str
        Edge of the stack; a measured sample brings its own energies.
    sample : str or path
        ``"lmr"``, or an HDF5 file with a measured stack.
    pixels : int
        Columns and rows; a measured sample brings its own grid.
    speed : float
        Simulated seconds per real second.
    seed : int
        Of sample and noise.
    out : path
        Folder for ``oxidation_map.png``, ``summary.json`` and, where there is no window,
        ``live.png``, the picture while it runs.
    window : bool
        Show the map in a window where there is a display.
    on_begin, on_start, on_line : callable, optional
        Told that all options make sense and the simulation is started; the session; and each line
        (energy index, line, energy in eV).
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
    from ..callbacks import MapView, draw_drift, draw_oxidation
    from ..session import start_session
    from ..session.support import cause_of
    from ..sim import SimulationError, check_options

    check_options(speed, seed, simulation_options)
    scan = _scan_of(sample, seed, edge, pixels)
    writable_folder(out)
    if on_begin is not None:
        on_begin()
    with start_session(
        sample=sample, speed=speed, seed=seed, simulation_options=simulation_options
    ) as session:
        from bluesky.utils import RunEngineInterrupted

        from ..plans import energy_stack

        failure: Exception | None = None
        timing = StackTiming(on_line=on_line)
        session.RE.subscribe(timing)
        plan = energy_stack(session.stxm, **scan.plan, md={"sample": str(sample)})
        with MapView(out, window=window) as view:
            session.oxidation_map.on_update = view
            session.oxidation_map.tell = lambda text: None  # the summary holds it, and is printed
            if on_start is not None:
                on_start(session)
            try:
                session.RE(plan)
            except RunEngineInterrupted:
                session.end_run("interrupted at the keyboard")
            except Exception as exc:  # what was taken is still worth a picture and a summary
                failure = cause_of(session.simulation, exc)
            session.finish()
        if isinstance(failure, SimulationError):
            raise failure  # there is nobody left to ask
        snapshot = session.oxidation_map.snapshot
        failure = failure or session.oxidation_map.error
        if failure is not None and not timing.start:
            raise failure  # before the run: nothing to tell
        stxm = session.stxm
        times = timing.summary(
            speed=speed,
            flyback=stxm.scanner.source.flyback.get(),
            time_to=stxm.energy.time_to,
        )
        latencies = list(session.oxidation_map.latencies_ms)
    summary = {
        "uid": timing.start["uid"],
        "exit_status": timing.stop.get("exit_status"),
        "edge": timing.start["edge"],
        "sample": str(sample),
        "speed": speed,
        "shape": list(timing.start["shape"]),
        **_map_summary(snapshot, scan),
        "lines_missed": int((timing.status >= LineStatus.MISSED).sum()),
        "lines_retried": int((timing.status == LineStatus.RETRIED).sum()),
        **times,
        "map_latency_ms_p95": float(np.percentile(latencies, 95)) if latencies else None,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "energies": [] if timing.scan is None else timing.scan.energies,  # long: the last
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    picture = out / "oxidation_map.png"
    if snapshot is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 8), layout="constrained")
        draw_oxidation(figure, snapshot)
        figure.savefig(picture, dpi=120)
        if snapshot.drift is not None:
            figure = Figure(figsize=(8, 5))
            draw_drift(figure, snapshot)
            figure.savefig(out / "drift.png", dpi=120)
    if failure is not None:
        raise failure
    return DemoResult(
        summary["uid"], summary, picture, str(summary["exit_status"]), session.stored.waiting
    )


@dataclass(frozen=True)
class _Scan:
    plan: dict[str, Any]
    truth: Callable[[], Any]


def _scan_of(name: str | Path, seed: int, edge: str, pixels: int) -> _Scan:
    """Arguments of the plan for a sample, and how to get the truth (None if measured)."""
    from ..data import edge_energies, load_references
    from ..scan import Region
    from ..sim import SAMPLES, BeamlineModel, MeasuredStack

    if name not in SAMPLES:
        sample = MeasuredStack(name)
        if np.ptp(sample.dwells_s):
            raise ValueError(
                f"{sample.name} was measured with dwells of {1e3 * sample.dwells_s.min():g} to "
                f"{1e3 * sample.dwells_s.max():g} ms; the demonstration takes one (start_session("
                "sample=...) serves it)"
            )
        x, y, width, height = sample.region_um
        plan = {
            "energies": sample.energies.tolist(),
            "center": (x, y),
            "size": (width, height),
            "pixels": (len(sample.x), len(sample.y)),
            "dwell": sample.dwell_s,
            "references": sample.references(),
        }
        return _Scan(plan, lambda: None)
    references = load_references(edge)
    plan = {"edge": edge, "size": DEMO_SIZE, "pixels": pixels, "dwell": 0.001}
    region = Region((0.0, 0.0), (DEMO_SIZE, DEMO_SIZE), (pixels, pixels))
    (x0, x1), (y0, y1) = region.extents

    def truth() -> Any:
        x, y = np.linspace(x0, x1, pixels), np.linspace(y0, y1, pixels)
        model = BeamlineModel(SAMPLES[str(name)](seed))
        return model.truth(edge_energies(edge), x, y, references)

    return _Scan(plan, truth)


DEMO_SIZE = 6.0
"""Width and height (µm) of the demonstration's region: an agglomerate and its surroundings."""


def _map_summary(snapshot: Any, scan: _Scan) -> dict[str, Any]:
    """Figures of the map over its mask; those against the truth None for a measured sample."""
    keys = ("fraction_mean", "fraction_std", "n_mask", "sigma_median")
    if snapshot is None:
        return {
            **dict.fromkeys((*keys, "fraction_rms_error", "pull_std")),
            "doubts": [],
            "dose": [],
        }
    result = snapshot.result
    mask = result.mask
    truth = scan.truth() if snapshot.names else None
    rms = pull = None
    if truth is not None and mask.any():
        off = result.fraction[mask] - truth["fraction"][mask]
        rms = float(np.sqrt(np.mean(off**2)))
        pull = float(np.std(off / result.sigma[mask]))
    return {
        "fraction_of": snapshot.names[0] if snapshot.names else None,
        "fraction_mean": _number(result.mean),
        "fraction_std": _number(result.std),
        "n_mask": result.n_mask,
        "sigma_median": _number(result.sigma_median),
        "fraction_rms_error": None if rms is None else _number(rms),
        "pull_std": None if pull is None else _number(pull),
        "dose": [
            {
                "energy": c.energy,
                "change": _number(c.change),
                "sigma": _number(c.sigma),
                "n_pixels": c.n_pixels,
            }
            for c in snapshot.dose
        ],
        "message": snapshot.message,
        "doubts": [
            {"kind": d.kind, "value": _number(d.value), "text": d.text} for d in snapshot.doubts
        ],
    }
