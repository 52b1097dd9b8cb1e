"""Gain bits and overscan columns."""

import numpy as np
import pytest

from redoxscope.analysis.ptychography import GAIN_BITS_FULL, gain_bits, merge_exposures, overscan


def test_the_gain_is_in_the_upper_bits():
    raw = np.array([100, 0x8000 | 100, 0xC000 | 100, 0xC000 | 0x1FFF, 0x2000 | 7], np.uint16)
    counts, good = gain_bits(raw)
    assert counts.tolist() == [100, 400, 800, GAIN_BITS_FULL, 7]
    assert good.tolist() == [True, True, True, True, False]
    other, _ = gain_bits(raw, {0: 1, 1: 2, 2: 2, 3: 10})
    assert other.tolist()[:3] == [100, 200, 1000]


def test_a_full_pixel_is_left_out_of_its_exposure():
    frames = np.full((1, 2, 8, 8), 50, np.uint16)
    frames[0, 1, 4, 4] = 0xDFFF
    counts, good = gain_bits(frames)
    assert good.all()
    merged = merge_exposures(
        counts, (0.1, 1.0), np.zeros((2, 8, 8)), gain=1, read_noise=1, saturation=GAIN_BITS_FULL
    )
    assert merged.variance[0, 4, 4] > 5 * merged.variance[0, 0, 0]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_background_of_a_row_has_no_bias(n):
    rng = np.random.default_rng(1)
    level = np.linspace(20, 30, 400)
    columns = level[:, None] + rng.normal(0, 3, (8, 400, n))
    columns[:, :, 0] += 200.0 * (n > 2)  # charge has leaked into one
    found = overscan(columns, 3.0)
    assert found.shape == (8, 400)
    if n <= 2:
        assert np.mean(found - level) == pytest.approx(0, abs=0.2)
    else:
        assert np.mean(np.abs(found - level)) < 3  # not the 50 that a mean would give


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="must be uint16"):
        gain_bits(np.zeros(3))
    with pytest.raises(ValueError, match=r"factors\[11\] = None"):
        gain_bits(np.zeros(3, np.uint16), {0: 1, 1: 1, 2: 1})
    with pytest.raises(ValueError, match="read_noise = -1"):
        overscan(np.zeros((3, 2)), -1)
    with pytest.raises(ValueError, match=r"columns of shape \(3,\)"):
        overscan(np.zeros(3), 1)
