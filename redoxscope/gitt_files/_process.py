"""From a cycler's file to diffusion coefficients, a picture and a summary."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.kinetics import AGAINST, Titration, passed_over, titrate
from ..formats import read_table, replaced, writable_folder, write_json
from ._columns import find_columns
from ._draw import Abscissa, draw_gitt
from ._given import Material, material

__all__ = ["process"]

PICTURE, SUMMARY = "gitt.png", "summary.json"
MOST_SOC, MOST_LITHIUM = 1.5, 2.0
"""Beyond them a number that was given is wrong, or the current."""


def process(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    radius: str | None = None,
    area: str | None = None,
    mass: str | None = None,
    molar_volume: str | None = None,
    molar_mass: str | None = None,
    thickness: str | None = None,
    capacity: str | None = None,
    window: Sequence[float] = (1.0, 60.0),
    columns: dict[str, str | None] | None = None,
) -> dict[str, Any]:
    """Diffusion coefficients of the pulses in a cycler's file.

    Parameters
    ----------
    file : path
        A table with time, voltage and current: CSV, or the text of EC-Lab (``.mpt``).
    out : path
        Folder for ``gitt.png`` and ``summary.json``, which is written last.
    radius : str, optional
        Of the particles, as ``1.8um``: spheres. Either this or `area`.
    area : str, optional
        Surface of a plane electrode, as ``12cm2`` or ``3.5m2/g``.
    mass, molar_volume, molar_mass : str, optional
        Of the active material, as ``2mg``, ``20.5cm3/mol``, ``85.1g/mol``. A plane electrode
        needs them (the mass not with a surface per gram); with mass and molar mass the lithium
        per formula unit is known.
    thickness : str, optional
        Of a plane electrode; default volume over surface. Only judges whether τ ≪ L²/D.
    capacity : str, optional
        Of the cell, as ``4.2mAh``: gives the state of charge.
    window : pair of float
        From when to when in a pulse E is fitted against √t (s).
    columns : dict, optional
        Names of the columns ``time``, ``voltage``, ``current`` where they are not found; a unit
        that is not in the name behind a colon.

    Returns
    -------
    dict
        What `summary.json` holds.

    Raises
    ------
    ValueError
        The file cannot be read, a number makes no sense, or not one pulse is in it.
    """
    what = material(
        radius=radius,
        area=area,
        mass=mass,
        molar_volume=molar_volume,
        molar_mass=molar_mass,
        thickness=thickness,
        capacity=capacity,
    )
    table = read_table(file)
    data = find_columns(table, columns or {})
    found = titrate(data.time, data.voltage, data.current, what.geometry, window=window)
    if not found:
        raise ValueError(
            f"{file}: no pulse in it, the current in column {data.names['current']!r} is zero "
            "throughout"
        )
    target = writable_folder(out)
    soc = _soc(found, what)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6))
    draw_gitt(figure, data, found, _lithium(found, what) or soc, Path(file).name)
    with replaced(target / PICTURE) as part:
        figure.savefig(part, dpi=130, format="png")
    notes = [*data.notes]
    if what.geometry.kind == "planar" and thickness is None:
        notes.append(
            f"L is volume over surface, {1e9 * what.geometry.length:.5g} nm: --thickness gives "
            "that of the electrode, for τ ≪ L²/D"
        )
    notes += _doubtful(found, soc, what, data.current)
    summary = _summary(Path(file), what, found, soc, data.names, notes, window)
    write_json(target / SUMMARY, summary)
    return summary


def _soc(found: Sequence[Titration], what: Material) -> Abscissa:
    """State of charge in the middle of each pulse; without a capacity, as the file goes."""
    charges = np.array([x.charge for x in found])
    if what.capacity is not None:
        label = "charge passed since the file's beginning, over the capacity"
        return Abscissa(label, charges / what.capacity)
    ends = np.cumsum([0.0, *(x.pulse.charge for x in found)])
    span = float(np.ptp(ends)) or 1.0
    label = "state of charge, as part of what passes in the file"
    return Abscissa(label, (charges - ends.min()) / span)


def _lithium(found: Sequence[Titration], what: Material) -> Abscissa | None:
    if what.moles is None:
        return None
    label = "lithium taken out per formula unit since the file's beginning"
    return Abscissa(label, np.array([what.lithium(x.charge) for x in found], float))


def _doubtful(
    found: Sequence[Titration], soc: Abscissa, what: Material, current: NDArray[np.float64]
) -> list[str]:
    """What speaks against the current, or against what was given."""
    notes = []
    weak = passed_over(current)
    if weak is not None:
        strongest, limit = weak
        notes.append(
            f"currents below {1e3 * limit:.3g} mA (2 % of the largest) are taken for none, and "
            f"there is a steady one of {1e3 * strongest:.3g} mA: pulses of it need a file without "
            "the stronger current"
        )
    against = sum(AGAINST in x.doubts for x in found)
    if against:
        notes.append(f"in {against} of {len(found)} pulses {AGAINST}")
    farthest = float(np.abs(soc.values).max())
    if farthest > MOST_SOC:
        notes.append(
            f"the state of charge goes to ±{farthest:.3g}: is --capacity right, and the unit of "
            "the current?"
        )
    lithium = max(abs(what.lithium(x.charge) or 0.0) for x in found)
    if lithium > MOST_LITHIUM:
        notes.append(
            f"the lithium per formula unit goes to ±{lithium:.3g}: are --mass and --molar-mass "
            "right, and the unit of the current?"
        )
    return notes


def _summary(
    file: Path,
    what: Material,
    found: Sequence[Titration],
    soc: Abscissa,
    names: dict[str, str],
    notes: Sequence[str],
    window: Sequence[float],
) -> dict[str, Any]:
    good = np.array([x.d for x in found if not x.refused])
    low, high = np.quantile(good, [0.1, 0.9]) if good.size else (math.nan, math.nan)
    geometry = what.geometry
    return {
        "file": str(file),
        "columns": names,
        "notes": list(notes),
        "geometry": geometry.kind,
        "volume_per_area_m": geometry.volume_per_area,
        "length_m": geometry.length,
        "formula": what.formula,
        "window_s": [float(x) for x in window],
        "soc_is": soc.label,
        "pulses": [
            _pulse(k, x, float(at), what)
            for k, (x, at) in enumerate(zip(found, soc.values, strict=True), 1)
        ],
        "pulses_refused": sum(bool(x.refused) for x in found),
        "d_median_m2_s": _known(float(np.median(good)) if good.size else math.nan),
        "d_10_90_percent_m2_s": [_known(float(low)), _known(float(high))],
        "pictures": [PICTURE],
    }


def _pulse(number: int, x: Titration, soc: float, what: Material) -> dict[str, Any]:
    window = None if math.isnan(x.window[0]) else [round(t, 6) for t in x.window]
    return {
        "pulse": number,
        "d_m2_s": _known(x.d),
        "sigma": _known(x.sigma),
        "sigma_noise": _known(x.sigma_noise),
        "sigma_window": _known(x.sigma_window),
        "r2": _known(x.r2),
        "window_s": window,
        "points": x.points,
        "refused": x.refused or None,
        "warnings": list(x.doubts),
        "start_s": x.pulse.start,
        "tau_s": x.pulse.duration,
        "current_a": x.pulse.current,
        "ir_v": _known(x.ir),
        "ir_ohm": _known(x.resistance),
        "delta_e_s_v": _known(x.step),
        "delta_e_s_sigma_v": _known(x.step_sigma),
        "slope_v_per_sqrt_s": _known(x.slope),
        "rest_drift_mv_per_h": _known(3.6e6 * x.relaxation),
        "tau_d_over_l2": _known(x.fourier),
        "voltage_v": _known(x.level),
        "soc": soc,
        "charge_mah": x.charge / 3.6,
        "lithium": what.lithium(x.charge),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
