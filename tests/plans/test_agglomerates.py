"""Agglomerates in the map of a run, from the plan on."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.analysis.agglomerates import agglomerates, compare
from redoxscope.callbacks import agglomerates_of, draw_agglomerates, oxidation_map
from redoxscope.data import load_references
from redoxscope.plans import energy_stack
from redoxscope.sim.physics.stxm import build_model
from redoxscope.testing import FakeMicroscope, make_engine


def test_agglomerates_come_out_of_a_stack_of_the_simulated_electrode():
    """The paper's Fig. 4 out of a run, against what the simulated sample is."""
    model = build_model("lmr", seed=1)
    stxm, dwell = FakeMicroscope(), 0.002
    collect = stxm.scanner.collect_pages

    def pages():
        for page in collect():
            data = page["data"]
            lines = [
                model.line(energy, None, x, y[0], dwell, 0.0)
                for energy, x, y in zip(
                    data["energy"], data["sample_x"], data["sample_y"], strict=True
                )
            ]
            for name in ("transmission", "i0"):
                data[name] = [line[name].tolist() for line in lines]
            yield page

    stxm.scanner.collect_pages = pages
    energies = [630.0, 638.0, 640.0, 641.6, 643.2, 644.4, 655.0]
    engine, documents = make_engine()
    engine(
        energy_stack(
            stxm, edge="Mn L3", energies=energies, size=(9, 7), pixels=(90, 70), dwell=dwell
        )
    )
    found = oxidation_map(list(documents))
    result = found.result
    made = agglomerates_of(
        1 - result.fraction,
        result.sigma,
        result.thickness,
        found.x,
        found.y,
        name="Mn3+",
        gap=0.4,
    )
    first, ours = made.found.found[0], made.comparison
    assert not first.cut and first.diameter == pytest.approx(5.0, abs=0.2)
    truth = model.truth(energies, found.x, found.y, load_references("Mn L3"))
    (whole, *_) = agglomerates(truth["thickness"], pixel=0.1, gap=0.4).found
    assert (first.mask & whole.mask).sum() > 0.95 * (first.mask | whole.mask).sum()
    share = np.where(np.isfinite(made.share), 1 - truth["fraction"], np.nan)
    true = compare(
        share, made.sigma, truth["thickness"], made.found, rim=ours.rim, edges=ours.thickness
    )
    for name in ("at_fixed_thickness", "ensemble"):
        one = getattr(ours, name)
        assert one.value == pytest.approx(getattr(true, name).value, abs=3 * one.sigma)
        assert abs(one.significance) > 5  # as in the paper: outside and at the rim more reduced
    assert ours.at_fixed_thickness.value < 0 < ours.ensemble.value
    figure = Figure(figsize=(13, 4.5))
    draw_agglomerates(figure, made)
    assert "standard error" in figure.axes[1].get_ylabel()
