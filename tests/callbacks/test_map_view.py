"""The process that draws, and what goes there."""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from redoxscope.callbacks import (
    Analysis,
    MapView,
    OxidationMap,
    ScanSnapshot,
    Update,
    oxidation_map,
    register,
    rixs_from_run,
)
from redoxscope.callbacks.view import _inbox
from redoxscope.callbacks.view._inbox import Inbox
from redoxscope.callbacks.view._pictures import FileNames, draw, file_name
from redoxscope.callbacks.view._window import to_windows
from redoxscope.callbacks.wire import encode, pack

from .conftest import make
from .rixs_runs import RixsRun

PNG = b"\x89PNG\r\n\x1a\n"
LONG = 120.0
"""Longest time (s) for a process that imports matplotlib on a busy machine."""
STACK, REFERENCES = make()
SCAN = ScanSnapshot(
    *np.ones((2, 4, 5)), np.arange(4.0), np.arange(5.0), "osa_y", "um", "osa_x", "um", "diode"
)


@dataclass(frozen=True)
class Profile:
    """A snapshot of an analysis of somebody's own."""

    intensity: NDArray[np.float64]
    message: str = ""


def draw_profile(figure: Figure, snapshot: Profile) -> None:
    figure.clear()
    figure.add_subplot().plot(snapshot.intensity)


PROFILE = register(
    Analysis(
        name="view_test_profile", title="profile", accepts=lambda start: False,
        reader=lambda start, options: None, snapshot=Profile, draw=draw_profile,
    )
)  # fmt: skip


def update(name: str, snapshot: Any, part: str = "", parts: tuple[str, ...] = ("",)) -> Update:
    return Update("run", name, part, parts, snapshot, False)


def profile(value: float = 1.0, part: str = "") -> Update:
    return update("view_test_profile", Profile(np.full(3, float(value))), part)


def sent(shown: Update, **change: Any) -> bytes:
    snapshot, arrays = pack(shown.snapshot)
    header = {
        "run": shown.run, "analysis": shown.analysis, "part": shown.part,
        "parts": list(shown.parts), "final": shown.final, "snapshot": snapshot,
    }  # fmt: skip
    return encode(header | change, arrays)


@pytest.fixture
def complaints(monkeypatch, capfd):
    monkeypatch.setattr(_inbox, "_said", set())
    return lambda: capfd.readouterr().err


def test_the_newest_of_each_map_is_taken():
    pipe = io.BytesIO(
        b"".join(sent(u) for u in (profile(1, "a"), profile(2, "b"), profile(3, "a")))
    )
    inbox = Inbox(pipe)
    inbox._end.wait(LONG)
    assert [(u.part, u.snapshot.intensity[0]) for u in inbox.take(None)] == [("b", 2), ("a", 3)]
    assert inbox.ended and inbox.take(None) == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (sent(profile(), analysis="unheard_of"), "no analysis is called 'unheard_of'"),
        (sent(profile(), snapshot={"message": ""}), "Profile lacks or does not know intensity"),
        (sent(profile(), snapshot=5), "Profile must be a dict"),
        (sent(profile(), part=None), "does not say what it is of"),
        (sent(profile(), parts="ab"), "does not say what parts"),
        (encode({}, {}), "does not say what it is of"),
    ],
    ids=range(6),
)
def test_a_bad_snapshot_is_told_of_and_the_next_is_shown(message, words, complaints):
    inbox = Inbox(io.BytesIO(message + message + sent(profile(7))))
    inbox._end.wait(LONG)
    assert [u.snapshot.intensity[0] for u in inbox.take(None)] == [7]
    assert complaints().count(words) == 1


@pytest.mark.parametrize(
    "end", [b"", sent(profile())[:-1], pickle.dumps(profile), b"\0" * 99], ids=range(4)
)
def test_the_view_ends_with_its_pipe_whatever_ends_it(end, complaints):
    inbox = Inbox(io.BytesIO(sent(profile(5)) + end))
    inbox._end.wait(LONG)
    assert len(inbox.take(None)) == 1 and inbox.ended
    assert bool(end) == ("redoxscope view: " in complaints())


