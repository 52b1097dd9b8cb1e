"""``redoxscope shell``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import HeatSpeed, Sample, Seed, Speed

__all__ = ["banner", "shell"]


def shell(
    beamline: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Beamline file; without it, the simulated beamline."),
    ] = None,
    sample: Sample = "lmr",
    speed: Speed = 1.0,
    heat_speed: HeatSpeed = None,
    seed: Seed = 1,
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data folder; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
    publish: Annotated[
        Optional[str],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="0MQ proxy to publish documents to, HOST:PORT; see redoxscope watch."),
    ] = None,
    nxstxm: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(
            help="Folder for NXstxm files, written while scans are measured; "
            "a relative one lies in the data folder."
        ),
    ] = None,
) -> None:
    """IPython with RE, cat, bp, bps, bpp, the devices and the plans."""
    from IPython import start_ipython
    from traitlets.config import Config

    from ..session import start_session

    tes = True if beamline is None else None
    with start_session(
        beamline,
        sample=sample,
        speed=speed,
        heat_speed=heat_speed,
        seed=seed,
        data=data,
        tes=tes,
        publish=publish,
        nxstxm=nxstxm,
    ) as session:
        config = Config()
        config.TerminalInteractiveShell.banner2 = banner(session)
        config.InteractiveShell.xmode = "Minimal"
        config.InteractiveShellApp.extra_extensions = ["redoxscope.cli.magics"]
        start_ipython(argv=[], user_ns=session.namespace(), config=config)


EXAMPLES = {
    "stxm": """\
  RE(energy_stack({stxm}, edge="Mn L3", center=(0, 0), size=5, pixels=100, dwell=0.001))
  estimate(stack_scan(zones=[(635, 650, 0.5)], regions=[Region((0, 0), (5, 5), (100, 100))],
           dwell=0.001, edge="Mn L3"), {stxm})   time, dose, limits; nothing moves
  omap.snapshot, omap.result   the live map (fraction, sigma, thickness, chi2, flags, mask)
  cat[-1]["oxidation_map"]     the same, stored beside the run
""",
    "xas": """\
  RE(xas(xas_station, edge="Mn L", repeats=4))   TEY and TFY of the sample in the beam
""",
    "ptycho": """\
  RE(ptychography({ptycho}, {{"center": (0, 0), "size": 2}}, exposures=(0.03, 0.3), edge="Mn L3"))
""",
    "tes": """\
  RE(tes_calibrate({tes}, {energy}))   on the reference sample, once
  RE(rixs_map({tes}, {energy}, edge="O K", passes=5))
  rmap.snapshot                the live map (yields, spectra, features, pixels, damage)
""",
}
"""What can be typed, by the instrument that it needs."""
ANY = """\
  RE(bp.count([{device}]))
"""


def banner(session: Any) -> str:
    """What the shell says at its begin: what can be typed, and the names that it has."""
    return f"""
redoxscope on {session.file.name}
{_examples(session.file)}  cat[-1]["primary"].read()    the last run
  Ctrl-C twice pauses; then RE.resume(), RE.stop() or RE.abort()
names: {" ".join(_names(session))}
{_kept(session)}"""


def _examples(file: Any) -> str:
    text = ""
    for name, instrument in file.instruments.items():
        if "energy" in instrument.roles:  # a spectrometer alone may have none
            text += EXAMPLES.get(name, "").format(**{name: name, **instrument.roles})
    return text or ANY.format(device=next(iter(file.devices)))


def _names(session: Any) -> list[str]:
    from ..session.support import SHORT

    maps = [short for name, short in SHORT.items() if name in session.maps]
    return ["s", "RE", "sd", "cat", "bp", "bps", "bpp", *maps, *session.devices, *session.extras]


def _kept(session: Any) -> str:
    """What goes into every run, from this session or an earlier one."""
    from ..session.support import OF_THE_SESSION

    kept = [f"{k}={v!r}" for k, v in session.RE.md.items() if k not in OF_THE_SESSION]
    return f"in every run (RE.md): {', '.join(kept)}\n" if kept else ""
