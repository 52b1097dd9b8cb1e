"""``python -m redoxscope.sim``: the IOC process of the simulated beamline."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from typing import Any

from ..process import check_free, end_with_parent


def parser() -> argparse.ArgumentParser:
    """Command line of the IOC process."""
    from ._faults import FAULTS

    p = argparse.ArgumentParser(prog="python -m redoxscope.sim", description=__doc__)
    p.add_argument("--sample", default="lmr", help='"lmr", or an HDF5 file with a measured stack')
    p.add_argument("--prefix", default="RS:", help="start of every PV name")
    p.add_argument("--port", type=int, required=True, help="Channel Access port on loopback")
    p.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    p.add_argument(
        "--heat-speed", type=float, help="of heating stages and vacuum (default: --speed)"
    )
    p.add_argument("--seed", type=int, default=1, help="of sample and noise")
    p.add_argument("--a1-error", type=float, default=0.0, help="relative error of the A1 stated")
    for axis in "xy":
        p.add_argument(
            f"--osa-{axis}", type=float, default=0.0, help="where the aperture is on the axis, µm"
        )
    for axis in "xy":
        p.add_argument(
            f"--runout-{axis}", type=float, default=0.0,
            help="how far the zone plate goes aside over its travel, µm/mm",
        )  # fmt: skip
    p.add_argument("--energy-offset", type=float, default=0.0, help="true minus mono energy, eV")
    p.add_argument("--drift", type=float, default=0.0, help="stage drift along x, µm/h")
    p.add_argument("--drift-y", type=float, default=0.0, help="the same along y")
    p.add_argument(
        "--fault", action="append", default=[], help="; ".join(FAULTS.values()), metavar="FAULT"
    )
    p.add_argument(
        "--contract",
        default="index",
        choices=("index", "fly"),
        help="of the scanner: lines with stamped indices; fly: those and the FLY contract beside",
    )
    p.add_argument("--fly-prefix", help="start of its PV names (default: --prefix, STXMSIM:)")
    p.add_argument("--fly-poll", type=float, default=0.02, help="poll of its services, s")
    p.add_argument("--fly-margin", type=float, default=5.0, help="of its line's deadline, s")
    p.add_argument("--without", action="append", default=[], help="leave a PV out, by suffix")
    p.add_argument(
        "--dastard-control", type=int, help="port by which a simulated Dastard is told the beam"
    )
    p.add_argument(
        "--camera-size",
        type=int,
        default=256,
        choices=(256, 128, 64),
        help="pixels of the camera's side",
    )
    p.add_argument("--camera-data", default=".", help="folder for its files, until told otherwise")
    p.add_argument("--layout", help="JSON: names and state of the beamline that is simulated")
    p.add_argument(
        "--no-shutter", action="store_true", help="nothing takes the beam from the sample"
    )
    p.add_argument("--instant", action="store_true", help="what takes time is over at once")
    p.add_argument("--parent-pipe", action="store_true", help="end when standard input ends")
    return p


def _fly(args: argparse.Namespace) -> dict[str, Any]:
    for option in ("fly_poll", "fly_margin"):
        if not 0 < getattr(args, option) < float("inf"):
            shown = option.replace("_", "-")
            raise ValueError(f"--{shown} {getattr(args, option)} s is not above 0 s")
    prefix = args.prefix + "STXMSIM:" if args.fly_prefix is None else args.fly_prefix
    return {"prefix": prefix, "poll": args.fly_poll, "margin": args.fly_margin}


def main(argv: list[str] | None = None) -> int:
    """Serve the simulated beamline until interrupted.

    Returns
    -------
    int
        Exit status: 0, or 2 with one line of explanation for bad input.
    """
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    # caproto's "High load" is no news: a laptop that draws a map beside it is busy.
    logging.getLogger("caproto.circ").setLevel(logging.ERROR)
    os.environ.update(
        EPICS_CA_SERVER_PORT=str(args.port),
        EPICS_CAS_SERVER_PORT=str(args.port),
        EPICS_CAS_INTF_ADDR_LIST="127.0.0.1",
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_ADDR_LIST="",
    )
    from .._layout import Layout
    from ..physics.stxm import SAMPLES, build_model
    from ._bench import Bench
    from ._clock import Clock, InstantClock
    from ._dastard_link import DastardLink
    from ._server import serve

    try:
        check_free(args.port)
        layout = None if args.layout is None else Layout.from_json(args.layout)
        model = build_model(
            args.sample,
            seed=args.seed,
            a1_error=args.a1_error,
            drift_um_per_h=(args.drift, args.drift_y),
            layout=layout,
            osa_centre=(args.osa_x, args.osa_y),
            runout=(args.runout_x, args.runout_y),
        )
        link = None if args.dastard_control is None else DastardLink(args.dastard_control)
        heat_speed = args.speed if args.heat_speed is None else args.heat_speed
        bench = Bench(
            model,
            prefix=args.prefix,
            clock=InstantClock() if args.instant else Clock(args.speed),
            energy_offset=args.energy_offset,
            dastard=link,
            fly=_fly(args) if args.contract == "fly" else None,
            layout=layout,
            shutter=not args.no_shutter,
            heat_clock=InstantClock() if args.instant else Clock(heat_speed, what="heat speed"),
            seed=args.seed,
            camera={
                "size": args.camera_size,
                "data": args.camera_data,
                "options": {
                    # a measured stack has no phase that could be diffracted from
                    "sample": args.sample if args.sample in SAMPLES else "diffusion",
                    "seed": args.seed,
                    "geometry": json.dumps(layout.geometry) if layout and layout.geometry else None,
                },
            },
        )
        for fault in args.fault:
            bench.request_fault(fault)
        pvdb = bench.pvdb
        for suffix in args.without:
            if args.prefix + suffix not in pvdb:
                raise ValueError(f"--without {suffix}: there is no PV {args.prefix}{suffix}")
            del pvdb[args.prefix + suffix]
    except (ValueError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr, flush=True)
        return 2
    if args.parent_pipe:
        end_with_parent()

    async def ready() -> None:
        await bench.start()
        print(f"ready {args.port}", flush=True)

    try:
        serve(pvdb, interface="127.0.0.1", ready=ready)
    except KeyboardInterrupt:
        return 0
    except OSError as exc:
        print(f"error: {exc}", file=sys.stderr, flush=True)
        return 2
    return 0
