"""A user's script as a dry run: the real command, on a beamline that somebody else serves too."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from redoxscope.beamline import ConfigError, load_beamline, parse_beamline, simulated_beamline
from redoxscope.dry_run import Account, State, dry_run, layout_of, take_snapshot
from redoxscope.dry_run._engine import Rehearsal
from redoxscope.dry_run._script import _carry_out, _ended_in_good_order, _note_state
from redoxscope.dry_run._session import Opener
from redoxscope.plans import energy_stack
from redoxscope.sim import SimulationError, free_port
from redoxscope.storage import DocumentLog
from redoxscope.testing import fake_beamline, make_engine

from .conftest import MINE
from .watching import WatchingIOC

SCRIPT = '''\
"""A night."""
import datetime
import os
import sys
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np

from redoxscope import start_session
from redoxscope.plans import energy_stack, map_then_zoom, osa_image, resume, with_beam

print("pva", os.environ["EPICS_PVA_ADDR_LIST"], os.environ["EPICS_PVA_NAME_SERVERS"] == "")
for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_NAME_SERVERS"):
    os.environ[name] = os.environ["REAL"]  # a script that knows better

STACK = {"energies": [640.0, 641.0], "size": 4, "pixels": 4, "dwell": 0.01}
began, clock = time.time(), datetime.datetime.now()
failed = {}


def night(scans):
    for name, scan in scans.items():
        def go_on(error, name=name):
            failed[name] = error
            yield from bps.null()
        yield from bpp.contingency_wrapper(scan, except_plan=go_on, auto_raise=False)


with start_session("elsewhere.yml", speed=10) as s:
    print("arguments", sys.argv[1:])
    s.RE(bps.mv(s.stxm.energy, 700))
    time.sleep(3600)
    s.RE(energy_stack(s.stxm, **STACK))  # the first run
    r = s.oxidation_map.result
    print(f"mean {r.mean:.3f}", float(np.asarray(r.mean) * 2))
    if r.mean > 0.5:
        print("never")
    print("last", s.cat[-1]["primary"].read())
    s.RE(osa_image(s.stxm, energy=640, size=20, pixels=(3, 2), dwell=0.5))
    s.RE(map_then_zoom(s.stxm, edge="Mn L3", map_energies=[635, 645], stack={"dwell": 0.002}))
    try:
        s.RE(energy_stack(s.stxm, **STACK | {"center": (99999, 0)}))  # too far
    except Exception as exc:
        print("caught", type(exc).__name__)
    s.RE(night({
        "a": energy_stack(s.stxm, **STACK | {"dwell": 99.0}),
        "b": energy_stack(s.stxm, **STACK),
    }))
    s.RE(resume(s.stxm, os.environ["EARLIER"]))
    s.stxm.transmission.dwell.put(2.0)
    s.RE(with_beam(bp.scan([s.stxm.transmission], s.stxm.energy, 640, 650, 3), s.stxm.shutter))
    s.RE(bps.sleep(60))
    print("failed", list(failed), "elapsed", time.time() - began)
    assert abs((datetime.datetime.now() - clock).total_seconds() - (time.time() - began)) < 1
    s.RE(energy_stack(s.stxm, **STACK | {"energies": [5.0, 6.0]}))  # uncaught
    print("not reached")
'''


def line(text: str) -> str:
    number = next(i for i, found in enumerate(SCRIPT.splitlines(), 1) if text in found)
    return f"night.py:{number}"


def command(*arguments, cwd, **environment):
    code = "from redoxscope.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "dry-run", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data folder with a stack of two images that failed in the second; the run's uid."""
    folder = tmp_path_factory.mktemp("kept")
    engine, seen = make_engine()[0], []

    def fail(name, doc):
        seen.append(doc)
        if name == "event_page" and doc["data"]["frame"] == [1]:
            raise RuntimeError("as it happens")

    stxm = fake_beamline(parse_beamline(MINE, "mine.yml")).instruments["stxm"]
    engine.subscribe(DocumentLog(folder / "documents"))
    engine.subscribe(fail)
    with pytest.raises(RuntimeError, match="as it happens"):
        engine(energy_stack(stxm, energies=[640.0, 641.0], pixels=4, dwell=0.01))
    return folder, seen[0]["uid"]


