"""The analyses there are: of this package, of others, and what a session adds."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from threading import RLock
from typing import Any

from ..inputs import nearest
from ._analysis import Analysis

__all__ = ["GROUP", "analyses", "analysis", "options_of", "register"]

logger = logging.getLogger(__name__)

GROUP = "redoxscope.analyses"
"""Entry point group in which other packages name their `Analysis`."""

_known: dict[str, Analysis] = {}
_lock = RLock()
_looked = False


def register(new: Analysis) -> Analysis:
    """Add an analysis, for sessions and viewers that are made afterwards in this process.

    The same one again changes nothing.

    Raises
    ------
    ValueError
        It is no `Analysis`, or another one has its name.
    """
    with _lock:
        _look()
        return _add(new)


def analyses() -> tuple[Analysis, ...]:
    """All analyses: this package's, those of other packages' entry points, those registered.

    One that another package names and that cannot be loaded is left out and logged as an error:
    it must not keep a session from starting.
    """
    with _lock:
        _look()
        return tuple(_known.values())


def analysis(name: str) -> Analysis:
    """The analysis of this name.

    Raises
    ------
    ValueError
        There is none; the message lists those there are.
    """
    known = {a.name: a for a in analyses()}
    if name in known:
        return known[name]
    near = nearest(name, known)
    meant = f" (did you mean {near!r}?)" if near else ""
    raise ValueError(f"no analysis is called {name!r:.60}{meant}; there are {', '.join(known)}")


def options_of(name: str, chosen: Mapping[str, Any]) -> Any:
    """Options of the analysis of this name, from what differs from those by default.

    Raises
    ------
    ValueError
        There is no such analysis, it has no such option, or a value is wrong.
    """
    try:
        return analysis(name).options(**chosen)
    except TypeError as exc:  # an argument that it does not have
        raise ValueError(f"options of {name}: {exc}") from exc


def _add(new: Analysis) -> Analysis:
    if not isinstance(new, Analysis):
        raise ValueError(f"{new!r:.80} is no Analysis")
    there = _known.setdefault(new.name, new)
    if there is not new:
        raise ValueError(f"there is an analysis {new.name!r} already: {there.title}")
    return new


def _look() -> None:
    """Find what is installed, once."""
    global _looked
    if _looked:
        return
    _looked = True
    package = __name__.rpartition(".")[0]
    for found in pkgutil.iter_modules(import_module(package).__path__):
        module = f"{package}.{found.name}.analysis"
        if found.ispkg and find_spec(module) is not None:
            _add(import_module(module).ANALYSIS)
    for entry in entry_points(group=GROUP):
        try:
            _add(entry.load())
        except Exception as error:  # of another package: whatever may go wrong when it is loaded
            logger.error("the analysis %s (%s) cannot be used: %s", entry.name, entry.value, error)
