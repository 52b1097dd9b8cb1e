"""The catalog of a process's sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Later", "shared_catalog"]


@cache
def shared_catalog(profile: str, directory: Path | None, key: Any) -> Any:
    """One for all sessions of the process: each that is opened has threads and files of its own.

    It is not closed with the session, so that runs that were read from it can still be used.
    """
    from .storage import open_catalog

    return open_catalog(profile, directory=directory)


class Later:
    """Stands for a catalog that does not answer now; asks for it whenever it is used."""

    def __init__(self, get: Callable[[], Any]):
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._get()[key]

    def __len__(self) -> int:
        return len(self._get())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get())

    def __contains__(self, key: Any) -> bool:
        return key in self._get()
