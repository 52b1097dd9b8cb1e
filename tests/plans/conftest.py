"""What the tests of plans share: a small stack and what must be true after it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections import defaultdict

import event_model
import numpy as np
import pytest

from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack
from redoxscope.testing import validate_run

ENERGIES = [639.0, 640.0]
PIXELS = (4, 3)
SIZE = (2.0, 3.0)


@pytest.fixture
def stack(stxm):
    """A plan of 2 energies x 3 lines of 4 pixels; a line takes 4 ms."""

    def make(**options):
        options = {"energies": ENERGIES, "pixels": PIXELS, "size": SIZE, "dwell": 0.05} | options
        return energy_stack(stxm, **options)

    return make


@pytest.fixture
def one_by_one(stxm, monkeypatch):
    """Lines are ready one at a time, however they come: the plan's messages are always the same."""
    flight = type(stxm.scanner._flight)
    outbox = type(stxm.scanner._flight.out)

    def first_row(self):
        with self._lock:
            return [self.ready.popleft()] if self.ready else []

    def flown(self):
        with self.lock:
            return self.out.flown and len(self.out.ready) <= 1

    monkeypatch.setattr(outbox, "rows", first_row)
    monkeypatch.setattr(flight, "flown", property(flown))


@pytest.fixture
def record(RE):
    """Documents in order, as (name, document)."""
    documents = []
    RE.subscribe(lambda name, doc: documents.append((name, doc)))
    return documents


@pytest.fixture
def safe(stxm):
    """Assert that the microscope was left safe: asked anew, not from the last monitor."""

    def check():
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
        assert stxm.shutter.mode.get(use_monitor=False, timeout=60) == 0
        assert stxm.scanner.source.state.get(use_monitor=False, timeout=60) in (0, 2)
        assert stxm.scanner._flight.open is False
        assert not stxm.scanner._flight._approach.watchdog.armed

    return check


class Cut(logging.Handler):
    """Hold a process, as a cut of the network does, until the log says so of it."""

    def __init__(self, pid, words):
        super().__init__()
        self.pid, self.words = pid, words
        self.begun, self.over = False, threading.Event()
        self._limit = threading.Timer(120.0, self._go_on)

    def __enter__(self):
        logging.getLogger("redoxscope").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("redoxscope").removeHandler(self)
        self._go_on()

    def __call__(self):
        if not self.begun:
            self.begun = True
            os.kill(self.pid, signal.SIGSTOP)
            self._limit.start()

    def emit(self, record):
        if self.begun and self.words in record.getMessage():
            self._go_on()

    def _go_on(self):
        self._limit.cancel()
        if self.begun and not self.over.is_set():
            self.over.set()
            os.kill(self.pid, signal.SIGCONT)


def ask_for_pause(RE):  # noqa: N803
    """As ``RE.request_pause()`` in another thread, which nobody waits for.

    It is the engine's next step, whatever else has become due: a thread may come too late.
    """
    asyncio.run_coroutine_threadsafe(RE._request_pause_coro(), RE.loop)


def pages(record):
    """Data of every line, as lists by key, and the sequence numbers; the last one counts."""
    rows = {}
    for name, doc in record:
        if name == "event_page":
            for i, seq_num in enumerate(doc["seq_num"]):
                rows[seq_num] = {key: values[i] for key, values in doc["data"].items()}
    data = defaultdict(list)
    for seq_num in sorted(rows):
        data["seq_num"].append(seq_num)
        for key, value in rows[seq_num].items():
            data[key].append(value)
    return data


def check_documents(record):
    """Schema of bluesky, contract of this package, and plain types."""
    for name, doc in record:
        validator = event_model.schema_validators[event_model.DocumentNames[name]]
        validator.validate(doc)
        json.dumps(doc)
    validate_run(record)


def check_stack(record, *, energies=ENERGIES, pixels=PIXELS, size=SIZE, dark=False):
    """Every line, in order, taken where and at which energy it belongs, with beam on.

    One that is there twice (after a pause between images) is there with the same data.
    """
    check_documents(record)
    seen = {}
    for name, doc in record:
        for i, seq_num in enumerate(doc["seq_num"] if name == "event_page" else ()):
            row = str({key: values[i] for key, values in doc["data"].items()})
            assert seen.setdefault(seq_num, row) == row
    nx, ny = pixels
    data = pages(record)
    assert data["seq_num"] == list(range(1, len(energies) * ny + 1))
    rows = (np.arange(ny) - (ny - 1) / 2) * size[1] / ny
    columns = (np.arange(nx) - (nx - 1) / 2) * size[0] / nx
    for i, seq_num in enumerate(data["seq_num"]):
        index, line = divmod(seq_num - 1, ny)
        assert (data["frame"][i], data["line"][i]) == (index, line)
        assert data["energy"][i] == pytest.approx(energies[index], abs=0.02)
        if data["line_status"][i] == LineStatus.MISSED:
            continue  # positions may be missing too
        np.testing.assert_allclose(data["sample_y"][i], rows[line], atol=0.1)
        np.testing.assert_allclose(data["sample_x"][i], columns, atol=0.1)
        if not dark:
            # 1e7 photons/s x 0.05 s through at most 1 OD; dark or half-dark lines stand out.
            assert min(data["transmission"][i]) > 5e3, (seq_num, data["transmission"][i])
            assert min(data["i0"][i]) > 5e3
    return data
