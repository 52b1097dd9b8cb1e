"""Profiles of particles from a map that is stored with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import Result, draw_profiles
from redoxscope.storage import profiles, read_results, store_results

from .test_results import put

LENGTH, RADIUS, STEP = 0.03, 0.12, 0.005  # µm


def a_map(analysis: str, half_pitch: float | None = 0.006) -> list[Result]:
    """Two plates whose second species decays from the edge, and one at the border."""
    x = STEP * np.arange(140)
    y = STEP * np.arange(70)
    thickness = np.zeros((len(y), len(x)))
    share = np.full(thickness.shape, np.nan)
    for cx, cy in ((0.15, 0.17), (0.42, 0.18), (0.69, 0.17)):
        depth = RADIUS - np.hypot(x[None, :] - cx, y[:, None] - cy)
        inside = depth > 0
        thickness[inside] = 0.1
        share[inside] = 0.1 + 0.7 * np.exp(-((depth[inside] / LENGTH) ** 2))
    rng = np.random.default_rng(2)
    sigma = np.where(np.isfinite(share), 0.03, np.nan)
    fraction = 1 - share + sigma * rng.standard_normal(share.shape)
    attrs = {"species": ["Mn4+", "Mn3+"], "half_pitch_um": half_pitch}
    how: dict[str, Any] = {
        "coords": {"y": y, "x": x}, "units": {"y": "µm", "x": "µm"}, "attrs": attrs
    }  # fmt: skip
    return [
        Result(analysis, "fraction", fraction, ("y", "x"), **how),
        Result(analysis, "fraction_sigma", sigma, ("y", "x"), sigma_of="fraction", **how),
        Result(analysis, "thickness", thickness, ("y", "x"), unit="µm", **how),
    ]


@pytest.fixture
def run(tmp_path: Path, embedded: Any) -> Any:
    return put(tmp_path, embedded)


def test_profiles_of_a_stored_map_are_fitted_stored_and_drawn(embedded: Any, run: Any) -> None:
    uid = run.metadata["start"]["uid"]
    store_results(embedded, uid, a_map("ptychography"))
    found = profiles(embedded[uid], time=86400.0, shape="cylinder")
    assert found.name == "Mn3+" and len(found.fits.particles) == 2
    assert [one.reason for one in found.outlines.left_out]
    assert found.made_with["resolution_um"] == pytest.approx(1.2 * 0.006)
    for one in found.fits.particles:
        inner = one.profile.mean[one.profile.distance > 0.08]
        assert np.abs(inner - 0.1).max() < 0.05
        assert one.profile.mean[0] > 0.5
    assert found.fits.d > 0 and not found.fits.refused
    assert "cm²/s" in repr(found)
    store_results(embedded, uid, found.results)
    back = read_results(embedded[uid], "profiles")
    np.testing.assert_allclose(back["mean"].values, found.results[1].array)
    assert back["mean"].attrs["units"] == "" and back["distance"].attrs["units"] == "µm"
    assert back.attrs["species"] == "Mn3+" and back.attrs["parameters"]["version"] == 1
    assert set(np.unique(back["particle_label"].values)) == {0, 1, 2}
    figure = Figure((10, 4.5))
    draw_profiles(figure, found)
    figure.canvas.draw()


def test_what_cannot_be_is_refused_in_words(embedded: Any, run: Any) -> None:
    uid = run.metadata["start"]["uid"]
    with pytest.raises(ValueError, match="has no results of 'ptychography'"):
        profiles(run, time=1.0)
    store_results(embedded, uid, a_map("oxidation_map", None))
    with pytest.raises(ValueError, match="is blurred is not known; give resolution="):
        profiles(embedded[uid], time=1.0)
    with pytest.raises(ValueError, match="time = 0 s"):
        profiles(embedded[uid], time=0, resolution=0.05)
    store_results(embedded, uid, a_map("ptychography")[1:])
    with pytest.raises(ValueError, match="ptychography has no map of a fraction"):
        profiles(embedded[uid], time=1.0)
