"""The command ``redoxscope calibrations``."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated, Optional

import typer

from ._common import echo

__all__ = ["calibrations"]


def calibrations(
    beamline: Annotated[
        Optional[str],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Of this beamline alone: its name in runs (beamline_id)."),
    ] = None,
    json: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Also write them here, for programs."),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data folder; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
) -> None:
    """List calibrations of energy, focus and aperture, the last one first. Changes nothing.

    What is applied is in force in a session, unless the device or the beamline file was changed
    since: a session asks its devices. A simulated beamline starts with none in force.
    """
    from ..calibrations import FOLDER, read_calibrations, states, table
    from ..storage import data_directory

    folder = data_directory(data) / FOLDER
    found = read_calibrations(folder, beamline)
    if json is not None:
        json.write_text(dumps(states(found), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    of = "" if beamline is None else f" of beamline {beamline}"
    echo(table(found) if found else f"No calibration{of} was applied ({folder}).")
