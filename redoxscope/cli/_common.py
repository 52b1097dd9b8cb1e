"""Options and output that commands share."""

from __future__ import annotations

import codecs
import io
import logging
import sys
from typing import Annotated, Any, Optional

import typer

__all__ = [
    "Faults",
    "HeatSpeed",
    "TESFaults",
    "Sample",
    "Seed",
    "Speed",
    "echo",
    "progress_bar",
    "run_named",
    "speak_any_encoding",
]

Sample = Annotated[str, typer.Option(help='"lmr", or an HDF5 file with a measured stack.')]
Speed = Annotated[float, typer.Option(help="Simulated seconds per real second.")]
HeatSpeed = Annotated[
    Optional[float],  # noqa: UP007, UP045  typer reads it
    typer.Option(help="The same for heating stages and vacuum; by default --speed."),
]
Seed = Annotated[int, typer.Option(help="Of the simulated sample and noise.")]
TESFaults = Annotated[
    Optional[list[str]],  # noqa: UP007, UP045  typer reads it
    typer.Option("--fault", help='A fault to simulate, e.g. "dastard drop 0.1"; repeatable.'),
]
Faults = Annotated[
    Optional[list[str]],  # noqa: UP007, UP045  typer reads it
    typer.Option("--fault", help='A fault to simulate, e.g. "missed_trigger 12"; repeatable.'),
]

LONGEST_NUMBER = 6
"""Digits up to which a number is a scan's and not the beginning of a uid."""

PLAIN = {"…": "...", "→": "->", "σ": "sigma", "µ": "u", "χ": "chi", "²": "2", "±": "+-", "×": "x"}
"""What a terminal that knows no more than Latin letters is told instead."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, "?") for letter in bad), error.end


def speak_any_encoding() -> None:
    """Have no print fail because the output cannot show a letter (Latin-1, ASCII)."""
    codecs.register_error("redoxscope.plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="redoxscope.plainly")


def echo(text: str) -> None:
    typer.echo(text)


def progress_bar(unit: str) -> Any:
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


def run_named(catalog: Any, name: str) -> Any:
    """The run that is meant.

    Raises
    ------
    ValueError
        There is none.
    """
    key: str | int = name
    if name == "last":
        key = -1
    elif name.isdigit() and len(name) <= LONGEST_NUMBER:
        key = int(name)
    try:
        return catalog[key]
    except (KeyError, IndexError) as exc:
        raise ValueError(
            f"run {name!r} is not in the catalog ({len(catalog)} runs): redoxscope runs lists them"
        ) from exc
