"""``redoxscope snapshot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._common import echo

__all__ = ["snapshot"]


def snapshot(
    beamline: Annotated[Path, typer.Argument(help="Beamline file (YAML).")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the PVs.")] = 5.0,
) -> None:
    """Print how the beamline stands: each PV's value, limits and unit. Writes to no PV.

    For a dry run: redoxscope snapshot mine.yml > mine.state.yml
    """
    from ..dry_run import take_snapshot

    state = take_snapshot(beamline, timeout)
    echo(state.to_yaml().removesuffix("\n"))
    for pv in state.missing:
        typer.echo(f"missing  {pv}", err=True)
    count = len(state.pvs)
    typer.echo(f"{state.beamline}: {count} PVs read. Nothing was written or moved.", err=True)
    if state.missing:
        raise typer.Exit(1)
