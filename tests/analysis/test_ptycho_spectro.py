"""Reconstructions of several energies on one grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from redoxscope.analysis.ptychography import PtychoResult, empty_area, on_one_grid

DOSE = 4e4


def image(energy, od, *, shift=(0.0, 0.0), k=1.8, ramp=0.0, scale=1.0, rng=None, size=0.8):
    """A disk of an optical density; the reconstruction's pixel goes with the wavelength."""
    pixel = 0.005 * 640 / energy
    n = int(size / pixel)
    x = (np.arange(n) - n // 2) * pixel
    r = np.hypot(x[None, :] - 0.03 + shift[1], x[:, None] + 0.05 + shift[0])
    inside = np.clip((0.2 - r) / 0.006 + 0.5, 0, 1)
    coverage = np.full((n, n), DOSE) * (1 + 0.3 * np.sin(20 * x))
    o = np.exp(-inside * (od / 2 + 0.4j))
    if rng is not None:
        noise = rng.standard_normal((2, n, n))
        o = o + k / 2 * (noise[0] + 1j * noise[1]) / np.sqrt(coverage)
    o = scale * o * np.exp(1j * ramp * np.arange(n))
    probe = np.ones((1, 8, 8), np.complex64)
    return PtychoResult(
        o.astype(np.complex64), probe, coverage.astype(np.float32) / scale**2, x, x.copy(), pixel,
        energy, 1.0, 10, 0, 100, np.zeros((10, 2)),
    )  # fmt: skip


def test_they_lie_on_each_other_with_the_density_and_sigma_that_they_have():
    rng = np.random.default_rng(4)
    given = [
        image(645.0, 0.5, shift=(0.011, -0.004), ramp=0.02, scale=1.3, rng=rng),
        image(638.0, 0.2, rng=rng),
        image(641.0, 1.4, shift=(-0.006, 0.009), scale=0.8, rng=rng),
    ]
    found = on_one_grid(given)
    assert list(found.energies) == [638.0, 641.0, 645.0]
    assert found.x_um[1] - found.x_um[0] == pytest.approx(given[1].pixel_um)
    want = np.array([[0, 0], [-0.006, 0.009], [0.011, -0.004]])
    np.testing.assert_allclose(found.shift_um, want, atol=5e-4)
    assert (found.shift_sigma_um[1:] > 0).all() and found.shift_sigma_um.max() < 2e-3
    r = np.hypot(found.x_um[None, :] - 0.03, found.y_um[:, None] + 0.05)
    for od, sigma, zero, truth in zip(
        found.od, found.sigma, found.zero_sigma, (0.2, 1.4, 0.5), strict=True
    ):
        inside, outside = r < 0.18, (r > 0.23) & np.isfinite(od)
        assert od[inside].mean() == pytest.approx(truth, abs=0.004)
        assert abs(od[outside].mean()) < 0.002
        # Interpolation averages: nowhere is the scatter larger than said, nor much smaller.
        assert 0.5 < (od[inside] - truth).std() / np.median(sigma[inside]) < 1.1
        assert 0 < zero < 0.002
    np.testing.assert_allclose(np.angle(found.object[:, r < 0.15]).mean(), -0.4, atol=0.01)
    assert (found.excess > 0.8).all() and (found.excess < 1.9).all()


def test_what_has_nothing_empty_or_nothing_in_common_is_refused():
    with pytest.raises(ValueError, match="no reconstruction"):
        on_one_grid([])
    full = image(640.0, 0.3)
    flat = replace(full, object=np.full_like(full.object, 0.7))
    with pytest.raises(ValueError, match="at 640 eV fewer than 64 pixels are empty"):
        empty_area(flat)
    away = image(641.0, 0.3)
    away = replace(away, x_um=away.x_um + 5)
    with pytest.raises(ValueError, match="not taken of the same place"):
        on_one_grid([full, away])
    dark = replace(full, coverage=np.zeros_like(full.coverage))
    with pytest.raises(ValueError, match="fewer than 64 pixels are empty"):
        on_one_grid([dark])


def test_an_image_whose_shift_is_not_known_is_moved_like_the_one_before_and_that_is_said():
    rng = np.random.default_rng(1)
    noisy = image(641.0, 0.01, k=60, rng=rng)
    found = on_one_grid([image(640.0, 0.5), noisy])
    assert (found.shift_um == 0).all() and "641 eV the shift is not known" in found.notes[0]
    assert np.isnan(found.shift_sigma_um[1]).all()


def poor(energy, rng):
    """Nothing but noise."""
    one = image(energy, 0.0)
    noise = rng.normal(scale=0.15, size=(2, *one.object.shape))
    return replace(one, object=(1 + noise[0] + 1j * noise[1]).astype(np.complex64))


def test_a_poor_image_in_between_does_not_part_those_after_it_from_those_before():
    rng = np.random.default_rng(1)
    given = [
        image(640.0, 0.5, rng=rng),
        poor(641.0, rng),
        image(642.0, 1.0, shift=(0.012, -0.008), rng=rng),
    ]
    found = on_one_grid(given)
    unknown = [note.split(" eV")[0] for note in found.notes if "shift is not known" in note]
    assert unknown == ["at 641"]
    np.testing.assert_allclose(found.shift_um[2], (0.012, -0.008), atol=1e-3)
    assert (found.shift_sigma_um[2] > 0).all() and np.isnan(found.shift_sigma_um[1]).all()


def test_behind_a_poor_first_image_the_others_lie_on_each_other():
    rng = np.random.default_rng(1)
    given = [
        poor(639.0, rng),
        image(640.0, 0.5, rng=rng),
        image(641.0, 1.0, shift=(0.012, -0.008), rng=rng),
    ]
    found = on_one_grid(given)
    np.testing.assert_allclose(found.shift_um[2] - found.shift_um[1], (0.012, -0.008), atol=1e-3)
    # Where they lie against the first nobody knows.
    assert (found.shift_um[1] == 0).all() and np.isnan(found.shift_sigma_um[1:]).all()


def test_an_energy_that_shows_no_empty_area_takes_that_of_the_nearest():
    """A thin sample before the edge does not cost the map of all the others."""
    rng = np.random.default_rng(2)
    thin = image(639.0, 0.0)
    thin = replace(thin, object=np.full_like(thin.object, 0.7))
    given = [image(645.0, 1.0, rng=rng), thin, image(641.0, 0.5, rng=rng)]
    found = on_one_grid(given)
    assert any(
        note == "at 639 eV sample and empty area cannot be told apart: "
        "the empty area of 641 eV counts"
        for note in found.notes
    )
    np.testing.assert_allclose(found.od[0][np.isfinite(found.od[0])], 0, atol=1e-4)
    inside = np.hypot(found.x_um[None, :] - 0.03, found.y_um[:, None] + 0.05) < 0.18
    assert found.od[1][inside].mean() == pytest.approx(0.5, abs=0.005)
    assert found.od[2][inside].mean() == pytest.approx(1.0, abs=0.005)
