"""``python -m redoxscope.sim.dastard``: a Dastard server with a simulated array."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import traceback

from ..process import end_with_parent


def parser() -> argparse.ArgumentParser:
    """Command line of the server process."""
    from ._faults import SERVER_FAULTS

    p = argparse.ArgumentParser(prog="python -m redoxscope.sim.dastard", description=__doc__)
    p.add_argument("--port-base", type=int, default=0, help="port of the calls; 0: free ones")
    p.add_argument("--control", type=int, default=0, help="port by which the beam is told")
    p.add_argument("--speed", type=float, default=1.0, help="server seconds per second")
    p.add_argument("--epoch", type=int, help="ns since 1970 at which both clocks agree")
    p.add_argument("--seed", type=int, default=1, help="of pixels, photons and noise")
    p.add_argument(
        "--source-name",
        default="RESONATOR",
        choices=("RESONATOR", "ABACO", "LANCERO"),
        help="hardware: of Dastard from 0.3.10 on, of those before, or time-division readout",
    )
    p.add_argument("--sample", default="lmr_charged", help="in the beam until told otherwise")
    p.add_argument("--data", default=".", help="folder for runs")
    p.add_argument(
        "--hwm",
        type=int,
        default=1_000_000,
        help="messages kept for a slow client; a real server keeps 100 and drops the rest",
    )
    p.add_argument("--pixels", type=int, default=240)
    p.add_argument("--no-dead-time", action="store_true", help="no limit to the counting rate")
    p.add_argument("--damage-dose", type=float, help="flux times s that bleaches the sample, s")
    p.add_argument("--no-projectors", action="store_true", help="none are loaded at the start")
    p.add_argument("--scan-server", type=int, help="port for the scan-server protocol, too")
    p.add_argument("--records", action="store_true", help="send whole records, too")
    p.add_argument(
        "--fault",
        action="append",
        default=[],
        help="; ".join(SERVER_FAULTS.values()),
        metavar="FAULT",
    )
    p.add_argument("--parent-pipe", action="store_true", help="end when standard input ends")
    return p


def _panic(args: threading.ExceptHookArgs) -> None:
    """End the process: half a server is worse than none."""
    traceback.print_exception(args.exc_type, args.exc_value, args.exc_traceback)
    sys.stderr.flush()
    os._exit(2)


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted.

    Returns
    -------
    int
        Exit status: 0, or 2 with one line of explanation for bad input.
    """
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    from ..physics.rixs import RixsModel
    from ..physics.tes import TesArray
    from ._server import DastardServer, Settings
    from ._sockets import open_listener, open_sockets

    try:
        model = RixsModel(args.seed, damage_dose=args.damage_dose)
        if args.sample not in model.samples:
            raise ValueError(f"unknown sample {args.sample!r}; known: {', '.join(model.samples)}")
        array = TesArray(args.pixels, args.seed, dead_time=not args.no_dead_time)
        settings = Settings(
            source_kind=args.source_name,
            speed=args.speed,
            epoch_ns=args.epoch,
            seed=args.seed,
            sample=args.sample,
            data=args.data,
            projectors=not args.no_projectors,
            records=args.records,
        )
        sockets = open_sockets(args.port_base, args.control, args.hwm)
        server = DastardServer(settings, sockets, array, model)
        if args.scan_server is not None:
            from ._scan_server import ScanServer

            ScanServer(server, open_listener(args.scan_server), args.seed).start()
        for fault in args.fault:
            server.faults.request(fault)
    except (ValueError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr, flush=True)
        return 2
    if args.parent_pipe:
        end_with_parent()
    threading.excepthook = _panic
    print(f"ready {sockets.base} {sockets.control_port}", flush=True)
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