@pytest.fixture(scope="module")
def night(tmp_path_factory, kept):
    """The dry run of the script, with an environment that points at another IOC of these PVs."""
    folder = tmp_path_factory.mktemp("night")
    data, earlier = kept
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    (folder / "mine.yml").write_text(MINE, encoding="utf-8")
    (folder / "night.py").write_text(SCRIPT, encoding="utf-8")
    port = free_port()
    real = WatchingIOC(port, layout_of(load_beamline(folder / "mine.yml")), folder)
    done = command(
        "night.py", "--beamline", "mine.yml", "--json", "night.json", "--", "--sample", "A",
        cwd=folder,
        EPICS_CA_ADDR_LIST=f"127.0.0.1:{port}",
        EPICS_CA_AUTO_ADDR_LIST="YES",
        EPICS_CA_NAME_SERVERS=f"127.0.0.1:{port}",
        EPICS_CA_SERVER_PORT=str(port),
        EPICS_PVA_ADDR_LIST="10.0.0.255",
        EPICS_PVA_NAME_SERVERS="10.0.0.1",
        REAL=f"127.0.0.1:{port}",
        REDOXSCOPE_DATA=str(data),
        EARLIER=earlier[:8],
    )  # fmt: skip
    real.close()
    assert before == {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert (folder / "night.json").exists(), done.stdout + done.stderr
    account = json.loads((folder / "night.json").read_text(encoding="utf-8"))
    return done, account, real, folder


def test_no_real_pv_is_reached_whatever_the_environment_says(night):
    done, _, real, _ = night
    assert real.seen == []
    assert "pva 127.0.0.1 True" in done.stdout


def test_nothing_is_kept(night):
    _, _, _, folder = night
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".json") == [
        "mine.yml",
        "night.py",
    ]


def test_the_script_runs_as_it_is(night):
    done, _, _, _ = night
    assert "arguments ['--sample', 'A']" in done.stdout, done.stderr
    assert "mean (not measured) nan" in done.stdout
    assert "last (not measured)" in done.stdout
    assert "never" not in done.stdout
    assert "caught LimitError" in done.stdout
    assert "failed ['a']" in done.stdout
    assert "not reached" not in done.stdout


def test_each_run_has_its_row_and_each_refusal_its_line(night):
    _, account, _, _ = night
    rows = [(run["ok"], run["line"]) for run in account["runs"]]
    assert rows == [
        (True, line("# the first run")),
        (True, line("osa_image(s.stxm")),
        (True, line("map_then_zoom(s.stxm")),
        (False, line("# too far")),
        (False, line("yield from bpp.contingency_wrapper")),
        (True, line("s.RE(night({")),
        (True, line("s.RE(resume")),
        (True, line("s.RE(with_beam")),
        (False, line("# uncaught")),
    ]
    errors = [run["error"] for run in account["runs"] if not run["ok"]]
    assert "soft limits" in errors[0]
    assert "99" in errors[1]
    assert "dwell" in errors[1]
    assert "= 5 eV" in errors[2]


def test_an_error_that_nobody_catches_ends_it_and_that_is_said(night):
    done, account, _, _ = night
    assert done.returncode == 1
    assert account["ended_early"] == line("# uncaught")
    assert (
        f"{line('# uncaught')} ends the script: what comes after it was not looked" in done.stdout
    )


def test_time_is_what_devices_declare_and_sleeps_count(night):
    _, account, _, _ = night
    first, scan, last = (account["runs"][i] for i in (0, 7, -1))
    assert first["start_s"] == pytest.approx(6.2 + 3600, abs=0.01)  # 60 eV at 10 eV/s, settling
    assert scan["live_s"] == pytest.approx(3 * 2.0)
    # 3 points of 2 s; moves of 1, 5 and 5 eV: the first from 641 eV.
    assert scan["duration_s"] == pytest.approx(6.0 + 0.3 + 2 * 0.7, abs=0.05)
    end = scan["start_s"] + scan["duration_s"]
    assert last["start_s"] == pytest.approx(end + 60)
    assert account["total_s"] == pytest.approx(last["start_s"])


def test_an_earlier_run_is_read_where_the_users_data_are(night):
    """Of its two images, one is left."""
    _, account, _, _ = night
    assert account["runs"][6]["live_s"] == pytest.approx(4 * 4 * 0.01)


def test_a_stepped_scan_and_a_map_of_which_a_stack_follows_have_their_rows(night):
    _, account, _, _ = night
    steps, coarse = account["runs"][1:3]
    assert steps["plan"] == "osa_image" and steps["live_s"] == pytest.approx(6 * 0.5)
    assert steps["duration_s"] > 3.0
    assert coarse["plan"] == "tiled_image"
    assert coarse["live_s"] == pytest.approx(2 * 250 * 250 * 0.001)
    said = "the stack of map_then_zoom, which depends on what is found on the map: with 3, the most"
    (told,) = (note for note in account["notes"] if said in note)
    assert account["more_s"] > 60.0  # of the stack
    assert re.fullmatch(r".*, the most there will be, (\d+ h )?\d+ min( \d+ s)? more", told)


def test_what_the_dry_run_took_otherwise_is_noted(night):
    _, account, _, _ = night
    notes = "\n".join(account["notes"])
    assert "elsewhere.yml; the dry run is of mine.yml" in notes
    assert f"{line('if r.mean')}: the script decides by what was measured" in notes
    assert "without --state" in notes


