"""What the ptychography demonstration makes of maps, images and profiles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.demo._ptycho import _profiles
from redoxscope.demo._ptycho_draw import draw_ptycho
from redoxscope.demo._ptycho_found import (
    Preview,
    first_recognisable,
    likeness,
    map_against,
    profile_against,
    true_object,
)
from redoxscope.sim import build_ptycho

ENERGY = 643.2


@pytest.fixture(scope="module")
def model():
    return build_ptycho("diffusion", size=64)


def grid(n, pixel=0.005, off=(0.0, 0.0)):
    at = (np.arange(n) - n // 2) * pixel
    return at + off[0], at + off[1]


def a_map(model, x, y, sigma=0.03, moved=(0.0, 0.0), seed=1):
    """A perfect map with noise, moved."""
    truth = model.truth(x - moved[0], y - moved[1])
    noise = np.random.default_rng(seed).normal(0, sigma, truth.thickness.shape)
    mask = truth.thickness > 0.02
    return SimpleNamespace(
        fraction=1 - np.where(mask, np.nan_to_num(truth.fraction) + noise, np.nan),
        sigma=np.full(mask.shape, sigma),
        thickness=truth.thickness,
        mask=mask,
    )


def test_a_good_map_agrees_with_the_truth(model):
    x, y = grid(90)
    found = map_against(x, y, a_map(model, x, y), model, align=True).summary()
    assert found["pixels"] > 1000
    assert found["rms_error"] == pytest.approx(0.03, rel=0.1)
    assert abs(found["bias"]) < 0.005 and found["pull_std"] == pytest.approx(1, abs=0.1)


def test_a_map_that_is_moved_is_compared_where_it_is(model):
    x, y = grid(90)
    moved = a_map(model, x, y, moved=(0.012, -0.008))
    found = map_against(x, y, moved, model, align=True)
    assert found.shift == pytest.approx((0.012, -0.008), abs=0.002)
    assert found.summary()["pull_std"] < 1.2
    assert map_against(x, y, moved, model, align=False).summary()["pull_std"] > 1.5


def test_a_map_of_nothing_says_so(model):
    x, y = grid(40, off=(30.0, 0.0))
    empty = a_map(model, x, y)
    assert map_against(x, y, empty, model, align=True).summary()["rms_error"] is None


def test_likeness_of_images(model):
    x, y = grid(120)
    image = SimpleNamespace(
        x_um=x,
        y_um=y,
        energy_ev=ENERGY,
        covered=np.ones((120, 120), bool),
        object=None,
        coverage=np.ones((120, 120)),
    )
    image.object = true_object(image, model)
    assert likeness(image, model) == pytest.approx(1)
    image.object = image.object[::-1]
    assert likeness(image, model) < 0.9  # mirrored, it is another
    image.covered = np.zeros((120, 120), bool)
    assert np.isnan(likeness(image, model))


def test_the_first_that_is_recognised():
    previews = [Preview(5, 100, np.nan), Preview(20, 100, 0.7), Preview(30, 100, 0.9)]
    assert first_recognisable(previews).places == 30
    assert first_recognisable(previews[:2]) is None


def test_a_profile_beside_the_truth(model):
    x, y = grid(90)
    particle = model.sample.particles[0]
    distance = particle.radius - np.hypot(x[None] - particle.x, y[:, None] - particle.y)
    inside = distance > 0
    edges = np.arange(0, 0.12, 0.01)
    profile = SimpleNamespace(
        outline=SimpleNamespace(distance=np.where(inside, distance, np.nan), radius=0.14),
        edges=edges,
        weights=inside.astype(float),
        mean=np.zeros(len(edges) - 1),
        sigma_with_edge=lambda: np.full(len(edges) - 1, 0.5),
    )
    fit = SimpleNamespace(
        profile=profile, interval=(np.nan, np.nan), d=np.nan, delta_aic=np.nan, preferred="",
        refused="too coarse",
    )  # fmt: skip
    found = profile_against(fit, model.truth(x, y).fraction)
    assert (np.diff(found.true_mean) < 0).all()  # reduced from the surface inwards
    assert found.true_mean[0] == pytest.approx(0.7, abs=0.1)
    assert found.true_mean[-1] == pytest.approx(particle.core, abs=0.02)
    assert found.pulls == pytest.approx(-2 * found.true_mean)
    told = found.summary()
    assert told["d_cm2_s"] is None and told["refused"] == "too coarse"
    assert told["bins"] == len(edges) - 1


def everything(model):
    """What the picture is made of, each part as the demonstration has it."""
    x, y = grid(60)
    truth = true_object(SimpleNamespace(x_um=x, y_um=y, energy_ev=ENERGY), model)
    image = SimpleNamespace(
        x_um=x, y_um=y, energy_ev=ENERGY, covered=np.ones((60, 60), bool), object=truth,
        frames=40, pixel_um=0.005,
    )  # fmt: skip
    distance = np.linspace(0.005, 0.1, 8)
    profile = SimpleNamespace(
        distance=distance, mean=np.linspace(0.8, 0.1, 8), sigma_with_edge=lambda: np.full(8, 0.02),
        outline=SimpleNamespace(radius=0.14),
    )  # fmt: skip
    fit = SimpleNamespace(model="diffusion", aic=12.0, curve=profile.mean)
    one = SimpleNamespace(
        profile=profile, diffusion=fit, core_shell=None, d=1e-21, interval=(0.9e-21, 1.2e-21)
    )
    at = np.linspace(5.0, 100.0, 20)
    return SimpleNamespace(
        image=image,
        early=image,
        stxm=map_against(*grid(8, 0.04), a_map(model, *grid(8, 0.04)), model, align=False),
        ptycho=map_against(x, y, a_map(model, x, y), model, align=True),
        profiles=[SimpleNamespace(found=one, true_mean=profile.mean)],
        fits=SimpleNamespace(
            refused="", interval=(0.9e-21, 1.2e-21), preferred="diffusion", delta_aic=8.0, d=1e-21
        ),
        snapshot=SimpleNamespace(
            resolution=SimpleNamespace(
                frequency=at,
                value=np.exp(-at / 50),
                threshold=np.full(20, 0.3),
                half_pitch_um=0.008,
            )  # fmt: skip
        ),
        true_d=1e-17,
    )


def nothing():
    return SimpleNamespace(
        image=None, early=None, stxm=None, ptycho=None, profiles=[], fits=None,
        snapshot=SimpleNamespace(resolution=None), true_d=np.nan,
    )  # fmt: skip


@pytest.mark.parametrize("what", ["everything", "nothing"])
def test_the_picture(model, what):
    figure = Figure(figsize=(17, 13))
    draw_ptycho(figure, everything(model) if what == "everything" else nothing())
    figure.canvas.draw()
    lacking = [text.get_text() for ax in figure.axes for text in ax.texts].count("not measured")
    assert lacking == (2 if what == "everything" else 12)  # two profiles of three, or all
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    if what == "everything":
        assert "68 % within 9e-18 to 1.2e-17" in figure.get_suptitle()
        assert sum("Mn3+ by" in title for title in titles) == 3
        fields = {
            tuple(ax.get_xlim()) for ax in figure.axes
            if ax.get_title(loc="left").startswith("Mn3+ ") and ax.images
        }  # fmt: skip
        assert len(fields) == 1  # all show the same field
        assert any("half-pitch 8.0 nm" in title for title in titles)
    for ax in figure.axes:
        if ax.images or ax.lines:
            assert ax.get_xlabel() or ax.get_ylabel()


def test_a_run_that_is_not_in_the_catalog_costs_its_profiles_only():
    fits, why = _profiles(SimpleNamespace(cat={}), "1a2b3c4d", 0.1)
    assert fits is None and "1a2b3c4d" in why
