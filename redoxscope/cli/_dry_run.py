"""``redoxscope dry-run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ._common import echo

__all__ = ["SCRIPT_ARGUMENTS", "dry_run"]

SCRIPT_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What stands behind the script's name is the script's."""


def dry_run(
    context: typer.Context,
    script: Annotated[Path, typer.Argument(help="Your script, as Python would run it.")],
    beamline: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Beamline file (YAML) of yours; without it, the simulated beamline."),
    ] = None,
    state: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="How it stands: the file that redoxscope snapshot wrote."),
    ] = None,
    json: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Also write the account here, for programs."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Measure everything on the simulated sample, with maps.")
    ] = False,
) -> None:
    """Say what a script would do on your beamline: times, doses, what would be refused.

    The script runs unchanged, against a simulation of the beamline, as fast as the machine can.
    No real device is reached, and nothing is kept. Options for the script stand behind its name.
    The exit status is 1 when anything would fail.
    """
    from ..dry_run import dry_run as carry_out

    account = carry_out(script, beamline, state=state, full=full, arguments=context.args)
    if json is not None:
        json.write_text(account.to_json() + "\n", encoding="utf-8")
    echo(account.table())
    if not account.ok:
        raise typer.Exit(1)