def test_what_cannot_be_drawn_says_so_in_the_picture(complaints):
    figure = Figure()
    draw(figure, update("view_test_profile", Profile(np.zeros((2, 2, 2)))), lambda: None)
    assert "view_test_profile cannot be drawn: ValueError" in figure.texts[0].get_text()
    assert "cannot be drawn" in complaints()
    draw(figure, profile(), lambda: None)
    assert not figure.texts and figure.axes


def test_what_goes_wrong_only_when_it_is_shown_says_so_in_the_picture(tmp_path, complaints):
    """matplotlib reads texts late."""
    figure, path = Figure(), tmp_path / "live.png"

    def show():
        if figure.axes:
            figure.axes[0].set_title(r"a $\frac b$")
        figure.savefig(path)

    draw(figure, profile(), show)
    assert "view_test_profile cannot be drawn: ValueError" in figure.texts[0].get_text()
    assert path.read_bytes().startswith(PNG) and "cannot be drawn" in complaints()


def test_a_full_disk_costs_pictures_and_not_the_view(complaints):
    def full():
        raise OSError(28, "No space left on device")

    draw(Figure(), profile(), full)
    assert "no picture of view_test_profile: [Errno 28] No space left" in complaints()


def test_names_of_files():
    names = FileNames()
    assert names.of(profile()) == ["live.png"]
    # The order of the registry counts, not who is faster.
    assert names.of(update("oxidation_map", None)) == ["live.png"]
    assert names.of(profile()) == ["live_view_test_profile.png"]
    both = ("left", "A, 300 degC")
    assert names.of(update("oxidation_map", None, "left", both)) == ["live.png", "live_left.png"]
    assert names.of(replace(profile(part="A, 300 degC"), parts=both)) == [
        "live_view_test_profile.png",
        "live_view_test_profile_A_300_degC.png",
    ]
    assert names.of(replace(profile(), run="next")) == ["live.png"]
    # The dose comes with everything that counts, and stands beside it.
    assert names.of(update("dose", None)) == ["live_dose.png"]
    assert names.of(update("scan_image", None)) == ["live.png"]
    assert names.of(update("dose", None)) == ["live_dose.png"]
    assert file_name("../A, 300 degC") == ".._A_300_degC"


def test_view_writes_files_where_there_is_no_display(tmp_path, caplog, capfd):
    """Of both analyses; what cannot be sent is told of, and the others are shown."""
    rixs = rixs_from_run(RixsRun("O K").documents())
    with MapView(tmp_path, window=False) as view:
        view(update("oxidation_map", Profile("no array"), "a"))
        view(update("unheard_of", Profile(np.zeros(2))))
        view(update("oxidation_map", oxidation_map(STACK.documents(), REFERENCES)))
        view(update("rixs_map", rixs))
        view(update("scan_image", SCAN))
        view.close(LONG)
    assert "cannot be drawn" not in capfd.readouterr().err
    names = ["live.png", "live_rixs_map.png", "live_scan_image.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(PNG)
    first, second, _ = ((tmp_path / name).read_bytes()[16:24] for name in names)
    assert first != second  # width and height: of each kind its own
    assert not view.alive
    assert "oxidation_map cannot be shown" in caplog.text
    assert "unheard_of cannot be shown: no analysis is called" in caplog.text


@pytest.fixture
def plt(monkeypatch):
    """Windows without a display: what matplotlib shows, and does not."""
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda block=True: None)
    yield plt
    plt.close("all")
    plt.switch_backend(before)


def test_each_analysis_has_a_window(plt):
    mapped = update("oxidation_map", oxidation_map(STACK.documents(), REFERENCES))
    inbox = Inbox(io.BytesIO(sent(mapped) + sent(profile())))
    to_windows(inbox)  # until the pipe ends
    titles = [plt.figure(number).canvas.manager.get_window_title() for number in plt.get_fignums()]
    assert sorted(titles) == ["redoxscope: oxidation map", "redoxscope: profile"]
    assert all(plt.figure(number).axes for number in plt.get_fignums())


def test_closing_the_windows_ends_the_view(plt):
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb") as parent:
        inbox = Inbox(pipe)
        view = threading.Thread(target=to_windows, args=(inbox,))
        view.start()
        parent.write(sent(profile()))
        parent.flush()
        waiting = threading.Event()
        while not any(plt.figure(number).axes for number in plt.get_fignums()):
            assert view.is_alive()
            waiting.wait(0.05)
        canvas = plt.figure(plt.get_fignums()[0]).canvas
        canvas.callbacks.process("close_event", None)
        view.join(LONG)
        assert not view.is_alive()
        parent.close()


