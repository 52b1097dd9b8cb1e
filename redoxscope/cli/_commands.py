"""The commands that are no demonstration."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import Faults, HeatSpeed, Sample, Seed, Speed, echo

__all__ = ["check", "recover", "sim"]

CATALOG_TIMEOUT = 120.0
"""Longest time (s) for the catalog to be opened, or made, and tried."""


def sim(
    sample: Sample = "lmr",
    speed: Speed = 1.0,
    heat_speed: HeatSpeed = None,
    seed: Seed = 1,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Channel Access port on loopback; 0: a free one.")
    ] = 0,
    prefix: Annotated[str, typer.Option(help="Start of every PV name.")] = "RS:",
    write: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Write a beamline file for this simulation here."),
    ] = None,
    fault: Faults = None,
    tes: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Also a simulated Dastard, which writes its files into this folder."),
    ] = None,
    contract: Annotated[
        str,
        typer.Option(help='Of the scanner; "fly": the FLY contract is served too.'),
    ] = "index",
    beamline: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Serve the PV names of this beamline file, with its zone plate."),
    ] = None,
    state: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="How that beamline stands: what redoxscope snapshot wrote."),
    ] = None,
) -> None:
    """Run the simulated beamline alone, and say how to connect to it. Ctrl-C ends it."""
    from ..beamline import load_beamline, simulated_text
    from ..sim import Simulation, client_environment, free_port

    if state is not None and beamline is None:
        raise ValueError("--state is of a beamline: give its file, --beamline FILE")
    if write is not None and beamline is not None:
        raise ValueError(
            "--write makes the file of the simulation's own names; with --beamline "
            "that file is the one to use"
        )
    layout = None if beamline is None else _layout(beamline, state)
    options: dict[str, object] = {"fault": list(fault)} if fault else {}
    if beamline is not None:
        options["no-shutter"] = not load_beamline(beamline).has_shutter
    port = port or free_port()
    if tes is not None:
        tes.mkdir(parents=True, exist_ok=True)
    with Simulation(
        sample,
        speed=speed,
        heat_speed=heat_speed,
        seed=seed,
        port=port,
        prefix=prefix,
        options=options,
        tes=False if tes is None else {"data": tes},
        contract=contract,
        layout=layout,
    ) as running:
        file = beamline or write or Path("beamline.yml")
        if write is not None:
            base = None if running.dastard is None else running.dastard.base
            text = simulated_text(
                prefix, contract=contract, port=base, speed=speed, heat_speed=heat_speed
            )
            write.write_text(text, encoding="utf-8")
        names = f"{prefix}*" if layout is None else f"the PVs of {beamline}"
        echo(f"The simulated beamline answers as {names} (process {running.pid}).\n")
        if contract == "fly":
            echo(f"The FLY contract is served as {running.fly_prefix}*.")
        if running.dastard is not None:
            echo(f"Its Dastard has the ports {running.dastard.base} to {running.dastard.base + 4}.")
        echo("In another terminal:")
        for key, value in client_environment([port]).items():
            echo(f'  export {key}="{value}"')
        if write is None and beamline is None:
            echo("and, for a beamline file with this prefix, start this with --write beamline.yml")
        echo(f"  redoxscope check {file}\n  redoxscope shell --beamline {file}\n\nCtrl-C ends it.")
        with suppress(KeyboardInterrupt):
            running.wait()
        if not running.alive:
            raise RuntimeError(f"the simulated beamline died: {running.output.strip()}")


def _layout(beamline: Path, state: Path | None) -> Any:
    from ..beamline import load_beamline
    from ..dry_run import layout_of, read_state

    return layout_of(load_beamline(beamline), None if state is None else read_state(state))


def check(
    beamline: Annotated[Path, typer.Argument(help="Beamline file (YAML).")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the PVs.")] = 5.0,
) -> None:
    """Connect to all that a beamline file names, try the catalog. Moves nothing."""
    from ..beamline import find_missing, has_server, load_beamline, make_beamline, walk_pvs

    config = load_beamline(beamline)
    made = make_beamline(config)
    try:
        devices = [device for _, device in made.roots()]
        missing, failed = find_missing(*devices, timeout=timeout)
        total = sum(1 for device in devices for _ in walk_pvs(device))
        for device in devices:
            if has_server(device) and device.connected:
                echo(f"{device.where} answers.")
    finally:
        made.destroy()
    for where, pv in missing:
        echo(f"missing  {pv}  ({where})")
    for error in failed:
        echo(f"missing  {error}")
    wrong = bool(missing or failed)
    wrong |= not _check_catalog(config)
    echo(f"{config.name}: {total - len(missing)} of {total} PVs answer. Nothing was moved.")
    if wrong:
        raise typer.Exit(1)


def _check_catalog(config: Any) -> bool:
    """Say where runs go, and whether they arrive there."""
    from ..storage import CatalogError, catalog_doubts, data_folder, facility_profile, open_catalog

    profile = config.catalog.profile
    try:
        folder = data_folder()
        echo(f"data folder  {folder}")
        source = facility_profile(profile)
        photons = folder / "photons" if source is not None and config.of_class("tes") else None
        doubts = catalog_doubts(lambda: open_catalog(profile), photons, CATALOG_TIMEOUT)
    except (CatalogError, ValueError) as exc:
        source, doubts = None, [str(exc)]
    for doubt in doubts:
        echo(f"catalog      {doubt}")
    if not doubts:
        echo(f"catalog      profile {profile!r}: {source or 'in the data folder'}; takes runs")
    return not doubts


def recover(
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data directory; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Tiled profile of the catalog.")] = "redoxscope",
    stored: Annotated[
        bool, typer.Option("--stored", help="Also runs stored before: fills a new catalog.")
    ] = False,
) -> None:
    """Put runs that a crash kept out of the catalog into it, from their document logs."""
    from ..storage import data_directory, open_catalog
    from ..storage import recover as recover_logs

    documents = data_directory(data) / "documents"
    if not documents.is_dir():
        raise FileNotFoundError(
            f"{documents}: no such folder, so there is nothing to recover from. Is the disk "
            "mounted, and is --data (or $REDOXSCOPE_DATA) what the session had?"
        )
    reports = recover_logs(documents, open_catalog(profile, directory=data), stored=stored)
    for report in reports:
        echo(f"{report.status:9}  {report.uid}  {report.lines} lines  {report.message}".rstrip())
    if not reports:
        echo(f"Nothing to recover in {documents}.")
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)
