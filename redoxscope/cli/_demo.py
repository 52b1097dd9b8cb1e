"""``redoxscope demo``: whole experiments on the simulated beamline."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ._common import Faults, Sample, Seed, Speed, TESFaults, echo, progress_bar
from ._demo_ptycho import PtychoProgress, report_ptycho

__all__ = ["demo_app"]

demo_app = typer.Typer(
    no_args_is_help=True, help="Run a whole experiment on the simulated beamline."
)


@demo_app.command("stack")
def demo_stack(
    edge: Annotated[str, typer.Option(help='Absorption edge, e.g. "Mn L3", "O K".')] = "Mn L3",
    sample: Sample = "lmr",
    pixels: Annotated[int, typer.Option(help="Columns and rows of the image.")] = 80,
    speed: Speed = 10.0,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    window: Annotated[bool, typer.Option(help="Show the map in a window.")] = True,
    fault: Faults = None,
) -> None:
    """Take an energy stack and map the oxidation state while it streams."""
    from ..demo import run_stack

    with ExitStack() as shown:
        progress = progress_bar("lines")
        task = progress.add_task("connecting", total=None)
        session: Any = None
        told = -1

        def on_begin() -> None:
            echo("Starting the simulated beamline …")
            shown.enter_context(progress)

        def on_start(started: Any) -> None:
            nonlocal session
            session = started
            echo(f"Connected to {started.file.name} ({started.simulation.prefix}*). First line …")

        def on_line(k: int, line: int, energy: float) -> None:
            nonlocal told
            snapshot = session.oxidation_map.snapshot
            text = f"{energy:8.2f} eV"
            total = None
            if snapshot is not None:
                total = snapshot.lines_total
                if snapshot.result.n_mask:
                    result = snapshot.result
                    text += f"  {snapshot.names[0]} {result.mean:.3f}, σ {result.sigma_median:.3f}"
                elif snapshot.names:
                    text += "  no map yet"
            else:
                text += "  no map yet"
            if not progress.console.is_terminal and k != told:
                told = k
                echo(text)
            progress.update(task, description=text, advance=1, total=total)

        result = run_stack(
            edge=edge,
            sample=sample,
            pixels=pixels,
            speed=speed,
            seed=seed,
            out=out,
            window=window,
            on_begin=on_begin,
            on_start=on_start,
            on_line=on_line,
            simulation_options={"fault": list(fault)} if fault else None,
        )
    _report(result, out)


def _report(result: Any, out: Path) -> None:
    s = result.summary
    if s["n_mask"]:
        echo(
            f"\n{s['fraction_of']} fraction {s['fraction_mean']:.3f} "
            f"(spread {s['fraction_std']:.3f}) over {s['n_mask']} pixels, "
            f"median σ {s['sigma_median']:.3f}"
        )
    if s["fraction_rms_error"] is not None:
        echo(
            f"against the simulated truth: rms {s['fraction_rms_error']:.4f}, "
            f"pull {s['pull_std']:.2f} (1 = the σ is right)"
        )
    echo(f"lines missed {s['lines_missed']}, retried {s['lines_retried']}")
    for doubt in s["doubts"]:
        echo(f"doubt: {doubt['text']}")
    _echo_where(result, out)


def _echo_where(result: Any, out: Path) -> None:
    """Where the results are; ends with a status of its own when the run ended early."""
    if result.picture.exists():
        echo(f"picture   {result.picture}")
    echo(f"summary   {out / 'summary.json'}")
    if result.exit_status != "success":
        echo(f"the run ended early ({result.exit_status}); what was taken is kept")
    for path, problem in result.waiting.items():
        echo(
            f"run {path.stem} is NOT in the catalog ({problem or 'it takes long'}). Its documents "
            f"are in {path}; try again: redoxscope recover"
        )
    if not result.waiting:
        from ..storage import opening_lines

        lines = [*opening_lines(), f'run = catalog["{result.uid}"]', 'run["primary"].read()']
        echo("\nOpen the run, in .venv/bin/python or `redoxscope shell`:")
        echo("\n".join(f"  {line}" for line in lines))
    if result.exit_status != "success":
        raise typer.Exit(130)


@demo_app.command("rixs")
def demo_rixs(
    edge: Annotated[str, typer.Option(help='"O K", "Mn L", "Co L" or "Ni L".')] = "O K",
    passes: Annotated[int, typer.Option(help="How often to go through the energies.")] = 5,
    sample: Annotated[
        str, typer.Option(help="lmr_charged, lmr_pristine or lmr_heated.")
    ] = "lmr_charged",
    speed: Speed = 20.0,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-rixs"),
    window: Annotated[bool, typer.Option(help="Show the map in a window.")] = True,
    fault: TESFaults = None,
) -> None:
    """Calibrate a TES spectrometer, measure a RIXS map and watch it grow."""
    from ..demo import run_rixs

    with ExitStack() as shown:
        progress = progress_bar("points")
        task = progress.add_task("connecting", total=None)
        session: Any = None
        stage, told = "", -1

        def on_begin() -> None:
            echo("Starting the simulated beamline and its spectrometer …")
            shown.enter_context(progress)

        def on_start(started: Any) -> None:
            nonlocal session
            session = started
            echo(f"Connected to {started.file.name} and to {started.tes.where}.")

        def on_stage(name: str, points: int) -> None:
            nonlocal stage, told
            stage, told = name, -1
            echo({"calibration": "Calibrating on the reference sample …", "map": "Map …"}[name])
            progress.reset(task, total=points, description=name)

        def on_point(ipass: int, index: int, energy: float) -> None:
            nonlocal told
            if stage == "calibration":
                progress.update(task, advance=1)
                return
            snapshot = session.rixs_map.snapshot
            text = f"pass {ipass + 1}  {energy:8.2f} eV"
            if snapshot is not None and snapshot.points_done:
                # What is missing may still come; the last line says what was lost.
                text += (
                    f"  {snapshot.photons} photons, so far {snapshot.late} late, "
                    f"{snapshot.lost} missing"
                )
            if not progress.console.is_terminal and ipass != told:
                told = ipass
                echo(text)
            progress.update(task, description=text, advance=1)

        result = run_rixs(
            edge=edge,
            passes=passes,
            sample=sample,
            speed=speed,
            seed=seed,
            out=out,
            window=window,
            on_begin=on_begin,
            on_start=on_start,
            on_stage=on_stage,
            on_point=on_point,
            simulation_options={"fault": list(fault)} if fault else None,
        )
    s = result.summary
    echo(
        f"\n{s['photons']} photons in {s['points']} points of {s['passes']} passes, "
        f"{s['photons_late']} late, {s['photons_lost']} lost"
        + ("" if s["pixels_used"] is None else f"; {s['pixels_used']} pixels used")
    )
    if s["pfy_chi2_dof"] is not None:
        echo(f"PFY against the simulated truth: chi2/dof {s['pfy_chi2_dof']:.2f} (1 = within σ)")
    if s["spfy_significance"] is not None:
        what = "feature in the sPFY" if s["spfy_found"] else "no feature in the sPFY"
        echo(f"{what}: {s['spfy_significance']:.1f} σ beyond the PFY's share")
    if s["message"]:
        echo(s["message"])
    _echo_where(result, out)


@demo_app.command("heat")
def demo_heat(
    speed: Speed = 20.0,
    heat_speed: Annotated[
        float, typer.Option(help="The same for the heating stage: 5 h in 30 s.")
    ] = 600.0,
    soak: Annotated[float, typer.Option(help="Hours in band at 100 °C.")] = 5.0,
    repeats: Annotated[int, typer.Option(help="Of each absorption spectrum.")] = 2,
    passes: Annotated[int, typer.Option(help="Of the O K RIXS map.")] = 4,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-heat"),
    fault: TESFaults = None,
) -> None:
    """Measure a charged electrode, keep it at 100 °C, measure it again: what changed?"""
    from ..demo import HeatTold, run_heat

    with ExitStack() as shown:
        progress = progress_bar("points")
        task = progress.add_task("connecting", total=None)
        told = _HeatTold(progress, task)

        def on_begin() -> None:
            echo("Starting the simulated beamline and its spectrometer …")
            shown.enter_context(progress)

        def on_start(started: Any) -> None:
            echo(f"Connected to {started.file.name} and to {started.tes.where}.")

        result = run_heat(
            speed=speed,
            heat_speed=heat_speed,
            seed=seed,
            out=out,
            soak=soak * 3600,
            repeats=repeats,
            passes=passes,
            told=HeatTold(on_begin, on_start, told.run, told.point, told.heating),
            simulation_options={"fault": list(fault)} if fault else None,
        )
    _report_heat(result.summary)
    _echo_where(result, out)


class _HeatTold:
    """Shows what the experiment is at."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task
        self._quarter = -1

    def run(self, part: str, start: Any) -> None:
        what = " ".join(p for p in (start.get("edge") or "", start["plan_name"]) if p)
        text = f"{part}: {what}" if part else what
        self._quarter = -1
        echo(f"{text} …")
        self._progress.reset(self._task, total=start.get("num_points"), description=text)

    def point(self, data: Any) -> None:
        self._progress.update(self._task, advance=1)

    def heating(self, report: Any) -> None:
        left, fraction = report.get("time_remaining"), report.get("fraction")
        if left is None or fraction is None:
            return
        minutes = round(left / 60)
        text = f"{fraction:4.0%}, {minutes // 60} h {minutes % 60:02d} min left"
        self._progress.update(self._task, description=text)
        quarter = int(4 * fraction)
        if not self._progress.console.is_terminal and quarter != self._quarter:
            self._quarter = quarter
            echo(f"  {text} (of the heating stage's time)")


