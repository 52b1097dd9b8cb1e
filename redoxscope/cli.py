"""The command ``redoxscope``."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .cli_tes import tes_app

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Soft X-ray spectromicroscopy and RIXS with Bluesky: live maps with their uncertainty, "
    "on a beamline or on a simulated one.",
)
demo_app = typer.Typer(
    no_args_is_help=True, help="Run a whole experiment on the simulated beamline."
)
app.add_typer(demo_app, name="demo")
app.add_typer(tes_app, name="tes")

Sample = Annotated[str, typer.Option(help='"lmr", or an HDF5 file with a measured stack.')]
Speed = Annotated[float, typer.Option(help="Simulated seconds per real second.")]
Seed = Annotated[int, typer.Option(help="Of the simulated sample and noise.")]
Faults = Annotated[
    Optional[list[str]],  # noqa: UP007, UP045  typer reads it
    typer.Option("--fault", help='A fault to simulate, e.g. "missed_trigger 12"; repeatable.'),
]


def _echo(text: str) -> None:
    typer.echo(text)


def _progress(unit: str) -> Any:
    """Progress bar on standard error, which a terminal shows and a file does not."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    # An interrupted run is reported in words; bluesky would log it with a traceback.
    logging.getLogger("bluesky").setLevel(logging.CRITICAL)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=4)


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
    from .demo import run_stack

    _echo("Starting the simulated beamline …")
    with _progress("lines") as progress:
        task = progress.add_task("connecting", total=None)
        session: Any = None
        told = -1

        def on_start(started: Any) -> None:
            nonlocal session
            session = started
            _echo(
                f"Connected to {started.config.name} ({started.simulation.prefix}*). First line …"
            )

        def on_line(k: int, line: int, energy: float) -> None:
            nonlocal told
            snapshot = session.map.snapshot
            text = f"{energy:8.2f} eV"
            total = None
            if snapshot is not None:
                total = snapshot.lines_total
                if snapshot.result.n_mask:
                    result = snapshot.result
                    text += f"  {snapshot.names[0]} {result.mean:.3f}, σ {result.sigma_median:.3f}"
            if not progress.console.is_terminal and k != told:
                told = k
                _echo(text)
            progress.update(task, description=text, advance=1, total=total)

        result = run_stack(
            edge=edge,
            sample=sample,
            pixels=pixels,
            speed=speed,
            seed=seed,
            out=out,
            window=window,
            on_start=on_start,
            on_line=on_line,
            simulation_options={"fault": list(fault)} if fault else None,
        )
    _report(result, out)


def _report(result: Any, out: Path) -> None:
    s = result.summary
    if s["n_mask"]:
        _echo(
            f"\n{s['fraction_of']} fraction {s['fraction_mean']:.3f} "
            f"(spread {s['fraction_std']:.3f}) over {s['n_mask']} pixels, "
            f"median σ {s['sigma_median']:.3f}"
        )
    if s["fraction_rms_error"] is not None:
        _echo(
            f"against the simulated truth: rms {s['fraction_rms_error']:.4f}, "
            f"pull {s['pull_std']:.2f} (1 = the σ is right)"
        )
    _echo(f"lines missed {s['lines_missed']}, retried {s['lines_retried']}")
    _echo_where(result, out)


def _echo_where(result: Any, out: Path) -> None:
    """Where the results are; ends with a status of its own when the run ended early."""
    _echo(f"picture   {result.picture}")
    _echo(f"summary   {out / 'summary.json'}")
    if result.exit_status != "success":
        _echo(f"the run ended early ({result.exit_status}); what was taken is in the catalog")
    _echo(
        "\nOpen the run, in .venv/bin/python or `redoxscope shell`:\n"
        "  from databroker import catalog\n"
        f'  run = catalog["redoxscope"]["{result.uid}"]\n'
        '  run["primary"].read()'
    )
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
    fault: Faults = None,
) -> None:
    """Calibrate a TES spectrometer, measure a RIXS map and watch it grow."""
    from .demo import run_rixs

    _echo("Starting the simulated beamline and its spectrometer …")
    with _progress("points") as progress:
        task = progress.add_task("connecting", total=None)
        session: Any = None
        total, told = 0, -1

        def on_start(started: Any) -> None:
            nonlocal session
            session = started
            _echo(f"Connected to {started.config.name} and to the server of {started.tes.name}.")

        def on_stage(name: str, points: int) -> None:
            nonlocal total, told
            total, told = points, -1
            _echo({"calibration": "Calibrating on the reference sample …", "map": "Map …"}[name])
            progress.reset(task, total=points, description=name)

        def on_point(ipass: int, index: int, energy: float) -> None:
            nonlocal told
            snapshot = session.rixs.snapshot
            text = f"pass {ipass + 1}  {energy:8.2f} eV"
            if snapshot is not None and not snapshot.finished:
                text += f"  {snapshot.photons} photons, {snapshot.late} late, {snapshot.lost} lost"
            if not progress.console.is_terminal and ipass != told:
                told = ipass
                _echo(text)
            progress.update(task, description=text, advance=1)

        result = run_rixs(
            edge=edge,
            passes=passes,
            sample=sample,
            speed=speed,
            seed=seed,
            out=out,
            window=window,
            on_start=on_start,
            on_stage=on_stage,
            on_point=on_point,
            simulation_options={"fault": list(fault)} if fault else None,
        )
    s = result.summary
    _echo(
        f"\n{s['photons']} photons in {s['points']} points of {s['passes']} passes, "
        f"{s['photons_late']} late, {s['photons_lost']} lost; {s['pixels_used']} pixels used"
    )
    if s["pfy_chi2_dof"] is not None:
        _echo(f"PFY against the simulated truth: chi2/dof {s['pfy_chi2_dof']:.2f} (1 = within σ)")
    if s["spfy_significance"] is not None:
        _echo(f"feature in the sPFY: {s['spfy_significance']:.1f} σ beyond the PFY's share")
    if s["message"]:
        _echo(s["message"])
    _echo_where(result, out)


