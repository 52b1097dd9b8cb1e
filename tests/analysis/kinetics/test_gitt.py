"""Diffusion coefficients: exact solutions, the six measured pulses, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.kinetics import AGAINST, Geometry, find_pulses, passed_over, titrate

from .titrations import titration

PLATE = Geometry.planar(1e-10, 1e-5)  # 10 µm
SPHERE = Geometry.sphere(5e-6)
# By hand: ΔE_s (mV), dE/d√t (V/√s), R², D (m²/s).
BY_HAND = {
    40: (2.005, 9.102e-5, 0.954, 5.11e-16),
    41: (1.926, 8.866e-5, 0.952, 4.97e-16),
    42: (1.852, 8.641e-5, 0.949, 4.83e-16),
    43: (1.784, 8.431e-5, 0.946, 4.71e-16),
    44: (1.723, 8.239e-5, 0.944, 4.60e-16),
    45: (1.671, 8.068e-5, 0.941, 4.51e-16),
}


@pytest.fixture(scope="module")
def six(shared_data):
    data = np.loadtxt(shared_data / "gitt/gitt_six_pulses.csv", delimiter=",", skiprows=1)
    return titrate(*data.T, Geometry.sphere(1.8e-6))


@pytest.mark.parametrize("number", BY_HAND)
def test_the_six_pulses_are_as_by_hand(six, number):
    step, slope, r2, d = BY_HAND[number]
    found = six[number - 40]
    assert len(six) == 6 and not found.refused
    assert found.d == pytest.approx(d, rel=0.02)
    assert 1e3 * found.step == pytest.approx(step, abs=5e-4)
    assert found.slope == pytest.approx(slope, rel=1e-3)
    assert found.r2 == pytest.approx(r2, abs=6e-4)
    assert found.points == 590 and found.window == pytest.approx((1.001, 59.901), abs=1e-3)
    assert found.pulse.current == pytest.approx(0.945e-3)
    assert found.pulse.duration == pytest.approx(660, abs=0.01)


def test_the_six_pulses_say_that_the_law_holds_only_in_part(six):
    """Early and late half of the window differ by a factor of two: σ says so."""
    for found in six:
        assert any("only in part" in doubt for doubt in found.doubts)
        assert 0.5 < found.sigma / found.d < 1.2 and found.sigma_noise < 1e-3 * found.d


@pytest.mark.parametrize(("geometry", "d", "rel"), [(PLATE, 1e-14, 0.01), (SPHERE, 1e-16, 0.1)])
@pytest.mark.parametrize("current", [1e-3, -1e-3])
def test_exact_solutions_give_their_d(geometry, d, rel, current):
    """In a sphere the voltage bends from the beginning: that much is the formula's, and in σ."""
    made = titration(d, geometry, current=current, rest=60_000 if geometry is SPHERE else 14_400)
    found = titrate(*made, geometry)
    assert [each.refused for each in found] == ["", ""]
    for each in found:
        assert each.d == pytest.approx(d, rel=rel)
        assert abs(each.d - d) < 3 * each.sigma + 0.01 * d
        assert each.step * current > 0 and each.r2 > 0.999
        assert each.ir == pytest.approx(2.0 * current, abs=5e-5)
        assert each.resistance == pytest.approx(2.0, rel=0.02)
    assert [each.charge for each in found] == pytest.approx(
        [current * 300, current * 900], rel=1e-3
    )


def test_sigma_is_what_repeats_scatter():
    true = titrate(*titration(1e-14, PLATE, pulses=1), PLATE)[0].d
    t, v, i = titration(1e-14, PLATE, pulses=1)
    pulls = []
    for seed in range(60):
        noisy = v + np.random.default_rng(seed).normal(0, 3e-5, len(v))
        found = titrate(t, noisy, i, PLATE)[0]
        assert not found.refused
        pulls.append((found.d - true) / found.sigma_noise)
    assert 0.75 < np.std(pulls) < 1.25 and abs(np.mean(pulls)) < 0.5


