"""Images moved by parts of a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis._move import moved, variance_when_moved

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
def test_noise_stays_as_large_as_is_said(shift):
    noise = np.random.default_rng(0).normal(size=(400, 400))
    found = moved(noise, shift)[10:-10, 10:-10].var()
    assert found == pytest.approx(variance_when_moved(shift), rel=0.02)
    assert found > 0.75  # linear interpolation would leave a quarter


def test_nothing_rings_across_the_image():
    image = np.zeros((60, 50), dtype=np.float32)
    image[30, 24] = 1000.0
    out = moved(image, (0.5, 0.4))
    assert out.dtype == np.float32
    touched = np.argwhere(np.nan_to_num(out) != 0)
    assert (np.abs(touched - (30, 24)) <= 6).all()


def test_a_missing_line_costs_itself_and_the_next():
    image = blob()
    image[20] = np.nan
    out = moved(image, (0.5, 0.0))
    assert np.flatnonzero(np.isnan(out).all(axis=1)).tolist() == [0, 20, 21]
    inner = np.r_[5:20, 22:60]
    np.testing.assert_allclose(out[inner], blob(0.5)[inner], atol=0.02)
    assert np.isnan(moved(np.full((9, 9), np.nan), (0.5, 0.5))).all()
    assert np.isnan(moved(blob(), (60.0, 0.0))).all()
