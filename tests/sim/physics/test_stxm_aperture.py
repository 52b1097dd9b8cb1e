"""What aperture and detector let through, against areas and geometry."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.sim.physics.stxm import GEOMETRY, build_model, ring_share

E = 640.0
X = np.linspace(-80.0, 80.0, 641)


@pytest.fixture(scope="module")
def model():
    return build_model("lmr", field_um=6.0, osa_centre=(12.0, -7.0), detector_centre=(150.0, 0.0))


def over_x(model, z=None, osa_z=0.0):
    passed = [model.passing(E, z, (float(x), -7.0, osa_z)) for x in X]
    return np.array([p.first for p in passed]), np.array([p.direct for p in passed])


@pytest.mark.parametrize("offset", [0.0, 3.0, 17.0, 40.0, 90.0, 200.0])
def test_the_share_of_a_ring_is_an_area(offset):
    rng = np.random.default_rng(1)
    r = np.sqrt(rng.uniform(20.0**2, 60.0**2, 400_000))
    angle = rng.uniform(0, 2 * np.pi, r.size)
    inside = (r * np.cos(angle) - offset) ** 2 + (r * np.sin(angle)) ** 2 < 50.0**2
    assert ring_share(50.0, 20.0, 60.0, offset) == pytest.approx(inside.mean(), abs=0.004)


def test_in_alignment_all_of_the_first_order_passes_and_nothing_else(model):
    light = model.passing(E)
    assert light.first == pytest.approx(1.0, abs=1e-9) and light.direct == 0.0


def test_across_the_aperture_a_disc_of_its_width_stands_where_the_axis_is(model):
    first, direct = over_x(model)
    half = X[first > 0.5]
    assert (half[0] + half[-1]) / 2 == pytest.approx(12.0, abs=0.3)
    assert half[-1] - half[0] == pytest.approx(GEOMETRY.osa_diameter_um, rel=0.08)
    # out of the central stop's shadow the zero order comes through: bright around a dark gap
    lit = np.abs(X - 12.0)[direct > 0]
    assert lit.min() == pytest.approx((95 - 50) / 2, abs=0.3)


def test_in_focus_on_the_aperture_its_edge_is_as_sharp_as_the_spot(model):
    f = model.a1_true * E

    def rise(z):
        first, _ = over_x(model, z)
        left = X < 12
        inside = X[left & (first > 0.1) & (first < 0.9)]
        return inside.size * (X[1] - X[0])

    on_it = rise(-f)
    assert on_it <= 0.25 < rise(-f + 100) < rise(-f + 400)
    assert rise(-f - 100) == pytest.approx(rise(-f + 100), abs=0.5)
    # where the aperture itself stands elsewhere along the beam, so does the focus on it
    first, _ = over_x(model, -f + 100, osa_z=100.0)
    assert ((first > 0.1) & (first < 0.9)).sum() * (X[1] - X[0]) <= 0.5


def test_across_the_detector_a_wide_disc_stands_where_the_cone_is(model):
    xs = np.arange(-900.0, 1200.0, 10.0)
    seen = np.array([model.passing(E, detector_um=(float(x), 0.0)).first for x in xs])
    half = xs[seen > 0.5]
    assert seen.max() == pytest.approx(1.0)
    assert (half[0] + half[-1]) / 2 == pytest.approx(150.0, abs=10)
    assert half[-1] - half[0] == pytest.approx(1000, rel=0.1)


def test_counts_follow_the_aperture(model):
    def counts(x):
        through = model.passing(E, None, (x, -7.0, 0.0))
        return model.line(E, None, [50.0], 0.0, 0.01, 0.0, through=through)["transmission"][0]

    assert counts(12.0) > 10 * counts(12.0 - 35.0) > 10_000  # the zero order, out of the shadow
    assert counts(-150.0) < 10
