"""Particles on maps with noise: where, how large, how sure; none where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.particles import absorbance, find_particles

X = np.arange(100) * 0.2 - 10
Y = np.arange(80) * 0.2 - 8
DISCS = [(-5.0, 2.0, 1.5, 1.0), (4.0, -3.0, 0.8, 0.6), (6.0, 5.0, 0.5, 0.4)]


def counted(discs=DISCS, photons=2000, seed=0):
    gx, gy = np.meshgrid(X, Y)
    od = np.zeros(gx.shape)
    for x, y, r, density in discs:
        od[(gx - x) ** 2 + (gy - y) ** 2 < r**2] = density
    return np.random.default_rng(seed).poisson(photons * np.exp(-od)).astype(float)


def test_discs_are_found_where_they_are_the_largest_first():
    found = find_particles(*absorbance(counted()), X, Y)
    assert len(found) == 3
    for one, (x, y, r, density) in zip(found, DISCS, strict=True):
        assert one.center == pytest.approx((x, y), abs=0.2)
        assert one.diameter == pytest.approx(2 * r, abs=0.45)
        assert one.density == pytest.approx(density, abs=0.2 * density)
        assert one.significance > 10 and one.whole


def test_noise_alone_is_no_particle():
    for seed in range(5):
        assert find_particles(*absorbance(counted([], seed=seed)), X, Y) == []


def test_what_is_cut_by_the_border_or_by_lost_lines_is_not_whole():
    counts = counted([(-9.5, 0, 1.5, 1.0), (0, 0, 1.5, 1.0), (6, 0, 1.5, 1.0)])
    counts[36:38, 45:55] = np.nan
    found = {round(one.center[0]): one.whole for one in find_particles(*absorbance(counts), X, Y)}
    assert found[6] is True and list(found.values()).count(True) == 1


def test_an_agglomerate_is_what_lies_close_together():
    counts = counted([(0, 0, 0.8, 1.0), (2.2, 0, 0.8, 1.0)])
    assert len(find_particles(*absorbance(counts), X, Y)) == 2
    (one,) = find_particles(*absorbance(counts), X, Y, gap=1.0)
    assert one.size[0] == pytest.approx(3.8, abs=0.5)


def test_the_smallest_are_left_out():
    assert len(find_particles(*absorbance(counted()), X, Y, smallest=1.4)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [({"smallest": -1}, "smallest"), ({"gap": np.nan}, "gap"), ({"most": 0}, "most")],
)
def test_what_makes_no_sense_is_refused(options, message):
    od, sigma = absorbance(counted())
    with pytest.raises(ValueError, match=message):
        find_particles(od, sigma, X, Y, **options)
    with pytest.raises(ValueError, match="do not fit"):
        find_particles(od, sigma, Y, X)
