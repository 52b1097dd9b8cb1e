"""Documents from one process to others over a real 0MQ proxy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import zmq
from bluesky.callbacks.zmq import Publisher, RemoteDispatcher

from redoxscope.callbacks import Host
from redoxscope.callbacks.remote import DocumentPublisher, Listener
from redoxscope.documents import from_json, json_bytes
from redoxscope.inputs import proxy_address
from redoxscope.photons import LiveBatch

from .conftest import make
from .rixs_runs import RixsRun
from .test_hearing import plain

STACK, _ = make()
DOCUMENTS = list(STACK.documents())
LONG = 120.0
"""Longest time (s) for what takes a moment."""


def free_ports(n: int) -> list[int]:
    with zmq.Context() as context:
        sockets = [context.socket(zmq.REP) for _ in range(n)]
        ports = [s.bind_to_random_port("tcp://127.0.0.1") for s in sockets]
        for s in sockets:
            s.close(linger=0)
    return ports


class Proxy:
    """The proxy that a user starts: ``bluesky-0MQ-proxy``."""

    def __init__(self) -> None:
        self.into, self.out = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.start()

    def start(self) -> None:
        code = "from bluesky.commandline.zmq_proxy import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--in-address", self.into, "--out-address", self.out],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr("redoxscope.callbacks.remote._publisher.BEAT", 0.2)


class Heard:
    """A listener in a thread, and what it heard."""

    def __init__(self, address: str, host: Host | None = None) -> None:
        self.documents, self.batches, self.said = [], [], []
        self._news = threading.Condition()
        self._host = host
        self.listener = Listener(
            address,
            self._take,
            photons=self._photons,
            say=lambda text: self._note(self.said, text),
        )
        self._thread = threading.Thread(target=self.listener.run)
        self._thread.start()

    def _take(self, name: str, doc: dict) -> None:
        if self._host is not None:
            self._host(name, doc)
        self._note(self.documents, (name, doc))

    def _photons(self, run: str, batch: LiveBatch) -> None:
        if self._host is not None:
            self._host.send("photons", batch, run=run)
        self._note(self.batches, (run, batch))

    def _note(self, where: list, what: object) -> None:
        with self._news:
            where.append(what)
            self._news.notify_all()

    def wait(self, what: Callable[[], object]) -> None:
        with self._news:
            assert self._news.wait_for(what, LONG), (self.said, len(self.documents))

    def wait_doing(self, what: Callable[[], object], again: Callable[[], object]) -> None:
        """Wait, and do something again and again meanwhile."""
        with self._news:
            for _ in range(int(LONG / 0.02)):
                again()
                if self._news.wait_for(what, 0.02):
                    return
            raise AssertionError((self.said, len(self.documents)))

    def wait_said(self, text: str) -> None:
        self.wait(lambda: any(text in said for said in self.said))

    def __enter__(self) -> Heard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.listener.close()
        self._thread.join(LONG)
        assert not self._thread.is_alive()


def test_documents_and_photons_arrive(proxy):
    """Two watchers; what is missing is NaN; the point under way comes over the same proxy."""
    run = RixsRun("O K")
    opening = run.start()
    with (
        Heard(proxy.out) as one,
        Heard(proxy.out) as two,
        DocumentPublisher(proxy.into, name="bl1") as publisher,
    ):
        for heard in (one, two):
            heard.wait_said("session bl1 is there")
        everything = [*DOCUMENTS[:2], STACK.line(0, 0, missed=True), *DOCUMENTS[3:]]
        for pair in everything:
            publisher(*pair)
        publisher(*opening)
        publisher.photons(run.batch(0, 9))
        for heard in (one, two):
            heard.wait(lambda heard=heard: heard.batches)
            assert plain(heard.documents) == plain([*everything, opening])
            (uid, batch) = heard.batches[0]
            assert uid == "rixs" and len(batch.energy) == 9
        assert publisher.connected and publisher.lost == 0
    missed = np.asarray(one.documents[2][1]["data"]["transmission"])
    assert np.isnan(missed).all()


def test_who_comes_late_gets_the_beginning(proxy):
    with DocumentPublisher(proxy.into, name="late") as publisher:
        with Heard(proxy.out) as early:
            early.wait_said("session late is there")
            for pair in DOCUMENTS[:50]:
                publisher(*pair)
            early.wait(lambda: len(early.documents) == 50)
        with Heard(proxy.out) as late:
            late.wait_said("was under way when this began: 48 of its 50 documents are not here")
            for pair in DOCUMENTS[50:]:
                publisher(*pair)
            late.wait(lambda: late.documents[-1][0] == "stop")
    assert plain(late.documents) == plain([*DOCUMENTS[:2], *DOCUMENTS[50:]])


def test_the_publisher_of_bluesky_will_do(proxy):
    publisher = Publisher(proxy.into, serializer=json_bytes)
    pickled = Publisher(proxy.into)
    try:
        with Heard(proxy.out) as heard:
            # Before both ends are connected, what is published goes nowhere.
            refused = "it is a pickle, which is never opened"
            heard.wait_doing(
                lambda: any(refused in text for text in heard.said), lambda: pickled(*DOCUMENTS[0])
            )
            heard.wait_doing(lambda: heard.documents, lambda: publisher(*DOCUMENTS[0]))
            for pair in DOCUMENTS[1:]:
                publisher(*pair)
            heard.wait(lambda: heard.documents[-1][0] == "stop")
        assert plain(heard.documents) == plain(DOCUMENTS)
    finally:
        publisher.close()
        pickled.close()


@pytest.mark.parametrize("prefix", [b"redoxscope", b""])
def test_the_dispatcher_of_bluesky_will_do(proxy, prefix, capsys):
    """It drops what is no document; with the prefix it never sees it."""
    dispatcher = RemoteDispatcher(proxy.out, prefix=prefix, deserializer=from_json)
    documents, news = [], threading.Condition()

    def note(name, doc):
        with news:
            documents.append((name, doc))
            news.notify_all()

    def start():
        with contextlib.suppress(asyncio.CancelledError):
            dispatcher.start()

    dispatcher.subscribe(note)
    thread = threading.Thread(target=start)
    thread.start()
    try:
        with DocumentPublisher(proxy.into) as publisher, news:
            for _ in range(int(LONG / 0.05)):  # until both ends are connected
                publisher.photons(RixsRun("O K").batch(0, 3))
                publisher(*replace(STACK, uid="first").start())
                if news.wait_for(lambda: documents, 0.05):
                    break
            publisher.photons(RixsRun("O K").batch(0, 3))
            for pair in DOCUMENTS:
                publisher(*pair)
            assert news.wait_for(lambda: documents[-1][0] == "stop", LONG)
    finally:
        dispatcher.loop.call_soon_threadsafe(dispatcher._task.cancel)
        thread.join(LONG)
    mine = [(name, doc) for name, doc in documents if doc.get("uid") != "first"]
    assert plain(mine) == plain(DOCUMENTS)
    assert ("Dropping" in capsys.readouterr().out) == (prefix == b"")


def test_without_a_proxy_the_scan_goes_on(caplog):
    (port,) = free_ports(1)
    with caplog.at_level(logging.WARNING):
        publisher = DocumentPublisher(f"127.0.0.1:{port}")
        for pair in DOCUMENTS:
            publisher(*pair)
        publisher.close()
    assert "no 0MQ proxy answers at" in caplog.text
    assert not publisher._thread.is_alive()


def test_a_proxy_that_is_started_late_or_again_is_found():
    proxy = Proxy()
    proxy.stop()
    with Heard(proxy.out) as heard, DocumentPublisher(proxy.into, name="bl1") as publisher:
        for i in range(2):
            proxy.start()
            heard.wait(lambda i=i: heard.said.count(f"tcp://{proxy.out} answers") == i + 1)
            # The next hello says that the session is there and which runs are open.
            publisher(*replace(STACK, uid=f"run{i}").start())
            heard.wait(lambda i=i: len(heard.documents) == i + 1)
            proxy.stop()
    assert [doc["uid"] for _, doc in heard.documents] == ["run0", "run1"]


def test_what_is_published_at_once_is_not_lost(proxy):
    """A script subscribes a publisher and begins."""
    with Heard(proxy.out) as heard:
        heard.wait_said("answers")
        with DocumentPublisher(proxy.into) as publisher:
            for pair in DOCUMENTS:
                publisher(*pair)
        heard.wait(lambda: heard.documents and heard.documents[-1][0] == "stop")
        assert plain(heard.documents) == plain(DOCUMENTS)


def test_the_wrong_end_of_a_proxy_is_told(proxy):
    with Heard(proxy.into) as heard:
        heard.wait_said("is it where the proxy takes them in?")


def test_what_is_not_sent_in_time_is_counted_and_keeps_nobody(proxy):
    publisher = DocumentPublisher(proxy.into, most_waiting=5)
    with publisher._changed:  # its thread takes nothing
        for pair in DOCUMENTS[:9]:
            publisher(*pair)
        assert publisher.lost == 4
    publisher.close()


def test_what_cannot_be_said_in_json_is_told_and_the_next_goes_out(proxy, caplog):
    with Heard(proxy.out) as heard, DocumentPublisher(proxy.into, name="odd") as publisher:
        heard.wait_said("session odd is there")
        publisher("start", {"uid": "odd", "what": object()})
        publisher("start", {})
        publisher("start", None)
        publisher.photons(None)
        publisher(*DOCUMENTS[0])
        heard.wait(lambda: heard.documents)
    assert "a document (start) cannot be published" in caplog.text
    assert publisher.lost == 4


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5578", "tcp://127.0.0.1:5578"),
        (" tcp://bl-1.example.org:1 ", "tcp://bl-1.example.org:1"),
        ("[::1]:5578", "tcp://[::1]:5578"),
    ],
)
def test_addresses(text, address):
    assert proxy_address("address", text) == address


@pytest.mark.parametrize(
    "text",
    ["", "5578", "localhost", "localhost:0", "localhost:65536", "a b:5", "udp://a:5", 5, None],
)
def test_what_is_no_address_is_named(text):
    with pytest.raises(ValueError, match=r"publish = .* must be the address of a 0MQ proxy"):
        DocumentPublisher(text)


@pytest.mark.parametrize("text", ["0.0.0.0:5578", "[::]:5578"])
def test_all_interfaces_are_no_address(text):
    with pytest.raises(ValueError, match="names no machine"):
        Listener(text, print)