@demo_app.command("ptycho")
def demo_ptycho(
    energies: Annotated[int, typer.Option(help="How many across Mn L3, 3 to 12.")] = 8,
    sample: Annotated[str, typer.Option(help="diffusion or core-shell.")] = "diffusion",
    size: Annotated[float, typer.Option(help="Width and height of the region (µm).")] = 0.9,
    speed: Speed = 20.0,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-ptycho"),
    window: Annotated[bool, typer.Option(help="Show the images in a window.")] = True,
    fault: Faults = None,
) -> None:
    """Map single particles by STXM and by ptychography, and fit how they lost oxygen."""
    from ..demo import PtychoTold, run_ptycho

    with ExitStack() as shown:
        progress = progress_bar("parts")
        task = progress.add_task("connecting", total=None)
        told = PtychoProgress(progress, task)

        def on_begin() -> None:
            echo("Starting the simulated beamline and its camera …")
            shown.enter_context(progress)

        def on_start(session: Any) -> None:
            echo(f"Connected to {session.file.name} ({session.simulation.prefix}*).")
            told.live = session.maps["ptychography"]

        result = run_ptycho(
            energies=energies,
            sample=sample,
            size=size,
            speed=speed,
            seed=seed,
            out=out,
            window=window,
            told=PtychoTold(on_begin, on_start, told.run, told.event, told.rest),
            simulation_options={"fault": list(fault)} if fault else None,
        )
    report_ptycho(result.summary)
    _echo_where(result, out)


def _report_heat(summary: Any) -> None:
    echo("\nBefore and after; σ at the end counts all these questions together, 3 σ is the limit:")
    for one in summary["spectra"]:
        echo(f"  {one['text']}")
    if summary["soak_in_band_s"] is not None:
        settled = summary["settle_s"]
        echo(
            f"{summary['soak_in_band_s'] / 3600:.2f} h in band, "
            f"{summary['soak_left_out_s']:.0f} s left out, "
            f"overshoot {summary['overshoot_c']:.2f} °C"
            + ("" if settled is None else f", {settled:.0f} s from in band to settled")
        )
    if summary["as_simulated"] is not None:
        echo(
            "All of it as the simulated sample is."
            if summary["as_simulated"]
            else "NOT as the simulated sample is: " + ", ".join(summary["otherwise"])
        )
    echo(f"it took {summary['wall_s']:.0f} s")
