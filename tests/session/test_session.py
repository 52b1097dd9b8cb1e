"""Sessions: what a script, the shell and the other commands start from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from .test_demo import redoxscope


def python(code, **kwargs):
    """Start a Python process with this code; its output is text."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs,
    )  # fmt: skip


def wait_for(process, word, timeout=300):
    """Read the process's output up to a line with this word."""
    watchdog = threading.Timer(timeout, process.kill)
    watchdog.start()
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if word in line:
                return line
    finally:
        watchdog.cancel()
    raise AssertionError(f"{word!r} never came: {''.join(seen)}{process.stderr.read()}")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    from redoxscope import start_session

    with start_session(speed=50, nxstxm=tmp_path_factory.mktemp("nxstxm")) as s:
        yield s


def test_run_is_in_the_catalog_and_batch_gives_the_live_map(session):
    import h5py
    from nexusformat.nexus.validate import logger, validate_file

    from redoxscope.callbacks import oxidation_map
    from redoxscope.plans import energy_stack

    plan = energy_stack(
        session.stxm, edge="Mn L3", energies=[635, 640, 641.6, 643.2, 644.4, 650], pixels=30, size=6
    )
    (uid,) = session.RE(plan)
    live = session.oxidation_map.result
    assert live.n_mask > 300
    assert repr(session).startswith("<session on simulated: stxm, ")
    run = session.cat[-1]
    assert run.start["uid"] == uid and run.start["simulated"] is True
    assert run.start["references"]["names"] == ["Mn4+", "Mn3+"]
    data = run["primary"].read()
    assert data["transmission"].shape == (6 * 30, 30)
    assert session.finish(60)
    (path,) = session.nxstxm.folder.glob(f"*_{uid[:8]}.nxs")
    with h5py.File(path) as file:
        counts = data["transmission"].values.reshape(6, 30, 30)
        np.testing.assert_array_equal(file["entry1/counter0/data"], counts)
    logger.handlers.clear()
    assert validate_file(str(path)) == (0, 0)
    batch = oxidation_map(run).result
    np.testing.assert_allclose(batch.fraction, live.fraction, rtol=1e-9)
    np.testing.assert_allclose(batch.sigma, live.sigma, rtol=1e-6)
    assert set(run) == {"primary", "oxidation_map", "dose"}  # what it found lies beside it
    np.testing.assert_array_equal(run["oxidation_map"]["fraction"].read(), live.fraction)
    kept = run["oxidation_map"].metadata["attrs"]
    assert kept["references"]["digest"] == run.start["references"]["digest"]
    assert kept["doubts"] == [
        {"kind": d.kind, "value": d.value, "text": d.text}
        for d in session.oxidation_map.snapshot.doubts
    ]


def test_namespace_has_what_the_shell_promises(session):
    names = session.namespace()
    assert {"RE", "cat", "bp", "bps", "bpp", "stxm", "energy_stack"} <= set(names)
    assert {"estimate", "stack_scan", "points_scan", "Scan", "Region", "Zone"} <= set(names)
    assert names["mono"] is session.stxm.monochromator is session.mono
    assert names["omap"] is session.oxidation_map