@app.command()
def sim(
    sample: Sample = "lmr",
    speed: Speed = 1.0,
    seed: Seed = 1,
    port: Annotated[int, typer.Option(help="Channel Access port on loopback; 0: a free one.")] = 0,
    prefix: Annotated[str, typer.Option(help="Start of every PV name.")] = "RS:",
    write: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Write a beamline file for this simulation here."),
    ] = None,
    fault: Faults = None,
) -> None:
    """Run the simulated beamline alone, and say how to connect to it. Ctrl-C ends it."""
    from importlib import resources

    from .sim import Simulation, client_environment, free_port

    options: dict[str, object] = {"fault": list(fault)} if fault else {}
    port = port or free_port()
    with Simulation(
        sample, speed=speed, seed=seed, port=port, prefix=prefix, options=options
    ) as running:
        file = write or Path("beamline.yml")
        if write is not None:
            text = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text()
            write.write_text(text.replace('prefix: ""', f'prefix: "{prefix}"', 1), encoding="utf-8")
        _echo(f"The simulated beamline answers as {prefix}* (process {running.pid}).\n")
        _echo("In another terminal:")
        for key, value in client_environment([port]).items():
            _echo(f'  export {key}="{value}"')
        if write is None:
            _echo("and, for a beamline file with this prefix, start this with --write beamline.yml")
        _echo(f"  redoxscope check {file}\n  redoxscope shell --beamline {file}\n\nCtrl-C ends it.")
        with suppress(KeyboardInterrupt):
            running.wait()
        if not running.alive:
            raise RuntimeError(f"the simulated beamline died: {running.output.strip()}")


@app.command()
def check(
    beamline: Annotated[Path, typer.Argument(help="Beamline file (YAML).")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the PVs.")] = 5.0,
) -> None:
    """Connect to every PV of a beamline file, list what is missing. Moves nothing."""
    from .config import load_beamline, make_stxm
    from .session import missing_pvs, walk_pvs

    config = load_beamline(beamline)
    stxm = make_stxm(config)
    missing = missing_pvs(stxm, timeout)
    total = sum(1 for _ in walk_pvs(stxm))
    for attribute, pv in missing:
        _echo(f"missing  {pv}  (stxm.{attribute})")
    _echo(f"{config.name}: {total - len(missing)} of {total} PVs answer. Nothing was moved.")
    if missing:
        raise typer.Exit(1)


@app.command()
def shell(
    beamline: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Beamline file; without it, the simulated beamline."),
    ] = None,
    sample: Sample = "lmr",
    speed: Speed = 1.0,
    seed: Seed = 1,
) -> None:
    """IPython with RE, cat, bp, bps, bpp, the devices and the plans."""
    from IPython import start_ipython
    from traitlets.config import Config

    from .session import start_session

    tes = True if beamline is None else None
    with start_session(beamline, sample=sample, speed=speed, seed=seed, tes=tes) as session:
        config = Config()
        config.TerminalInteractiveShell.banner2 = _banner(session)
        config.InteractiveShell.xmode = "Minimal"
        start_ipython(argv=[], user_ns=session.namespace(), config=config)


def _banner(session: Any) -> str:
    return f"""
redoxscope on {session.config.name}
  RE(energy_stack(stxm, edge="Mn L3", center=(0, 0), size=5, pixels=100, dwell=0.001))
  omap.snapshot, omap.result   the live map (fraction, sigma, thickness, chi2, flags, mask)
  cat[-1]["primary"].read()    the last run
  Ctrl-C twice pauses; then RE.resume(), RE.stop() or RE.abort()
names: s RE cat bp bps bpp stxm energy {" ".join(session.stxm.component_names)} omap
"""


@app.command()
def recover(
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data directory; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Tiled profile of the catalog.")] = "redoxscope",
) -> None:
    """Put runs that a crash kept out of the catalog into it, from their document logs."""
    from .catalog import data_directory, open_catalog
    from .catalog import recover as recover_logs

    documents = data_directory(data) / "documents"
    reports = recover_logs(documents, open_catalog(profile, directory=data))
    for report in reports:
        _echo(f"{report.status:9}  {report.uid}  {report.lines} lines  {report.message}".rstrip())
    if not reports:
        _echo(f"Nothing to recover in {documents}.")
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)


def _known_errors() -> tuple[type[BaseException], ...]:
    """Errors that explain themselves: shown as one line, without a traceback."""
    kinds: list[type[BaseException]] = [ValueError, OSError]
    for module, name in (
        ("redoxscope.catalog", "CatalogError"),
        ("redoxscope.sim", "SimulationError"),
        ("redoxscope.devices", "DeviceError"),
    ):
        if module in sys.modules:
            kinds.append(getattr(sys.modules[module], name))
    return tuple(kinds)


def main(run: Callable[[], Any] = app) -> None:
    """Entry point: explains errors in a line; ``REDOXSCOPE_DEBUG=1`` shows where they arose."""
    try:
        run()
    except Exception as exc:
        if os.environ.get("REDOXSCOPE_DEBUG") or not isinstance(exc, _known_errors()):
            raise
        typer.echo(f"error: {exc}", err=True)
        sys.exit(2)
