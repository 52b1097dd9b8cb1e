"""What goes on from session to session, and is shared by those of one data directory."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Metadata", "ScanNumbers"]

log = logging.getLogger("redoxscope.session")

OF_THE_SESSION = ("scan_id", "versions", "beamline_id", "simulated")
"""Keys that each session writes itself."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from the file; the lock ends with the process that has it."""
    with open(path.with_name(f".{path.name}.lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:  # one of writing (a full disk) does not name its file
        part.unlink(missing_ok=True)
        raise OSError(exc.errno, exc.strerror, str(path)) from exc


class ScanNumbers:
    """Source of scan numbers, kept in a file; no two processes get the same.

    As with bluesky's own, a number that the user writes into ``RE.md["scan_id"]`` is taken as the
    last one.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path):
        self._path = path
        self._given: int | None = None

    def __call__(self, md: Mapping[str, Any]) -> int:
        with _locked(self._path):
            last = self._last()
            wanted = md.get("scan_id")
            if wanted is not None and wanted != self._given:
                last = int(wanted)
            _write(self._path, str(last + 1))
        self._given = last + 1
        return last + 1

    def _last(self) -> int:
        try:
            return int(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        except ValueError as exc:
            log.warning("%s is damaged (%s): scan numbers start again at 1", self._path, exc)
            return 0


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no text, number, list or mapping")


class Metadata(MutableMapping[str, Any]):
    """``RE.md``: what the user writes into it is there in the next session too.

    Each key is written to the file when it is set (one that is changed in place, with the next
    run), so sessions that are open at the same time keep each other's keys; a session that is
    open does not see what another one changes.

    Parameters
    ----------
    path : pathlib.Path
        JSON.

    Raises
    ------
    ValueError
        On setting a key: it is no text, or its value cannot be kept.
    """

    def __init__(self, path: Path):
        self._path = path
        self._kept = _read(path)
        self._own: dict[str, Any] = {}
        self._saved = {key: self._text(key, value) for key, value in self._kept.items()}

    def _part(self, key: str) -> dict[str, Any]:
        return self._own if key in OF_THE_SESSION else self._kept

    def __getitem__(self, key: str) -> Any:
        return self._part(key)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"RE.md[{key!r}]: a key must be a text")
        if key not in OF_THE_SESSION:
            self._text(key, value)  # raises before it is there
        self._part(key)[key] = value
        self.save()

    def __delitem__(self, key: str) -> None:
        del self._part(key)[key]
        self.save()

    def __iter__(self) -> Iterator[str]:
        yield from self._kept
        yield from self._own

    def __len__(self) -> int:
        return len(self._kept) + len(self._own)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        from copy import deepcopy

        return deepcopy(dict(self), memo)

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def save(self) -> None:
        """Write what has changed since it was last written."""
        now = {key: self._text(key, value) for key, value in self._kept.items()}
        if now == self._saved:
            return
        with _locked(self._path):
            there = _read(self._path)
            for key in self._saved.keys() - now.keys():
                there.pop(key, None)
            for key, text in now.items():
                if text != self._saved.get(key):
                    there[key] = json.loads(text)
            _write(self._path, json.dumps(there, indent=2) + "\n")
        self._saved = now

    def _text(self, key: str, value: Any) -> str:
        try:
            return json.dumps(value, default=_plain)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"RE.md[{key!r}] cannot be kept: {exc}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no mapping")
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        log.warning("%s is damaged (%s): set aside as %s", path, exc, aside.name)
        return {}
    return {k: v for k, v in content.items() if k not in OF_THE_SESSION}
