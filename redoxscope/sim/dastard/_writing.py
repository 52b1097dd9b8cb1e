"""Whether the simulated server writes, and where to."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...formats import FormatError
from ._faults import ServerFaults
from ._files import RunFiles
from ._rpc import GoError
from ._source import Source

__all__ = ["Writing", "go_os_error"]

log = logging.getLogger("redoxscope.sim.dastard")

FLUSH_NS = 3_000_000_000
_FORMATS = ("WriteLJH22", "WriteOFF", "WriteLJH3")

MakeFiles = Callable[[str, Source, Mapping[str, bool]], RunFiles]


def go_os_error(error: OSError) -> str:
    """What Go says of an error of the operating system."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


class Writing:
    """Writing state and the files of a run.

    Parameters
    ----------
    base_path : str
        Where runs are written when a call names no path.
    faults : ServerFaults
    make_files : callable
        Files of a run from the pattern of their names, the source and the formats.
    """

    def __init__(self, base_path: str, faults: ServerFaults, make_files: MakeFiles):
        self.active = self.paused = False
        self.base_path = base_path
        self._label, self._label_ns = "", 0
        self._faults, self._make_files = faults, make_files
        self._pattern = ""
        self._formats: dict[str, bool] = {}
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._files: RunFiles | None = None
        self._flushed_ns = 0
        self._complained = False

    @property
    def numbers(self) -> list[int]:
        """Records written, per channel index."""
        return [int(count) for count in self._counts]

    def state(self) -> dict[str, Any]:
        """The content of the WRITING message."""
        return {
            "Active": self.active,
            "Paused": self.paused,
            "BasePath": self.base_path,
            "FilenamePattern": self._pattern,
            **{key: self._formats.get(key, False) for key in (*_FORMATS, "FlushAlsoSyncs")},
            "ExperimentStateFilename": self._file("experiment_state", "txt"),
            "ExperimentStateLabel": self._label,
            "ExperimentStateLabelUnixNano": self._label_ns,
            "ExternalTriggerFilename": self._file("external_trigger", "bin"),
            "DataDropFilename": self._file("data_drop", "txt"),
        }

    def _file(self, kind: str, suffix: str) -> str:
        return self._pattern % (kind, suffix) if self._pattern else ""

    def _check_disk(self, name: str) -> None:
        if self._faults.disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    def start(self, config: Mapping[str, Any], source: Source, now_ns: int) -> None:
        """Begin a run in a new folder.

        Raises
        ------
        GoError
            Nothing to write, already writing, no projectors, or no folder.
        OSError
            The state file cannot be written.
        """
        formats = {key: config[key] for key in (*_FORMATS, "FlushAlsoSyncs")}
        if not any(formats[key] for key in _FORMATS):
            raise GoError("WriteLJH22 and WriteOFF and WriteLJH3 all false")
        if self.active:
            off, ljh, ljh3 = (str(self._formats[k]).lower() for k in ("WriteOFF", *_FORMATS[::2]))
            raise GoError(
                "writing already in progress, stop writing before starting again. Currently: "
                f"LJH22 {ljh}, OFF {off}, LJH3 {ljh3}"
            )
        if formats["WriteLJH3"]:
            raise GoError("LJH3 is not simulated")
        if formats["WriteOFF"] and not source.projectors:
            raise GoError("no projectors are loaded, OFF files require projectors")
        base = config["Path"] or self.base_path
        try:
            self._check_disk(base)
            pattern = _make_folder(base)
        except OSError as exc:
            raise GoError(
                f"could not make directory: mkdir {exc.filename}: {go_os_error(exc)}"
            ) from exc
        self._pattern, self._formats, self.base_path = pattern, formats, base
        self._counts = np.zeros(source.nchan, np.int64)
        self._files = self._make_files(pattern, source, formats)
        self._flushed_ns, self._complained = now_ns, False
        self.active, self.paused = True, False
        try:
            self.set_label(now_ns, "START")
        except OSError:
            self._forget()
            raise

    def stop(self, now_ns: int) -> None:
        """End the run, if any.

        Raises
        ------
        OSError
            What was left could not be written; the files are closed nevertheless.
        """
        files = self._files
        self._forget()
        if files is not None:
            try:
                self._check_disk(files.name("experiment_state", "txt"))
                files.label("STOP", now_ns)
            finally:
                files.close()

    def _forget(self) -> None:
        self._files = None
        self.active = self.paused = False
        self._pattern, self._formats = "", {}
        self._label, self._label_ns = "", 0

    def set_label(self, when_ns: int, label: str) -> None:
        """Note what the experiment is at from a time (server ns) on.

        Raises
        ------
        GoError
            Nothing is being written, or the label has more than one line.
        OSError
            The file cannot be written.
        """
        if self._files is None:
            raise GoError("cannot set experiment state label when writing is not active")
        self._check_disk(self._file("experiment_state", "txt"))
        try:
            self._files.label(label, when_ns)
        except FormatError as exc:
            raise GoError(str(exc)) from exc
        self._label, self._label_ns = label, when_ns

    def write_comment(self, comment: str) -> None:
        """Replace the run's comment, if one is being written; raises OSError."""
        if self.active:
            name = str(Path(self._pattern).parent / "comment.txt")
            self._check_disk(name)
            Path(name).write_text(comment.rstrip("\n") + "\n")

    def read_comment(self) -> str:
        """The run's comment.

        Raises
        ------
        GoError
            Nothing is being written.
        OSError
            There is none.
        """
        if not self.active:
            raise GoError("cannot read comment when not actively writing")
        return (Path(self._pattern).parent / "comment.txt").read_text()

    def add(self, photons: NDArray[np.void]) -> None:
        """Write the photons of one stretch, where a run is active and not paused."""
        if self._files is None or self.paused:
            return
        written = photons[self._files.writes(photons["chan_index"])]
        if self._try(lambda files: files.add(written)):
            self._counts += np.bincount(written["chan_index"], minlength=len(self._counts))

    def trigger(self, frames: list[int]) -> None:
        """Write external triggers (frames), where a run is active."""
        self._try(lambda files: files.trigger(frames))

    def data_drop(self, first_frame: int, frames: int) -> None:
        """Write a loss of data, where a run is active."""
        self._try(lambda files: files.data_drop(first_frame, frames))

    def flush(self, now_ns: int) -> None:
        """Hand everything to the operating system, every 3 s of server time."""
        if now_ns - self._flushed_ns >= FLUSH_NS:
            self._flushed_ns = now_ns
            self._try(lambda files: files.flush())

    def _try(self, write: Callable[[RunFiles], None]) -> bool:
        """Write; an error is told once, and the server goes on without the file."""
        if self._files is None:
            return False
        try:
            self._check_disk(self._pattern)
            write(self._files)
        except OSError as exc:
            if not self._complained:
                log.error("write %s: %s", exc.filename, go_os_error(exc))
            self._complained = True
            return False
        return True


def _make_folder(base: str) -> str:
    """A new folder of the day; the pattern for the names of its files."""
    if not base:
        raise GoError("could not make directory: BasePath is the empty string")
    if ".." in Path(base).parts or not base.isprintable():
        raise GoError(f"could not make directory: {base!a} leads elsewhere than it says")
    day = time.strftime("%Y%m%d")
    for number in range(10_000):
        folder = Path(base) / day / f"{number:04d}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return f"{str(folder).replace('%', '%%')}/{day}_run{number:04d}_%s.%s"
    raise GoError(f"out of 4-digit ID numbers for today in {Path(base) / day}")
