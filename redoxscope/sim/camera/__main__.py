"""``python -m redoxscope.sim.camera``: the process that makes the simulated camera's frames."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
import time
from typing import Any


def parser() -> argparse.ArgumentParser:
    """Command line of the camera's process."""
    p = argparse.ArgumentParser(prog="python -m redoxscope.sim.camera", description=__doc__)
    p.add_argument("--sample", default="diffusion", help="what it sees")
    p.add_argument("--size", type=int, default=256, help="pixels of a side")
    p.add_argument("--geometry", help="JSON: fields of the zone plate's geometry")
    p.add_argument("--seed", type=int, default=1, help="of sample and noise")
    p.add_argument("--instant", action="store_true", help="frames are counted, not computed")
    return p


def _read(inbox: queue.Queue[dict[str, Any] | None]) -> None:
    """Take orders until there is nobody who gives them."""
    with os.fdopen(os.dup(0), encoding="utf-8") as orders:
        for line in orders:
            message = json.loads(line)
            if message == {"do": "fault", "command": "exit"}:
                os._exit(3)
            inbox.put(message)
    inbox.put(None)


def _panic(args: threading.ExceptHookArgs) -> None:
    """End the process: half a camera is worse than none."""
    sys.__excepthook__(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    sys.stderr.flush()
    os._exit(2)


def main(argv: list[str] | None = None) -> int:
    """Make frames until standard input ends.

    Returns
    -------
    int
        Exit status: 0, or 2 with one line of explanation for bad input.
    """
    args = parser().parse_args(argv)
    from ...optics import ZonePlateGeometry
    from ..physics.ptycho import build_ptycho
    from ._worker import Worker

    def tell(**said: Any) -> None:
        print(json.dumps(said), flush=True)

    try:
        plate = None if args.geometry is None else ZonePlateGeometry(**json.loads(args.geometry))
        source = build_ptycho(args.sample, size=args.size, seed=args.seed, geometry=plate)
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr, flush=True)
        return 2
    worker = Worker(source, tell, seed=args.seed, instant=args.instant)
    inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.excepthook = _panic
    threading.Thread(target=_read, args=(inbox,), daemon=True, name="orders").start()
    tell(event="ready", shape=source.camera.shape)
    try:
        while True:
            due = worker.next_due()
            try:
                wait = None if due is None else max(due - time.monotonic(), 0.0)
                message = inbox.get(timeout=wait)
            except queue.Empty:
                worker.step()
                continue
            if message is None:
                return 0
            worker.handle(message)
    except BrokenPipeError:  # nobody listens any more
        return 0
    finally:
        worker.end()


if __name__ == "__main__":
    sys.exit(main())
