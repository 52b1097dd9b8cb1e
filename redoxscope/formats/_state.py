"""The small files beside the pulses: state labels, external triggers, dropped data."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._errors import FormatError, IncompleteHeader
from ._lazy import LazyWriter

__all__ = [
    "DataDrops",
    "ExperimentStates",
    "ExternalTriggers",
    "ExternalTriggerWriter",
    "StateWriter",
    "read_data_drops",
    "read_experiment_state",
    "read_external_triggers",
]

_STATE_HEAD = b"# unix time in nanoseconds, state label\n"
_STATE = re.compile(rb"\s*(\d{1,19})\s*,\s*(.*?)\s*")
_DROP = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*")
_DIVISIONS = re.compile(rb"subframeDivisions\s*=\s*(\d+)", re.IGNORECASE)
_MAX_LINE = 4096


@dataclass(frozen=True)
class ExperimentStates:
    """Labels of a run and when each of them began.

    Attributes
    ----------
    path : Path
        The file.
    labels : tuple of str [n]
        In the order of the file; START and STOP are the server's own.
    times : numpy.ndarray of int64 [n]
        When the server was told, ns since 1970.
    problem : str or None
        What is wrong with the file, in words.
    """

    path: Path
    labels: tuple[str, ...]
    times: NDArray[np.int64]
    problem: str | None

    def spans(self, label: str) -> list[tuple[int, int | None]]:
        """From when to when a label was set, ns since 1970; None where it still was at the end."""
        ends = [*(int(time) for time in self.times[1:]), None]
        return [
            (int(start), end)
            for name, start, end in zip(self.labels, self.times, ends, strict=False)
            if name == label
        ]


def read_experiment_state(path: str | os.PathLike[str]) -> ExperimentStates:
    """Read ``*_experiment_state.txt``.

    A last line without its end is left out: its label may be cut short.

    Raises
    ------
    FormatError
        A whole line that is neither a comment nor a time and a label; names file and line.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    rows, problem = _lines(path, _STATE, "a time in ns and a label")
    return ExperimentStates(
        path,
        tuple(label.decode("utf-8", "replace") for _, label in rows),
        np.array([int(time) for time, _ in rows], np.int64),
        problem,
    )


def _lines(path: Path, pattern: re.Pattern[bytes], what: str) -> tuple[list, str | None]:
    """Groups of each whole line that is no comment, and what is wrong at the end."""
    data = path.read_bytes()
    whole, cut, rest = data.rpartition(b"\n")
    rows = []
    for number, line in enumerate((whole + cut).splitlines(), start=1):
        if line.startswith(b"#") or not line.strip():
            continue
        found = pattern.fullmatch(line)
        if not found:
            raise FormatError(f"{path}, line {number}: {line[:60]!r} is not {what}")
        rows.append(found.groups())
    return rows, f"last line is cut off: {rest[:60]!r}" if rest else None


class StateWriter(LazyWriter):
    """Write ``*_experiment_state.txt``; each label is with the operating system at once.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced when the first label comes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "experiment state file")

    def label(self, label: str, time_ns: int) -> None:
        """Append a label.

        Parameters
        ----------
        label : str
            One line.
        time_ns : int
            When it was set, ns since 1970.

        Raises
        ------
        FormatError
            The label holds an end of line.
        OSError
            The file cannot be written; names it.
        """
        if len(label.splitlines()) > 1 or label.endswith(("\n", "\r")):
            raise FormatError(f"{self.path}: state label {label!r} is more than one line")
        line = f"{int(time_ns)}, {label}\n".encode()
        self._out.write(line if self._out.made else _STATE_HEAD + line)
        self._out.flush()
        self.count += 1


@dataclass(frozen=True)
class ExternalTriggers:
    """External triggers of a run.

    Attributes
    ----------
    path : Path
        The file.
    divisions : int
        Subframes per frame.
    counts : numpy.ndarray of int64 [n]
        When each came, in subframes: ``frame * divisions + offset``.
    leftover_bytes : int
        After the last whole count.
    problem : str or None
        What is wrong with the file, in words.
    """

    path: Path
    divisions: int
    counts: NDArray[np.int64]
    leftover_bytes: int
    problem: str | None


def read_external_triggers(path: str | os.PathLike[str]) -> ExternalTriggers:
    """Read ``*_external_trigger.bin``.

    Raises
    ------
    FormatError
        The first line is not that of such a file (``IncompleteHeader``: the file ends within
        it); names the file.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.readline(_MAX_LINE)
        if not head.endswith(b"\n") and (not head or (head[:1] == b"#" and len(head) < _MAX_LINE)):
            raise IncompleteHeader(f"{path}: external trigger file ends within its first line")
        found = _DIVISIONS.search(head)
        if not head.startswith(b"#") or not found or int(found[1]) < 1:
            raise FormatError(f"{path}: no external trigger file: it starts with {head[:40]!r}")
        data = file.read()
    n, leftover = divmod(len(data), 8)
    counts = np.frombuffer(data, "<i8", n)
    problems = []
    if leftover:
        problems.append(f"{leftover} bytes after the last whole count (cut off or still growing)")
    back = int((np.diff(counts) < 0).sum())
    if back:
        problems.append(f"{back} of {n} counts are below the one before")
    return ExternalTriggers(path, int(found[1]), counts, leftover, "; ".join(problems) or None)


class ExternalTriggerWriter(LazyWriter):
    """Write ``*_external_trigger.bin``; it is made when the first trigger comes.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    divisions : int
        Subframes per frame: rows of a time-division readout, 64 of a resonator source.
    """

    def __init__(self, path: str | os.PathLike[str], divisions: int) -> None:
        super().__init__(path, "external trigger file")
        self._head = (
            "# external trigger rowcounts as int64 binary data follows, subframeCounts = "
            f"frameCounts*subframeDivisions+subframeOffset (subframeDivisions={divisions:4d})\n"
        ).encode()

    def append(self, counts: ArrayLike) -> None:
        """Append triggers.

        Parameters
        ----------
        counts : array_like of int [n]
            In subframes.

        Raises
        ------
        OSError
            The file cannot be written; names it.
        """
        values = np.asarray(counts, "<i8").ravel()
        if len(values):
            self._out.write((b"" if self._out.made else self._head) + values.tobytes())
            self.count += len(values)


@dataclass(frozen=True)
class DataDrops:
    """Stretches of data that the server lost before it could look for pulses in them.

    Attributes
    ----------
    path : Path
        The file.
    first : numpy.ndarray of int64 [n]
        First frame after each.
    frames : numpy.ndarray of int64 [n]
        Frames lost.
    problem : str or None
        What is wrong with the file, in words.
    """

    path: Path
    first: NDArray[np.int64]
    frames: NDArray[np.int64]
    problem: str | None


def read_data_drops(path: str | os.PathLike[str]) -> DataDrops:
    """Read ``*_data_drop.txt``.

    Raises
    ------
    FormatError
        A whole line that is neither a comment nor two numbers; names file and line.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    rows, problem = _lines(path, _DROP, "two whole numbers")
    table = np.array(rows, dtype="S18").astype(np.int64).reshape(-1, 2)
    return DataDrops(path, table[:, 0], table[:, 1], problem)
