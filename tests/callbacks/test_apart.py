"""An analysis in a process that begins when it is needed."""

from __future__ import annotations

import os
import signal

import pytest

from redoxscope.callbacks import ApartHost
from redoxscope.callbacks.remote import _process
from redoxscope.callbacks.rixs.analysis import ANALYSIS

from .rixs_runs import RixsRun
from .scan_runs import Particle, Run, region, scan_of

LONG = 120.0
"""Longest time (s) for a process that imports numpy and more on a busy machine."""


def test_it_begins_with_a_run_that_is_wanted_and_gives_its_results():
    seen = []
    with ApartHost(ANALYSIS, on_update=seen.append, timeout=LONG) as host:
        for pair in Run(scan_of(region("left")), (Particle(0.7),)).documents():
            host(*pair)
        assert host._process is None and host.wait(LONG) and not host.pending
        with pytest.raises(LookupError, match="no RIXS map of run odd here"):
            host.results("odd", LONG)
        for pair in RixsRun("O K", uid="wanted").documents(points=3):
            host(*pair)
        assert {r.analysis for r in host.results("wanted", LONG)} == {"rixs_map"}
        assert host.snapshot is host.latest["wanted", "rixs_map", ""]
        assert seen[-1].final and seen[-1].snapshot.uid == "wanted"
        # One that is killed is begun anew with the next run.
        os.kill(host._process._process.pid, signal.SIGKILL)
        assert not host.wait(LONG) and "status -9" in str(host.error)
        assert host.results("wanted", LONG)  # what it had sent is kept
        for pair in RixsRun("O K", uid="next").documents(points=2):
            host(*pair)
        assert host.results("next", LONG) and host.error is None


def test_a_run_that_goes_on_has_no_results_yet():
    with ApartHost(ANALYSIS, timeout=LONG) as host:
        run = RixsRun("O K", uid="open")
        for pair in (run.start(), run.descriptor(), run.event(0)):
            host(*pair)
        with pytest.raises(LookupError, match="no final snapshot of run open"):
            host.results("open", LONG)
        host(*run.stop())
        assert host.results("open", LONG)


def test_who_waits_for_what_is_given_up_is_told():
    with ApartHost(ANALYSIS, timeout=LONG) as host:
        run = RixsRun("O K", uid="long")
        for pair in (run.start(), run.descriptor(), run.event(0)):
            host(*pair)
        host.give_up()
        with pytest.raises(LookupError, match="no final snapshot of run long here: .*status -9"):
            host.results("long", LONG)


def test_one_that_cannot_say_whether_it_wants_a_run_is_told(caplog):
    host = ApartHost(ANALYSIS)
    host("start", None)
    assert "cannot say whether it wants a run" in caplog.text
    host.close()


def test_a_process_that_cannot_be_begun_leaves_the_scan_alone(monkeypatch, caplog):
    def refuse(*_, **__):
        raise OSError("[Errno 12] Cannot allocate memory")

    monkeypatch.setattr(_process.subprocess, "Popen", refuse)
    with ApartHost(ANALYSIS) as host:
        for pair in RixsRun("O K", uid="poor").documents(points=2):
            host(*pair)
        assert "cannot be begun: [Errno 12] Cannot allocate memory" in caplog.text
        assert host.wait(LONG) and not host.pending and host.latest == {}
        with pytest.raises(LookupError, match="no RIXS map of run poor here"):
            host.results("poor", LONG)
