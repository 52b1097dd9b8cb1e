"""An NXstxm file of each scan, written while it is measured, off the RunEngine's thread."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redoxscope.documents import RESUMES
from redoxscope.formats import writable_folder

from ..log import logged_run
from ._recorder import NxstxmRecorder, is_for_nxstxm

__all__ = ["PART", "NxstxmFiles", "file_name"]

log = logging.getLogger("redoxscope.storage")
Doc = Mapping[str, Any]

PART = ".part"
"""What the name of a file ends in whose run is not over."""
CLOSE_PATIENCE = 60.0
"""Longest time (s) that closing waits for what is still to be written."""


def file_name(start: Doc) -> str:
    """What the file of a run is called: scan number and beginning of the uid."""
    number = start.get("scan_id")
    prefix = f"{number:05d}_" if isinstance(number, int) else ""
    return f"{prefix}{str(start['uid'])[:8]}.nxs"


class NxstxmFiles:
    """Write each scan that NXstxm has into a file of its own, line by line.

    Subscribe it to a RunEngine. The file is called ``NAME.nxs.part`` until its run is over, and
    can be read from its first line on: what is not measured is NaN. What goes wrong is logged, and
    ends no plan; the run is in the document log and the catalog, from where it can be exported.

    Parameters
    ----------
    folder : str or Path
        Where the files go; made if missing.
    logs : str or Path, optional
        Folder of the document log: the file of a run that continues another one begins with the
        lines of that. Without it, the file has its own lines only.

    Raises
    ------
    OSError
        The folder cannot be written.

    Attributes
    ----------
    problems : dict of str to str
        Uids of runs whose file is not whole, and why.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, logs: str | os.PathLike[str] | None = None
    ) -> None:
        self.folder, self.logs = Path(folder), logs
        writable_folder(self.folder, "the NXstxm files")
        self.problems: dict[str, str] = {}
        self._runs: dict[str, NxstxmRecorder] = {}
        self._streams: dict[str, str] = {}
        self._due: queue.Queue[tuple[str, Doc] | None] = queue.Queue()
        self._state = threading.Condition()
        self._left = 0
        self._closed = False
        # A daemon: a disk that hangs keeps no process from its end; the log has it all.
        self._worker = threading.Thread(target=self._work, daemon=True, name="nxstxm")
        self._worker.start()

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document; it is written by a thread. After `close` it is told that none is."""
        with self._state:
            if not self._closed:
                self._left += 1
                self._due.put((name, doc))
                return
        if name in ("start", "stop"):
            uid = str(doc.get("uid" if name == "start" else "run_start", ""))
            self.problems[uid] = "the files were closed before its end"
            log.warning("run %s has no whole NXstxm file: %s", uid[:8], self.problems[uid])

    @property
    def pending(self) -> str:
        """What is still to be written, in words; "" where nothing is."""
        return f"{self._left} documents into NXstxm files" if self._left else ""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that came is written; False where the time (s) did not suffice."""
        with self._state:
            return self._state.wait_for(lambda: not self._left, timeout)

    def close(self, timeout: float = CLOSE_PATIENCE) -> None:
        """Write what has come, and close the files as they are."""
        with self._state:
            if not self._closed:
                self._closed = True
                self._due.put(None)
        self._worker.join(timeout)
        if self._worker.is_alive():
            log.warning("not written after %g s: %s", timeout, self.pending)

    def _work(self) -> None:
        while (item := self._due.get()) is not None:
            name, doc = item
            uid = ""
            try:
                uid = self._run_of(name, doc)
                if name == "start":
                    if is_for_nxstxm(doc):
                        part = self.folder / f"{file_name(doc)}{PART}"
                        self._runs[uid] = NxstxmRecorder(part, doc)
                        self._begin(uid, doc)
                elif uid in self._runs:
                    self._take(uid, name, doc)
            # Whatever it is (disk full, a scan that NXstxm has not): the run itself goes on.
            except Exception as exc:
                self.problems[uid] = f"{type(exc).__name__}: {exc}"
                log.warning(
                    "the NXstxm file of run %s ends here: %s. The run is not touched by that; "
                    "redoxscope export writes its file again.",
                    uid[:8], exc,
                )  # fmt: skip
                if (recorder := self._runs.pop(uid, None)) is not None:
                    recorder.close()
            finally:
                if name == "stop":
                    self._streams = {k: run for k, run in self._streams.items() if run != uid}
                with self._state:
                    self._left -= 1
                    self._state.notify_all()
        for recorder in self._runs.values():
            recorder.close()

    def _begin(self, uid: str, start: Doc) -> None:
        """Write the lines of the runs that a run continues."""
        recorder, link = self._runs[uid], start.get(RESUMES)
        earlier: list[str] = []
        try:
            while link is not None:
                if self.logs is None:
                    raise ValueError("no folder of logs is known")
                earlier.insert(0, str(link["uid"]))
                link = next(logged_run(self.logs, earlier[0]))[1].get(RESUMES)
            for one in earlier:
                for name, doc in logged_run(self.logs or "", one):
                    if name != "stop":
                        recorder(name, doc)
        # Whatever it is, its own lines are written: what hinders those is told by them.
        except Exception as exc:
            self.problems[uid] = f"not all lines of the runs before it are in its file: {exc}"
            log.warning("the NXstxm file of run %s: %s", uid[:8], self.problems[uid])

    def _take(self, uid: str, name: str, doc: Doc) -> None:
        recorder = self._runs[uid]
        recorder(name, doc)
        if name == "stop":
            del self._runs[uid]
            if recorder.made:
                whole = recorder.path.with_suffix("")
                if whole.exists():
                    raise FileExistsError(f"{whole} is there already")
                recorder.path.rename(whole)

    def _run_of(self, name: str, doc: Doc) -> str:
        if name == "start":
            return str(doc["uid"])
        if name == "descriptor":
            self._streams[str(doc["uid"])] = str(doc["run_start"])
        if name in ("event", "event_page"):
            return self._streams.get(str(doc["descriptor"]), "")
        return str(doc.get("run_start", ""))
