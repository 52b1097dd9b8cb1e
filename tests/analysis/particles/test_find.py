"""Particles on maps with noise: where, how large, how sure; none where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

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


def test_a_thickness_is_the_density_over_the_absorption_of_whatever_mixture():
    (one,) = find_particles(*absorbance(counted(DISCS[:1])), X, Y, absorption=[4.0, 8.0])
    per_um, square = math.log(2) / 4, 1 / 32  # means of 1/m and 1/m², m from 4 to 8 1/µm
    assert one.thickness == pytest.approx(one.density * per_um, rel=1e-3)
    phase = one.density * math.sqrt(square - per_um**2)
    counting = one.density_sigma * per_um
    assert one.thickness_sigma == pytest.approx(math.hypot(phase, counting), rel=0.02)
    (sure,) = find_particles(*absorbance(counted(DISCS[:1])), X, Y, absorption=[5.0])
    assert sure.thickness_sigma == pytest.approx(sure.density_sigma / 5)


@pytest.mark.parametrize("absorption", [None, [], [4.0, math.nan], [-1.0, 5.0]])
def test_without_an_absorption_there_is_no_thickness(absorption):
    (one,) = find_particles(*absorbance(counted(DISCS[:1])), X, Y, absorption=absorption)
    assert one.thickness is None and one.thickness_sigma is None


@pytest.fixture
def iron(toner):
    """Two images of the measured stack, before and on the edge, and the mask of its authors."""
    od = -np.log(np.maximum(toner.counts, 1e-9) / toner.i0[:, None, None])
    fitted = np.linalg.lstsq(toner.design, od.reshape(len(od), -1), rcond=None)[0]
    material = (fitted[0] + fitted[1]).reshape(od.shape[1:]) > 0.3
    at = [int(np.argmin(abs(toner.energies - energy))) for energy in (703.0, 709.5)]
    return *toner.counts[at], material


PIXEL = 0.08
GRID = np.arange(125) * PIXEL


def in_box(one, image):
    """The part of an image in the box around a particle."""
    middle = [round(value / PIXEL) for value in one.center[::-1]]
    half = [side / PIXEL / 2 for side in one.size[::-1]]
    rows, columns = (
        slice(max(0, round(m - h)), round(m + h) + 1) for m, h in zip(middle, half, strict=True)
    )
    return image[rows, columns]


def iron_found(before, after, smallest):
    (high, high_sigma), (low, low_sigma) = absorbance(after), absorbance(before)
    sigma = np.hypot(high_sigma, low_sigma)
    return find_particles(high - low, sigma, GRID, GRID, smallest=smallest)


def test_two_images_of_measured_iron_tell_the_particles_of_its_authors(iron):
    before, after, material = iron
    found = iron_found(before, after, 0.6)
    for one in found:  # each is material of theirs
        assert in_box(one, material).sum() * PIXEL**2 > 0.9 * one.area
        assert one.significance > 25
    labels, count = ndimage.label(material, np.ones((3, 3)))
    large = 0
    for number in range(1, count + 1):  # each of theirs that is large enough was found
        rows, columns = np.nonzero(labels == number)
        if len(rows) * PIXEL**2 >= math.pi * 0.3**2:
            large += 1
            assert any(
                one.center[0] == pytest.approx(GRID[columns].mean(), abs=one.size[0] / 2)
                and one.center[1] == pytest.approx(GRID[rows].mean(), abs=one.size[1] / 2)
                for one in found
            )
    assert large >= 6 and len(found) <= large + 1
    assert [one.whole for one in found].count(False) == 3  # those that the image cuts


def test_a_tenth_of_the_counts_is_less_sure_and_misses_the_thin_ones_only(iron):
    before, after, material = iron
    rng = np.random.default_rng(3)
    found = iron_found(before, after, 0.4)
    faint = iron_found(rng.poisson(before / 10), rng.poisson(after / 10), 0.4)
    assert 2 <= len(faint) < len(found)
    assert faint[0].significance < found[0].significance / 2.5
    for one in faint:
        assert one.significance >= 5
        assert in_box(one, material).sum() * PIXEL**2 > 0.5 * one.area
