"""From a beamline file to devices, each made once, and the instruments that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from ..devices import guard_channels
from ._classes import OWN
from ._connection import CONNECT_TIMEOUT, connect
from ._file import BeamlineFile
from ._instruments import INSTRUMENTS
from ._load import ConfigError

__all__ = ["Beamline", "make_beamline"]


class Beamline:
    """Devices of a beamline, and its instruments.

    Attributes
    ----------
    file : BeamlineFile
    devices : dict of str to object
        Every device, by its name in the file.
    instruments : dict of str to object
        By their name in a session, which is that in the file, e.g. ``"stxm"``:
        `redoxscope.devices.STXM`; ``xas`` is ``"xas_station"``, for the plan has that name.
    """

    def __init__(self, file: BeamlineFile, devices: dict[str, Any], instruments: dict[str, Any]):
        self.file, self.devices, self.instruments = file, devices, instruments

    def roots(self) -> Iterator[tuple[str, Any]]:
        """Name and object of all that is no part of anything else, instruments first.

        These are connected, read and destroyed; their parts with them.
        """
        told: list[Any] = []
        for name, thing in [*self.instruments.items(), *self.devices.items()]:
            if getattr(thing, "parent", None) is None and not any(thing is one for one in told):
                told.append(thing)
                yield name, thing

    def connect(self, timeout: float = CONNECT_TIMEOUT) -> None:
        """Wait until everything answers, all of it at once. Nothing moves.

        Parameters
        ----------
        timeout : float
            Longest time (s) in which nothing further answers.

        Raises
        ------
        PVConnectionError, redoxscope.devices.DeviceError
            Names what does not.
        """
        connect(*(thing for _, thing in self.roots()), timeout=timeout)

    def destroy(self) -> None:
        """Hang up."""
        _destroy(thing for _, thing in self.roots())


def make_beamline(file: BeamlineFile) -> Beamline:
    """Make every device of a beamline file once, and bind its instruments.

    Connections are made in the background: nothing is waited for, and nothing moves.

    Parameters
    ----------
    file : BeamlineFile

    Returns
    -------
    Beamline

    Raises
    ------
    ConfigError
        A class that cannot be made of its options, or not while it is disconnected; with what it
        says, and the key.
    """
    guard_channels()  # also where no device is of ours
    devices: dict[str, Any] = {}
    try:
        for name in file.devices:
            devices[name] = _make(file, name)
        instruments = {}
        for name, entry in file.instruments.items():
            parts = {
                role: {one: devices[one] for one in device}
                if isinstance(device, tuple)
                else devices[device]
                for role, device in entry.roles.items()
            }
            kind = INSTRUMENTS[name]
            called = kind.called or name
            try:
                instruments[called] = kind.make(called, parts, entry.options)
            except ValueError as exc:  # what only the devices together show
                where = file.at("instruments", name)
                raise ConfigError(f"{where}: instruments.{name}: {exc}") from exc
    except BaseException:
        _destroy(devices.values())
        raise
    return Beamline(file, devices, instruments)


def _destroy(things: Iterable[Any]) -> None:
    """Hang up all of them: one that fails keeps none from it."""
    with ExitStack() as steps:
        for thing in things:
            steps.callback(thing.destroy)


def _make(file: BeamlineFile, name: str) -> Any:
    entry = file.devices[name]
    made_name, options = file.made_name(name), entry.options
    if entry.own:
        own = OWN[entry.word]
        if hasattr(options, "pvs"):
            options = options.model_copy(update={"pvs": file.pvs_of(name)})
        return own.make(own.cls, file.prefix + entry.prefix, made_name, options)
    given = dict(options)
    if "prefix" in given:
        given["prefix"] = file.prefix + entry.prefix
    try:
        return entry.cls(**given, name=made_name)
    except Exception as exc:  # whatever somebody else's class raises
        raise ConfigError(
            f"{file.at('devices', name)}: devices.{name}: {entry.word} could not be made: "
            f"{type(exc).__name__}: {exc}"
        ) from exc
