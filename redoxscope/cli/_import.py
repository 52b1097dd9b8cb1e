"""The command ``redoxscope import``: files of other microscopes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ._common import echo, run_named

__all__ = ["import_file"]

Text = Optional[str]  # noqa: UP007, UP045  typer reads it


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="NXstxm, ALS or MAX IV .hdr with its .xim, Data Exchange of Mantis."),
    ],
    edge: Annotated[Text, typer.Option(help='Edge whose reference spectra apply: "Fe L3".')] = None,
    channel: Annotated[Text, typer.Option(help="Detector; by default the first.")] = None,
    dwell: Annotated[
        Optional[float],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Time per pixel (s), where the file does not say it."),
    ] = None,
    position_unit: Annotated[
        Text, typer.Option(help="Unit of positions where the file says none: um, mm, m, nm.")
    ] = None,
    sample: Annotated[Text, typer.Option(help="What was measured.")] = None,
    i0: Annotated[
        Text,
        typer.Option(
            help="I0 that was measured on its own: a file of an empty place, a table of energies "
            "and counts, or the uid of a run."
        ),
    ] = None,
    as_sample: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Write it as a sample of the simulated beamline here, and no run."),
    ] = None,
    region: Annotated[Text, typer.Option(help="One of several, for --as-sample.")] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data directory; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Tiled profile of the catalog.")] = "redoxscope",
) -> None:
    """Put a stack of another microscope into the catalog, or make it a simulated sample."""
    from ..formats import read_stxm

    if as_sample is None and region is not None:
        raise ValueError("--region is for --as-sample: a run has all regions")
    if as_sample is not None and any(one is not None for one in (edge, sample, i0)):
        raise ValueError("--edge, --sample and --i0 are for a run, and --as-sample makes none")
    found = read_stxm(file, channel=channel, dwell=dwell, position_unit=position_unit)
    for stack in found.stacks:
        n, ny, nx = stack.counts.shape
        echo(
            f"{stack.name}: {n} images of {nx} x {ny} pixels, {stack.energy[0]:g} to "
            f"{stack.energy[-1]:g} eV, {found.channel} of {', '.join(found.channels)}"
        )
    for remark in found.remarks:
        echo(remark)
    if as_sample is not None:
        from ..stxm_files import write_sample

        for left in write_sample(found, as_sample, region=region):
            echo(left)
        echo(f"{as_sample}: redoxscope sim --sample {as_sample}")
        return
    from ..documents import I0_SPECTRUM
    from ..storage import open_catalog
    from ..stxm_files import import_stxm

    catalog = open_catalog(profile, directory=data)
    # A uid has no point, a file's name has.
    given = i0 if i0 is None or Path(i0).exists() or "." in i0 else run_named(catalog, i0)
    report = import_stxm(found, catalog, data=data, edge=edge, sample=sample, i0=given)
    start = catalog[report.uid].metadata["start"]
    for remark in start["imported"]["remarks"]:
        if remark not in found.remarks:  # of the I0
            echo(remark)
    if (spectrum := start.get(I0_SPECTRUM)) is not None:
        own = "the images of the empty beam in the file"
        echo(f"I0: {own if given is None else spectrum['source']}")
    before = "was imported before, as" if report.status == "present" else "is"
    echo(f"It {before} run {report.uid}; redoxscope export {report.uid[:8]}")
