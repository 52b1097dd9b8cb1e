"""What is given: checked before anything heavy is done with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import LineTable, load_lines, mixture_lines
from ..formats import FormatError, TesLog, read_off, read_tes_log
from ..photons import Photons

__all__ = ["Files", "check_span", "find_files", "lines_for", "name_of", "read_files", "read_logs"]

Progress = Callable[[str, float], None]


@dataclass
class Files:
    """What the pixels' files hold.

    Attributes
    ----------
    photons : Photons
        Of all files, without energies, in order of time.
    counts : dict
        Photons by channel.
    record_s : dict
        Length of a record by channel (s): the time a pixel is blind after a trigger; NaN where
        the file does not say.
    problems : dict
        What is wrong with a file, by its name.
    leftover_bytes : int
        Bytes of all files that belong to no whole record.
    """

    photons: Photons
    counts: dict[int, int]
    record_s: dict[int, float]
    problems: dict[str, str] = field(default_factory=dict)
    leftover_bytes: int = 0


def name_of(log: TesLog) -> str:
    """Name of a log, as a user would call it."""
    return log.path.stem.removesuffix("_log")


def find_files(folder: str | os.PathLike[str]) -> list[Path]:
    """OFF files of a folder, by channel number.

    Raises
    ------
    ValueError
        There is no such folder, or it holds none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        why = "a file, not a folder" if folder.exists() else "no such folder"
        raise ValueError(f"{folder}: {why}")
    found = sorted(folder.glob("*.off"))
    if not found:
        others = len(list(folder.glob("*.ljh")))
        hint = (
            f"; {others} LJH files, but those hold raw pulses, not pulse heights" if others else ""
        )
        raise ValueError(f"{folder}: no OFF files (*.off) in it{hint}")
    return found


def read_logs(paths: Iterable[str | os.PathLike[str]]) -> list[TesLog]:
    """Read the logs, in order of time.

    Raises
    ------
    ValueError
        None is given, one cannot be read, one is given twice, or none is of a calibration.
    """
    given = [Path(p) for p in paths]
    if not given:
        raise ValueError("no logs given; at least one of a calibration is needed")
    logs = []
    for path in given:
        if not path.is_file():
            why = "not a file" if path.exists() else "no such file"
            raise ValueError(f"log {path}: {why}")
        try:
            logs.append(read_tes_log(path))
        except FormatError as e:
            raise ValueError(f"log {e}") from e
    names = [name_of(log) for log in logs]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"log {', '.join(twice)} is given more than once")
    if not any(log.kind == "cal" for log in logs):
        raise ValueError(
            f"none of the logs {', '.join(names)} is of a calibration (dtype: cal); without one "
            "there are no energies"
        )
    return sorted(logs, key=lambda log: log.passes[0].start)


def lines_for(log: TesLog, names: Sequence[str] | None) -> LineTable:
    """Emission lines of a calibration log's sample.

    Raises
    ------
    ValueError
        A line is not known, or the sample is not and no lines are named.
    """
    if names:
        return load_lines(names)
    try:
        return mixture_lines(log.sample)
    except ValueError as e:
        raise ValueError(f"log {log.path}: {e}") from e


def read_files(paths: Sequence[Path], progress: Progress) -> Files:
    """Read the files, each as far as it is whole.

    Raises
    ------
    ValueError
        Not one of them can be read.
    """
    parts, problems, left = [], {}, 0
    counts: dict[int, int] = {}
    record_s: dict[int, float] = {}
    times: dict[int, NDArray[np.int64]] = {}
    for k, path in enumerate(paths):
        progress(f"reading {path.name}", k / len(paths))
        try:
            file = read_off(path)
        except (FormatError, OSError) as e:
            problems[path.name] = str(e).removeprefix(f"{path}: ")
            continue
        if file.problem:
            problems[path.name] = file.problem
        left += file.leftover_bytes
        photons = file.photons
        before = times.get(file.channel)
        if before is not None:  # a copy of a file must not count its photons twice
            again = np.isin(photons.time_ns, before)
            if again.any():
                told = f"{again.sum()} photons are in another file of channel {file.channel} too"
                problems[path.name] = "; ".join(filter(None, (file.problem, told)))
                photons = photons[~again]
        times[file.channel] = (
            photons.time_ns if before is None else np.append(before, photons.time_ns)
        )
        parts.append(photons)
        counts[file.channel] = counts.get(file.channel, 0) + len(photons)
        samples = int(np.median(file.records["nsamp"])) if len(file.records) else 0
        record_s[file.channel] = samples * file.frame_period if samples else float("nan")
    if not counts:
        name, why = next(iter(problems.items()))
        raise ValueError(f"none of the {len(paths)} OFF files can be read; {name}: {why}")
    photons = Photons.concatenate(parts)
    photons = photons[np.argsort(photons.time_ns, kind="stable")]
    return Files(photons, dict(sorted(counts.items())), record_s, problems, left)


def check_span(photons: Photons, logs: Sequence[TesLog]) -> None:
    """Check that there are photons during each log.

    Raises
    ------
    ValueError
        There are none during one of them; says when the photons and when the log were.
    """
    if not len(photons):
        raise ValueError("the OFF files hold no photons")
    for log in logs:
        first = min(p.start for p in log.passes)
        last = max(p.stop for p in log.passes)
        low, high = np.searchsorted(photons.time_ns, (first, last))
        if low == high:
            raise ValueError(
                f"log {log.path}: no photons between {_when(first)} and {_when(last)}; the files "
                f"hold photons from {_when(int(photons.time_ns[0]))} to "
                f"{_when(int(photons.time_ns[-1]))}"
            )


def _when(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns * 1e-9, UTC):%Y-%m-%d %H:%M:%S} UTC"