def test_all_live_pictures_are_shown_in_one_line(session, tmp_path):
    """Of a scan that is no stack, too; without a display as files."""
    from redoxscope.plans import focus_scan

    first = session.show(tmp_path / "first", window=False)
    view = session.show(tmp_path / "live", window=False)
    assert not first.alive and {live.on_update for live in session.maps.values()} == {view}
    session.RE(focus_scan(session.stxm, energies=[640, 650], travel=20, steps=3, pixels=5))
    session.finish()
    view.close(300)
    names = ["live.png", "live_640_eV.png", "live_650_eV.png", "live_dose.png"]
    assert set(names) == {path.name for path in (tmp_path / "live").iterdir()}
    assert (tmp_path / "live" / "live.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_sample_is_said_when_the_session_starts():
    from redoxscope import start_session
    from redoxscope.sim import SimulationError

    with pytest.raises((SimulationError, ValueError), match=r"nosuch\.h5"):
        start_session(sample="nosuch.h5")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Part of a real stack of another microscope, and the sample made of it; None without it."""
    from redoxscope.formats import read_stxm
    from redoxscope.stxm_files import write_sample

    path = Path(__file__).parents[3] / "shared/data/toner_fe_l/71214078.h5"
    if not path.exists():
        return None
    found, sample = read_stxm(path), tmp_path_factory.mktemp("imported") / "sample.h5"
    whole, every, rows = found.stacks[0], slice(None, None, 8), slice(30, 80)
    part = replace(
        whole, energy=whole.energy[every], dwell=whole.dwell[every], y=whole.y[rows],
        counts=whole.counts[every, rows], ring_current=None,
    )  # fmt: skip
    found = replace(found, stacks=(part,))
    assert write_sample(found, sample) == []
    return found, sample


@pytest.fixture(scope="module")
def killed(tmp_path_factory, imported):
    """A session that flew a stack of the imported sample, and was killed in the second one."""
    folder = tmp_path_factory.mktemp("killed")
    env = {**os.environ, "REDOXSCOPE_DATA": str(folder / "data")}
    env["TILED_PROFILES"] = str(folder / "profiles")
    sample, options, times = "lmr", {"edge": "Mn L3", "pixels": 20, "size": 3}, 1
    if imported is not None:
        stack, sample, times = imported[0].stacks[0], str(imported[1]), 2
        ends = [(float(axis[0]), float(axis[-1]), len(axis)) for axis in (stack.x, stack.y)]
        options = {
            "energies": stack.energy.tolist(), "dwell": float(stack.dwell[0]),
            "center": [(a + b) / 2 for a, b, _ in ends],
            "size": [(b - a) * n / (n - 1) for a, b, n in ends],
            "pixels": [n for *_, n in ends],
        }  # fmt: skip
    client = python(
        f"""
        from redoxscope import start_session
        from redoxscope.plans import energy_stack
        with start_session(speed=50, sample={sample!r}, nxstxm="nxs") as s:
            print("sim", s.simulation.pid, flush=True)
            seen = 0
            def tell(name, doc):
                global seen
                if name == "start":
                    seen = 0
                    print("uid", doc["uid"], flush=True)
                if name == "event_page" and "line" in doc["data"]:
                    seen += len(doc["seq_num"])
                    s.nxstxm.wait(60)
                    print("lines", seen, flush=True)
            s.RE.subscribe(tell)
            for _ in range({times}):
                s.RE(energy_stack(s.stxm, **{options!r}))
        """,
        env=env,
    )
    pid = int(wait_for(client, "sim").split()[1])
    *flown, uid = [wait_for(client, "uid").split()[1] for _ in range(times)]
    while (lines := int(wait_for(client, "lines").split()[1])) < 65:
        pass
    client.send_signal(signal.SIGKILL)
    rest, _ = client.communicate(timeout=240)
    told = [int(line.split()[1]) for line in rest.splitlines() if line.startswith("lines")]
    return {
        "env": env, "pid": pid, "flown": flown, "uid": uid, "lines": max([lines, *told]),
        "data": folder / "data",
    }  # fmt: skip


def test_killed_client_loses_no_finished_line(killed):
    """SIGKILL mid-stack: every line that was emitted is in the log; recover stores the run."""
    env, uid = killed["env"], killed["uid"]
    done = redoxscope("recover", env=env)
    assert done.returncode == 0, done.stderr
    assert "recovered" in done.stdout and uid in done.stdout
    # What it had written of its NXstxm file is a run, too.
    (part,) = (killed["data"] / "nxs").glob("*.part")
    done = redoxscope("import", part, env=env)
    assert done.returncode == 0, done.stderr
    assert "lines are missing" in done.stdout
    again = done.stdout.split("It is run ")[1].split(";")[0]
    reader = python(
        f"""
        from databroker import catalog
        for uid in ("{uid}", "{again}"):
            run = catalog["redoxscope"][uid]
            data = run["primary"].read()["transmission"]
            print("read", data.shape[0], float(data.sum()), run.stop["exit_status"],
                  run.stop["reason"], flush=True)
        """,
        env=env,
    )
    _, stored, total, status, *reason = wait_for(reader, "read", timeout=300).split()
    _, taken, same, ended, *why = wait_for(reader, "read", timeout=300).split()
    reader.communicate()
    assert int(stored) >= killed["lines"]
    assert status == "abort" and reason[0] == "interrupted:"
    assert killed["lines"] <= int(taken) <= int(stored)
    assert ended == "abort" and " ".join(why).startswith("the imported file ends before")
    assert float(same) == pytest.approx(float(total), rel=2 / killed["lines"])
    again = redoxscope("recover", env=env)
    assert again.returncode == 0 and "Nothing to recover" in again.stdout
    assert not _alive(killed["pid"]), "the simulated beamline outlived its client"


def test_killed_client_leaves_its_nxstxm_file(killed):
    import h5py

    (part,) = (killed["data"] / "nxs").glob("*.part")
    with h5py.File(part) as file:
        status = file["entry1/counter0/line_status"][()]
        counts = file["entry1/counter0/data"][()]
    assert (status == 0).sum() >= killed["lines"]
    assert (np.isfinite(counts).all(axis=-1) == (status == 0)).all()
    # The one before it was whole.
    assert len(list((killed["data"] / "nxs").glob("*.nxs"))) == len(killed["flown"])


def test_an_imported_stack_is_flown_as_a_sample(toner, killed, imported):
    """Its lines and its map, through IOC, plan and documents, are those of the import."""
    from redoxscope.callbacks import oxidation_map
    from redoxscope.data import references_from_h5
    from redoxscope.storage import logged_run, stack_cube
    from redoxscope.stxm_files import stack_documents

    found, _ = imported
    (uid,) = killed["flown"]
    flown = list(logged_run(killed["data"] / "documents", uid))
    np.testing.assert_allclose(stack_cube(flown)["counts"], found.stacks[0].counts)
    references = references_from_h5(toner)
    wanted = oxidation_map(stack_documents(found), references).result
    result = oxidation_map(flown, references).result
    assert result.n_mask > 400
    np.testing.assert_array_equal(result.mask, wanted.mask)
    np.testing.assert_allclose(result.fraction, wanted.fraction, rtol=1e-9)


def _alive(pid):
    import psutil

    try:
        psutil.Process(pid).wait(timeout=120)
    except psutil.NoSuchProcess:
        return False
    return psutil.pid_exists(pid)


@pytest.fixture(scope="module")
def running_sim(tmp_path_factory):
    """``redoxscope sim --write``: the process, the environment it prints, the file it wrote."""
    file = tmp_path_factory.mktemp("sim") / "beamline.yml"
    sim = python(
        f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        sys.argv = ["redoxscope", "sim", "--prefix", "T1:", "--speed", "50", "--write", r"{file}"]
        from redoxscope.cli import main
        main()
        """
    )
    env = dict(os.environ)
    text = []
    while "Ctrl-C ends it." not in (line := wait_for(sim, "")):
        text.append(line)
        if line.strip().startswith("export "):
            key, value = line.strip().removeprefix("export ").split("=", 1)
            env[key] = value.strip('"')
    yield env, file
    sim.send_signal(signal.SIGINT)
    _, errors = sim.communicate(timeout=240)
    assert sim.returncode == 0, errors


