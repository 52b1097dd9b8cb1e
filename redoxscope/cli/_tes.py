"""The command ``redoxscope tes``: files of a microcalorimeter array."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

__all__ = ["tes_app"]

tes_app = typer.Typer(
    no_args_is_help=True, help="Photon files of a transition-edge-sensor spectrometer."
)


@tes_app.callback()
def _tes() -> None:
    """Photon files of a transition-edge-sensor spectrometer."""


@tes_app.command("process")
def process_files(
    folder: Annotated[Path, typer.Argument(help="Folder with the OFF files (*.off).")],
    log: Annotated[
        Optional[list[Path]],  # noqa: UP007, UP045  typer reads it
        typer.Option("--log", help="Log of a calibration or of a scan; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for summary and pictures.")] = Path("rixs"),
    line: Annotated[
        Optional[list[str]],  # noqa: UP007, UP045  typer reads it
        typer.Option(
            "--line",
            help='Line or element of the calibration sample, e.g. "O K" or Fe; repeatable. '
            "Default: those of the mixture that the log names.",
        ),
    ] = None,
    energies: Annotated[
        Optional[list[str]],  # noqa: UP007, UP045  typer reads it
        typer.Option(
            help="Energies of the monochromator (eV) where a log has none: one, a list as "
            "778.1,778.3 or a text file with one for each point; for one of several logs as "
            "LOG=VALUE; repeatable.",
        ),
    ] = None,
    calibration: Annotated[
        Optional[str],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Log of the calibration that all scans use, whatever they name."),
    ] = None,
) -> None:
    """Calibrate photon files, make RIXS maps and yields from them, and draw them."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ..tes_files import process

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("reading", total=1.0)
        summary = process(
            folder,
            log or [],
            out,
            lambda text, part: bars.update(task, description=text, completed=part),
            lines=line,
            energies=energies or (),
            calibration=calibration,
        )
    for text in report(summary):
        typer.echo(text)
    typer.echo(f"\npictures  {', '.join(str(out / name) for name in summary['pictures'])}")
    typer.echo(f"summary   {out / 'summary.json'}")


def report(summary: dict[str, Any]) -> list[str]:
    """The summary in lines for a terminal."""
    pixels = summary["pixels"]
    out = [
        f"{summary['photons_total']} photons in {len(summary['photons'])} pixels, "
        f"{summary['pixels_usable']} of {len(pixels)} usable"
    ]
    shown = pixels if len(pixels) <= 20 else {c: p for c, p in pixels.items() if not p["ok"]}
    for channel, p in shown.items():
        elastic = "" if p["elastic_ev"] is None else f"elastic {p['elastic_ev']:.1f} eV  "
        out.append(f"  {channel:>6} {'ok     ' if p['ok'] else 'refused'} {elastic}{p['reason']}")
    for name, problem in summary["problems"].items():
        out.append(f"  {name}: {problem}")
    for name, scan in summary["scans"].items():
        top = summary["pfy_max_ev"][name]
        text = f"{name}: {scan['passes']} passes, {scan['photons_in_points']} photons"
        text += f", dead time {100 * scan['dead_time_fraction']:.0f} %"
        if top is not None:
            text += f", PFY largest at {top:.2f} ± {summary['pfy_max_sigma_ev'][name]:.2f} eV"
            text += f" ({summary['pfy_max_significance'][name]:.0f} σ)"
        else:
            text += f"\n  no maximum of the PFY: {summary['pfy_max_reason'][name]}"
        out.append(text)
    for each in summary["compared"]:
        pair = " and ".join(each["logs"])
        if each["significant"] is None:
            out.append(f"{each['window']} of {pair} cannot be compared: {each['reason']}")
            continue
        seen = "differ" if each["significant"] else "no difference"
        told = f"{each['shift_ev']:+.2f} ± {each['sigma_ev']:.2f} eV"
        out.append(f"{each['window']} of {pair}: {seen} ({each['significance']:.1f} σ; {told})")
    if summary["o_k_dip"] is not None:
        value, sigma = 100 * summary["o_k_dip"], 100 * summary["o_k_dip_sigma"]
        told = f"{value:.1f} ± {sigma:.1f} % lower ({value / sigma:.1f} σ)"
        start = "" if summary["o_k_dip_seen"] else "no dip of the "
        out.append(f"{start}O K emission on the line: {told}")
    return out
