"""Energy stack: one image per photon energy, in one run, one event per line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator

from ..contract import (
    CONTRACT_VERSION,
    STACK_RESERVED,
    STREAM,
    as_pair,
    check_metadata,
)
from ..data import (
    References,
    UndeterminedError,
    as_references,
    edge_energies,
    get_edge,
    load_references,
)
from ..scan import MAX_RETRIES, Region
from ._edge import at_edge
from ._inputs import check_device, check_energies
from ._outage import outlasting
from ._protocols import Microscope, Placement
from ._public import Bounds, plan
from ._run import in_run
from ._safety import close, halt, made_safe

__all__ = ["energy_stack"]

log = logging.getLogger("redoxscope.plans")


@plan
def energy_stack(
    stxm: Microscope,
    *,
    edge: str | None = None,
    energies: Sequence[float] | None = None,
    center: tuple[float, float] = (0.0, 0.0),
    size: float | tuple[float, float] = 5.0,
    pixels: int | tuple[int, int] = 100,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    references: References | Mapping[str, Any] | str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take an image of one region at each of several photon energies.

    The whole plan is checked before the first move: energies, region and run-up against the
    soft limits, and zone plate, order-sorting aperture and sample against each other at
    the lowest energy.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    edge : str, optional
        Absorption edge, e.g. ``"Mn L3"``: gives energies, reference spectra and the
        monochromator's offset. Without it, ``energies`` must be given.
    energies : sequence of float, optional
        True photon energies (eV), all rising or all falling; by default the edge's.
    center : tuple of float
        x, y of the middle of the region (µm, sample coordinates).
    size : float or tuple of float
        Width, height (µm); one number for a square.
    pixels : int or tuple of int
        Columns, rows; one number for a square.
    dwell : float
        Time per pixel (s).
    retries : int
        How often a missed line is taken again, at most 100.
    references : References, mapping or str, optional
        Spectra of the pure species for the live map: an edge whose shipped ones are meant, the
        path of a CSV file, or as `redoxscope.data.as_references` takes them. By default those of
        the edge, which are left out where so few energies cannot tell them apart. They are
        written into the start document, at this stack's energies.
    md : mapping, optional
        Further metadata for the start document. Keys of the contract
        (`redoxscope.contract.STACK_RESERVED`) are refused, here and from ``RE(plan, key=…)``.

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
        A value that makes no sense: energies NaN, unsorted or twice the same; a region, a
        dwell or pixels that are not positive; an unknown edge; references that do not cover
        the energies or cannot be told apart; metadata that would overwrite the contract's, or
        something else than a microscope. Raised when the plan is called. Metadata that come
        with ``RE(plan, key=…)`` or from ``RE.md`` are compared when the run is open: then this
        ends it before its first move.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        Outside the limits or against the geometry. Raised before the plan's first message.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    if energies is None:
        if edge is None:
            raise ValueError("energy_stack needs edge='Mn L3' (or another) or energies=[...] in eV")
        energies = edge_energies(edge)
    energies = check_energies(energies)
    region = Region(
        as_pair("center", center, "µm"),
        as_pair("size", size, "µm", single=True),
        as_pair("pixels", pixels, single=True),
    )
    if edge is not None:
        edge = get_edge(edge).name
    spectra: References | None = None
    if references is not None:
        spectra = as_references(references)
        spectra.design(energies)  # raises when they do not fit these energies
    elif edge is not None:
        spectra = _default_references(edge, energies)
    metadata = {
        **_start_metadata(stxm, energies, region, dwell, edge),
        **({} if spectra is None else {"references": spectra.at(energies)}),
    }
    user = check_metadata(md, STACK_RESERVED)
    return _energy_stack(stxm, energies, region, dwell, edge, retries, metadata, user)


def _default_references(edge: str, energies: list[float]) -> References | None:
    """The edge's own references; None where it has none, or so few energies cannot fit them.

    An image or two at an edge are a measurement without a map. Only references that were asked
    for by name must fit.
    """
    if not get_edge(edge).species:
        return None
    references = load_references(edge)
    try:
        references.design(energies)
    except UndeterminedError as exc:
        log.warning("no map, images only: %s", exc)
        return None
    return references


def _start_metadata(
    stxm: Microscope, energies: list[float], region: Region, dwell: float, edge: str | None
) -> dict[str, Any]:
    nx, ny = region.pixels
    x_extent, y_extent = region.extents
    return {
        "plan_name": "energy_stack",
        "contract_version": CONTRACT_VERSION,
        "detectors": [det.field for det in stxm.line_detectors],
        "motors": ["energy", "sample_y", "sample_x"],
        "shape": [len(energies), ny, nx],
        "num_points": len(energies) * ny,
        "extents": [[energies[0], energies[-1]], list(y_extent), list(x_extent)],
        "snaking": [False, False, False],
        "hints": {"dimensions": [[["energy"], STREAM]]},
        "energies": energies,
        "dwell": dwell,
        "edge": edge,
        "region": region.as_dict(),
    }


def _energy_stack(
    stxm: Microscope,
    energies: list[float],
    region: Region,
    dwell: float,
    edge: str | None,
    retries: int,
    metadata: dict[str, Any],
    md: dict[str, Any],
) -> MsgGenerator:
    stxm.check_stack(energies, region, dwell, edge=edge)
    place = partial(stxm.place, region, dwell, retries=retries)

    def images() -> MsgGenerator:
        steps = (halt(stxm.scanner), close(stxm.shutter))
        return (yield from made_safe(_images(stxm, energies, place), steps))

    @bpp.stage_decorator([stxm])
    def run() -> MsgGenerator:
        return (yield from in_run(images, metadata, md, STACK_RESERVED))

    return (yield from at_edge(stxm.monochromator, edge, run()))


def _images(
    stxm: Microscope, energies: list[float], place: Callable[[], Placement]
) -> MsgGenerator:
    scanner, stage = stxm.scanner, stxm.sample_stage
    yield from bps.checkpoint()
    coarse = place()
    for motor, target in ((stage.x, coarse.coarse_x), (stage.y, coarse.coarse_y)):
        if target is not None:
            yield from bps.abs_set(motor, target, group="coarse")
    yield from bps.wait("coarse")
    # From where the coarse stage stands now: it is allowed to miss by more than a pixel.
    yield from bps.prepare(scanner, place().raster, wait=True)
    yield from bps.checkpoint()
    yield from bps.declare_stream(scanner, name=STREAM, collect=True)
    yield from bps.abs_set(stxm.shutter, "follow", wait=True)
    try:
        yield from outlasting(partial(_go_to, stxm, energies[0]), stxm)
        for following in [*energies[1:], None]:
            yield from _image(stxm, following)
    except GeneratorExit:
        raise
    except BaseException:
        # Lines that were finished before it went wrong are data.
        yield Msg("collect", scanner, name=STREAM, return_payload=False)
        raise


def _go_to(stxm: Microscope, energy: float) -> MsgGenerator:
    """Move the energy; a pause replays this from its checkpoint."""
    yield Msg("checkpoint")
    yield Msg("set", stxm.energy, energy, group="energy")
    yield Msg("wait", None, group="energy")


def _arrive(stxm: Microscope, energy: float | None) -> MsgGenerator:
    """Wait for the energy, and ask for it again where a pause or an outage lost it."""
    yield Msg("wait", None, group="energy")
    if energy is not None and not stxm.energy.at(energy):
        yield from _go_to(stxm, energy)


def _send(stxm: Microscope, energy: float) -> MsgGenerator:
    yield Msg("set", stxm.energy, energy, group="energy")


def _image(stxm: Microscope, following: float | None) -> MsgGenerator:
    """Fly one image at the present energy, and go to the one that follows.

    Messages are yielded bare: ``@plan`` stubs would cost more than the work. The last lines are
    collected, and so validated, shown and written, while the energy moves already.

    From ``kickoff`` to ``complete`` the scanner itself goes on where a pause halted it, and
    tells the RunEngine to replay nothing: a collect that was replayed would number its lines
    twice. So a move that a pause stopped in that time is asked for again.
    """
    scanner = stxm.scanner
    yield Msg("kickoff", scanner, group="kickoff")
    yield Msg("wait", None, group="kickoff")
    while True:
        yield Msg("trigger", scanner, group="lines")
        yield Msg("wait", None, group="lines")
        if scanner.flown:
            break
        yield Msg("collect", scanner, name=STREAM, return_payload=False)
        yield Msg("checkpoint")
    if following is not None:
        yield from outlasting(partial(_send, stxm, following), stxm)
    yield Msg("collect", scanner, name=STREAM, return_payload=False)
    yield Msg("checkpoint")
    yield Msg("complete", scanner, group="energy")
    yield Msg("checkpoint")
    yield from outlasting(partial(_arrive, stxm, following), stxm)
