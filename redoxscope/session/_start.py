"""Starting a session, on a beamline or on a simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..inputs import proxy_address
from ..sim import Simulation
from ._simulated import as_served, simulated_tes

if TYPE_CHECKING:
    from ..beamline import BeamlineFile
    from ._session import Session

__all__ = ["opened_by", "start_session"]

CONNECT_TIMEOUT = 10.0
"""Longest time (s) in which nothing further of a beamline answers."""

_opener: Callable[..., Session] | None = None


@contextmanager
def opened_by(opener: Callable[..., Session]) -> Iterator[None]:
    """Have another function open the sessions that `start_session` is asked for: a dry run."""
    global _opener
    before, _opener = _opener, opener
    try:
        yield
    finally:
        _opener = before


def start_session(
    beamline: str | Path | None = None,
    *,
    sample: str | Path = "lmr",
    speed: float = 1.0,
    heat_speed: float | None = None,
    seed: int = 1,
    data: str | Path | None = None,
    tes: bool | None = None,
    timeout: float = CONNECT_TIMEOUT,
    simulation_options: Mapping[str, object] | None = None,
    publish: str | None = None,
    nxstxm: str | Path | None = None,
) -> Session:
    """Start a session on a beamline, or on the simulated one.

    Parameters
    ----------
    beamline : path, optional
        A beamline file. By default, or when the file says ``simulated: true`` and has no
        prefix, the simulated beamline is started with the session and ends with it.
    sample : str or path
        What the simulated beamline holds: ``"lmr"``, or an HDF5 file with a measured stack.
    speed : float
        Simulated seconds per real second.
    heat_speed : float, optional
        The same for heating stages and the vacuum, which are slow; by default ``speed``.
    seed : int
        Of the simulated sample and noise.
    data : path, optional
        Data folder, made on first use; by default ``$REDOXSCOPE_DATA``, else the user's data
        directory. Logs and photon lists go there, and the catalog lies in it unless the profile is
        a facility's.
    tes : bool, optional
        With the instrument ``tes``. By default, when the beamline file has one; the simulated
        beamline that is started without a file has it only when asked.
    timeout : float
        Longest time (s) in which nothing further answers.
    simulation_options : mapping, optional
        Further options of ``python -m redoxscope.sim``.
    publish : str, optional
        0MQ proxy to which documents are published, where it takes them in: ``HOST:PORT``; see
        ``docs/how-to/watch.md``. By default what the beamline file says; ``""`` for none.

    nxstxm : path, optional
        Folder, in the data folder where it is relative, in which each scan of the microscope is
        written as an NXstxm file while it is measured. By default what the beamline file says;
        ``""`` for none.

    Returns
    -------
    Session

    Raises
    ------
    redoxscope.beamline.ConfigError
        The beamline file is wrong, or has no ``tes`` where one is asked for.
    redoxscope.beamline.PVConnectionError
        Lists what does not answer. Nothing has moved.
    redoxscope.storage.CatalogError
        The data folder held runs before and is gone (a disk that is not mounted), or cannot be
        written.
    redoxscope.sim.SimulationError
        The simulated beamline does not start (a wrong sample file, say).
    ValueError
        ``publish`` is no address; the file asks for a GPU that is not there, or publishes frames
        where somebody else does.

    Examples
    --------
    >>> from redoxscope import start_session
    >>> from redoxscope.plans import energy_stack
    >>> with start_session(speed=20) as s:                      # doctest: +SKIP
    ...     s.RE(energy_stack(s.stxm, edge="Mn L3", pixels=50))
    ...     run = s.cat[-1]
    """
    if _opener is not None:
        return _opener(beamline, tes=tes, timeout=timeout)
    if publish:
        publish = proxy_address("publish", publish)
    file = None if beamline is None else _file(beamline, tes)
    if file is not None and file.gpu:
        from ..callbacks import PtychoOptions

        PtychoOptions(gpu=True)  # refused before anything is started
    simulation: Simulation | None = None
    try:
        if file is None or (file.simulated and not file.prefix):
            # Before anything uses the EPICS client: it reads its environment once.
            with_tes = bool(tes) if file is None else bool(file.of_class("tes"))
            simulation = Simulation(
                sample,
                speed=speed,
                heat_speed=heat_speed,
                seed=seed,
                options={
                    "no-shutter": file is not None and not file.has_shutter,
                    **(simulation_options or {}),
                },
                tes=simulated_tes(data) if with_tes else False,
                wait=False,
                contract="fly" if file is not None and file.of_class("fly_scanner") else "index",
            )
        from ..beamline import simulated_beamline  # seconds of imports, while the IOC starts
        from ..storage import data_folder
        from ._session import Session

        if simulation is not None:
            if file is None:
                file = simulated_beamline(simulation.prefix)
                file = file if tes else file.without("tes")
            else:
                file = file.served_as(simulation.prefix)
            simulation.wait_ready()
        folder = data_folder(data)
        if simulation is not None:
            file = as_served(file, simulation, folder / "frames")
        assert file is not None
        return Session(
            file,
            simulation=simulation,
            data=folder,
            catalog_directory=None if data is None else folder,
            timeout=timeout,
            publish=file.publish if publish is None else publish,
            nxstxm=str(file.nxstxm if nxstxm is None else nxstxm),
            cosmic=file.cosmic,
            gpu=file.gpu,
        )
    except BaseException:
        if simulation is not None:
            simulation.close()
        raise


def _file(path: str | Path, tes: bool | None) -> BeamlineFile:
    """The beamline that a file declares; without its instrument ``tes`` where that is not wanted.

    Raises
    ------
    ConfigError
        It is wrong, or lacks what is asked for.
    """
    from ..beamline import ConfigError, load_beamline

    file = load_beamline(path)
    if tes and "tes" not in file.instruments:
        raise ConfigError(f"beamline {file.name!r} has no instrument 'tes'")
    return file.without("tes") if tes is False else file
