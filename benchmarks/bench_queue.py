"""Figures of the queue server: a plan handed in over 0MQ until it has begun.

``python -m benchmarks.bench_queue`` prints them; `rows` returns them.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.queue import QueueServer
from redoxscope.sim import free_port
from redoxscope.storage import open_catalog

Row = dict[str, object]
REPEATS = 8
PATIENCE = 120.0
PLANS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "count": ([["ring"]], {"num": 1}),
    "energy_stack": (["stxm"], {"edge": "Mn L3", "energies": [640.0], "pixels": 4, "size": 1}),
}


def rows() -> list[Row]:
    """Time until the start document is made, which is after checks and staging."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        session = {"data": name, "speed": 20.0}
        control, info = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        with (data / "output.txt").open("w") as output:
            begin = time.perf_counter()
            with QueueServer(
                session, data / "queue", control=control, info=info, output=output
            ) as server:
                server.open()
                opened = time.perf_counter() - begin
                waits = {plan: _waits(server, data, plan) for plan in PLANS}
    for plan, times in waits.items():
        found.append(
            {"what": f"`{plan}` handed in -> start document, queue server", "unit": "s",
             "target": 1.0, "value": float(np.median(times)),
             "reference": f"median of {len(times)}; largest {max(times):.2f} s"}
        )  # fmt: skip
    found.append(
        {"what": "queue server until its environment is open", "unit": "s", "target": None,
         "value": opened, "reference": "Redis, manager, imports, simulated beamline"}
    )  # fmt: skip
    return found


def _waits(server: QueueServer, data: Path, plan: str) -> list[float]:
    """Seconds from hand-in to the start document, with a queue that starts by itself."""
    args, kwargs = PLANS[plan]
    item = {"item_type": "plan", "name": plan, "args": args, "kwargs": kwargs}
    who = {"user": "bench", "user_group": "primary"}
    assert server.ask("queue_autostart", enable=True)["success"]
    handed: list[float] = []
    uids: list[str] = []
    assert server.ask("history_clear")["success"]
    for count in range(1, REPEATS + 1):
        handed.append(time.time())
        answer = server.ask("queue_item_add", item=item, **who)
        assert answer["success"], answer
        result = _result(server, count)
        assert result["exit_status"] == "completed", result
        uids += result["run_uids"]
    server.ask("queue_autostart", enable=False)
    _wait_stored(data, uids)
    catalog = open_catalog("redoxscope", directory=data)
    return [catalog[uid].start["time"] - at for uid, at in zip(uids, handed, strict=True)]


def _wait_stored(data: Path, uids: list[str]) -> None:
    """Wait until the worker has stored its runs, which it does behind the items."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    logs = [data / "documents" / "stored" / f"{uid}.jsonl" for uid in uids]
    while not all(log.exists() for log in logs):
        if time.monotonic() > deadline:
            raise RuntimeError(f"runs are not stored within {PATIENCE:g} s")
        pause.wait(0.1)


def _result(server: QueueServer, count: int) -> dict[str, Any]:
    """Of the ``count``-th item, when it is over and the manager is at rest."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while True:
        items = server.ask("history_get")["items"]
        if len(items) == count and server.ask("status")["manager_state"] == "idle":
            return items[-1]["result"]
        if time.monotonic() > deadline:
            raise RuntimeError(f"item {count} is not over within {PATIENCE:g} s")
        pause.wait(0.1)


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
