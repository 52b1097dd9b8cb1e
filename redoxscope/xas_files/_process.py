"""From files to a summary, normalised spectra and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.xas import (
    METHODS,
    SCALES,
    Alignment,
    EdgePosition,
    Normalised,
    ReferenceFit,
    Spectrum,
    ValenceLine,
    align,
    calibrate_valence,
    edge_positions,
    fit_references,
    merge,
    normalise,
    remainder,
)
from ..formats import replaced, writable_folder, write_json
from ..inputs import as_number, suggestion
from ._columns import Measured, read_spectra
from ._found import Found, number

__all__ = ["process"]

PICTURE, SUMMARY, AVERAGE = "xas.png", "summary.json", "average"
WITH_EDGE = ("step", "maximum")
"""What must be 1 for an edge to have a place."""
OTHER_POSTS = ((150.0, 500.0), (100.0, 400.0), (50.0, 300.0))
"""Ranges behind the edge (eV from it) that are as good as the one used: how far the position
depends on the choice."""


def process(
    files: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "xas",
    *,
    reference: str | None = None,
    column: str | None = None,
    i0: str | None = None,
    energy: str | None = None,
    pre: Any = None,
    post: Any = None,
    to: str | None = None,
    average: bool = False,
    standards: Mapping[str, float] | None = None,
    components: Sequence[str] = (),
) -> dict[str, Any]:
    """Normalise spectra in files, find their edges, and draw them.

    Parameters
    ----------
    files : sequence of path
        Tables with named columns, of which one is the energy (eV, or keV where its name says so).
    out : path
        Folder for ``summary.json`` (written last), ``xas.png`` and ``NAME_normalised.csv``.
    reference : str, optional
        Column of a reference measured at the same time: the files are aligned on it, to the
        first one.
    column, i0, energy : str, optional
        Columns of the spectrum, of what it is to be divided by, and of the energies; by default
        the first that is none of the others, none, and the one whose name says so.
    pre, post, to
        As for `redoxscope.analysis.xas.normalise`.
    average : bool
        The files are repeats of one sample: average them, and name those that do not belong;
        the mean is written to ``average_normalised.csv``.
    standards : dict of str to float, optional
        Valences of files that are standards, by name: a line through them gives that of the
        others, with the line's scatter in sigma.
    components : sequence of str
        Files as sums of which the others are fitted.

    Returns
    -------
    dict
        What ``summary.json`` holds.

    Raises
    ------
    ValueError
        A file cannot be read or lacks a column, a name that is none, references that do not cover
        a spectrum; nothing is written then.
    OSError
        ``out`` cannot be written.
    """
    if to is not None and to not in SCALES:
        raise ValueError(
            f"to = {to!r:.40} must be one of {', '.join(SCALES)}{suggestion(to, SCALES)}"
        )
    measured = read_spectra(
        [Path(file) for file in files], energy=energy, column=column, i0=i0, reference=reference
    )
    names = [each.spectrum.name for each in measured]
    if average and AVERAGE in names:
        raise ValueError(f"a file is called {AVERAGE!r}, as their average will be; rename it")
    valences: dict[str, float] = {}
    for given, valence in (standards or {}).items():
        name = _known_name("standard", given, names)
        if name in valences:
            raise ValueError(f"standard {name!r} is given more than once")
        valences[name] = as_number(f"valence of {given!r}", valence)
    components = [_known_name("component", name, names) for name in components]
    if len(set(components)) < len(components):
        raise ValueError(f"a component is given twice: {', '.join(components)}")
    alignment = _aligned(measured)
    found = [
        _find(each, alignment, k, pre=pre, post=post, to=to) for k, each in enumerate(measured)
    ]
    line = _valence(found, valences)
    fits = _fits(found, components)
    mean, merged = _merged(found, pre=pre, post=post, to=to) if average else (None, None)
    target = writable_folder(out)
    (target / SUMMARY).unlink(missing_ok=True)  # an earlier time's: where this one fails, no result
    summary = _summary(found, reference, alignment, line, valences, fits, merged)
    for each in found:
        if each.normalised is not None:
            _write_csv(target, each.name, each.normalised.spectrum)
    if mean is not None:
        _write_csv(target, AVERAGE, mean.spectrum)
    from matplotlib.figure import Figure

    from ._draw import draw_files

    figure = Figure(figsize=(12.0, 5.6))
    draw_files(figure, found, aligned=alignment is not None, mean=mean)
    with replaced(target / PICTURE) as part:
        figure.savefig(part, dpi=130, format="png")
    summary["pictures"] = [PICTURE]
    write_json(target / SUMMARY, summary)
    return summary


def _known_name(what: str, given: str, names: Sequence[str]) -> str:
    name = given if given in names else Path(given).stem
    if name not in names:
        raise ValueError(
            f"{what} {given!r:.60} is none of the files {', '.join(names[:8])}"
            f"{suggestion(given, names)}"
        )
    return name


def _aligned(measured: Sequence[Measured]) -> Alignment | None:
    references = [each.reference for each in measured if each.reference is not None]
    return align(references) if references else None


def _find(
    measured: Measured, alignment: Alignment | None, k: int, *, pre: Any, post: Any, to: str | None
) -> Found:
    shift = float(alignment.shifts[k]) if alignment else math.nan
    shift_sigma = float(alignment.sigma[k]) if alignment else math.nan
    spectrum = measured.spectrum.shifted(shift) if alignment else measured.spectrum
    warnings = list(measured.notes)
    if pre is not None or post is not None:
        made = normalise(spectrum, pre=pre, post=post, to=to)  # what a user asks for is refused
    else:
        try:
            made = normalise(spectrum, to=to)
        except ValueError as error:
            told = (*warnings, f"{error}.")
            return Found(measured, None, {}, math.nan, shift, shift_sigma, told)
    positions, of_edge = _positions(made)
    warnings += of_edge
    depends = _depends(spectrum, made, positions) if post is None else math.nan
    return Found(
        measured, made, positions, depends, shift, shift_sigma, tuple(dict.fromkeys(warnings))
    )


def _positions(made: Normalised) -> tuple[dict[str, EdgePosition], list[str]]:
    """Places of the edge, and what there is to say of them and of the normalisation."""
    if made.to not in WITH_EDGE:
        why = f"Normalised to {made.to}: edge positions need {' or '.join(WITH_EDGE)}."
        return {}, [*made.warnings, why]
    found = edge_positions(made)
    return found, [*made.warnings, *(text for each in found.values() for text in each.warnings)]


def _depends(spectrum: Spectrum, made: Normalised, positions: Mapping[str, EdgePosition]) -> float:
    """How far the integral position moves with the range of the level behind the edge."""
    if made.to != "step" or not positions["integral"].found:
        return math.nan
    places = [positions["integral"].energy_ev]
    last = float(spectrum.energy[-1])
    for low, high in OTHER_POSTS:
        post = made.e0 + low, min(made.e0 + high, last)
        if post[1] - post[0] < 100:
            continue
        other = edge_positions(normalise(spectrum, e0=made.e0, pre=made.pre, post=post, to="step"))
        if other["integral"].found:
            places.append(other["integral"].energy_ev)
    return 0.5 * float(np.ptp(places)) if len(places) > 1 else math.nan


def _valence(found: Sequence[Found], standards: Mapping[str, float]) -> ValenceLine | None:
    if not standards:
        return None
    rows = {}
    for each in found:
        if each.name in standards:
            main = each.positions.get("integral")
            if main is None or not main.found:
                raise ValueError(f"standard {each.name!r} has no edge by the integral method")
            rows[each.name] = (main.energy_ev, main.sigma_ev, standards[each.name])
    return calibrate_valence(rows)


def _fits(found: Sequence[Found], components: Sequence[str]) -> dict[str, ReferenceFit]:
    if not components:
        return {}
    by_name = {each.name: each for each in found}
    parts = []
    for name in components:
        made = by_name[name].normalised
        if made is None:
            raise ValueError(f"component {name!r} has no edge")
        parts.append(made.spectrum)
    fits = {}
    for each in found:
        if each.name in components or each.normalised is None:
            continue
        hard = each.normalised.to == "step"
        window = (each.normalised.e0 - 20, each.normalised.e0 + 60) if hard else None
        fits[each.name] = fit_references(each.normalised.spectrum, parts, window=window)
    return fits


def _merged(
    found: Sequence[Found], *, pre: Any, post: Any, to: str | None
) -> tuple[Normalised, dict[str, Any]]:
    """Average of all files as repeats of one sample, and what the summary says of it."""
    made = [each.normalised for each in found if each.normalised is not None]
    spectra = [each.spectrum for each in made]
    if len(spectra) < 2:
        raise ValueError(
            f"{len(spectra)} spectra with an edge are there to be averaged; 2 are needed"
        )
    merged = merge(spectra)
    spectrum = merged.spectrum.changed(name=AVERAGE)
    # as each of them was; what is steepest may differ between shoulders of an edge
    e0 = float(np.median([each.e0 for each in made]))
    mean = normalise(spectrum, e0=e0, pre=pre, post=post, to=to or made[0].to)
    positions, told = _positions(mean)
    return mean, {
        "averaged": merged.spectrum.n,
        "outliers": merged.reasons,
        "warnings": list(dict.fromkeys((*merged.warnings, *told))),
        **_places(positions),
    }


def _places(positions: Mapping[str, EdgePosition]) -> dict[str, float | None]:
    told: dict[str, float | None] = {}
    for method in METHODS:
        each = positions.get(method)
        told[f"{method}_ev"] = number(each.energy_ev) if each else None
        told[f"{method}_sigma_ev"] = number(each.sigma_ev) if each else None
    return told


def _summary(
    found: Sequence[Found],
    reference: str | None,
    alignment: Alignment | None,
    line: ValenceLine | None,
    standards: Mapping[str, float],
    fits: Mapping[str, ReferenceFit],
    merged: dict[str, Any] | None,
) -> dict[str, Any]:
    summary: dict[str, Any] = {"files": {each.name: _file(each) for each in found}}
    if alignment is not None:
        summary["alignment"] = _alignment(found, reference, alignment)
    if line is not None:
        summary["valence"] = {
            "standards": dict(standards),
            "slope_ev": line.slope,
            "slope_sigma_ev": line.slope_sigma,
            "scatter_ev": line.scatter,
            "rest_ev": dict(zip(line.names, line.rest.tolist(), strict=True)),
        }
        for each in found:
            main = each.positions.get("integral")
            if each.name in standards or main is None or not main.found:
                continue
            value, sigma = line.valence(main.energy_ev, main.sigma_ev)
            entry = summary["files"][each.name]
            entry["valence"], entry["valence_sigma"] = value, sigma
            if not line.inside(value):
                low, high = line.valences
                entry["warnings"].append(
                    f"Its valence of {value:.2f} lies outside the standards, {low:g} to {high:g}."
                )
    for name, fit in fits.items():
        entry = summary["files"][name]
        entry["fractions"] = dict(zip(fit.names, fit.fractions.tolist(), strict=True))
        entry["fractions_sigma"] = dict(zip(fit.names, fit.sigma.tolist(), strict=True))
        entry["fit_chi2_per_dof"] = fit.chi2 / fit.dof
        entry["warnings"] += fit.warnings
    if merged is not None:
        summary["average"] = merged
    return summary


def _file(each: Found) -> dict[str, Any]:
    main = each.positions.get("integral")
    made = each.normalised
    sigma = math.nan
    if main is not None:
        sigma = main.sigma_ev
        if math.isfinite(each.shift_sigma):
            sigma = math.hypot(sigma, each.shift_sigma)
    return {
        "file": str(each.measured.path),
        **_places(each.positions),
        "sigma_ev": number(sigma),
        "shift_ev": number(each.shift),
        "shift_sigma_ev": number(each.shift_sigma),
        "normalisation_ev": number(each.normalisation_ev),
        "warnings": list(each.warnings),
        "columns": each.measured.columns,
        "points": len(each.measured.spectrum),
        "normalised_to": made.to if made else None,
        "step": made.step if made else None,
        "step_sigma": made.step_sigma if made else None,
        "pre_ev": list(made.pre) if made and made.pre else None,
        "post_ev": list(made.post) if made and made.post else None,
    }


def _alignment(
    found: Sequence[Found], reference: str | None, alignment: Alignment
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "reference": reference,
        "to": found[0].name,
        "window_ev": list(alignment.window),
        "removed_ev": float(np.ptp(alignment.shifts)),
        "remains": {},
    }
    for method in METHODS:
        known = [each for each in found if method in each.positions]
        if len(known) < 2:
            continue
        left = remainder(
            [each.name for each in known], [each.positions[method].energy_ev for each in known]
        )
        told["remains"][method] = {
            "spread_ev": number(left.spread_ev),
            "rms_ev": number(left.rms_ev),
            "step_ev": number(left.step_ev),
            "step_sigma_ev": number(left.step_sigma_ev),
            "step_after": left.step_after or None,
            "text": left.text,
        }
    return told


def _write_csv(target: Path, name: str, spectrum: Spectrum) -> None:
    rows = np.column_stack([spectrum.energy, spectrum.value, spectrum.sigma])
    safe = name.replace("/", "_")
    with replaced(target / f"{safe}_normalised.csv") as part:
        np.savetxt(
            part, rows, fmt="%.8g", delimiter=",", header="energy_ev,normalised,sigma", comments=""
        )
