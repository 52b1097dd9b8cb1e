"""A stack on a controller of the FLY contract, against the time that its server takes.

``python -m benchmarks.bench_fly`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from epics import PV

Row = dict[str, object]
NX, NY, DWELL = 100, 40, 0.001
ENERGIES = [638.0, 640.0]
SIDE = 5.0
REPEATS = 2
"""Stacks and lean loops in turn: the machine is shared, and both are to see the same of it."""


def _microscope(prefix: str) -> Any:
    from redoxscope.beamline import connect, make_beamline, simulated_fly

    stxm = make_beamline(simulated_fly().served_as(prefix)).instruments["stxm"]
    connect(stxm)
    return stxm


def _ours(stxm: Any) -> list[float]:
    """Time from line to line within the images of a stack (s), by the server's time stamps."""
    from bluesky import RunEngine

    from redoxscope.plans import energy_stack

    stamps: list[tuple[int, float]] = []

    def look(name: str, doc: dict[str, Any]) -> None:
        if name == "event_page":
            stamps.extend(zip(doc["data"]["line"], doc["timestamps"]["line"], strict=True))

    engine = RunEngine({}, context_managers=[])
    engine.subscribe(look)
    engine(energy_stack(stxm, energies=ENERGIES, pixels=(NX, NY), size=SIDE, dwell=DWELL))
    pairs = zip(stamps, stamps[1:], strict=False)
    return [b - a for (before, a), (after, b) in pairs if after == before + 1]


class _Lean:
    """The least that a client can do for a line: slow axis, GO, reads."""

    def __init__(self, prefix: str):
        names = ("START", "STOP", "NPOINTS", "DWELL", "ARM", "GO", "STATE", "INDEX", "POS")
        data = ("DATA:default", "DATA:i0")
        self._pvs = {
            name: PV(f"{prefix}STXMSIM:E712:FLY:{name}", auto_monitor=False)
            for name in (*names, *data)
        }
        self._pvs["y"] = PV(f"{prefix}STXMSIM:E712:SampleY", auto_monitor=False)
        self._pvs["energy"] = PV(f"{prefix}STXMSIM:XPS:energy", auto_monitor=False)
        for pv in self._pvs.values():
            if not pv.wait_for_connection(timeout=20):
                raise RuntimeError(f"{pv.pvname} does not answer")

    def _put(self, name: str, value: float) -> None:
        self._pvs[name].put(value, wait=True, timeout=60)

    def run(self) -> list[float]:
        """Time from line to line (s), by the server's time stamps."""
        half = SIDE * (NX - 1) / (2 * NX)
        settings = {"START": -half, "STOP": half, "NPOINTS": NX, "DWELL": DWELL * 1e3}
        rows = (np.arange(NY) - (NY - 1) / 2) * SIDE / NY
        steps = []
        for energy in ENERGIES:
            self._put("energy", energy)
            for name, value in settings.items():
                self._put(name, value)
            self._put("ARM", 1)
            stamps = []
            for y in rows:
                self._put("y", float(y))
                self._put("GO", 1)
                if self._pvs["STATE"].get(as_string=True) != "ARMED":
                    raise RuntimeError("the lean client's line failed")
                stamps.append(self._pvs["INDEX"].get_with_metadata(form="time")["timestamp"])
                for name in ("POS", "DATA:default", "DATA:i0"):
                    self._pvs[name].get(timeout=30)
            steps += np.diff(stamps).tolist()
        return steps


def _measured(poll: float) -> tuple[float, float]:
    """Median time per line beyond its dwell (ms): of ours, of the lean client."""
    from redoxscope.sim import Simulation

    ours: list[float] = []
    lean: list[float] = []
    with Simulation(speed=1.0, contract="fly", options={"fly-poll": poll}) as running:
        stxm = _microscope(running.prefix)
        try:
            client = _Lean(running.prefix)
            for _ in range(REPEATS):
                ours += _ours(stxm)
                lean += client.run()
        finally:
            stxm.destroy()
    live = NX * DWELL * 1e3
    return float(np.median(ours) * 1e3 - live), float(np.median(lean) * 1e3 - live)


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    found: list[Row] = []
    for poll, whose in ((0.02, "their poll of 20 ms"), (0.001, "a poll of 1 ms")):
        ours, lean = _measured(poll)
        found.append(
            {"what": f"FLY contract, per line above the server, {whose}", "unit": "ms",
             "value": ours - lean, "target": 8.0,
             "reference": f"beyond {NX} x 1 ms: ours {ours:.1f} ms, a lean client {lean:.1f} ms"}
        )  # fmt: skip
    return found


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
