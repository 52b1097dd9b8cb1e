"""Profiles and fits against particles whose history is known."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from redoxscope.analysis.profiles import (
    CORE_SHELL,
    DIFFUSION,
    Fits,
    Profile,
    chord,
    core_shell,
    diffusion,
    fit_profiles,
    outline,
    outlines,
    profile,
)

from .particles import Particle, diffused

TIME = 3.6e5  # s


@pytest.fixture(scope="module", autouse=True)
def fast_truth():
    """The same history is not computed for each seed again."""
    from . import particles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(particles, "diffused", lru_cache(diffused))
        yield


def measured(particle: Particle, seed: int, **given) -> Profile:
    maps = particle.maps(np.random.default_rng(seed))
    (one,) = outlines(maps["thickness"], pixel=particle.pixel).found
    return profile(maps["fraction"], maps["sigma"], one, **{"thickness": maps["thickness"]} | given)


def fitted(particle: Particle, seeds: range, **given) -> list[Fits]:
    asked = {"shape": particle.shape, "section": particle.section, "resolution": particle.blur}
    return [fit_profiles([measured(particle, seed)], time=TIME, **asked | given) for seed in seeds]


def off(particle: Particle, fits: Fits) -> float:
    """ln of the D found over the true one."""
    return math.log(fits.d * TIME / (particle.length * 1e-6) ** 2)


@pytest.mark.parametrize("shape", ["sphere", "cylinder"])
@pytest.mark.parametrize("tau", [0.003, 0.06, 0.5])
def test_series_is_what_finite_differences_give(shape, tau):
    r, share = diffused(shape, tau)
    x = np.linspace(0, 1, 41)
    # In a section without thickness nothing is projected.
    found = diffusion(x, [math.sqrt(tau)], shape, 1e-6)[:, 0]
    np.testing.assert_allclose(found, np.interp(x, r, share), atol=2e-3)


def test_projection_lifts_the_middle():
    """Numbers of an independent calculation."""
    local, whole = (diffusion([0.0], [math.sqrt(0.02)], "sphere", h)[0, 0] for h in (1e-6, 1))
    assert local == pytest.approx(0.0, abs=5e-4)
    assert whole == pytest.approx(0.186, abs=1e-3)


@pytest.mark.parametrize("half", [0.3, 1.0])
def test_core_and_shell_is_the_way_through_the_core(half):
    x, width = np.linspace(0, 0.99, 34), 0.25
    z = (np.arange(4000) + 0.5) / 4000 * half
    r = np.hypot(x[:, None], z)
    inside, core = (r < 1).sum(1), (r < 1 - width).sum(1)
    np.testing.assert_allclose(
        core_shell(x, [width], "sphere", half)[:, 0], 1 - core / inside, atol=2e-3
    )
    np.testing.assert_allclose(chord(x, "sphere", half), inside / 4000 * half, atol=1e-3)


@pytest.mark.parametrize(
    "particle",
    [
        Particle(),
        Particle(section=1.0),
        Particle(shape="cylinder"),
        Particle(radius=0.07, blur=0.012),
        Particle(round=0.04),
    ],
    ids=["section", "whole", "cylinder", "blurred", "oval"],
)
def test_edge_is_found_to_a_third_of_a_pixel(particle):
    """The outline is drawn where a quarter of the thickness is; the fit knows where that lies."""
    from redoxscope.analysis.profiles._fit import Limits, _Known, _setting

    one = measured(particle, 3)
    known = _Known(1.0, 0.0, particle.blur, (particle.shape,), particle.section, Limits())
    setting, _ = _setting(one, particle.shape, known)
    assert setting.radius == pytest.approx(particle.radius, abs=particle.pixel / 3)


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_sigma_of_a_bin_is_its_scatter(smooth):
    """Also where the noise of neighbours is one: N pixels then count as fewer."""
    particle = Particle(smooth=smooth)
    pulls = []
    for seed in range(30):
        maps = particle.maps(np.random.default_rng(seed))
        (one,) = outlines(maps["thickness"], pixel=0.005).found
        found = profile(maps["fraction"], maps["sigma"], one, thickness=maps["thickness"], bin=0.01)
        true = profile(maps["truth"], maps["sigma"], one, thickness=maps["thickness"], bin=0.01)
        k = min(len(found.mean), len(true.mean))
        pulls.append(((found.mean[-k:] - true.mean[-k:]) / found.sigma[-k:])[:9])
    pulls = np.array([p for p in pulls if len(p) == 9])
    assert len(pulls) > 25
    assert 0.9 < pulls.std() < 1.2
    assert np.abs(pulls.mean(axis=0)).max() < 0.6  # 0.18 each by chance


@pytest.mark.parametrize(
    ("particle", "given"),
    [
        (Particle(), {}),
        (Particle(), {"section": None}),
        (Particle(shape="cylinder"), {}),
        (Particle(section=1.0, noise=0.02), {}),
        (Particle(length=0.012), {}),
        (Particle(round=0.05), {}),
        (Particle(radius=0.14, section=0.12, length=0.019, bulk=0.05, surface=0.85), {}),
    ],
    ids=["section", "unknown", "cylinder", "whole", "short", "oval", "demo"],
)
def test_d_within_a_fifth_and_diffusion_preferred(particle, given):
    fits = fitted(particle, range(3), **given)
    assert [f.refused for f in fits] == [""] * 3
    assert [f.preferred for f in fits] == [DIFFUSION] * 3
    assert max(abs(off(particle, f)) for f in fits) < 0.2
    assert max(f.sigma_ln for f in fits) < 0.35


@pytest.mark.parametrize("shape", ["sphere", "cylinder"])
def test_core_and_shell_preferred_where_it_is_one(shape):
    particle = Particle(model="core-shell", shape=shape)
    for fits in fitted(particle, range(2)):
        (one,) = fits.particles
        assert fits.preferred == CORE_SHELL
        assert one.core_shell.length == pytest.approx(particle.length, abs=0.0015)
        assert (one.core_shell.bulk, one.core_shell.surface) == pytest.approx((0.1, 0.7), abs=0.06)
        # Diffusion does not describe it: a D of it would mean nothing.
        assert math.isnan(fits.d) and "a core with a shell describes it better" in fits.refused


def test_interval_holds_the_truth_as_often_as_it_says():
    """Noise dominates here; what is taken for known is off by its own sigma as well."""
    particle = Particle(noise=0.07, smooth=0.7)
    pulls = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        (fits,) = fitted(
            particle,
            range(seed, seed + 1),
            resolution=particle.blur * math.exp(0.2 * rng.normal()),
            section=particle.section * math.exp(0.1 * rng.normal()),
        )
        if not fits.refused:
            pulls.append(off(particle, fits) / fits.sigma_ln)
    assert len(pulls) >= 22
    covered = np.mean(np.abs(pulls) < 1)
    assert 0.5 <= covered <= 0.9, covered  # 0.68 ± 0.1
    assert abs(np.mean(pulls)) < 0.6


def test_particles_together_have_a_smaller_interval_unless_they_differ():
    particle = Particle(noise=0.1)
    alike = [measured(particle, seed) for seed in range(4)]
    other = [measured(Particle(noise=0.1, length=length), 9) for length in (0.015, 0.04)]
    asked = {"time": TIME, "resolution": 0.008, "section": 0.08}
    one, four, six = (fit_profiles(p, **asked) for p in (alike[:1], alike, alike + other))
    assert four.sigma_ln < 0.8 * one.sigma_ln
    assert abs(off(particle, four)) < 2 * four.sigma_ln
    assert six.sigma_ln > 1.5 * four.sigma_ln
    told = four.as_dict()
    assert told["d_low_cm2_s"] < told["d_cm2_s"] == pytest.approx(1e4 * four.d)
    assert told["model"] == "diffusion" and told["particles"] == 4


def test_unknown_shape_widens_the_interval():
    particle = Particle()
    (known,), (both,) = fitted(particle, range(1)), fitted(particle, range(1), shape=None)
    assert both.sigma_ln >= known.sigma_ln
    assert abs(off(particle, both)) < 0.2


@pytest.mark.parametrize(("worse", "refused"), [(0.0, True), (3000.0, False)])
def test_a_shape_that_bounds_d_on_one_side_only_leaves_no_d_unless_nothing_speaks_for_it(
    monkeypatch, worse, refused
):
    from redoxscope.analysis.profiles import _fit

    particle, solve = Particle(), _fit._Whitened.solve
    (alone,) = fitted(particle, range(1))

    def one_sided(self, model, setting, *more):
        solved = solve(self, model, setting, *more)
        if model != DIFFUSION:
            return solved
        if setting.shape == "sphere":
            return replace(solved, fit=replace(solved.fit, aic=0.0))
        return replace(solved, fit=replace(solved.fit, aic=worse), sigma_ln=math.inf)

    monkeypatch.setattr(_fit._Whitened, "solve", one_sided)
    (both,) = fitted(particle, range(1), shape=None)
    if refused:
        assert math.isnan(both.d)
        assert "bounded only from one side if it is a cylinder" in both.refused
    else:
        assert not both.refused
        assert (both.d, both.sigma_ln) == pytest.approx((alone.d, alone.sigma_ln))


def test_a_section_is_changed_to_the_sides_that_there_are():
    from redoxscope.analysis.profiles._fit import Limits, _Known, _setting, _sides

    assert _sides(0.4, 0.04) == pytest.approx([0.36, 0.44])
    assert _sides(0.03, 0.003) == pytest.approx([0.027, 0.033])
    assert _sides(1.0, 0.1) == pytest.approx([0.9])
    assert _sides(0.1, 0.08) == pytest.approx([0.18])
    assert _sides(0.5, 0.6) == [0.05, 1.0]
    known = _Known(1.0, 0.0, 0.008, ("sphere",), 0.0006, Limits())
    setting, sigma = _setting(measured(Particle(), 3), "sphere", known)
    assert 0.002 < setting.half < 0.004 and sigma == pytest.approx(0.1 * setting.half)


def test_time_is_part_of_the_interval():
    particle = Particle()
    (known,), (rough,) = (fitted(particle, range(1), time_sigma=TIME * part) for part in (0.0, 0.5))
    assert rough.sigma_ln == pytest.approx(math.hypot(known.sigma_ln, 0.5), rel=1e-3)


@pytest.mark.parametrize(
    ("particle", "given", "reason"),
    [
        (
            # A day at 1e-17 cm²/s as a zone plate sees it.
            Particle(radius=0.2, length=0.009, pixel=0.02, blur=0.04, noise=0.02),
            {},
            "is too short for a resolution of 40 nm",
        ),
        (Particle(surface=0.1), {}, "does not change with the distance from the edge"),
        (Particle(length=0.065, noise=0.03), {}, "noise leaves D within a factor of"),
        (Particle(radius=0.05, pixel=0.01), {}, "bins of 0.01 um or more; 6 are needed"),
    ],
    ids=["coarse", "flat", "flooded", "small"],
)
def test_refused_by_name(particle, given, reason):
    (fits,) = fitted(particle, range(2, 3), **given)
    assert math.isnan(fits.d) and fits.d is not None
    assert reason in fits.refused


def scene(*particles: tuple[float, float, float], size: int = 120) -> np.ndarray:
    """Thickness (um) of sections of 80 nm at (x, y, radius) in pixels of 5 nm."""
    y, x = np.mgrid[:size, :size]
    thickness = np.zeros((size, size))
    for px, py, r in particles:
        ball = 0.005 * 2 * np.sqrt(np.clip(r**2 - (x - px) ** 2 - (y - py) ** 2, 0, None))
        thickness += np.minimum(ball, 0.08)
    noise = np.random.default_rng(5).normal(0, 0.004, thickness.shape)
    return thickness + noise


@pytest.mark.parametrize(
    ("particles", "found", "reason"),
    [
        ([(40, 40, 20), (90, 85, 15)], 2, None),
        ([(40, 40, 20), (78, 85, 15), (68, 50, 18)], 1, "overlaps with another"),
        ([(40, 40, 20), (110, 60, 18)], 1, "touches the map's border"),
        ([(40, 40, 20), (90, 85, 7)], 1, "too small"),
        ([(60, 60, 30), (66, 62, 10)], 0, "its thickness scatters"),
    ],
    ids=["apart", "overlapping", "border", "small", "on top"],
)
def test_only_single_whole_particles_count(particles, found, reason):
    out = outlines(scene(*particles), pixel=0.005, least_radius=0.05)
    assert len(out.found) == found
    assert [one.label for one in out.found] == list(range(1, found + 1))
    if reason is None:
        assert not out.left_out
        x, y = out.found[0].center
        assert (x, y) == pytest.approx((40, 40), abs=0.5)
    else:
        assert any(reason in left.reason for left in out.left_out)


def test_pixels_without_value_are_left_out_and_a_particle_with_them_told():
    thickness = scene((40, 40, 20), (90, 85, 15))
    thickness[38:42, 30:34] = np.nan
    out = outlines(thickness, pixel=0.005)
    assert len(out.found) == 1
    assert [left.reason for left in out.left_out] == ["some of its pixels have no value"]


def test_a_row_without_value_in_the_fraction_costs_pixels_only():
    maps = Particle().maps(np.random.default_rng(1))
    (one,) = outlines(maps["thickness"], pixel=0.005).found
    whole = profile(maps["fraction"], maps["sigma"], one, thickness=maps["thickness"])
    row = int(one.center[1])
    maps["fraction"][row] = np.nan
    less = profile(maps["fraction"], maps["sigma"], one, thickness=maps["thickness"])
    assert less.n.sum() < whole.n.sum()
    assert np.isfinite(less.mean).all() and np.isfinite(less.sigma).all()


def test_an_own_mask_has_the_edge_as_drawn():
    y, x = np.mgrid[:60, :60]
    one = outline(np.hypot(x - 30, y - 30) < 20.2, pixel=0.005)
    assert one.radius == pytest.approx(0.1, abs=0.001)
    assert one.distance[30, 30] == pytest.approx(0.1, abs=0.003)
    assert one.distance[30, 53] == pytest.approx(-0.014, abs=0.002)
    assert math.isnan(one.level)


MAP = np.full((9, 9), 0.5)
ONE = outline(MAP > 0, pixel=0.01)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: outlines(np.full((9, 9), np.nan), pixel=0.01), "thickness holds no number"),
        (lambda: outlines([1.0, 2.0], pixel=0.01), "thickness has shape (2,)"),
        (lambda: outlines(MAP, pixel=0), "pixel = 0 um must be greater than 0 um"),
        (lambda: outlines(MAP, pixel=True), "pixel = True must be one number in um"),
        (lambda: outlines(MAP, pixel=0.01, least_radius=-1), "least_radius"),
        (lambda: outline(MAP, pixel=0.01), "it must be a map of bool"),
        (lambda: outline(MAP > 1, pixel=0.01), "mask is empty"),
        (lambda: profile(MAP, MAP[1:], ONE), "sigma has shape (8, 9), fraction (9, 9)"),
        (lambda: profile(MAP, MAP, ONE, bin=0.001), "bin = 0.001 um must be at least 0.01 um"),
        (lambda: profile(MAP * np.nan, MAP, ONE), "no pixel has a value with its sigma"),
        (lambda: fit_profiles([], time=1, resolution=0.01), "profiles is empty"),
        (lambda: fit_profiles([], time=-1, resolution=0.01), "time = -1 s"),
        (lambda: fit_profiles([], time=1, resolution=math.nan), "resolution"),
        (lambda: fit_profiles([], time=1, resolution=0.01, shape="cube"), "shape = 'cube'"),
        (lambda: fit_profiles([], time=1, resolution=0.01, section=0), "section = 0 um"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=".") as caught:
        call()
    assert words in str(caught.value)
