"""Sessions: what a script, the shell and the other commands start from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

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
def session():
    from redoxscope import start_session

    with start_session(speed=50) as s:
        yield s


def test_run_is_in_the_catalog_and_batch_gives_the_live_map(session):
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


def test_wrong_sample_is_said_when_the_session_starts():
    from redoxscope import start_session
    from redoxscope.sim import SimulationError

    with pytest.raises((SimulationError, ValueError), match=r"nosuch\.h5"):
        start_session(sample="nosuch.h5")


def test_killed_client_loses_no_finished_line(tmp_path):
    """SIGKILL mid-stack: every line that was emitted is in the log; recover stores the run."""
    env = {**os.environ, "REDOXSCOPE_DATA": str(tmp_path / "data")}
    env["TILED_PROFILES"] = str(tmp_path / "profiles")
    client = python(
        """
        from redoxscope import start_session
        from redoxscope.plans import energy_stack
        with start_session(speed=20) as s:
            print("sim", s.simulation.pid, flush=True)
            seen = 0
            def tell(name, doc):
                global seen
                if name == "start":
                    print("uid", doc["uid"], flush=True)
                if name == "event_page" and "line" in doc["data"]:
                    seen += len(doc["seq_num"])
                    print("lines", seen, flush=True)
            s.RE.subscribe(tell)
            s.RE(energy_stack(s.stxm, edge="Mn L3", pixels=20, size=3))
        """,
        env=env,
    )
    pid = int(wait_for(client, "sim").split()[1])
    uid = wait_for(client, "uid").split()[1]
    while (lines := int(wait_for(client, "lines").split()[1])) < 65:
        pass
    client.send_signal(signal.SIGKILL)
    rest, _ = client.communicate(timeout=240)
    told = [int(line.split()[1]) for line in rest.splitlines() if line.startswith("lines")]
    lines = max([lines, *told])
    done = redoxscope("recover", env=env)
    assert done.returncode == 0, done.stderr
    assert "recovered" in done.stdout and uid in done.stdout
    reader = python(
        f"""
        from databroker import catalog
        run = catalog["redoxscope"]["{uid}"]
        data = run["primary"].read()
        print("read", data["transmission"].shape[0], run.stop["exit_status"], run.stop["reason"])
        """,
        env=env,
    )
    _, stored, status, *reason = wait_for(reader, "read", timeout=300).split()
    reader.communicate()
    assert int(stored) >= lines
    assert status == "abort" and reason[0] == "interrupted:"
    again = redoxscope("recover", env=env)
    assert again.returncode == 0 and "Nothing to recover" in again.stdout
    assert not _alive(pid), "the simulated beamline outlived its client"


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
