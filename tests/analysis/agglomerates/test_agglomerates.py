"""The paper's Fig. 4 on maps of known truth: outlines, fixed thickness, exterior and interior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from redoxscope.analysis.agglomerates import agglomerates, compare

PIXEL = 0.1
SHAPE = (200, 240)
CENTERS = ((60, 70, 40), (140, 170, 35))  # y, x, radius in pixels
INSIDE, RIM = 0.15, -0.06


def electrode(rng: np.random.Generator, *, inside: float = INSIDE, rim: float = RIM):
    """Primary particles everywhere, dense in two discs; truth: oxidised inside, less at the rim."""
    y, x = np.indices(SHAPE)
    dense = np.zeros(SHAPE, dtype=bool)
    depth = np.full(SHAPE, -np.inf)
    for cy, cx, radius in CENTERS:
        r = np.hypot(y - cy, x - cx)
        dense |= r <= radius
        depth = np.maximum(depth, (radius - r) * PIXEL)
    thickness = np.zeros(SHAPE)
    piece = np.zeros(SHAPE)  # what a primary particle has of its own
    for k in range(2600):
        cy, cx, radius = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), rng.uniform(2, 5)
        packed = dense[min(int(cy), SHAPE[0] - 1), min(int(cx), SHAPE[1] - 1)]
        if not packed and k % 12:
            continue
        near = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        thickness[near] = np.maximum(thickness[near], 0.03 + 0.012 * radius * rng.uniform(0.5, 1.5))
        piece[near] = rng.normal(0, 0.04)
    thickness = ndimage.gaussian_filter(thickness, 0.7)
    # Thinner is more reduced everywhere: what fixed thickness is there to take away.
    truth = 0.4 + 2.0 * thickness + np.where(dense, inside, 0.0) + piece
    truth += np.where(dense & (depth < 0.8), rim, 0.0)
    sigma = 0.004 / np.maximum(thickness, 0.01)
    fraction = truth + sigma * rng.standard_normal(SHAPE)
    gone = thickness < 0.015
    for one in (fraction, sigma):
        one[gone] = np.nan
    return fraction, sigma, thickness, dense


@pytest.fixture(scope="module")
def made():
    return electrode(np.random.default_rng(3))


def test_the_outlines_are_those_of_the_dense_discs(made):
    *_, thickness, dense = made
    found = agglomerates(thickness, pixel=PIXEL, gap=0.6, least_diameter=4.0)
    assert len(found.found) == 2
    common = (found.inside & dense).sum() / (found.inside | dense).sum()
    assert common > 0.8
    for one, (*_, radius) in zip(found.found, CENTERS, strict=True):
        assert one.diameter == pytest.approx(2 * radius * PIXEL, rel=0.12)
        assert not one.cut
        assert one.depth.max() == pytest.approx(radius * PIXEL, rel=0.25)
        assert (one.depth[one.mask] > 0).all() and (one.depth[~one.mask] < 0).all()


def test_differences_are_found_within_their_sigma(made):
    fraction, sigma, thickness, _ = made
    found = agglomerates(thickness, pixel=PIXEL, gap=0.6, least_diameter=4.0)
    said = compare(fraction, sigma, thickness, found, rim=0.8, block=1.0)
    fixed = said.at_fixed_thickness
    # Of the pixels inside, a part lies in the rim and is more reduced.
    share = np.mean(found.depth[found.inside] < 0.8)
    assert fixed.value == pytest.approx(INSIDE + share * RIM, abs=3 * fixed.sigma)
    assert fixed.significance > 5
    assert said.ensemble.value == pytest.approx(RIM, abs=3 * said.ensemble.sigma + 0.01)
    assert said.ensemble.significance < -3
    assert len(said.inside) == len(said.outside) == len(said.thickness) - 1


def test_without_a_difference_none_is_found():
    pulls = []
    for seed in range(12):
        fraction, sigma, thickness, _ = electrode(
            np.random.default_rng(100 + seed), inside=0.0, rim=0.0
        )
        found = agglomerates(thickness, pixel=PIXEL, gap=0.6, least_diameter=4.0)
        said = compare(fraction, sigma, thickness, found, rim=0.8, block=1.0)
        pulls += [said.at_fixed_thickness.significance]
        pulls += [one.significance for one in said.exterior_less_interior]
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4
    assert 0.4 < pulls.std() < 1.6


def test_pixels_alone_would_promise_too_much(made):
    """Neighbours of one primary particle are one measurement, not many."""
    fraction, sigma, thickness, _ = made
    found = agglomerates(thickness, pixel=PIXEL, gap=0.6, least_diameter=4.0)
    patches = compare(fraction, sigma, thickness, found, rim=0.8, block=1.0)
    pixels = compare(fraction, sigma, thickness, found, rim=0.8, block=PIXEL)
    assert patches.ensemble.sigma > 1.3 * pixels.ensemble.sigma


def test_an_agglomerate_cut_by_the_map_has_no_edge_there(made):
    *_, thickness, _ = made
    cut = thickness[:, 60:]
    found = agglomerates(cut, pixel=PIXEL, gap=0.6, least_diameter=4.0)
    (one,) = [each for each in found.found if each.cut]
    assert one.depth[:, 0].max() > 1.5  # a pixel of the first column is no edge


def test_single_particles_are_no_agglomerate():
    thickness = np.zeros((100, 100))
    thickness[10:90:20, 10:90:20] = 10.0
    thickness = ndimage.gaussian_filter(thickness, 2.0)
    found = agglomerates(thickness, pixel=PIXEL, gap=0.5, least_diameter=2.0)
    assert found.material.any() and found.found == () and not found.inside.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pixel": 0}, "pixel = 0"),
        ({"gap": -1}, "gap = -1"),
        ({"least_diameter": float("nan")}, "least_diameter"),
        ({"threshold": True}, "threshold"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        agglomerates(np.ones((5, 5)), **({"pixel": PIXEL} | options))


def test_maps_of_another_shape_are_refused(made):
    fraction, sigma, thickness, _ = made
    found = agglomerates(thickness, pixel=PIXEL)
    with pytest.raises(ValueError, match="sigma has shape"):
        compare(fraction, sigma[1:], thickness, found, rim=1.0)
    with pytest.raises(ValueError, match="edges"):
        compare(fraction, sigma, thickness, found, rim=1.0, edges=[1, 0])
    with pytest.raises(ValueError, match="rim = 0"):
        compare(fraction, sigma, thickness, found, rim=0)
    with pytest.raises(ValueError, match="no pixel"):
        compare(np.full(SHAPE, np.nan), sigma, thickness, found, rim=1.0)
