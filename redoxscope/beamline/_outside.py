"""Options of a device class that is not ours, checked against its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ophyd import Component, Device, FormattedComponent
from ophyd.signal import EpicsSignalBase, EpicsSignalRO

__all__ = ["arguments", "option_problems", "written_pvs"]

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


def written_pvs(cls: Any, prefix: str) -> Iterator[str]:
    """PVs of a device class that can be written, as far as the class itself says."""
    if not issubclass(cls, Device):
        if issubclass(cls, EpicsSignalBase) and not issubclass(cls, EpicsSignalRO):
            yield prefix
        return
    for name in cls.component_names:
        part: Component = getattr(cls, name)
        if isinstance(part, FormattedComponent) or part.suffix is None:
            continue
        if "suffix" in part.add_prefix:
            yield from written_pvs(part.cls, prefix + part.suffix)
