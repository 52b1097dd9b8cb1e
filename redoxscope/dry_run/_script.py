"""Carrying out a user's script as a dry run."""

from __future__ import annotations

import hashlib
import os
import runpy
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..beamline import load_beamline, simulated_beamline
from ..session import SIGNALS
from ..sim import Simulation, SimulationError, isolate_client
from ..storage import data_directory
from ._account import Account
from ._frames import line_of_error
from ._layout_of import layout_of
from ._state import State, read_state

if TYPE_CHECKING:
    from ._engine import Rehearsal

__all__ = ["dry_run"]

FULL_SPEED = 50.0
"""Simulated seconds per real second where everything is measured: what lines come through at."""
FULL_HEAT_SPEED = 600.0
"""The same of heating stages: five hours of a soak are half a minute."""
CONNECT_TIMEOUT = 20.0
"""Longest time (s) for the first PV of the simulation to answer."""
FLY_POLL = 0.002
"""Time (real s) between two looks of a simulated FLY service: it is not what is measured."""
FULL_SPEED_TES = 20.0
"""The same with a spectrometer, whose photons are drawn one by one."""


def dry_run(
    script: str | Path,
    beamline: str | Path | None = None,
    *,
    state: str | Path | None = None,
    full: bool = False,
    arguments: Sequence[str] = (),
) -> Account:
    """Carry out a script on a simulation of a beamline, as fast as can be. Once per process.

    Its ``start_session(...)`` gets the simulated beamline, whatever it passes; no real PV can be
    reached, data go into a folder that is removed.

    Parameters
    ----------
    script : str or Path
        As Python would run it.
    beamline : str or Path, optional
        Beamline file; without it, the simulated beamline is meant, and a script that names
        another one fails.
    state : str or Path, optional
        How the beamline stands, from ``redoxscope snapshot``. Without it, limits, speeds and
        positions are the simulation's own.
    full : bool
        Measure everything on the simulated beamline, with maps.
    arguments : sequence of str
        ``sys.argv[1:]`` of the script.

    Returns
    -------
    Account

    Raises
    ------
    FileNotFoundError
        There is no such script.
    redoxscope.beamline.ConfigError
        The beamline file is wrong, or has one PV under two keys.
    StateError
        The state is no snapshot, or of another beamline.
    redoxscope.sim.SimulationError
        EPICS is in use in this process, or the simulation does not start.
    """
    script, beamline = Path(script), None if beamline is None else Path(beamline)
    if not script.is_file():
        raise FileNotFoundError(f"{script}: no such script")
    config = simulated_beamline("") if beamline is None else load_beamline(beamline)
    known = None if state is None else read_state(state)
    layout = layout_of(config, known)
    isolate_client()
    with ExitStack() as stack:
        stack.enter_context(_ended_in_good_order())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dry-run-")))
        kept = data_directory()
        os.environ.update(
            REDOXSCOPE_DATA=str(_made(folder / "data")),
            TILED_PROFILES=str(_made(folder / "profiles")),
            MPLBACKEND="Agg",
        )
        simulation = stack.enter_context(
            Simulation(
                layout=layout,
                options={"fly-poll": FLY_POLL, "no-shutter": not config.has_shutter},
                instant=not full,
                speed=FULL_SPEED_TES if config.of_class("tes") else FULL_SPEED,
                heat_speed=FULL_HEAT_SPEED,
                tes={"data": _made(folder / "dastard")} if config.of_class("tes") else False,
                wait=False,
            )
        )
        # Seconds of imports, while the simulation starts.
        from ..session import opened_by
        from ._engine import Rehearsal
        from ._session import Opener
        from ._timeline import users_time

        simulation.wait_ready()
        _settle_where_to_look(simulation)
        rehearsal = Rehearsal(full=full)
        account = rehearsal.account
        _note_state(account, beamline, state, known)
        opener = Opener(
            config,
            file=beamline,
            simulation=simulation,
            data=folder / "data",
            kept=kept,
            rehearsal=rehearsal,
        )
        stack.callback(opener.close)
        with opened_by(opener), users_time(rehearsal.timeline), _as_a_script(script, arguments):
            _carry_out(script, rehearsal)
        account.total_s = rehearsal.timeline.now
        if not opener.sessions:
            account.note("the script started no session, so nothing of it was foretold")
    return account


def _settle_where_to_look(simulation: Simulation) -> None:
    """Have libca read its environment now: what the script sets it to comes too late.

    Raises
    ------
    SimulationError
        The simulation does not answer by Channel Access.
    """
    from epics import ca

    name = f"{simulation.prefix}Sim:Speed"
    channel = ca.create_channel(name)
    if not ca.connect_channel(channel, timeout=CONNECT_TIMEOUT):
        raise SimulationError(f"the simulated beamline does not answer: PV {name}")
    ca.clear_channel(channel)  # else libca tells of it when the simulation ends
    ca.poll()


@contextmanager
def _ended_in_good_order() -> Iterator[None]:
    """Have SIGTERM and SIGHUP leave no folder behind, also before the script has a session."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _note_state(
    account: Account, beamline: Path | None, path: str | Path | None, state: State | None
) -> None:
    """Say where the dry run is less than one of the real beamline."""
    if beamline is None:
        account.note("it is of the simulated beamline; of yours with: --beamline FILE")
        return
    if state is not None and hashlib.sha256(beamline.read_bytes()).hexdigest() != state.sha256:
        account.note(f"{beamline} has changed since the snapshot of {state.time}")
    if state is None:
        account.note(
            "without --state, limits, speeds and positions are those of the simulation; make one "
            "with: redoxscope snapshot"
        )
    elif state.missing:
        account.note(
            f"{path}: {', '.join(state.missing)} did not answer the snapshot; as in the simulation"
        )


@contextmanager
def _as_a_script(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """What Python sets when it runs a script."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path


def _carry_out(script: Path, rehearsal: Rehearsal) -> None:
    """Run the script; what ends it early is known to the rehearsal afterwards."""
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as exc:
        if exc.code not in (None, 0):
            rehearsal.refused(exc, "script")
    except KeyboardInterrupt as exc:
        rehearsal.account.note("Ctrl-C ended the dry run")
        rehearsal.account.ended_early = line_of_error(exc) or str(script)
    except BaseException as exc:
        if not rehearsal.has(exc):
            rehearsal.refused(exc, "script")
        rehearsal.account.ended_early = line_of_error(exc) or str(script)
