"""The edge offset of a monochromator, from a stack of something whose spectrum is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..analysis.energy_calibration import energy_shift, mean_spectrum
from ..callbacks.oxidation import with_earlier
from ..data import Edge, References, as_references, get_edge, load_references
from ..inputs import as_number, unless_unmeasured
from ..storage import stack_cube
from ._proposal import Proposal
from ._runs import beamline_of, device_with, documents_of, head_of

__all__ = ["calibrate_energy"]

SAME_OFFSET = 0.01
"""Offsets that differ by less (eV) are one."""


@unless_unmeasured()
def calibrate_energy(
    run: Any,
    references: Any = None,
    *,
    edge: str | None = None,
    region: str | None = None,
    search: float = 3.0,
    reference_sigma: float = 0.0,
    max_od: float = 2.0,
    **options: Any,
) -> Proposal:
    """Propose the offset of an edge from an energy stack of a sample with known spectra.

    Parameters
    ----------
    run : run or iterable of (name, document)
        An energy stack.
    references : References, mapping, str or path, optional
        Spectra whose energies are true, of which the sample is a mixture (see
        `redoxscope.data.as_references`); by default those shipped with the edge, which are
        computed: the proposal says so.
    edge : str, optional
        By default the run's.
    region : str, optional
        Of several.
    search : float
        Largest shift either way (eV).
    reference_sigma : float
        Standard deviation of the references' own energies (eV).
    max_od : float
        Pixels with a larger optical density are left out.
    **options
        As for `redoxscope.storage.stack_cube`: ``i0, blank, dead_time, ...``. Images are not moved
        unless ``drift="correct"`` is given: it is the mean over all pixels that is fitted, and out
        of focus a drift is not told well.

    Returns
    -------
    Proposal
        Of ``offset`` (eV, true minus monochromator energy), for `Calibrations.apply`.

    Raises
    ------
    ValueError
        No stack, or one that has measured nothing, or without I0; no edge, another than the run's,
        or one without references; no device in the run that has edge offsets; an offset that was
        changed between the run and one that it continues; further as
        `redoxscope.analysis.energy_calibration.energy_shift`: what does not fit is refused.
    """
    max_od = as_number("max_od", max_od, above=0)
    # Of a run that continues another the lines of both: documents of it alone have its own.
    whole = run if hasattr(run, "metadata") else documents_of(run)
    head = head_of(whole)
    start = next((doc for name, doc in head if name == "start"), {})
    own = start.get("edge")
    asked = edge or own
    if not asked:
        raise ValueError("the run was measured at no edge: give edge=, as 'Mn L3'")
    found = get_edge(asked)
    if own and own != found.name:
        raise ValueError(
            f"edge = {edge!r}, and run {_named(start)} was measured at {own}, whose offset it shows"
        )
    spectra = _references(references, found.name)
    configuration = _configuration(head)
    mono = device_with(configuration, "_edge", "_user_offset", "_offset")
    user = float(configuration[f"{mono}_user_offset"])
    held = float(configuration[f"{mono}_offset"]) - user
    _check_offsets(whole, mono, float(configuration[f"{mono}_offset"]))
    cube = stack_cube(whole, region=region, **{"drift": "ignore", **options})
    _check_cube(cube, start, found)
    values, sigma, used = mean_spectrum(cube.od.values, cube.counts.values, max_od=max_od)
    shift = energy_shift(
        cube.energy.values, values, (spectra.energies, spectra.spectra), sigma=sigma,
        names=spectra.names, search=search, reference_sigma=reference_sigma,
    )  # fmt: skip
    doubts = []
    if spectra.shipped:
        doubts.append(
            f"the references are computed ones ({spectra.source}), so the offset is on their "
            "scale: for true energies give references= of a standard that was measured"
        )
    if shift.chi2 > 4:
        doubts.append(
            f"the references miss the spectrum by {shift.chi2**0.5:.1f} times its noise; σ is "
            "larger by as much"
        )
    source = {
        "runs": [str(start.get("uid", ""))],
        "references": {
            "names": list(spectra.names), "source": spectra.source, "digest": spectra.digest(),
        },
        "shift": shift.shift,
        "user_offset": user,
        "pixels": int(used.sum()),
        "chi2": None if np.isnan(shift.chi2) else shift.chi2,
        "reference_sigma": float(reference_sigma),
    }  # fmt: skip
    return Proposal(
        kind="energy", of=found.name, device=mono, values={"offset": held + shift.shift},
        sigma={"offset": shift.sigma}, units={"offset": "eV"}, was={"offset": held},
        energies=tuple(float(e) for e in (cube.energy.values.min(), cube.energy.values.max())),
        conditions={"user_offset": user}, source=source, doubts=tuple(doubts), found=shift,
        beamline=beamline_of([start]),
    )  # fmt: skip


def _configuration(head: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the devices of a run said of themselves, by key."""
    return {
        key: value
        for kind, doc in head
        if kind == "descriptor"
        for device in doc.get("configuration", {}).values()
        for key, value in device["data"].items()
    }


def _check_offsets(run: Any, mono: str, offset: float) -> None:
    """Refuse runs that continue each other on different energy scales.

    Raises
    ------
    ValueError
        The offset was changed between two of them.
    """
    earlier = with_earlier(run)[:-1] if hasattr(run, "metadata") else []
    for one in earlier:
        was = float(_configuration(head_of(one))[f"{mono}_offset"])
        if abs(was - offset) > SAME_OFFSET:
            names = [_named(each.metadata["start"]) for each in (run, one)]
            raise ValueError(
                f"run {names[0]} continues run {names[1]}, and "
                f"{mono} had an offset of {offset:.3f} eV in the one and {was:.3f} eV in the "
                "other: their energies are on two scales, and no offset is right for both"
            )


def _named(start: Mapping[str, Any]) -> str:
    return str(start.get("uid", ""))[:8]


def _check_cube(cube: Any, start: Mapping[str, Any], edge: Edge) -> None:
    """Refuse a stack in which nothing can be found, and say what it lacks.

    Raises
    ------
    ValueError
        Its energies are not those of the edge; no line was measured; I0 is not known.
    """
    low, high = float(cube.energy.values.min()), float(cube.energy.values.max())
    if low > edge.window_ev[1] or high < edge.window_ev[0]:
        raise ValueError(
            f"run {_named(start)} was measured from {low:g} to {high:g} eV, and {edge.name} is "
            f"within {edge.window_ev[0]:g} to {edge.window_ev[1]:g} eV"
        )
    if not (cube.counts.values > 0).any():
        raise ValueError(f"run {_named(start)} has no counts behind the sample")
    if not np.isfinite(cube.od.values).any():
        raise ValueError(
            f"run {_named(start)} has no I0, so no optical density is known: no empty place was "
            "measured, and nothing of the sample is blank. Give i0=, or take it with i0_region="
        )
    blank = next((doubt["text"] for doubt in cube.attrs["doubts"] if doubt["kind"] == "blank"), "")
    if blank:  # what else varies with the energy would be taken for the sample's
        raise ValueError(f"run {_named(start)}: {blank}")


def _references(references: Any, edge: str) -> References:
    if references is not None:
        return as_references(references)
    if not get_edge(edge).species:
        raise ValueError(
            f"no references are shipped for {edge}: give references=, of a standard that was "
            "measured"
        )
    return load_references(edge)