def test_check_finds_every_pv_of_the_simulation(running_sim):
    env, file = running_sim
    done = redoxscope("check", file, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was moved" in done.stdout and "missing" not in done.stdout


def test_check_names_what_is_missing(running_sim, tmp_path):
    env, file = running_sim
    other = tmp_path / "other.yml"
    other.write_text(file.read_text().replace('"I0:"', '"NoSuch:"'))
    done = redoxscope("check", other, "--timeout", 8, env=env)
    assert done.returncode == 1
    assert "T1:NoSuch:Line" in done.stdout and "i0" in done.stdout
    assert "T1:Trans:Line" not in done.stdout


def test_session_on_a_running_beamline(running_sim):
    """A beamline file with a prefix connects to what is there instead of starting its own."""
    env, file = running_sim
    client = python(
        f"""
        from redoxscope import start_session
        from redoxscope.plans import energy_stack
        with start_session(r"{file}") as s:
            s.RE(energy_stack(s.stxm, edge="Mn L3", energies=[640, 641, 642, 643], size=1,
                                 pixels=6))
            print("own simulation:", s.simulation, s.RE.state, flush=True)
        """,
        env=env,
    )
    line = wait_for(client, "own simulation")
    client.communicate(timeout=240)
    assert line.split()[2:] == ["None", "idle"] and client.returncode == 0


def test_misspelt_key_in_the_beamline_file(tmp_path):
    from importlib import resources

    text = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text()
    file = tmp_path / "bad.yml"
    file.write_text(text.replace("backlash:", "backlsh:"))
    done = redoxscope("check", file)
    assert done.returncode == 2
    assert "devices.mono.backlsh" in done.stderr and "'backlash'" in done.stderr
    assert "Traceback" not in done.stderr


def test_shell_has_the_names(tmp_path):
    """IPython, fed from a pipe."""
    done = redoxscope(
        "shell", "--speed", 50, timeout=400,
        input='print("NAMES", RE.state, stxm.name, callable(energy_stack), cat is None)\nexit\n',
    )  # fmt: skip
    assert "NAMES idle stxm True False" in done.stdout, done.stderr


@pytest.mark.slow
def test_leaving_the_shell_in_a_pause_says_that_the_run_is_safe():
    pause = "lambda n, d: n == 'event_page' and threading.Thread(target=RE.request_pause).start()"
    commands = f"""
import threading
RE.subscribe({pause})
RE(energy_stack(stxm, energies=[640, 641], pixels=(10, 30), size=2.0, dwell=0.01))
print("STATE", RE.state)
exit
"""
    done = redoxscope("shell", "--speed", 5, timeout=600, input=commands)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "STATE paused" in said, said
    end = said[said.index("STATE paused") :]
    assert "the run was aborted: scanner halted, shutter closed" in end
    assert "Traceback" not in end and "CHECK" not in end
    assert len(end.splitlines()) < 15, end


@pytest.mark.slow
def test_simulation_that_ends_is_named_as_the_cause(tmp_path):
    """`redoxscope demo stack`, that does not wait for a minute for what does not come back."""
    demo = python(
        f"""
        import sys
        from redoxscope.devices.scanner import RasterScanner
        RasterScanner.outage.kwargs["value"] = 2.0  # s
        sys.argv = ["redoxscope", "demo", "stack", "--no-window", "--pixels", "10",
                    "--out", r"{tmp_path / "out"}", "--fault", "exit 3"]
        from redoxscope.cli import main
        main()
        """
    )
    _, errors = demo.communicate(timeout=400)
    assert demo.returncode == 2, errors
    assert "error: the simulated beamline ended during the run (exit status 3)" in errors
    assert "Traceback" not in errors and "within 2 s" in errors


def test_interrupted_demo_keeps_what_was_taken(tmp_path):
    """Ctrl-C twice in a demonstration: run stored as aborted, map of what there is, exit 130."""
    out = tmp_path / "out"
    demo = python(
        f"""
        import sys
        sys.argv = ["redoxscope", "demo", "stack", "--pixels", "40", "--no-window", "--speed", "5",
                    "--out", r"{out}"]
        from redoxscope.cli import main
        main()
        """
    )
    wait_for(demo, "637.00 eV")
    demo.send_signal(signal.SIGINT)
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=240)
    assert demo.returncode == 130, errors
    summary = json.loads((out / "summary.json").read_text())
    assert summary["exit_status"] == "abort"
    assert "Traceback" not in errors
