"""The command ``redoxscope gitt``: titration files of a cycler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import echo

__all__ = ["gitt"]

Text = Optional[str]  # noqa: UP007, UP045  typer reads it
SHOWN = 30


def gitt(
    file: Annotated[Path, typer.Argument(help="Table with time, voltage, current: CSV, .mpt.")],
    radius: Annotated[
        Text, typer.Option(help="Radius of the particles, as 1.8um: formula for spheres.")
    ] = None,
    area: Annotated[
        Text,
        typer.Option(help="Surface of a plane electrode, as 12cm2, or per mass as 3.5m2/g."),
    ] = None,
    mass: Annotated[Text, typer.Option(help="Mass of the active material, as 2mg.")] = None,
    molar_volume: Annotated[
        Text, typer.Option(help="Of the active material, as 20.5cm3/mol; with --area.")
    ] = None,
    molar_mass: Annotated[
        Text,
        typer.Option(help="Of the active material, as 85.1g/mol; with --area, or with --mass."),
    ] = None,
    thickness: Annotated[
        Text,
        typer.Option(help="L of a plane electrode, as 20um. Default: volume over surface."),
    ] = None,
    capacity: Annotated[
        Text, typer.Option(help="Of the cell, as 4.2mAh: for the state of charge.")
    ] = None,
    window: Annotated[
        tuple[float, float],
        typer.Option(help="From when to when (s) E is fitted against the root of t."),
    ] = (1.0, 60.0),
    time: Annotated[Text, typer.Option(help="Column of the time, as NAME or NAME:unit.")] = None,
    voltage: Annotated[Text, typer.Option(help="Column of the voltage.")] = None,
    current: Annotated[Text, typer.Option(help="Column of the current.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for picture and summary.")] = Path("gitt"),
) -> None:
    """Diffusion coefficients from the pulses of a titration (GITT), each with its uncertainty."""
    from ..gitt_files import process

    summary = process(
        file,
        out,
        radius=radius,
        area=area,
        mass=mass,
        molar_volume=molar_volume,
        molar_mass=molar_mass,
        thickness=thickness,
        capacity=capacity,
        window=window,
        columns={"time": time, "voltage": voltage, "current": current},
    )
    for line in report(summary):
        echo(line)
    echo(f"\npicture  {out / summary['pictures'][0]}")
    echo(f"summary  {out / 'summary.json'}")


def report(summary: dict[str, Any]) -> list[str]:
    """The summary in lines for a terminal."""
    pulses = summary["pulses"]
    refused = summary["pulses_refused"]
    out = [f"{len(pulses)} pulses, {refused} refused. {summary['formula']}"]
    out += [f"  {note}" for note in summary["notes"]]
    shown = pulses if len(pulses) <= SHOWN else [p for p in pulses if p["refused"]]
    out += [f"  {p['pulse']:>4}  {_line(p)}" for p in shown]
    if summary["d_median_m2_s"] is None:
        return [*out, "no D: every pulse is refused"]
    low, high = summary["d_10_90_percent_m2_s"]
    out.append(
        f"D: median {summary['d_median_m2_s']:.3g} m²/s, 10 to 90 % of the pulses "
        f"{low:.3g} to {high:.3g}"
    )
    doubtful = sum(bool(p["warnings"]) for p in pulses if not p["refused"])
    if doubtful:
        out.append(f"{doubtful} pulses are doubtful: summary.json says why (warnings)")
    return out


def _line(p: dict[str, Any]) -> str:
    if p["refused"]:
        return f"refused: {p['refused']}"
    low, high = p["window_s"]
    return (
        f"D = {p['d_m2_s']:.3g} ± {p['sigma']:.1g} m²/s  soc {p['soc']:.3f}  R² {p['r2']:.3f} "
        f"({low:.3g} to {high:.3g} s)  ΔE_s {1e3 * p['delta_e_s_v']:.3f} mV  "
        f"IR {1e3 * p['ir_v']:.3f} mV ({p['ir_ohm']:.3g} Ω)"
    )
