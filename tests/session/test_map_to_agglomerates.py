"""The paper's Fig. 4 out of a run: map, zoom, catalog, agglomerates, on the simulated beamline."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope import start_session
from redoxscope.analysis import agglomerates as analysis
from redoxscope.callbacks import draw_agglomerates
from redoxscope.data import load_references
from redoxscope.plans import map_then_zoom
from redoxscope.sim.physics.stxm import build_model
from redoxscope.storage import agglomerates, store_results

ENERGIES = [630.0, 640.0, 641.6, 643.2, 655.0]
LENGTHS = {"gap": 0.4, "least_diameter": 4.0}
"""µm: of what belongs together, and what is large."""


def test_a_large_agglomerate_is_found_mapped_and_compared(tmp_path):
    """Outlines, inside against outside at fixed thickness, exterior against interior."""
    with start_session(speed=200, seed=1, data=tmp_path) as s:
        mapped, uid = s.RE(
            map_then_zoom(
                s.stxm, edge="Mn L3", map_energies=[635, 642.6], size=14, pixels=56, tile=14,
                gap=0.2, number=1, zoom_size=(8, 7), zoom_pixels=(64, 56),
                stack={"energies": ENERGIES, "dwell": 0.002},
            )
        )  # fmt: skip
        assert s.finish(120)
        run = s.cat[uid]
        assert run.start["zoom"]["map"] == mapped
        made = agglomerates(run, rim=1.0, block=0.4, **LENGTHS)
        store_results(s.cat, uid, made.results)
        stored = s.cat[uid]["agglomerates"]
        kept = stored.metadata["attrs"]["comparison"]
        labels = stored["label"].read()
    (one, *_), ours = made.found.found, made.comparison
    assert made.name == "Mn3+" and made.unit == "µm"
    assert kept == pytest.approx(ours.as_dict()) and (labels == 1).sum() == one.mask.sum()

    model = build_model("lmr", seed=1)
    truth = model.truth(ENERGIES, made.x, made.y, load_references("Mn L3"))
    (whole, *_) = analysis.agglomerates(truth["thickness"], pixel=0.125, **LENGTHS).found
    assert not one.cut and one.diameter == pytest.approx(whole.diameter, abs=0.2)
    assert (one.mask & whole.mask).sum() > 0.93 * (one.mask | whole.mask).sum()
    share = np.where(np.isfinite(made.share), 1 - truth["fraction"], np.nan)
    true = analysis.compare(
        share, made.sigma, truth["thickness"], made.found, rim=1.0, edges=ours.thickness, block=0.4
    )
    # As in the paper, at one thickness: outside and at the rim more reduced.
    for name, sign in (("at_fixed_thickness", -1), ("ensemble", 1)):
        found = getattr(ours, name)
        assert found.value == pytest.approx(getattr(true, name).value, abs=4 * found.sigma)
        assert sign * found.significance > 5
    for name in ("inside", "outside", "exterior", "interior"):
        for mean, right in zip(getattr(ours, name), getattr(true, name), strict=True):
            if np.isfinite(mean.sigma):
                assert mean.value == pytest.approx(right.value, abs=4 * mean.sigma)
    figure = Figure(figsize=(13, 4.5))
    draw_agglomerates(figure, made)
    figure.savefig(tmp_path / "fig4.png")
    assert (tmp_path / "fig4.png").stat().st_size > 0
