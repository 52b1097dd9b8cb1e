"""The process behind `HostProcess`: ``python -m redoxscope.callbacks.remote``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from ...documents import from_json
from ...photons import LiveBatch
from .. import wire
from .._analysis import Update
from .._host import Host
from .._registry import analysis, options_of
from .._update import update_to_wire

MOST = 512
"""Most pixels a side of a snapshot while its run goes on."""


class Answers:
    """Messages to the process that scans, from whatever thread."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, str, str], Any] = {}  # the newest snapshot of each part

    def __call__(self, header: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> None:
        message = wire.encode(header, arrays or {})
        with self._lock:
            self._pipe.write(message)
            self._pipe.flush()

    def update(self, update: Update) -> None:
        """Send a snapshot, the last one of a run as it is."""
        self._sent[update.run, update.analysis, update.part] = update.snapshot
        self(*update_to_wire(update, None if update.final else MOST))

    def rest(self, host: Host) -> None:
        """Send the snapshots that were not due yet."""
        there = {
            (run.uid, run.analysis.name, part): (run, snapshot)
            for run in host.runs
            for part, snapshot in run.snapshots.items()
        }
        sent = self._sent = {key: old for key, old in self._sent.items() if key in there}
        for (uid, name, part), (run, snapshot) in there.items():
            if sent.get((uid, name, part)) is not snapshot:
                ended = run.ended is not None
                self.update(Update(uid, name, part, run.part_names, snapshot, ended))


def take(
    host: Host, answers: Answers, header: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Take a message of the process that scans."""
    if "document" in header:
        host(header["document"], from_json(arrays["json"].tobytes()))
    elif "photons" in header:
        host.send("photons", wire.unpack(LiveBatch, header["photons"], arrays))
    else:
        host.wait()
        answers.rest(host)
        answers({"done": header["wait"]})


def main() -> None:
    """Read documents on standard input, write snapshots to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analysis", action="append")
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--options", default="{}")
    options = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a map may wait, the scan may not
    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)  # what an analysis prints is no message
        answers = Answers(pipe)
        names = options.analysis
        host = Host(
            None if names is None else [analysis(name) for name in names],
            on_update=answers.update,
            rate=options.rate,
            options={n: options_of(n, chosen) for n, chosen in json.loads(options.options).items()},
        )
        host.tell = lambda text: answers({"tell": text})
        while (message := wire.read(sys.stdin.buffer)) is not None:
            take(host, answers, *message)
        host.close()


if __name__ == "__main__":
    main()
