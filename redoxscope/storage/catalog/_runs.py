"""The catalog as users read it: a run that has just ended is in it, or the reason is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

from ._folder import CatalogError

__all__ = ["Runs"]

# What IPython and others look for on every object, which is to open nothing and wait for nothing.
_LOOKED_FOR = ("_ipython_", "_repr_", "__")


class Runs:
    """A catalog whose every use waits for the runs that are being stored.

    ``runs[-1]`` is the run that ended last, also in the line after ``RE(...)``; ``runs[uid]``,
    ``len(runs)``, ``runs.search(...)`` and all else are those of the catalog that it stands for.

    Parameters
    ----------
    settled : callable
        Gives the catalog when no run is being stored any more.
    missing : callable
        What keeps runs that have ended out of it; "" where nothing does.
    opened : callable
        Gives the catalog as it is; None where it is not open.
    """

    def __init__(
        self, settled: Callable[[], Any], missing: Callable[[], str], opened: Callable[[], Any]
    ):
        self._settled = settled
        self._missing = missing
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_LOOKED_FOR):
            raise AttributeError(name)
        return getattr(self._settled(), name)

    def __getitem__(self, key: Any) -> Any:
        catalog = self._settled()
        # Counted from the end, it would be another run than the one that is meant.
        if _from_the_end(key):
            missing = self._missing()
            if missing:
                raise CatalogError(f"catalog[{_text(key)}] would be an earlier run: {missing}")
        try:
            return catalog[key]
        except IndexError as exc:  # Tiled says no more than that
            held = f"has {n} runs" if (n := len(catalog)) else "has no runs yet"
            raise IndexError(
                f"catalog[{_text(key)}]: the catalog in {_place(catalog)} {held}"
            ) from exc

    def __len__(self) -> int:
        return len(self._settled())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._settled())

    def __contains__(self, key: Any) -> bool:
        return key in self._settled()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._opened())})  # Tab waits for nothing

    def __repr__(self) -> str:
        try:
            return repr(self._settled())
        except (CatalogError, ValueError, OSError) as exc:
            return f"<catalog that cannot be read: {exc}>"


def _place(catalog: Any) -> str:
    """Where a catalog lies: its data folder, or its address on a server."""
    return str(catalog.metadata.get("directory") or catalog.uri)


def _from_the_end(key: Any) -> bool:
    ends = (key.start, key.stop) if isinstance(key, slice) else (key,)
    return any(isinstance(end, Integral) and int(end) < 0 for end in ends)


def _text(key: Any) -> str:
    if isinstance(key, slice):
        return ":".join("" if end is None else str(end) for end in (key.start, key.stop))
    return str(key)
