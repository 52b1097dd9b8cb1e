"""From counts to a snapshot: one way for live maps, finished runs and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.rixs import (
    DamageSentinel,
    DamageVerdict,
    EmissionSpectrum,
    FeatureSignificance,
    RixsCounts,
    Yield,
    feature_significance,
)
from ...data import FeatureRange, channel_absorption
from ...documents import Window
from ._snapshot import RixsSnapshot

__all__ = ["results_of", "rixs_snapshot"]

MISSING = 0.005
"""Part of a pass's photons that came late or never from which passes are not called different:
what is missing is not the sample's doing."""

ELASTIC = 2.1
"""Half width (eV) of the elastic line at a resolution of 1.4 eV; kept out of significances."""


def rixs_snapshot(
    counts: RixsCounts,
    windows: Iterable[Window | str],
    *,
    elastic_mask: float | None = None,
    feature: FeatureRange | None = None,
    **known: Any,
) -> RixsSnapshot:
    """Snapshot of counts that came from anywhere, for instance from files.

    Parameters
    ----------
    counts : RixsCounts
    windows : iterable of Window or str
        ``"PFY[765:785]"`` and the like.
    elastic_mask : float, optional
        Leave out emission closer than this to the excitation (eV).
    feature : redoxscope.data.FeatureRange, optional
        Where a sPFY's feature shows; its significance needs that.
    **known
        Other attributes of `RixsSnapshot`, such as ``title``, ``pixels`` or ``lost``.

    Raises
    ------
    ValueError
        A window is none, or does not suit the counts.
    """
    parsed = tuple(Window.parse(w) if isinstance(w, str) else w for w in windows)
    snapshot, refused = results_of(counts, parsed, elastic_mask=elastic_mask, feature=feature)
    if refused:
        raise ValueError(refused)
    measured = np.isfinite(counts.seconds)
    defaults = {
        "points_done": int(measured.sum()),
        "points_total": counts.seconds.size,
        "photons": int(counts.spectra.sum(dtype=np.int64)),
        "late": int(counts.late.sum()),
        "lost": int(counts.lost.sum()),
        "finished": True,
    }
    return replace(snapshot, **(defaults | known))


def results_of(
    counts: RixsCounts,
    windows: tuple[Window, ...],
    *,
    elastic_mask: float | None = None,
    feature: FeatureRange | None = None,
    damage_limit: float = 5.0,
    full: bool = True,
    before: RixsSnapshot | None = None,
) -> tuple[RixsSnapshot, str]:
    """Snapshot of what follows from the counts alone, and what was wrong with windows.

    Without ``full``, significance and comparison of passes are those of ``before``.
    """
    yields: dict[str, Yield] = {}
    spectra: dict[str, EmissionSpectrum] = {}
    wrong: list[str] = []
    for window in windows:
        try:
            if window.in_excitation:
                spectra[window.name] = counts.xes(window, elastic_mask=elastic_mask)
            else:
                own = _own_absorption(window, tuple(counts.energies.tolist()))
                yields[window.name] = counts.yields(
                    window, elastic_mask=elastic_mask, own_absorption=own
                )
        except ValueError as error:
            wrong.append(f"{error}.")
    features: Mapping[str, FeatureSignificance] = {}
    damage: DamageVerdict | None = None
    if full:
        good = [window for window in windows if window.name in yields]
        features = _features(counts, good, feature)
        damage = _damage(counts, good, feature, damage_limit)
    elif before is not None:
        features, damage = before.features, before.damage
    snapshot = RixsSnapshot(
        uid="",
        result=counts.map(elastic_mask=elastic_mask),
        windows=windows,
        yields=yields,
        spectra=spectra,
        features=features,
        damage=damage,
        passes=counts.passes,
        normalised=counts.has_monitor,
    )
    return snapshot, " ".join(wrong)


@lru_cache(maxsize=16)
def _own_absorption(window: Window, energies: tuple[float, ...]) -> NDArray[np.float64] | None:
    """What an inverse yield has to be multiplied by; None for other windows."""
    return channel_absorption(window, energies) if window.kind == "iPFY" else None


def _features(
    counts: RixsCounts, windows: list[Window], feature: FeatureRange | None
) -> dict[str, FeatureSignificance]:
    """Significance of each sPFY that lies in a PFY, where it is known at which excitations."""
    on = None if feature is None else _inside(counts.energies, feature.excitation)
    if feature is None or on is None or not on.any():
        return {}
    found = {}
    for window in windows:
        around = [w for w in windows if w.kind == "PFY" and _holds(w, window, counts)]
        if window.kind == "sPFY" and around:
            found[window.name] = feature_significance(
                counts,
                window,
                around[0],
                feature.excitation,
                reference=feature.reference or None,
                elastic_mask=ELASTIC,
            )
    return found


def _inside(energies: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.bool_]:
    return (energies >= limits[0]) & (energies <= limits[1])


def _holds(outer: Window, inner: Window, counts: RixsCounts) -> bool:
    a, b = outer.slice(counts.bins), inner.slice(counts.bins)
    return a.start <= b.start and b.stop <= a.stop and a != b


def _damage(
    counts: RixsCounts, windows: list[Window], feature: FeatureRange | None, limit: float
) -> DamageVerdict | None:
    """Compare the passes in TFY and in each sPFY; None while there is only one."""
    if int(counts.measured.any(axis=1).sum()) < 2:
        return None
    watched = [w for w in windows if w.kind == "TFY"][:1] or [Window("TFY")]
    watched += [w for w in windows if w.kind == "sPFY"]
    ranges = {} if feature is None else {w.name: feature.excitation for w in watched[1:]}
    verdict = DamageSentinel(watched, excitation=ranges, limit=limit).check(counts)
    missing = (counts.late + counts.lost).sum(axis=1)
    share = missing / np.maximum(missing + counts.spectra.sum(axis=(1, 2), dtype=np.int64), 1)
    if verdict.damaged and share.max() > MISSING:
        ipass = int(share.argmax())
        message = (
            f"passes cannot be compared: {missing[ipass]} photons of pass {ipass + 1} came late or "
            "never"
        )
        return replace(verdict, damaged=False, message=message)
    return verdict
