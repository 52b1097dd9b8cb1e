"""Options of a device class that is not ours, checked against its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ophyd import Component, Device, EpicsMotor, FormattedComponent
from ophyd.signal import EpicsSignalBase, EpicsSignalRO

__all__ = ["OutsidePV", "arguments", "option_problems", "outside_pvs"]

_OURS = {"self", "name", "parent", "attr_name"}
"""Arguments that are no options: the file's key is the name."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments(cls: type) -> dict[str, bool]:
    """Keyword arguments of a class, and whether it cannot do without.

    Those of its bases too, as long as each hands on what it does not know (``**kwargs``).
    """
    found: dict[str, bool] = {}
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is None:
            continue
        known = inspect.signature(init).parameters.values()
        for part in known:
            if part.kind in _POSITIONAL and part.name not in _OURS:
                needed = part.default is inspect.Parameter.empty and base is _first(cls)
                found.setdefault(part.name, needed)
        if not any(part.kind is inspect.Parameter.VAR_KEYWORD for part in known):
            break
    return found


def _first(cls: type) -> type:
    return next(base for base in cls.__mro__ if "__init__" in base.__dict__)


def option_problems(
    cls: type, options: Mapping[str, Any], hint: Callable[[str, list[str]], str]
) -> Iterator[tuple[str, str]]:
    """Options that the class does not take, and those that are missing: the key, and what is wrong.

    Parameters
    ----------
    cls : type
    options : mapping
    hint : callable
        Of a name that is not known and those that are: which was meant.
    """
    known = arguments(cls)
    for key in options:
        if key not in known:
            yield key, f"unknown key {{key}}{hint(key, list(known))}"
    for key, needed in known.items():
        if needed and key not in options:
            yield key, "key {key} is missing"


class OutsidePV(NamedTuple):
    """A PV of a device class that is not ours, as far as the class itself says.

    Parameters
    ----------
    name : str
        Of a motor, that of its record.
    motor : bool
    written : bool
        Whether the device can write it.
    """

    name: str
    motor: bool
    written: bool


def outside_pvs(cls: Any, options: Mapping[str, Any], prefix: str) -> tuple[list[OutsidePV], bool]:
    """PVs of a device class, and whether these are all: names may be made when a device is.

    Parameters
    ----------
    cls : type
    options : mapping
        Of the file.
    prefix : str
        Whole prefix of the device.
    """
    if issubclass(cls, EpicsSignalBase):
        names = [options[key] for key in ("read_pv", "write_pv") if options.get(key)]
        written = not issubclass(cls, EpicsSignalRO)
        return [OutsidePV(str(name), False, written) for name in names], True
    found: list[OutsidePV] = []
    return found, _gather(cls, prefix, found)


def _gather(cls: Any, prefix: str, found: list[OutsidePV]) -> bool:
    if issubclass(cls, EpicsMotor):
        found.append(OutsidePV(prefix, True, True))
        return True
    whole = True
    for name in cls.component_names if issubclass(cls, Device) else ():
        part: Component = getattr(cls, name)
        if isinstance(part, FormattedComponent):
            whole = False
        elif issubclass(part.cls, Device):
            whole &= _gather(part.cls, prefix + (part.suffix or ""), found)
        elif issubclass(part.cls, EpicsSignalBase):
            written = not issubclass(part.cls, EpicsSignalRO)
            names = [part.suffix, part.kwargs.get("write_pv")]
            found += [OutsidePV(prefix + own, False, written) for own in names if own is not None]
    return whole
