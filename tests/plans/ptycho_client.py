"""A client of the simulated beamline in a process of its own, which a test ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import yaml

from redoxscope.beamline import simulated_text

__all__ = ["SCAN", "Client"]

LONG = 120.0
SCAN = {
    "region": {"center": (0.0, 0.0), "size": (0.12, 0.08)}, "step": 0.04,
    "exposures": (0.02, 0.1), "energies": [640.0], "dark_frames": 0,
}  # fmt: skip
PATIENT = f"""
    import signal, sys
    from bluesky.utils import RunEngineInterrupted
    from redoxscope.devices.path import _path
    from redoxscope.plans import ptychography

    _path.BEHIND = 600.0  # a path that hangs is not given up before the test has done its part

    def run(engine, station):
        print("BEGIN", flush=True)
        engine(ptychography(station, **{SCAN!r}))
"""
SESSION = """
    from redoxscope import start_session

    def tell(name, doc):
        if name == "stop":  # what comes after it, the catalog, takes longer than all else here
            print("STOP", doc["exit_status"], doc["reason"], flush=True)

    with start_session(sys.argv[1], data=sys.argv[2]) as s:
        s.RE.subscribe(tell)
        run(s.RE, s.ptycho)
"""
ENGINE = """
    from bluesky import RunEngine
    from redoxscope.beamline import load_beamline, make_beamline

    beamline = make_beamline(load_beamline(sys.argv[1]))
    beamline.connect(120)
    engine, station = RunEngine(), beamline.instruments["ptycho"]
    try:
        run(engine, station)
    except RunEngineInterrupted:
        print("PAUSED", flush=True)
        sys.stdin.readline()
        engine.abort()
        print("ABORTED", flush=True)
    sys.stdin.readline()
    try:
        run(engine, station)
    finally:
        while True:  # until it is killed
            signal.pause()
"""


class Client:
    """Runs the plan.

    Parameters
    ----------
    simulation : Simulation
    folder : path
        For its beamline file and its data.
    code : str
        `SESSION` or `ENGINE`.
    """

    def __init__(self, simulation, folder, code):
        text = yaml.safe_load(simulated_text(simulation.prefix))
        ptycho = text["instruments"]["ptycho"]
        ptycho |= {"defocus": 3.0, "pixel": ptycho["pixel"] * simulation.camera_binning}
        text["instruments"] = {"ptycho": ptycho}
        used = [name for name in ptycho.values() if isinstance(name, str)]
        text["devices"] = {name: text["devices"][name] for name in used}
        file = folder / "beamline.yml"
        file.write_text(yaml.safe_dump(text), "utf-8")
        code = textwrap.dedent(PATIENT) + textwrap.dedent(code)
        self.process = subprocess.Popen(
            # -u: bluesky does not flush what it says of a pause.
            [sys.executable, "-u", "-c", code, file, folder / "data"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._watchdog = threading.Timer(2 * LONG, self.process.kill)
        self._watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()

    def said(self, *words):
        """Read on until it says one of these; which it is."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            for found in words:
                if found in line:
                    return found
        raise AssertionError(f"the client ended without {words}: {''.join(lines)}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def pause(self):
        """Ctrl-C twice: the second within 10 s, and not at once."""
        apart = threading.Event()
        while True:
            self.process.send_signal(signal.SIGINT)
            if self.said("A 'deferred pause' has been requested", "PAUSED") == "PAUSED":
                return
            apart.wait(0.5)