def test_a_first_point_that_comes_late_gives_the_jump_from_the_line():
    t, v, i = titration(1e-14, PLATE, every=5.0)
    late = np.ones(len(t), bool)
    late[np.flatnonzero(np.diff(i) > 0) + 1] = False  # the point at 1 ms
    found = titrate(t[late], v[late], i[late], PLATE, window=(1, 300))[0]
    assert found.ir == pytest.approx(2e-3, rel=0.02) and found.d == pytest.approx(1e-14, rel=0.05)


def half_weaker(i):
    on = np.flatnonzero(i)
    i[on[len(on) // 2 :]] *= 0.95


def falls_off(i):
    on = np.flatnonzero(i)
    i[on] *= np.exp(-np.arange(len(on)) / len(on))


@pytest.mark.parametrize("change", [half_weaker, falls_off])
def test_a_current_that_is_not_constant_is_refused(change):
    t, v, i = titration(1e-14, PLATE, pulses=1)
    change(i)
    (found,) = titrate(t, v, i, PLATE)
    assert found.refused.startswith("the current is not constant: it varies by")
    assert np.isnan(found.d) and np.isnan(found.sigma)


CASES = {
    "relaxed": ({"d": 1e-15, "rest": 1800.0}, {}, "the rest after it has not relaxed: "),
    "noise": ({"noise": 5e-4, "step": 2e-4}, {}, "ΔE_s is in the noise: "),
    "few": ({"every": 10.0}, {}, "6 points between 1 and 60 s, at least 10 are needed"),
    "short": ({"tau": 30.0}, {}, "it lasts 30 s, less than the fit's window up to 60 s"),
    "square": ({"d": 1e-13}, {}, "τ is not ≪ L²/D: τ D/L² = "),
    "window": ({"d": 1e-12, "tau": 60.0}, {}, "τ is not ≪ L²/D: "),
    "no rest": ({"rest": 40.0}, {}, "there is no rest after it that can be judged"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_breaks_the_assumptions_is_refused_by_name(name):
    how, options, says = CASES[name]
    found = titrate(*titration(**{"d": 1e-14, "geometry": PLATE, **how}), PLATE, **options)[0]
    assert says in found.refused
    assert np.isnan(found.d) and np.isnan(found.sigma)


@pytest.mark.parametrize("tau", [60.0, 600.0])
@pytest.mark.parametrize("geometry", [PLATE, SPHERE], ids=["plate", "sphere"])
def test_diffusion_that_has_ended_within_the_window_is_refused(geometry, tau):
    """E then goes with t: the formula would give a D that is far too small, and R² hides it."""
    fast = 5 * geometry.length**2 / 60
    for found in titrate(*titration(fast, geometry, tau=tau), geometry):
        assert "τ is not ≪ L²/D" in found.refused


def test_pulses_without_a_rest_before_or_after_are_refused():
    t, v, i = titration(1e-14, PLATE)
    on = np.flatnonzero(i)
    cut = slice(on[0], on[-1] + 1)
    first, last = titrate(t[cut], v[cut], i[cut], PLATE)
    assert first.refused.startswith("there is no rest before it")
    assert last.refused.startswith("there is no rest after it")


def test_a_voltage_that_rests_the_other_way_is_refused():
    t, v, i = titration(1e-14, PLATE, pulses=1)
    end = np.flatnonzero(i)[-1]
    v[end + 1 :] -= 8e-3
    assert "the other way" in titrate(t, v, i, PLATE)[0].refused


def test_a_voltage_that_does_not_go_with_the_root_is_refused():
    t, v, i = titration(1e-14, PLATE, pulses=1)
    v = v + np.where(i > 0, 4e-3 * np.sin(t / 4), 0)
    assert "E does not go with √t: R² = " in titrate(t, v, i, PLATE)[0].refused


@pytest.mark.parametrize("value", [0.0, 3.7])
@pytest.mark.parametrize("where", ["pulse", "file"])
def test_a_voltage_that_stands_is_refused_and_not_judged_further(value, where):
    t, v, i = titration(1e-14, PLATE, pulses=1)
    v[(i > 0) | (where == "file")] = value
    (found,) = titrate(t, v, i, PLATE)
    assert found.refused.startswith("ΔE_s is in the noise: ") == (where == "file")
    assert "; " not in found.refused or where == "file"
    assert "dE/d√t is in the noise: 0 ± " in found.refused and "L²/D" not in found.refused
    assert np.isnan(found.d) and np.isnan(found.fourier) and found.r2 == 0


def test_a_slope_in_the_noise_gives_no_further_numbers():
    t, v, i = titration(1e-14, PLATE, pulses=1)
    on = i > 0
    v[on] = 3.7 + np.random.default_rng(1).normal(0, 1e-4, on.sum())
    (found,) = titrate(t, v, i, PLATE)
    assert "dE/d√t is in the noise" in found.refused and "L²/D" not in found.refused
    assert np.isnan(found.fourier) and 0 <= found.r2 < 0.1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_current_of_the_wrong_sign_is_told_and_changes_no_d(sign):
    t, v, i = titration(1e-14, PLATE, current=sign * 1e-3)
    right, wrong = titrate(t, v, i, PLATE), titrate(t, v, -i, PLATE)
    assert [x.d for x in wrong] == pytest.approx([x.d for x in right])
    assert not any(AGAINST in x.doubts for x in right)
    assert all(AGAINST in x.doubts and x.resistance < 0 for x in wrong)
    short = titrate(t, v, -i, PLATE, window=(1, 900))  # refused, but the doubt is the file's
    assert all(x.refused and AGAINST in x.doubts for x in short)


def test_steady_currents_that_are_taken_for_none_are_told():
    i = np.zeros(300)
    i[50:100], i[150:200] = 1.1e-3, -50e-3
    assert len(find_pulses(np.arange(300.0), i)) == 2 and passed_over(i) is None
    i[50:100] = 0.9e-3
    assert len(find_pulses(np.arange(300.0), i)) == 1
    assert passed_over(i) == pytest.approx((0.9e-3, 1e-3))
    i[50:100] = np.random.default_rng(0).normal(0, 1e-5, 50)  # the noise of a rest
    assert passed_over(i) is None is passed_over(0 * i) is passed_over([])


def test_a_charge_followed_by_a_discharge_is_two_pulses():
    t = np.arange(300.0)
    i = np.zeros(300)
    i[50:100], i[100:150] = 1e-3, -1e-3
    first, second = find_pulses(t, i)
    assert (first.on, second.on) == (slice(50, 100), slice(100, 150))
    assert (first.rest_before.stop, first.rest_after.stop, second.rest_before.stop) == (50, 0, 0)
    assert find_pulses(t, 0 * i) == [] == find_pulses([], [])


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (([0, 1, 2], [1, np.nan, 1], [0, 0, 0]), "voltage is not finite at index 1: nan V"),
        (([0, 2, 1], [1, 1, 1], [0, 0, 0]), "time falls from 2 to 1 s at index 2"),
        (([0, 1, 2], [1, 1], [0, 0, 0]), "have 3, 2 and 3 values"),
        (([[0, 1, 2]], [1, 1, 1], [0, 0, 0]), "time has shape"),
    ],
)
def test_columns_that_are_none(columns, says):
    with pytest.raises(ValueError, match=says):
        titrate(*columns, PLATE)


@pytest.mark.parametrize("window", [(60, 1), (-1, 60), (1, np.inf), 60, (1, "60")])
def test_windows_that_are_none(window):
    with pytest.raises(ValueError, match="window"):
        titrate([0.0, 1.0], [1, 1], [0, 0], PLATE, window=window)


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [("sphere", (0,)), ("planar", (-1, 1)), ("planar", (1, True)), ("planar", (1, 1, np.nan))],
)
def test_shapes_that_are_none(shape, numbers):
    with pytest.raises(ValueError, match="must be"):
        getattr(Geometry, shape)(*numbers)
