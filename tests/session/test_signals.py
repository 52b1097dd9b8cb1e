"""SIGTERM and SIGHUP end a session as an abort does, whatever it is doing.

Real processes: the beamline is one, so that what the client left behind is asked of it.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from redoxscope.beamline import simulated_text

SCRIPT = """
    import signal, sys, threading
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    from redoxscope import start_session
    from redoxscope.plans import energy_stack

    def stack(s):  # a line takes 0.2 s, an image 12 s
        return energy_stack(
            s.stxm, energies=[640, 641], pixels=(20, 60), size=3.0, dwell=0.5,
            md={"how": sys.argv[2]},
        )

    def tell(name, doc):
        if name == "event_page":
            print("READY", flush=True)

    def wait():
        print("READY", flush=True)
        signal.pause()

    s = start_session(sys.argv[1], data=sys.argv[3])
    how = sys.argv[2]
    if how == "idle":
        with s:
            wait()
    elif how == "running":
        s.RE.subscribe(tell)
        with s:
            s.RE(stack(s))
    elif how == "no with":
        s.RE.subscribe(tell)
        s.RE(stack(s))
    elif how == "night":
        s.RE.subscribe(tell)
        with s:
            for _ in range(3):
                try:
                    s.RE(stack(s))
                except Exception as exc:
                    print("went on after", type(exc), file=sys.stderr)
    elif how == "thread":
        s.RE.subscribe(tell)
        with s:
            thread = threading.Thread(target=lambda: s.RE(stack(s)))
            thread.start()
            thread.join()
    elif how == "paused":
        def pause(name, doc):
            if name == "event_page":
                threading.Thread(target=s.RE.request_pause).start()
        s.RE.subscribe(pause)
        with s:
            try:
                s.RE(stack(s))
            except Exception as exc:
                assert s.RE.state == "paused", exc
            wait()
    print("went on", file=sys.stderr)
"""


@pytest.fixture
def beamline(simulation, tmp_path):
    """File of the session's beamline, which is not the child's own."""
    path = tmp_path / "beamline.yml"
    path.write_text(simulated_text(simulation.prefix), "utf-8")
    return path


@pytest.fixture
def client(beamline, tmp_path):
    """Start the script; its process, when it says that it is ready."""
    started = []

    def start(how, **kwargs):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), beamline, how, tmp_path / "data"],
            stderr=subprocess.PIPE, text=True, **({"stdout": subprocess.PIPE} | kwargs),
        )  # fmt: skip
        started.append(process)
        if process.stdout is not None:
            wait_ready(process.stdout, process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_ready(lines, process):
    watchdog = threading.Timer(240, process.kill)
    watchdog.start()
    for line in lines:
        if "READY" in line:
            watchdog.cancel()
            return
    raise AssertionError(f"the client ended: {process.stderr.read()}")


def stops(folder):
    """Stop documents in the document logs."""
    found = []
    for path in sorted((folder / "documents").rglob("*.jsonl")):
        docs = [json.loads(line) for line in path.read_text().splitlines()]
        found += [d["doc"] for d in docs if d["name"] == "stop"]
        assert docs[0]["name"] == "start"
    return found


def check_ended(process, number, tmp_path, safe, *, runs=1):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 128 + number, errors
    assert "CHECK" not in errors and "went on\n" not in errors
    ended = stops(tmp_path / "data")
    assert [doc["exit_status"] for doc in ended] == ["abort"] * runs, errors
    name = signal.Signals(number).name
    assert [doc["reason"] for doc in ended] == [f"the process received {name}"] * runs
    safe()


@pytest.fixture
def safe(stxm):
    """Scanner at rest, shutter closed and not following; asked anew."""

    def check():
        assert stxm.scanner.source.state.get(use_monitor=False, timeout=60) == 0
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
        assert stxm.shutter.mode.get(use_monitor=False, timeout=60) == 0

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "number", "runs"),
    [
        ("no with", signal.SIGTERM, 1),
        ("night", signal.SIGTERM, 1),
        ("thread", signal.SIGHUP, 1),
        ("paused", signal.SIGTERM, 1),
        ("idle", signal.SIGHUP, 0),
    ],
)
def test_signal(client, tmp_path, safe, how, number, runs):
    process = client(how)
    process.send_signal(number)
    check_ended(process, number, tmp_path, safe, runs=runs)


@pytest.mark.slow
def test_many_signals_do_not_hinder_the_cleanup(client, tmp_path, safe):
    process = client("running")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
    pause = threading.Event()
    for _ in range(20):
        pause.wait(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=240)
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGHUP), errors
    assert [doc["exit_status"] for doc in stops(tmp_path / "data")] == ["abort"]
    safe()


@pytest.mark.slow
def test_reader_of_the_output_is_gone(client, tmp_path, safe):
    """A pipe without reader: every print raises, and bluesky prints before it aborts."""
    process = client("running")
    process.stdout.close()
    process.stdout = None
    process.send_signal(signal.SIGTERM)
    check_ended(process, signal.SIGTERM, tmp_path, safe)


@pytest.mark.slow
def test_terminal_is_closed(client, tmp_path, safe):
    """The client's own terminal goes away: SIGHUP, and output that fails."""
    master, slave = pty.openpty()

    def own_terminal():
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = client(
        "running", stdin=slave, stdout=slave, preexec_fn=own_terminal, pass_fds=(slave,)
    )
    os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as terminal:
        wait_ready((line.decode() for line in terminal), process)
    check_ended(process, signal.SIGHUP, tmp_path, safe)


def test_a_session_knows_at_once_what_ends_it():
    """A main thread that the signal woke may close it before any other thread has run."""
    from redoxscope.session import _signals

    class Fake:
        ended_by, closing, closed = None, False, threading.Event()

    watch, session = _signals._Watch(), Fake()  # nobody takes its orders
    watch.sessions.append(session)
    watch.handle(signal.SIGHUP, None)
    assert session.ended_by == signal.SIGHUP
    assert _signals.reason(session.ended_by) == "the process received SIGHUP"


def test_handlers_are_as_before_after_the_last_session():
    from redoxscope.session import _signals

    class Fake:
        def __init__(self):
            self.ended_by, self.closing, self.closed = None, False, threading.Event()

        def end_run(self, reason):
            return True

    def own(number, frame):
        pass

    before = signal.signal(signal.SIGTERM, own), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        first, second = Fake(), Fake()
        _signals.watch(first)
        _signals.watch(second)
        assert signal.getsignal(signal.SIGTERM) is not own
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
        _signals.unwatch(first)
        assert signal.getsignal(signal.SIGTERM) is not own
        _signals.unwatch(second)
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


def test_who_takes_the_order_to_leave_for_a_failed_plan_is_told_again(monkeypatch):
    """A queue server's worker takes a SystemExit within a plan, and waits for the next plan."""
    from redoxscope.session import _signals

    class Fake:
        ended_by, closing, closed = None, False, threading.Event()

        def end_run(self, reason):
            return True

    watch, session, told = _signals._Watch(), Fake(), []

    def kill(thread, number):
        told.append((thread, number))
        if len(told) == 2:  # the first was swallowed
            session.closing = True
            session.closed.set()

    monkeypatch.setattr(_signals, "AGAIN", 0.01)
    monkeypatch.setattr(_signals.signal, "pthread_kill", kill)
    watch.sessions.append(session)
    watch.handle(signal.SIGTERM, None)
    thread = threading.Thread(target=watch._run, args=(watch._queue,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert told == [(threading.main_thread().ident, signal.SIGTERM)] * 2
