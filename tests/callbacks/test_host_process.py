"""Live analyses in a process of their own."""

from __future__ import annotations

import os
import signal

import pytest

from redoxscope.callbacks.remote import HostProcess

from .rixs_runs import RixsRun
from .scan_runs import Particle, Run, region, scan_of

LONG = 120.0
"""Longest time (s) for a process that imports numpy and more on a busy machine."""

RUN = Run(scan_of(region("left"), region("right")), (Particle(0.7), Particle(0.2)))
DOCUMENTS = list(RUN.documents())


@pytest.fixture(scope="module")
def shared():
    seen = []
    with HostProcess(on_update=seen.append, timeout=LONG) as host:
        yield host, seen
    assert host.error is None and host.lost == 0


def test_maps_are_made_there_as_here(shared):
    host, _ = shared
    for pair in DOCUMENTS:
        host(*pair)
    assert host.wait(LONG)
    uid = DOCUMENTS[0][1]["uid"]
    found = host.latest[uid, "oxidation_map", "right"]
    assert found.final and found.parts == ("left", "right")
    assert found.snapshot.finished and found.snapshot.lines_done == found.snapshot.lines_total


def test_photons_of_the_point_under_way(shared):
    host, seen = shared
    run = RixsRun("O K", uid="live")
    for pair in (run.start(), run.descriptor(), run.event(0), run.event(1)):
        host(*pair)
    host.photons(run.batch(2, 40))
    assert host.wait(LONG)
    shown = host.latest["live", "rixs_map", ""].snapshot
    assert shown.under_way is not None and shown.under_way.photons == 40
    assert any(update.run == "live" for update in seen)
    host(*run.stop())


def test_what_cannot_be_sent_is_told_and_the_next_is_read(shared, caplog):
    host, _ = shared
    host("event", {"odd": object()})
    assert host.wait(LONG)
    assert "do without a document (event)" in caplog.text
    assert host.lost == 1
    host.lost = 0


def test_bad_documents_do_not_end_it(shared):
    host, _ = shared
    for pair in (("event", {}), ("start", {}), ("descriptor", {"uid": "x"}), ("stop", {})):
        host(*pair)
    run = RixsRun("O K", uid="after")
    for pair in (run.start(), run.descriptor(), run.event(0)):
        host(*pair)
    assert host.wait(LONG)
    assert ("after", "rixs_map", "") in host.latest


def test_a_process_that_is_killed_hurts_nobody(caplog):
    host = HostProcess(["rixs_map"])
    os.kill(host._process.pid, signal.SIGKILL)
    assert host.wait(LONG) is False
    host("start", {"uid": "a"})
    assert not host.wait(LONG)
    host.close()
    assert "ended (status -9)" in str(host.error)
    assert "no live analyses any more" in caplog.text


def test_what_is_given_is_looked_at_first():
    with pytest.raises(ValueError, match="no analysis is called 'rixs'"):
        HostProcess(["rixs"])
    with pytest.raises(ValueError, match="rate = 0 Hz"):
        HostProcess(rate=0)


def test_what_somebody_wants_to_be_called_with_may_fail(caplog):
    def fail(update):
        assert host.wait() is False  # it would wait for itself
        raise RuntimeError("no")

    run = RixsRun("O K", uid="fails")
    with HostProcess(["rixs_map"], on_update=fail, timeout=LONG) as host:
        for pair in run.documents(points=3):
            host(*pair)
        assert host.wait(LONG)
        assert host.on_update is None and host.error is None
    assert "on_update failed" in caplog.text
