"""The command ``redoxscope ptycho``: files with frames of ptychography."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ._common import echo

__all__ = ["ptycho_app"]

Number = Optional[float]  # noqa: UP007, UP045  typer reads it

ptycho_app = typer.Typer(no_args_is_help=True, help="Files with frames of ptychography.")


@ptycho_app.callback()
def _ptycho() -> None:
    """Files with frames of ptychography."""


@ptycho_app.command("process")
def process_files(
    files: Annotated[list[Path], typer.Argument(help="CXI (.cxi) or pystxmcontrol (.stxm).")],
    out: Annotated[Path, typer.Option(help="Folder for images and summary.")] = Path("ptycho"),
    updates: Annotated[int, typer.Option(help="Updates of each frame.")] = 40,
    outer_zone: Annotated[
        Number,
        typer.Option(help="Zone plate's outermost zone (nm), where the file has no illumination."),
    ] = None,
    stop: Annotated[float, typer.Option(help="Diameter of its central stop over its own.")] = 0.0,
    defocus: Annotated[
        float, typer.Option(help="Defocus (µm); above 0 the focus lies behind the sample.")
    ] = 0.0,
    gain: Annotated[float, typer.Option(help="Counts of a photon, of raw frames.")] = 1.0,
    read_noise: Annotated[float, typer.Option(help="Of a pixel of raw frames (counts).")] = 0.0,
    saturation: Annotated[
        Number,
        typer.Option(
            help="Counts of raw frames from which on a pixel is full; by default full scale, "
            "57343, or 65528 with --gain-bits."
        ),
    ] = None,
    gain_bits: Annotated[
        bool,
        typer.Option("--gain-bits", help="The upper bits of raw frames say how a pixel was read."),
    ] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Reconstruct on a GPU, by CuPy, which you install.")
    ] = False,
    ptychi: Annotated[
        int, typer.Option(help="Rounds of pty-chi after that: pip install 'redoxscope[ptychi]'.")
    ] = 0,
) -> None:
    """Merge the frames, reconstruct object and beam, draw them."""
    from ..ptycho_files import process

    summary = process(
        files,
        out,
        updates=updates,
        outer_zone_nm=outer_zone,
        stop_fraction=stop,
        defocus_um=defocus,
        gain=gain,
        read_noise=read_noise,
        saturation=saturation,
        gain_bits=gain_bits,
        gpu=gpu,
        ptychi=ptychi,
    )
    for name, found in summary["files"].items():
        residual = found["residual"]
        echo(
            f"{name}: {found['energy_ev']:.2f} eV, {found['frames']} frames"
            + (f" ({found['skipped']} not used)" if found["skipped"] else "")
            + f", pixel {found['pixel_nm']:.2f} nm"
            + ("" if residual is None else f", χ² per pixel {residual:.2f}")
            + f", {found['ms_per_update']:.2g} ms per frame and update"
        )
        for note in found["notes"]:
            echo(f"  {note}")
        echo(f"  picture  {out / found['picture']}\n  object   {out / found['object']}")
    echo(f"\nsummary  {out / 'summary.json'}")