INSTALLED = """
from dataclasses import dataclass
import numpy as np
from numpy.typing import NDArray
from redoxscope.callbacks import Analysis

@dataclass(frozen=True)
class Spectrum:
    intensity: NDArray[np.float64]
    message: str = ""

def draw(figure, snapshot):
    figure.clear()
    figure.add_subplot().plot(snapshot.intensity)

SPECTRUM = Analysis(
    name="spectrum", title="spectrum", accepts=lambda start: False,
    reader=lambda start, options: None, snapshot=Spectrum, draw=draw,
)
"""


def test_an_analysis_of_another_package_is_drawn(tmp_path):
    """As `pip install` puts it there: in a process that knows of it by its entry point alone."""
    place, out = tmp_path / "site", tmp_path / "out"
    place.mkdir()
    (place / "somebodys.py").write_text(INSTALLED)
    info = place / "somebodys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redoxscope.analyses]\nspectrum = somebodys:SPECTRUM\n")
    code = f"""
import numpy as np
from somebodys import Spectrum
from redoxscope.callbacks import MapView, Update
with MapView({str(out)!r}, window=False) as view:
    view(Update("run", "spectrum", "", ("",), Spectrum(np.ones(5)), False))
    view.close({LONG})
"""
    paths = [str(place), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=2 * LONG)
    assert (out / "live.png").read_bytes().startswith(PNG)


def test_killed_view_hurts_nobody(stack, tmp_path, caplog):
    """A scan whose view dies in the middle goes on, ends, and has its map."""
    caplog.set_level(logging.INFO, logger="redoxscope.callbacks.view")
    documents, references = stack
    view = MapView(tmp_path, window=False)
    shown = []

    def show(new):
        shown.append(new)
        view(new)

    callback = OxidationMap(references, on_update=show, rate=1e6)
    everything = list(documents.documents())
    for item in everything[:100]:
        callback(*item)
    assert callback.wait(60)
    os.kill(view._process.pid, signal.SIGKILL)
    view._process.wait(60)
    before = len(shown)
    for i, item in enumerate(everything[100:]):
        callback(*item)
        if i % 20 == 0:
            assert callback.wait(60)
    assert callback.wait(60)
    assert len(shown) > before  # it was called again, and did not raise: else no more
    assert callback.on_update is show
    view._sender.join(60)
    view(shown[-1])  # nobody reads any more: neither waits nor raises
    view.close()
    callback.close()
    assert "the map view is gone" in caplog.text
    assert not view._sender.is_alive() and not view.alive
    assert callback.error is None and callback.snapshot.finished
    assert callback.snapshot.lines_done == 288


def test_view_ends_with_its_parent(tmp_path):
    code = (
        "import os, sys; from redoxscope.callbacks import MapView;"
        f"view = MapView({str(tmp_path)!r}, window=False);"
        "print(view._process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    pidfd = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    parent.kill()
    parent.communicate()
    if pidfd is None:
        pytest.skip("no pidfd on this platform")
    ended = select.poll()  # select() knows no more than 1024 files
    ended.register(pidfd, select.POLLIN)
    readable = ended.poll(1000 * LONG)
    os.close(pidfd)
    assert readable


def test_a_run_of_several_regions_leaves_a_picture_of_each(tmp_path):
    from .scan_runs import REFERENCES, Particle, Run, play, region, scan_of

    run = Run(scan_of(region("left"), region("right")), (Particle(0.7), Particle(0.2)))
    view = MapView(tmp_path, window=False)
    live = OxidationMap(REFERENCES, on_update=view)
    play(live, run.documents())
    live.wait(LONG)
    view.close(LONG)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"live.png", "live_left.png", "live_right.png"}
    assert (tmp_path / "live.png").read_bytes() == (tmp_path / "live_right.png").read_bytes()


def test_nothing_of_redoxscope_opens_a_pickle():
    """What comes from another process or machine is data, never code."""
    root = Path(__file__).parents[2] / "redoxscope"
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"^\s*(import|from) pickle|pickle\.load", path.read_text(), re.MULTILINE)
    ]
    assert found == []
