"""The command ``redoxscope``."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .. import __version__
from ._calibrations import calibrations
from ._commands import check, recover, sim
from ._common import speak_any_encoding
from ._demo import demo_app
from ._dry_run import SCRIPT_ARGUMENTS, dry_run
from ._gitt import gitt
from ._import import import_file
from ._ptycho import ptycho_app
from ._queue import queue
from ._runs import export, runs
from ._shell import shell
from ._snapshot import snapshot
from ._tes import tes_app
from ._watch import watch
from ._xas import xas_app

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Soft X-ray spectromicroscopy and RIXS with Bluesky: live maps with their uncertainty, "
    "on a beamline or on a simulated one.",
)
app.add_typer(demo_app, name="demo")
app.add_typer(tes_app, name="tes")
app.add_typer(xas_app, name="xas")
app.add_typer(ptycho_app, name="ptycho")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"redoxscope {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version, end."),
    ] = False,
) -> None:
    pass


for command in (
    sim,
    check,
    snapshot,
    shell,
    queue,
    watch,
    runs,
    export,
    recover,
    calibrations,
    gitt,
):
    app.command()(command)
app.command("import")(import_file)
app.command(context_settings=SCRIPT_ARGUMENTS)(dry_run)


def _known_errors() -> tuple[type[BaseException], ...]:
    """Errors that explain themselves: shown as one line, without a traceback."""
    kinds: list[type[BaseException]] = [ValueError, OSError]
    for module, name in (
        ("redoxscope.storage", "CatalogError"),
        ("redoxscope.sim", "SimulationError"),
        ("redoxscope.devices", "DeviceError"),
        ("redoxscope.queue", "QueueError"),
    ):
        if module in sys.modules:
            kinds.append(getattr(sys.modules[module], name))
    return tuple(kinds)


def main(run: Callable[[], Any] = app) -> None:
    """Entry point: explains errors in a line; ``REDOXSCOPE_DEBUG=1`` shows where they arose."""
    speak_any_encoding()
    # Who gives --data knows it, and a command has no use for databroker.
    warnings.filterwarnings("ignore", message="the catalog is that of", category=UserWarning)
    try:
        run()
    except Exception as exc:
        if os.environ.get("REDOXSCOPE_DEBUG") or not isinstance(exc, _known_errors()):
            raise
        typer.echo(f"error: {exc}", err=True)
        sys.exit(2)
