"""Images moved by parts of a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis._move import moved

Y, X = np.mgrid[:60, :50]


def blob(dy: float = 0.0, dx: float = 0.0) -> np.ndarray:
    return np.exp(-((Y - 30 - dy) ** 2 + (X - 24 - dx) ** 2) / 20)


@pytest.mark.parametrize("shift", [(0, 0), (1, -2), (0.3, 0), (0, -0.4), (2.7, -1.2), (-0.5, 0.5)])
def test_what_was_at_p_is_at_p_plus_shift(shift):
    out = moved(blob(), shift)
    good = np.isfinite(out)
    np.testing.assert_allclose(out[good], blob(*shift)[good], atol=1e-3)
    lost = [-(-abs(s) // 1) for s in shift]
    assert good.sum() == (60 - lost[0]) * (50 - lost[1])


@pytest.mark.parametrize("shift", [(0.5, 0.5), (0.25, 0.0), (3.0, -1.0)])
def test_noise_and_detail_stay_as_they_are(shift):
    noise = np.random.default_rng(0).normal(size=(400, 400))
    out = moved(noise, shift)
    assert out[10:-10, 10:-10].var() == pytest.approx(1.0, abs=0.02)  # averaged: a quarter
    back = moved(np.where(np.isfinite(out), out, 0.0), -np.array(shift))
    error = (back - noise)[20:-20, 20:-20]
    assert error.std() < 0.1


def test_the_precision_is_that_of_the_image_and_even_images_stay_even():
    image = np.full((60, 50), 1000.0, dtype=np.float32)
    out = moved(image, (0.5, -3.4))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[np.isfinite(out)], 1000.0, rtol=1e-5)


def test_a_bright_pixel_rings_along_its_row_and_column_only():
    image = np.zeros((60, 50))
    image[30, 24] = 1000.0
    out = np.nan_to_num(moved(image, (0.5, 0.0)))
    assert np.abs(np.delete(out, 24, axis=1)).max() < 1e-9
    far = np.abs(np.arange(60) - 30.5)
    assert (np.abs(out[:, 24]) <= 1000.0 / (np.pi * far) + 20.0).all()


def test_a_missing_line_costs_itself_and_the_next():
    image = blob()
    image[20] = np.nan
    out = moved(image, (0.5, 0.0))
    assert np.flatnonzero(np.isnan(out).all(axis=1)).tolist() == [0, 20, 21]
    inner = np.r_[5:20, 22:60]
    np.testing.assert_allclose(out[inner], blob(0.5)[inner], atol=0.02)
    assert np.isnan(moved(np.full((9, 9), np.nan), (0.5, 0.5))).all()
    assert np.isnan(moved(blob(), (60.0, 0.0))).all()
