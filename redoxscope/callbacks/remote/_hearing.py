"""What is made of the messages of a proxy: documents, photons, and what a user should know."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ...documents import CONTRACT_VERSION, from_json
from ...photons import LiveBatch
from ..wire import WireError, decode, unpack
from ._form import BEAT, HELLO, LIVE, PHOTONS, documents_of, problem

__all__ = ["Hearing"]

logger = logging.getLogger(__name__)

SILENT = 5 * BEAT
"""Time (s) without a hello after which a session is called silent."""
MOST_ORPHANS = 2000
"""Events kept for a descriptor that is still to come."""
REMEMBERED = 100
"""Runs that have ended whose documents are known when they come again."""
MOST_PIXEL = (1 << 16) - 1
"""Highest channel number: a table of all pixels is as long as it says."""
MOST_SAID = 20
"""Different reasons for which messages were dropped, that are told."""


class _Run:
    def __init__(self) -> None:
        self.received = 0
        self.before: int | None = None  # documents that came before this was listening
        self.lost = 0
        self.descriptors: set[str] = set()
        self.ended = False
        self.refused = False


class _Session:
    def __init__(self, name: str, now: float) -> None:
        self.name, self.heard, self.silent, self.dropped = name, now, False, 0


class Hearing:
    """Takes messages one by one, whatever is in them. No sockets, no threads, no clock.

    Start documents, descriptors and stop documents are handed on once, whether they came by
    themselves or with a hello; events once their descriptor is known.

    Parameters
    ----------
    take : callable
        ``take(name, doc)`` gets the documents.
    photons : callable
        ``photons(run, batch)`` gets those of the point under way.
    say : callable
        ``say(text)`` gets what a user should know.
    """

    def __init__(
        self,
        take: Callable[[str, dict[str, Any]], object],
        photons: Callable[[str, LiveBatch], object],
        say: Callable[[str], object],
    ) -> None:
        self._take, self._photons, self.say = take, photons, say
        self._runs: dict[str, _Run] = {}
        self._run_of: dict[str, str] = {}
        self._orphans: deque[tuple[str, dict[str, Any], float]] = deque(maxlen=MOST_ORPHANS)
        self._sessions: dict[str, _Session] = {}
        self._reasons: dict[str, int] = {}
        self._orphans_told = False

    @property
    def dropped(self) -> int:
        """Messages that could not be read."""
        return sum(self._reasons.values())

    def message(self, message: bytes, now: float) -> None:
        """Take a message that came at ``now`` (s, of any clock that does not go back)."""
        try:
            prefix, name, body = message.split(b" ", 2)
        except ValueError:
            self._drop("it is no document")
            return
        try:
            if prefix == LIVE:
                self._live(name, body, now)
            else:
                self._document(name.decode("utf-8", "replace"), body, now)
        except ValueError as exc:  # JSON, wire form, what documents must hold
            self._drop(str(exc))

    def tick(self, now: float) -> None:
        """Look at the time (s): which sessions are silent, which events belong nowhere."""
        for session in self._sessions.values():
            if not session.silent and now - session.heard > SILENT:
                session.silent = True
                self.say(
                    f"{session.name}: nothing heard for {SILENT:.0f} s. It has ended, or does not "
                    "reach this place; what is shown is old"
                )
        if self._orphans and not self._orphans_told and now - self._orphans[0][2] > SILENT:
            self._orphans_told = True
            self.say(
                "events come of a run whose start was not heard: nothing can be shown of it. "
                "The next run can"
            )

    # -- documents -----------------------------------------------------------------------------

    def _document(self, name: str, body: bytes, now: float) -> None:
        if body[:1] == b"\x80":
            raise ValueError(
                "it is a pickle, which is never opened: it must be published as JSON, "
                "Publisher(…, serializer=json_bytes)"
            )
        doc = from_json(body)
        wrong = problem(name, doc)
        if wrong:
            raise ValueError(wrong)
        if name == "start":
            run = self._start(doc)
            run.before = run.before or 0
            return
        owner = doc.get("run_start")
        for key in ("descriptor", "resource", "stream_resource"):
            owner = owner or self._run_of.get(str(doc.get(key)))
        known = self._runs.get(str(owner))
        if known is not None:
            self._of_run(known, name, doc)
        elif name in ("descriptor", "event", "event_page", "stop"):
            self._orphans.append((name, doc, now))

    def _start(self, start: dict[str, Any]) -> _Run:
        run = self._runs.get(start["uid"])
        if run is not None:
            return run
        run = self._runs[start["uid"]] = _Run()
        version = start.get("contract_version")
        run.received = 1
        run.refused = isinstance(version, int) and version > CONTRACT_VERSION
        if run.refused:
            self.say(
                f"{_title(start)} is of version {version} of the documents; this redoxscope reads "
                f"up to {CONTRACT_VERSION}: nothing of it is shown"
            )
        self._hand_on(run, "start", start)
        self._forget()
        return run

    def _of_run(self, run: _Run, name: str, doc: dict[str, Any]) -> None:
        """Count and hand on a document; descriptor and stop document only once."""
        if (name == "descriptor" and doc["uid"] in run.descriptors) or (
            name == "stop" and run.ended
        ):
            return
        run.received += 1
        if name == "descriptor":
            run.descriptors.add(doc["uid"])
        run.ended = run.ended or name == "stop"
        if name in ("descriptor", "resource", "stream_resource"):
            self._run_of[doc["uid"]] = str(doc.get("run_start"))
        self._hand_on(run, name, doc)

    def _hand_on(self, run: _Run, name: str, doc: dict[str, Any]) -> None:
        if run.refused:
            return
        try:
            self._take(name, doc)
        except Exception as exc:  # whatever somebody sends, the next message is read
            logger.debug("taking a %s document", name, exc_info=exc)
            self._drop(f"a {name} document cannot be taken: {exc}")

    def _adopt(self) -> None:
        """Hand on what came before its run was known."""
        waiting, self._orphans = self._orphans, deque(maxlen=MOST_ORPHANS)
        for name, doc, when in waiting:
            uid = doc.get("run_start") or self._run_of.get(doc.get("descriptor", ""), "")
            run = self._runs.get(uid)
            if run is None:
                self._orphans.append((name, doc, when))
                continue
            self._of_run(run, name, doc)

    def _forget(self) -> None:
        ended = [uid for uid, run in self._runs.items() if run.ended]
        for uid in ended[:-REMEMBERED]:
            del self._runs[uid]
            self._run_of = {key: of for key, of in self._run_of.items() if of != uid}

    # -- what is no document -------------------------------------------------------------------

    def _live(self, name: bytes, body: bytes, now: float) -> None:
        header, arrays = decode(body)
        if name == HELLO:
            self._hello(header, arrays, now)
        elif name == PHOTONS:
            run, packed = header.get("run"), header.get("photons")
            if not isinstance(run, str) or not isinstance(packed, dict):
                raise WireError("photons of no run")
            batch = unpack(LiveBatch, packed, arrays)
            shapes = {batch.pixel.shape, batch.energy.shape, batch.local_time.shape}
            if len(shapes) != 1 or batch.pixel.ndim != 1:
                raise WireError(f"photons in columns of different shapes: {sorted(shapes)}")
            if batch.pixel.size and not 0 <= batch.pixel.min() <= batch.pixel.max() <= MOST_PIXEL:
                raise WireError(f"photons of pixels that are not numbers up to {MOST_PIXEL}")
            known = self._runs.get(run)
            if known is not None and not known.refused:
                self._photons(run, batch)
        # Another name is of a later release: nothing that this one needs.

    def _hello(self, header: Mapping[str, Any], arrays: Mapping[str, Any], now: float) -> None:
        uid, name, runs, dropped = (header.get(key) for key in ("session", "name", "runs", "lost"))
        if not (isinstance(uid, str) and isinstance(name, str) and isinstance(runs, list)):
            raise WireError("a hello that does not say of whom and of what runs")
        self._greet(uid, f"session {name}" if name else "a session", now)
        for i, told in enumerate(runs):
            sent = told.get("sent") if isinstance(told, dict) else None
            if type(sent) is not int or str(i) not in arrays:
                raise WireError("a hello whose runs are not what they must be")
            documents = documents_of(arrays[str(i)])
            if not documents or documents[0][0] != "start":
                raise WireError("a hello of a run without a start document")
            self._catch_up(documents, sent)
        session = self._sessions[uid]
        if type(dropped) is int and dropped > session.dropped:
            self.say(
                f"{session.name} could not publish {dropped - session.dropped} documents: what is "
                "shown lacks them; its catalog has them"
            )
            session.dropped = dropped
        if header.get("ending") is True:
            session.silent = True
            self.say(f"{session.name} has ended")

    def _greet(self, uid: str, name: str, now: float) -> None:
        session = self._sessions.get(uid)
        if session is None:
            # Of a session that has ended nothing more comes; the new one takes its place.
            gone = [k for k, s in self._sessions.items() if s.name == name and s.silent]
            for key in gone:
                del self._sessions[key]
            self._sessions[uid] = _Session(name, now)
            self.say(f"{name} is {'back, started anew' if gone else 'there'}")
            return
        if session.silent:
            session.silent = False
            self.say(f"{session.name} is heard again")
        session.heard = now

    def _catch_up(self, documents: list[tuple[str, dict[str, Any]]], sent: int) -> None:
        """Take what a run began with, as far as it is not known, and count what is not here."""
        start = documents[0][1]
        if start["uid"] not in self._runs and documents[-1][0] == "stop":
            return  # it is over, and nothing came of it
        run = self._start(start)
        for name, doc in documents[1:]:
            if name == "descriptor":
                self._of_run(run, name, doc)
        self._adopt()
        stop = documents[-1][1] if documents[-1][0] == "stop" and not run.ended else None
        missing = sent - run.received - (stop is not None)
        if run.before is None:
            run.before = max(missing, 0)
            if run.before and not run.refused:
                self.say(
                    f"{_title(start)} was under way when this began: {run.before} of its {sent} "
                    "documents are not here, and what is shown lacks them; its catalog has them"
                )
        elif missing > run.before + run.lost:
            new = missing - run.before - run.lost
            run.lost += new
            self.say(
                f"{_title(start)}: {new} documents were lost on the way, and what is shown lacks "
                "them; its catalog has them"
            )
        if stop is not None:
            self._of_run(run, "stop", stop)

    def _drop(self, reason: str) -> None:
        reason = reason[:200]
        known = reason in self._reasons
        if not known and len(self._reasons) >= MOST_SAID:
            reason = "other reasons"
            known = reason in self._reasons
        self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if not known:
            self.say(f"a message is dropped: {reason}")


def _title(start: Mapping[str, Any]) -> str:
    edge = start.get("edge")
    what = f"{start.get('plan_name', 'run')}{f' {edge}' if edge else ''}"
    return f"run {start['uid'][:8]} ({what})"