def test_a_script_that_does_not_exist(mine):
    with pytest.raises(FileNotFoundError, match="none.py: no such script"):
        dry_run(mine.parent / "none.py", mine)


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "night.py"
    path.write_text("print('started')\n", encoding="utf-8")
    return path


def test_bad_files_are_refused_by_name_before_anything_runs(script, mine, tmp_path, capsys):
    state = tmp_path / "state.yml"
    state.write_text("name: mine\n", encoding="utf-8")
    with pytest.raises(ValueError, match="state.yml: no snapshot"):
        dry_run(script, mine, state=state)
    state.write_text(
        "snapshot: 1\nbeamline: theirs\nfile: f\nsha256: s\ntime: t\npvs: {}\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match="the beamline 'theirs'.*'mine'"):
        dry_run(script, mine, state=state)
    mine.write_text(mine.read_text().replace("diameter: 155", "diametre: 155"))
    with pytest.raises(ValueError, match="mine.yml:.*diametre"):
        dry_run(script, mine)
    assert capsys.readouterr().out == ""


def test_where_epics_was_used_before_a_dry_run_is_refused(script, mine, stxm):
    with pytest.raises(SimulationError, match="EPICS is in use in this process already"):
        dry_run(script, mine)


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", "night.py:2"),
        ("x = 1\nx.y\n", "AttributeError: 'int' object has no attribute 'y'", "night.py:2"),
        ("def f(:\n", "SyntaxError", "night.py:1"),
    ],
    ids=["exit", "raises", "syntax"],
)
def test_a_script_that_ends_otherwise(script, text, error, line):
    script.write_text(text, encoding="utf-8")
    rehearsal = Rehearsal()
    _carry_out(script, rehearsal)
    (run,) = rehearsal.account.runs
    assert run.error.startswith(error)
    assert (run.ok, run.line, rehearsal.account.ok) == (False, line, False)


def test_a_snapshot_from_before_a_change_of_the_file_is_noted(mine):
    account = Account()
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    state = State("mine", "mine.yml", digest, "2026-11-26T01:00:00+00:00", {}, ("SR:GONE",))
    _note_state(account, mine, "s.yml", state)
    assert account.notes == ["s.yml: SR:GONE did not answer the snapshot; as in the simulation"]
    mine.write_text(mine.read_text() + "\n", encoding="utf-8")
    _note_state(account, mine, "s.yml", state)
    assert account.notes[1:] == [f"{mine} has changed since the snapshot of {state.time}"]


def test_a_script_that_ends_with_zero_is_well(script):
    script.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    rehearsal = Rehearsal()
    _carry_out(script, rehearsal)
    assert rehearsal.account.ok


def test_a_script_without_a_session_is_told_so(script):
    """And without a file it is of the simulated beamline, as it says."""
    done = command(script, cwd=script.parent)
    assert "started no session" in done.stdout, done.stderr
    assert "it is of the simulated beamline" in done.stdout
    assert "CA.Client" not in done.stderr  # libca, of a connection that was lost
    assert done.returncode == 0


def test_the_simulated_beamline_is_not_taken_for_the_one_that_the_script_names(tmp_path):
    opener = Opener(
        simulated_beamline(""), file=None, simulation=None, data=tmp_path, kept=tmp_path,
        rehearsal=Rehearsal(),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="with mine.yml: give redoxscope dry-run --beamline mine"):
        opener("mine.yml", tes=None, timeout=1.0)
    assert not opener.sessions


def test_told_to_end_before_there_is_a_session_it_ends_in_good_order():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"), _ended_in_good_order():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_snapshot_cannot_be_taken_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="none.yml"):
        take_snapshot(tmp_path / "none.yml")


FULL = """\
from redoxscope import start_session
from redoxscope.plans import energy_stack

with start_session() as s:
    s.RE(energy_stack(s.stxm, energies=[640.0, 641.0], size=4, pixels=4, dwell=0.01))
    run = s.cat[-1]
    print("lines", run["primary"].read()["transmission"].shape, run.metadata["start"]["plan_name"])
"""


def test_a_full_dry_run_measures_on_the_simulated_sample(script, mine):
    script.write_text(FULL, encoding="utf-8")
    done = command(script, "--beamline", mine, "--full", "--json", mine.parent / "f.json",
                   cwd=mine.parent)  # fmt: skip
    assert "lines (8, 4) stxm_energy_stack" in done.stdout, done.stderr
    (run,) = json.loads((mine.parent / "f.json").read_text())["runs"]
    assert run["ok"]
    assert run["live_s"] == pytest.approx(2 * 4 * 4 * 0.01)
    assert done.returncode == 0
