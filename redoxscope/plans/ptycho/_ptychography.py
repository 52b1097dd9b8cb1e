"""Ptychography: overlapping frames at one energy after the other, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator

from ...data import EDGES, edge_energies, get_edge
from ...documents import (
    CONTRACT_VERSION,
    PTYCHO,
    PTYCHO_RESERVED,
    STREAM,
    PtychoInfo,
    check_metadata,
)
from ...scan import (
    MAX_DARK_FRAMES,
    MAX_RETRIES,
    TRAJECTORIES,
    Region,
    Scan,
    as_scan,
    ptychography_scan,
)
from .._blocks import count_blocks
from .._edge import at_edge
from .._foretold import foretold
from .._inputs import check_device
from .._overlap import frame_checks
from .._protocols import PtychographyStation
from .._public import Bounds, OneOf, plan
from .._run import in_run
from .._safety import SafetyStep, close, explained, halt, made_safe, staged
from ..progress import with_progress
from ._take import frames

__all__ = ["ptychography"]

STEP = 0.04
DARKS = 5


@plan
def ptychography(
    station: PtychographyStation,
    region: Region | Mapping[str, Any] | Sequence[Region | Mapping[str, Any]] | None = None,
    *,
    exposures: float | Sequence[float] | None = None,
    energies: Annotated[float | Sequence[float] | None, Bounds("eV", above=0)] = None,
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    step: Annotated[float | None, Bounds("µm", above=0)] = None,
    trajectory: Annotated[str | None, OneOf(TRAJECTORIES)] = None,
    jitter: Annotated[float | None, Bounds(at_least=0, at_most=0.5)] = None,
    seed: Annotated[int | None, Bounds(at_least=0)] = None,
    dark_frames: Annotated[int | None, Bounds(at_least=0, at_most=MAX_DARK_FRAMES)] = None,
    retries: Annotated[int | None, Bounds(at_least=0, at_most=MAX_RETRIES)] = None,
    scan: Scan | Mapping[str, Any] | str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take overlapping frames of a region at each of several photon energies, for ptychography.

    Dark frames of each exposure time first, then at each place frames of all exposure times, the
    short one first. The camera is armed for a block of frames, and a path controller opens its
    gate at each place: nobody waits for a computer between frames. Frames belong to places by
    index; a block of which frames are missing, torn, not written or too many is taken again.

    Parameters
    ----------
    station : redoxscope.devices.PtychoStation
        Zone plate, stages, path controller, camera and shutter.
    region : Region, mapping, or a list of them
        Where: centre and size (µm, sample coordinates). Several are visited at each energy.
    exposures : float or sequence of float
        Times of the frames at each place (s), the short one first: ``(0.01, 0.1)``.
    energies : float or sequence of float, optional
        True photon energies (eV), in the order in which they are gone to; by default the edge's.
    edge : str, optional
        Absorption edge, e.g. ``"Mn L3"``: gives energies and the monochromator's offset.
    step : float, optional
        Distance of neighbouring places (µm); by default 0.04.
    trajectory : str, optional
        ``"jittered-grid"`` (the default), ``"fermat"`` or ``"grid"``.
    jitter : float, optional
        How far places of the jittered grid are off it at most (of the step); by default 0.25.
    seed : int, optional
        Of the jitter; by default 0.
    dark_frames : int, optional
        Frames of each exposure time behind the closed shutter; by default 5.
    retries : int, optional
        How often a block whose frames are not as asked is taken again; once by default.
    scan : Scan, mapping, JSON text or path of a file, optional
        Measure this scan of exposures, instead of one that the other arguments make:
        ``Scan.from_start(run.start)`` measures a run again.
    md : mapping, optional
        Further metadata for the start document.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        A value that makes no sense, when the plan is called: exposures that do not rise. A step
        that is larger than the probe, dark frames without a shutter, exposures that the camera
        cannot take, a mask of another shape than its frames, before the first message.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        Outside the limits or against the geometry, before the first message.
    RuntimeError
        Nothing of three blocks in a row can be used.

    Notes
    -----
    A pause stops the path, disarms the camera and closes the shutter. The block is then taken
    again from its first place; its event comes once. What was taken twice stays in the file, and
    no event refers to it.
    """
    check_device("station", station, PtychographyStation, "PtychoStation")
    said = {
        "region": region, "exposures": exposures, "energies": energies, "edge": edge, "step": step,
        "trajectory": trajectory, "jitter": jitter, "seed": seed, "dark_frames": dark_frames,
        "retries": retries,
    }  # fmt: skip
    given = {name: value for name, value in said.items() if value is not None}
    found = _made(given) if scan is None else _given(scan, given)
    return explained(_measure(station, found, check_metadata(md, PTYCHO_RESERVED)))


def _made(given: dict[str, Any]) -> Scan:
    """The scan that the arguments make."""
    needed = {"region": "{'center': (0, 0), 'size': 2}", "exposures": "(0.01, 0.1)"}
    for needs, example in needed.items():
        if needs not in given:
            raise ValueError(f"ptychography needs {needs}={example}, or a scan")
    edge = given.pop("edge", None)
    if "energies" not in given:
        if edge is None:
            raise ValueError("ptychography needs energies=[...] in eV, or edge='Mn L3'")
        given["energies"] = edge_energies(edge)
    name = None if edge is None else get_edge(edge).name
    return ptychography_scan(given.pop("region"), edge=name, **{"step": STEP, **given})


def _given(scan: Any, said: Mapping[str, Any]) -> Scan:
    if said:
        raise ValueError(f"{next(iter(said))} and scan are both given; a scan has its own")
    found = as_scan(scan)
    if found.kind != "exposures":
        raise ValueError(f"scan is one of {found.kind}; ptychography takes exposures")
    if found.outer:
        raise ValueError(
            f"the scan loops over {found.outer[0].name!r}, and ptychography over energies only"
        )
    if found.edge is not None:
        get_edge(found.edge)
    return found


def _measure(station: PtychographyStation, scan: Scan, md: Mapping[str, Any]) -> MsgGenerator[str]:
    for check in frame_checks(station, scan):
        check()
    info = PtychoInfo(**station.info(scan.all_energies))
    steps: list[SafetyStep] = [halt(station), close(station.shutter)]

    def safe() -> MsgGenerator[None]:
        return (yield from made_safe(_frames(station, scan), steps))

    run = in_run(safe, _start(station, scan, info), md, PTYCHO_RESERVED)
    owned = [station.shutter] if hasattr(station.shutter, "stage") else []
    whole = bpp.stage_wrapper(staged(station, run), owned)
    return (yield from at_edge(station.monochromator, scan.edge, whole))


def _frames(station: PtychographyStation, scan: Scan) -> MsgGenerator[None]:
    if not (yield from foretold(station, scan)):
        yield from with_progress(frames(station, scan), scan, station)


def _start(station: PtychographyStation, scan: Scan, info: PtychoInfo) -> dict[str, Any]:
    return {
        "plan_name": PTYCHO,
        "contract_version": CONTRACT_VERSION,
        "scan": scan.as_dict(),
        "edge": scan.edge,
        "detectors": [info.image],
        "motors": ["energy", "y", "x"],
        "num_points": count_blocks(station, scan),
        "hints": {"dimensions": [[["energy"], STREAM]]},
        PTYCHO: info.as_dict(),
    }
