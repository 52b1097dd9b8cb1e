"""The demonstration of ptychography: particles by two microscopes, and how they lost oxygen."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..documents import PTYCHO, STACK
from ..formats import writable_folder
from ..inputs import as_number, as_whole
from ..scan import Role, Scan
from ._ptycho_found import (
    MapAgainst,
    Preview,
    ProfileAgainst,
    first_recognisable,
    likeness,
    map_against,
    profile_against,
    seen_share,
    true_object,
)
from ._stack import DemoResult

__all__ = ["PTYCHO_SAMPLES", "PtychoTold", "run_ptycho"]

PTYCHO_SAMPLES = ("diffusion", "core-shell")

ENERGIES = (641.8, 643.2, 636.0, 652.0, 640.4, 644.0, 642.4, 646.0, 641.0, 648.0, 638.0, 642.8)
"""Energies (eV) across Mn L3, those first that tell most: a stack takes the first few."""

STEP_UM, EXPOSURES_S = 0.04, (0.03, 0.3)
"""The step of the paper, and times: the long one saturates the ring of the zone plate."""

CAMERA = 128
"""Pixels of its side."""

AGE_S = 100 * 3600.0
"""How long the simulated sample has been losing oxygen, as an experimenter would know it."""

STXM_PIXEL_UM, STXM_DWELL_S = 0.04, 0.01


@dataclass
class PtychoTold:
    """What is told while it goes on; each may be None.

    Attributes
    ----------
    begin : callable
        All options make sense and the simulation is started.
    start : callable
        The session.
    run : callable
        Start document of each run.
    event : callable
        Data of each line and block.
    rest : callable
        Frames are all taken; the reconstruction goes on.
    """

    begin: Callable[[], None] | None = None
    start: Callable[[Any], None] | None = None
    run: Callable[[Mapping[str, Any]], None] | None = None
    event: Callable[[Mapping[str, Any]], None] | None = None
    rest: Callable[[], None] | None = None


def run_ptycho(
    *,
    energies: int = 8,
    sample: str = "diffusion",
    size: float = 0.9,
    speed: float = 20.0,
    seed: int = 1,
    out: Path = Path("demo-ptycho"),
    window: bool = True,
    told: PtychoTold | None = None,
    simulation_options: dict[str, object] | None = None,
) -> DemoResult:
    """Map Mn3+ of single particles by STXM and by ptychography, and fit how it got there.

    Parameters
    ----------
    energies : int
        How many, 3 to 12.
    sample : {"diffusion", "core-shell"}
    size : float
        Width and height of the region (µm).
    speed : float
        Simulated seconds per real second.
    seed : int
        Of sample and noise.
    out : path
        Folder for ``ptychography.png``, ``summary.json`` and, where there is no window,
        ``live.png``, the picture while it runs.
    window : bool
        Show what is reconstructed in a window where there is a display.
    told : PtychoTold, optional
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
    from ..session import start_session
    from ..session.support import cause_of
    from ..sim import SimulationError, check_options

    told = told or PtychoTold()
    options = {"camera-size": CAMERA, **(simulation_options or {})}
    check_options(speed, seed, options)
    chosen = sorted(ENERGIES[: as_whole("energies", energies, at_least=3, at_most=len(ENERGIES))])
    if sample not in PTYCHO_SAMPLES:
        raise ValueError(f"sample = {sample!r} is none of {', '.join(PTYCHO_SAMPLES)}")
    as_number("size", size, "µm", at_least=0.3, at_most=1.6)
    writable_folder(out)
    if told.begin is not None:
        told.begin()
    began = time.monotonic()
    failure: Exception | None = None
    with start_session(
        sample=sample, speed=speed, seed=seed, simulation_options=options
    ) as session:
        watched = _Watched(told)
        session.RE.subscribe(watched)
        if told.start is not None:
            told.start(session)
        failure = _measure(session, chosen, sample, size, out, window, watched)
        if isinstance(failure, SimulationError):
            raise failure  # there is nobody left to ask
        found = _Found()
        if watched.uid(PTYCHO) is not None:
            found = _find(session, watched, sample, seed)
        failure = None if failure is None else cause_of(session.simulation, failure)
    if not watched.starts and failure is not None:
        raise failure  # before the first run: nothing to tell
    summary = {
        **watched.summary(),
        **found.summary(),
        "sample": sample,
        "energies": chosen,
        "speed": speed,
        "seed": seed,
        "wall_s": time.monotonic() - began,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    picture = out / "ptychography.png"
    if found.snapshot is not None:
        from matplotlib.figure import Figure

        from ._ptycho_draw import draw_ptycho

        figure = Figure(figsize=(17, 13))
        draw_ptycho(figure, found)
        figure.savefig(picture, dpi=110)
    if failure is not None:
        raise failure
    return DemoResult(
        str(summary["uid"] or ""), summary, picture, str(summary["exit_status"]),
        session.stored.waiting,
    )  # fmt: skip


def _measure(
    session: Any,
    energies: list[float],
    sample: str,
    size: float,
    out: Path,
    window: bool,
    watched: _Watched,
) -> Exception | None:
    """Take the stack and the frames, and wait for what is made of them; what went wrong.

    None where the user broke it off.
    """
    from bluesky.utils import RunEngineInterrupted

    from ..callbacks import MapView
    from ..plans import energy_stack, ptychography
    from ..sim import SimulationError

    failure: Exception | None = None
    pixels = round(size / STXM_PIXEL_UM)
    region = {"center": (0.0, 0.0), "size": (size, size)}
    live = session.maps["ptychography"]
    with MapView(out, window=window) as view:

        def show(update: Any) -> None:
            watched.update(update)
            view(update)

        live.on_update = show
        live.tell = lambda text: None  # the summary holds it, and is printed
        session.oxidation_map.tell = live.tell
        for plan in (
            lambda: energy_stack(
                session.stxm,
                energies=energies,
                pixels=pixels,
                dwell=STXM_DWELL_S,
                references="Mn L3",
                center=(0.0, 0.0),
                size=size,
            ),  # fmt: skip
            lambda: ptychography(
                session.ptycho,
                region,
                exposures=EXPOSURES_S,
                step=STEP_UM,
                energies=energies,
                edge="Mn L3",
                md={"sample": sample},
            ),  # fmt: skip
        ):
            try:
                session.RE(plan())
            except RunEngineInterrupted:
                session.end_run("interrupted at the keyboard")
                break
            except Exception as exc:  # what was taken is still worth a picture and a summary
                failure = exc
                break
        # In view of it: the map is made after the last frame.
        if watched.uid(PTYCHO) is not None and not isinstance(failure, SimulationError):
            if watched.told.rest is not None:
                watched.told.rest()
            session.finish()
    return failure


@dataclass(eq=False)
class _Watched:
    """Callback that keeps what the summary needs of the runs, and pictures of the first energy."""

    told: PtychoTold
    starts: list[Mapping[str, Any]] = field(default_factory=list)
    stops: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    early: list[Any] = field(default_factory=list)
    _latest: Any = None

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self.starts.append(doc)
            if self.told.run is not None:
                self.told.run(doc)
        elif name == "stop":
            self.stops[doc["run_start"]] = doc
        elif name in ("event", "event_page") and self.told.event is not None:
            self.told.event(doc["data"])

    def update(self, update: Any) -> None:
        """Keep pictures of the first energy while its frames come."""
        images = getattr(update.snapshot, "images", ())
        if images and len(update.snapshot.energies) > 0:
            image = images[-1]
            first = update.snapshot.energies[0]
            if abs(image.energy_ev - first) < 0.5 and len(self.early) < 200:
                self.early.append(image)

    def start(self, uid: str) -> Mapping[str, Any]:
        """Start document of a run."""
        return next(s for s in self.starts if s["uid"] == uid)

    def uid(self, plan: str) -> str | None:
        """Of the last run of a plan."""
        found = [s["uid"] for s in self.starts if s["plan_name"] == plan]
        return found[-1] if found else None

    def summary(self) -> dict[str, Any]:
        """What became of the runs."""
        statuses = [self.stops.get(s["uid"], {}).get("exit_status", "fail") for s in self.starts]
        bad = [status for status in statuses if status != "success"]
        return {
            "uid": self.uid(PTYCHO),
            "uid_stxm": self.uid(STACK),
            "exit_status": bad[0] if bad else ("success" if statuses else None),
        }


@dataclass(eq=False)
class _Found:
    """What there is to show."""

    snapshot: Any = None
    early: Any = None
    previews: list[Preview] = field(default_factory=list)
    stxm: MapAgainst | None = None
    ptycho: MapAgainst | None = None
    profiles: list[ProfileAgainst] = field(default_factory=list)
    fits: Any = None
    no_profiles: str = ""
    half_pitch_truth_um: float = float("nan")
    true_d: float = float("nan")

    @property
    def image(self) -> Any:
        """The image that is best resolved."""
        images = () if self.snapshot is None else self.snapshot.images
        at = getattr(self.snapshot, "resolution_ev", float("nan"))
        last = images[-1] if images else None
        return next((one for one in images if abs(one.energy_ev - at) < 0.01), last)

    def summary(self) -> dict[str, Any]:
        """Plain figures."""
        snapshot = self.snapshot
        if snapshot is None:
            return {}
        image, rings, pace = self.image, snapshot.resolution, snapshot.pace
        seen = first_recognisable(self.previews)
        fits = {} if self.fits is None else self.fits.as_dict()
        return {
            "pixel_nm": None if image is None else 1e3 * image.pixel_um,
            "half_pitch_nm": None if rings is None else _number(1e3 * rings.half_pitch_um),
            "half_pitch_truth_nm": _number(1e3 * self.half_pitch_truth_um),
            "residual": [_number(one.residual) for one in snapshot.images],
            "places": pace.frames,
            "places_total": pace.total,
            "frames_left_out": pace.left_out,
            "ms_per_frame": _number(pace.ms_per_frame),
            "ms_per_update": _number(pace.ms_per_update),
            "seconds_behind_last": _number(pace.seconds_behind_last),
            "recognised_at": None if seen is None else seen.places / seen.of,
            "stxm": None if self.stxm is None else self.stxm.summary(),
            "ptychography": None if self.ptycho is None else self.ptycho.summary(),
            "fits": {k: _number(v) if isinstance(v, float) else v for k, v in fits.items()},
            "d_true_cm2_s": _number(self.true_d),
            "profiles": [one.summary() for one in self.profiles],
            "no_profiles": self.no_profiles,
            "message": snapshot.message,
            "doubts": [
                {"kind": d.kind, "value": _number(d.value), "text": d.text} for d in snapshot.doubts
            ],
        }


def _find(session: Any, watched: _Watched, sample: str, seed: int) -> _Found:
    """Take what was found, store the profiles with the run, and lay all of it beside the truth."""
    from ..analysis.ptychography import ring_correlation
    from ..sim import build_ptycho

    uid = watched.uid(PTYCHO)
    assert uid is not None
    model = build_ptycho(sample, size=CAMERA, seed=seed)
    particle = model.sample.particles[0]  # type: ignore[attr-defined]
    found = _Found(true_d=particle.diffusivity)
    snapshot = found.snapshot = session.maps["ptychography"].snapshot
    if snapshot is None or not snapshot.images:
        return found
    part = next(p for p in Scan.from_start(watched.start(uid)).exposures if p.role is not Role.DARK)
    found.previews = [
        Preview(image.frames, len(part.positions), likeness(image, model))
        for image in watched.early
    ]
    seen = first_recognisable(found.previews)
    found.early = None if seen is None else watched.early[found.previews.index(seen)]
    image = found.image
    x, y = np.array(part.positions).T
    inside = _between(image.y_um, y)[:, None] & _between(image.x_um, x)[None, :]
    rings = ring_correlation(
        image.object, true_object(image, model), image.pixel_um, threshold=0.5, area=inside
    )
    found.half_pitch_truth_um = rings.half_pitch_um
    stxm = session.oxidation_map.snapshot
    if stxm is not None and stxm.names:
        found.stxm = map_against(stxm.x, stxm.y, stxm.result, model, align=False)
    table = snapshot.map
    if table is None or table.result is None:
        found.no_profiles = "there is no map"
        return found
    found.ptycho = map_against(table.x, table.y, table.result, model, align=True)
    made, found.no_profiles = _profiles(session, uid, particle.section)
    if made is None:
        return found
    found.fits = made.fits
    against = found.ptycho
    true = seen_share(
        against.true_share, against.true_thickness, made.made_with["resolution_um"],
        against.pixel_um,
    )  # fmt: skip
    found.profiles = [profile_against(one, true) for one in found.fits.particles]
    return found


def _profiles(session: Any, uid: str, section: float) -> tuple[Any, str]:
    """The profiles, which are stored with the run; None, and why, where there are none."""
    from ..storage import CatalogError, profiles, store_results

    try:
        made = profiles(session.cat[uid], time=AGE_S, section=section, analysis="ptychography")
        store_results(session.cat, uid, made.results)
    # A map without a whole particle, say, or a run that is not in the catalog: the rest is worth
    # showing.
    except (ValueError, LookupError, CatalogError) as exc:
        return None, str(exc)
    return made, ""


def _between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.asarray((values >= places.min()) & (values <= places.max()))


def _number(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
