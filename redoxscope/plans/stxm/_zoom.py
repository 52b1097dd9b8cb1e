"""A coarse map of a whole electrode, then fine stacks of particles that were found on it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import combinations
from typing import Annotated, Any

from bluesky import Msg
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...analysis.dose import DoseLimit, as_dose_limit
from ...analysis.particles import Particle
from ...data import EDGES, References, as_references, get_edge, load_references
from ...inputs import as_number, as_pair, as_whole, suggestion
from ...scan import Region, Scan
from .._foretold import Foreseen, foretold
from .._inputs import check_device
from .._pauses import in_thread
from .._protocols import Microscope
from .._public import Bounds, OneOf, plan
from .._readable import duration
from ..estimates import PlanEstimate, estimate
from ._dose_limit import after
from ._energy_stack import energy_stack
from ._mosaic import Mosaic, particles_on
from ._spectra import scan_of_tiles, tiles_of

__all__ = ["RULES", "map_then_zoom"]

log = logging.getLogger("redoxscope.plans")

RULES: Mapping[str, Callable[[Particle], float]] = {
    "most": lambda one: one.area * one.density,
    "largest": lambda one: one.area,
    "thickest": lambda one: one.density,
    "thinnest": lambda one: -one.density,
    "surest": lambda one: one.significance,
}
"""By what particles are ordered, the highest first."""
ASK = "ask"
"""Somebody at the prompt chooses."""
UNKNOWN = "the stack of map_then_zoom, which depends on what is found on the map: {}, {} more"

Choice = Callable[[Sequence[Particle]], Sequence[int]]


@plan
def map_then_zoom(
    stxm: Microscope,
    *,
    edge: Annotated[str, OneOf(tuple(EDGES))],
    map_energies: Annotated[float | Sequence[float], Bounds("eV", above=0)],
    center: tuple[float, float] = (0.0, 0.0),
    size: float | tuple[float, float] = 50.0,
    pixels: int | tuple[int, int] = 250,
    tile: float | tuple[float, float] = 20.0,
    map_dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    choose: Annotated[str, OneOf((*RULES, ASK))] | Choice = "most",
    number: Annotated[int, Bounds(at_least=1, at_most=100)] = 3,
    smallest: Annotated[float, Bounds("µm", at_least=0)] = 0.3,
    gap: Annotated[float, Bounds("µm", at_least=0)] = 0.5,
    zoom_size: float | tuple[float, float] = 5.0,
    zoom_pixels: int | tuple[int, int] = 100,
    stack: Mapping[str, Any] | None = None,
    outer: Mapping[str, Sequence[float]] | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: DoseLimit | Mapping[str, float] | float | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Map a whole electrode coarsely, find particles on it, and take fine stacks of chosen ones.

    Two runs: the map, as of `tiled_image`, and one stack with a region for each chosen particle,
    as of `energy_stack`; its start document says the map's uid and what was found (``zoom``).

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    edge : str
        Absorption edge of the stack; its energy offset applies to the map, too.
    map_energies : float or sequence of float
        True photon energy (eV) of the map; of two, the lower before the edge, particles are found
        on the difference of the optical densities, so that only the element counts.
    center, size, pixels, tile
        Of the map, as of `tiled_image` (µm).
    map_dwell : float
        Time per pixel of the map (s).
    choose : str or callable
        ``"most"`` material, ``"largest"``, ``"thickest"``, ``"thinnest"``, ``"surest"``; ``"ask"``
        for the numbers of those that are wanted, at the prompt; or a function that is given the
        list of `redoxscope.analysis.particles.Particle` and gives their indices.
    number : int
        How many at most, by a rule.
    smallest : float
        Diameter (µm) from which on something is a particle.
    gap : float
        What lies no farther apart than this (µm) is one agglomerate.
    zoom_size : float or tuple of float
        Width, height of each fine region (µm).
    zoom_pixels : int or tuple of int
        Columns, rows of each fine region.
    stack : mapping, optional
        Further parameters of `energy_stack`: ``{"dwell": 0.002, "order": "informative"}``.
    outer, axes
        Loops around the stack, as of `energy_stack`; the map is taken once, before.
    dose_limit : DoseLimit, mapping or float, optional
        Largest dose of any pixel (Gy), as of `energy_stack`, in map and stack together: what the
        map has left, lines flown again included, the stack has no more.
    md : mapping, optional
        Further metadata for both start documents.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    tuple of str
        Uid of the map, and of the stack where something was chosen.

    Raises
    ------
    ValueError, ophyd.utils.LimitError, redoxscope.optics.InterlockError
        A value that makes no sense, when the plan is called; a stack that could not be taken in
        the middle of the map either, before anything moves; a fine region beyond a limit, before
        the first move of its stack. A function that chooses what is not there.

    Notes
    -----
    By a rule, only particles that are wholly in the map are chosen.

    Where the references of the stack are absorptions (1/µm), as those of the edge are, particles
    have a thickness: their optical density, the counter's dead time taken out, over the absorption
    at the energy of the map. Structure finer than the spot makes it too small, which σ does not
    include: by 3 % on the simulated electrode.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    if isinstance(choose, str):
        known = (*RULES, ASK)
        if choose not in known:
            raise ValueError(
                f"choose = {choose!r} is none of {', '.join(known)}{suggestion(choose, known)}"
            )
    elif not callable(choose):
        raise ValueError(f"choose = {choose!r:.80} must be a rule, 'ask' or a function")
    if stack is not None and not isinstance(stack, Mapping):
        raise ValueError(
            f"stack = {stack!r:.80} must be further parameters of energy_stack by name, as "
            "{'dwell': 0.002}"
        )
    options = dict(stack or {})
    for key in ("regions", "center", "size", "pixels", "edge", "outer", "axes", "dose_limit", "md"):
        if key in options:
            raise ValueError(f"stack has {key!r}, which the plan gives itself")
    width, height = (
        as_number("zoom_size", side, "µm", above=0)
        for side in as_pair("zoom_size", zoom_size, "µm", single=True)
    )
    nx, ny = (
        as_whole("zoom_pixels", count, at_least=1)
        for count in as_pair("zoom_pixels", zoom_pixels, single=True)
    )
    given: dict[str, Any] = {"edge": edge, "outer": outer, "axes": axes, **options}

    tiles: dict[str, Any] = {
        "energies": map_energies, "edge": edge, "center": center, "size": size, "pixels": pixels,
        "tile": tile, "dwell": map_dwell,
    }  # fmt: skip
    limit = as_dose_limit(dose_limit)
    smallest = as_number("smallest", smallest, "µm", at_least=0)
    gap = as_number("gap", gap, "µm", at_least=0)
    _check_map(size, pixels, smallest)
    mapped, spectra = scan_of_tiles(**tiles), _spectra(edge, options.get("references"))
    own = None if spectra is None or spectra.shipped else spectra
    rest = None if limit is None else _rest(limit, mapped, stxm, own)

    def fine_at(
        places: Sequence[tuple[float, float]],
        meant: Mapping[str, Any],
        most: DoseLimit | None = rest,
    ) -> MsgGenerator[str]:
        regions = [
            Region(place, (width, height), (nx, ny), f"particle_{i + 1}")
            for i, place in enumerate(places)
        ]
        own = {**(md or {}), **meant}
        return energy_stack(stxm, regions=regions, dose_limit=most, md=own, **given)

    def fine(
        chosen: Sequence[Particle], meant: Mapping[str, Any], had: float | None
    ) -> MsgGenerator[str]:
        for (i, one), (j, other) in combinations(enumerate(chosen, 1), 2):
            apart = (abs(a - b) for a, b in zip(one.center, other.center, strict=True))
            if all(a < side for a, side in zip(apart, (width, height), strict=True)):
                log.warning(
                    "particle_%d and particle_%d overlap: what lies in both has the dose of both",
                    i, j,
                )  # fmt: skip
        most = limit if limit is None or had is None else replace(limit, before=had)
        return fine_at([one.center for one in chosen], meant, most)

    # What is wrong with the stack is said now, and not when the map was taken.
    middle = as_pair("center", center, "µm")
    most = as_whole("number", number, at_least=1, at_most=100)
    coarse = tiles_of(stxm, mapped, limit, md, own)  # first: a stack left over would warn of itself
    probe = fine_at([middle], {})

    def foreseen(regions: int) -> PlanEstimate:
        return estimate(fine_at([middle] * regions, {}, None))  # they will lie apart

    thick = spectra if spectra is not None and spectra.unit == "1/µm" else None
    found = partial(particles_on, spectra=thick, smallest=smallest, gap=gap)
    return _map_then_zoom(coarse, probe, Mosaic(limit), found, choose, most, fine, foreseen)


def _map_then_zoom(
    coarse: MsgGenerator[str],
    probe: MsgGenerator[str],
    mosaic: Mosaic,
    found: Callable[[Mosaic], list[Particle]],
    choose: str | Choice,
    number: int,
    fine: Callable[[Sequence[Particle], Mapping[str, Any], float | None], MsgGenerator[str]],
    foreseen: Callable[[int], PlanEstimate],
) -> MsgGenerator[tuple[str, ...]]:
    one = estimate(probe)
    if one.refused:
        coarse.close()
        raise ValueError(f"the stack of map_then_zoom: {'; '.join(one.refused)}")
    token = yield Msg("subscribe", None, mosaic, "all")
    uid = yield from coarse
    yield Msg("unsubscribe", None, token=token)
    if mosaic.scan is None:  # nobody carries the messages out, or a dry run foretold the map
        ruled = isinstance(choose, str) and choose != ASK
        stack = foreseen(number) if ruled else one
        particles_of = f"with {number}, the most there will be" if ruled else "for each chosen one"
        told = UNKNOWN.format(particles_of, duration(stack.total))
        of_stack = (
            f"the stack of map_then_zoom: {text}" for text in (*stack.unknown, *one.unknown)
        )
        notes = dict.fromkeys((told, *of_stack))
        each = {
            "photons": one.photons,
            "dose_gy": one.dose_gy,
            "more": stack.total if ruled else 0.0,
        }
        yield from foretold(None, Foreseen(0.0, unknown=tuple(notes), **each))
        return (uid,)
    yield Msg("checkpoint")
    particles = yield from in_thread(partial(found, mosaic))
    if particles is None:  # nobody carries the messages out
        return (uid,)
    yield Msg("checkpoint")
    log.info("%d particles on the map %s", len(particles), uid)
    chosen = yield from _chosen(particles, choose, number)
    for i, at in enumerate(chosen, 1):
        log.info("particle_%d of the stack: %s", i, _described(particles[at]))
    if chosen and len(chosen) < len(particles):
        log.info("not in the stack: %d of %d", len(particles) - len(chosen), len(particles))
    if not chosen:
        log.warning("no particle of the map %s is chosen: there is no stack", uid)
        return (uid,)
    wanted = [particles[i] for i in chosen]
    zoom = {"map": uid, "particles": [asdict(one) for one in wanted], "found": len(particles)}
    return uid, (yield from fine(wanted, {"zoom": zoom}, mosaic.gray))


def _chosen(
    particles: Sequence[Particle], choose: str | Choice, number: int
) -> MsgGenerator[list[int]]:
    if not particles:
        return []
    if callable(choose):
        return _indices("choose", choose(particles), len(particles))
    if choose != ASK:
        whole = [i for i, one in enumerate(particles) if one.whole]
        return sorted(whole, key=lambda i: RULES[choose](particles[i]), reverse=True)[:number]
    lines = [f"{i + 1}: {_described(one)}" for i, one in enumerate(particles)]
    said = "\n".join([*lines, "which ones (numbers, or none)? "])
    while True:
        answer = yield Msg("input", prompt=said)
        try:
            return _numbers(answer, len(particles))
        except ValueError as exc:  # a slip of the finger must not cost the map
            log.warning("asked again: %s", exc)
            said = f"{exc}; which ones (numbers, or none)? "


def _described(one: Particle) -> str:
    thick = ""
    if one.thickness is not None:
        thick = f", {one.thickness:.3f} ± {one.thickness_sigma:.3f} µm thick"
    return (
        f"at ({one.center[0]:.2f}, {one.center[1]:.2f}) µm, {one.diameter:.2f} µm across, "
        f"density {one.density:.3f} ± {one.density_sigma:.3f}{thick}, {one.significance:.0f} σ"
        + ("" if one.whole else ", cut")
    )


def _numbers(answer: Any, count: int) -> list[int]:
    """Indices of the numbers that were typed, from 1."""
    words = str(answer or "").replace(",", " ").split()
    if not all(word.isdecimal() and 1 <= int(word) <= count for word in words):
        raise ValueError(f"{answer!r:.60} is not a list of numbers from 1 to {count}")
    return list(dict.fromkeys(int(word) - 1 for word in words))


def _indices(name: str, values: Any, count: int) -> list[int]:
    if isinstance(values, (str, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(
            f"the function {name} gave {values!r:.60}; it must give a list of indices of the "
            f"{count} particles found (from 0), as [0, 2], or [] for none"
        )
    found = [as_whole(f"{name}[{i}]", value) for i, value in enumerate(values)]
    for value in found:
        if value >= count:
            raise ValueError(f"{name} has particle {value}, and {count} were found (from 0)")
    return list(dict.fromkeys(found))


def _check_map(size: Any, pixels: Any, smallest: float) -> None:
    """Refuse a map on which nothing could be found; tiles refuse a size that is none."""
    whole = Region((0.0, 0.0), size, pixels)
    nx, ny = whole.pixels
    if nx * ny < 4:
        raise ValueError(f"pixels = {nx} x {ny}: particles are found on a map of 4 pixels at least")
    most = 2 * math.sqrt(math.prod(whole.size) / math.pi)
    if smallest > most:
        raise ValueError(
            f"smallest = {smallest:g} µm is more than {most:.4g} µm, the diameter of something as "
            "large as the whole map"
        )


def _rest(limit: DoseLimit, tiles: Scan, stxm: Any, own: References | None) -> DoseLimit:
    """What a map leaves of a limit, as far as that can be said before."""
    try:
        return after(limit, tiles, stxm, own)
    except ValueError as exc:
        raise ValueError(f"{exc} (the map of map_then_zoom included)") from exc


def _spectra(edge: str, given: Any) -> References | None:
    """What absorbs, where that is known."""
    if given is None and not get_edge(edge).species:
        return None
    return load_references(edge) if given is None else as_references(given)
