"""Runs of the catalog: listed, and exported into files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ._common import echo, run_named

__all__ = ["export", "runs"]

Data = Annotated[
    Optional[Path],  # noqa: UP007, UP045  typer reads it
    typer.Option(help="Data directory; default $REDOXSCOPE_DATA, else the user's."),
]
Profile = Annotated[str, typer.Option(help="Tiled profile of the catalog.")]


def runs(
    edge: Annotated[
        Optional[list[str]],  # noqa: UP007, UP045
        typer.Option(help='Measured at this edge, as "Mn L3"; repeated: at one of them.'),
    ] = None,
    sample: Annotated[
        Optional[list[str]],  # noqa: UP007, UP045
        typer.Option(help="Of this sample; repeated: of one of them."),
    ] = None,
    plan: Annotated[
        Optional[list[str]],  # noqa: UP007, UP045
        typer.Option(help="Of this plan, as stxm_energy_stack; repeated: of one of them."),
    ] = None,
    since: Annotated[
        Optional[str],  # noqa: UP007, UP045
        typer.Option(help="First day, month or time, local: 2026-11-26."),
    ] = None,
    until: Annotated[
        Optional[str],  # noqa: UP007, UP045
        typer.Option(help="Last day, month or time."),
    ] = None,
    last: Annotated[int, typer.Option(help="Most runs that are listed.")] = 20,
    data: Data = None,
    profile: Profile = "redoxscope",
) -> None:
    """List runs of the catalog, the newest first."""
    from ..storage import find, open_catalog, runs_table

    found = find(
        open_catalog(profile, directory=data),
        edge=edge, sample=sample, plan=plan, since=since, until=until,
    )  # fmt: skip
    echo(str(runs_table(found, last)))


def export(
    run: Annotated[str, typer.Argument(help='Uid, or its beginning; scan number; or "last".')],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="hdf5: all in one file; tiff: images; csv: spectra; nxtomo, dxchange: a rotation "
            "series; cxi: ptychography; nxstxm: scans of a microscope.",
        ),
    ] = "hdf5",
    out: Annotated[Path, typer.Option(help="Folder.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    data: Data = None,
    profile: Profile = "redoxscope",
) -> None:
    """Write a run and what was found in it into files that other programs read."""
    from ..storage import export_run, open_catalog
    from ..storage.export import FORMATS

    if form not in FORMATS:  # before the catalog is opened, which takes seconds
        raise ValueError(f"--format {form} is none of {', '.join(FORMATS)}")
    catalog = open_catalog(profile, directory=data)
    for path in export_run(run_named(catalog, run), form, out, overwrite=overwrite):
        echo(str(path))
