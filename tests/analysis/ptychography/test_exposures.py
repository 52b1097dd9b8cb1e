"""Exposures merged by their variances."""

import numpy as np
import pytest

from redoxscope.analysis.ptychography import merge_exposures

GAIN, NOISE, FULL = 4.0, 8.0, 4000.0
DARK = 100.0


def raw(rate: np.ndarray, times: tuple[float, ...], rng, clip: bool = True) -> np.ndarray:
    """Raw values [n, m, ny, nx] of photon rates [n, ny, nx]."""
    values = np.stack([rng.poisson(rate * t) for t in times], axis=1) * GAIN
    values = values + DARK + rng.normal(0, NOISE, values.shape)
    return np.clip(np.rint(values), 0, FULL if clip else None)


def merge(frames, gates=(0.01, 0.1), **changes):
    options = {"gain": GAIN, "read_noise": NOISE, "saturation": FULL} | changes
    darks = np.full(frames.shape[1:], DARK)
    return merge_exposures(frames, gates, darks, **options)


@pytest.mark.parametrize("rate", [0.0, 3.0, 60.0, 3000.0], ids=str)
def test_the_mean_and_the_variance_are_right(rate):
    frames = raw(np.full((400, 16, 16), rate), (0.01, 0.1), np.random.default_rng(1))
    merged = merge(frames)
    assert merged.mask.all() and merged.time == pytest.approx(0.11)
    found = merged.counts.astype(float)
    sigma = found.std() / np.sqrt(found.size)
    assert found.mean() == pytest.approx(0.11 * rate, abs=4 * sigma + 0.002 * 0.11 * rate)
    assert found.var() / merged.variance.mean() == pytest.approx(1, abs=0.03 if rate > 10 else 0.1)


def test_it_is_better_than_the_long_exposure_and_than_the_sum():
    """Read noise of 2 photons, ratio 10: the sum is the worse one below 7.2 x 4 photons."""
    for rate in (20.0, 200.0, 2000.0):
        frames = raw(np.full((400, 16, 16), rate), (0.01, 0.1), np.random.default_rng(2))
        photons = (frames - DARK) / GAIN
        long, both = photons[:, 1] * 1.1, photons.sum(axis=1)
        merged = merge(frames).counts
        assert merged.var() < 1.005 * min(long.var(), both.var())
        assert (long.var() < both.var()) == (rate * 0.1 < 7.2 * (NOISE / GAIN) ** 2)


def test_a_full_pixel_and_its_neighbours_come_from_the_short_exposure():
    rate = np.full((1, 16, 16), 100.0)
    rate[0, 8, 8] = 2e4  # full in the long one
    frames = raw(rate, (0.01, 0.1), np.random.default_rng(3))
    frames[0, 1, 8, 7] = 3000.0  # what has bloomed out of it
    merged = merge(frames, bloom=1)
    assert merged.mask.all()
    assert merged.counts[0, 8, 8] == pytest.approx(0.11 * 2e4, rel=0.3)
    assert merged.counts[0, 8, 7] < 60  # not 750
    # eleven times the counts of the short exposure: so is σ of them
    assert merged.variance[0, 8, 7] > 5 * merged.variance[0, 2, 2]
    alone = merge(frames, bloom=0)
    assert alone.counts[0, 8, 7] > 300


def test_a_pixel_full_in_all_exposures_has_no_value():
    rate = np.full((1, 16, 16), 10.0)
    rate[0, 3, 4] = 1e7
    merged = merge(raw(rate, (0.01, 0.1), np.random.default_rng(4)))
    assert not merged.mask[0, 3, 4] and np.isnan(merged.counts[0, 3, 4])
    assert np.isinf(merged.variance[0, 3, 4])
    assert merged.mask.sum() == 256 - 9


def test_the_actual_gates_count_and_a_frame_may_be_missing():
    rate = np.full((3, 32, 32), 1000.0)
    gates = np.array([[0.01, 0.1], [0.01, 0.08], [0.01, np.nan]])
    rng = np.random.default_rng(5)
    frames = raw(rate, (0.01, 0.1), rng)
    frames[1] = raw(rate[:1], (0.01, 0.08), rng)
    frames[2, 1] = 65535
    merged = merge(frames, gates)
    assert merged.time == pytest.approx(0.01 + 0.09)
    np.testing.assert_allclose(merged.counts.mean(axis=(1, 2)), 100, rtol=0.02)
    assert merged.variance[2].mean() > 8 * merged.variance[0].mean()
    nothing = merge(frames, gates, use=np.array([[True, True], [True, True], [False, True]]))
    assert not nothing.mask[2].any() and nothing.mask[:2].all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": 0}, "gain = 0 counts/photon must be greater than 0"),
        ({"read_noise": float("nan")}, "read_noise = nan counts"),
        ({"saturation": True}, "saturation = True must be one number"),
        ({"gates": (0.01, -1.0)}, "gates = -1 s must be greater than 0 s"),
        ({"gates": (0.01,)}, r"gates of shape \(1,\) must be \(1, 2\)"),
        ({"use": [True]}, r"use of shape \(1,\)"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        merge(np.zeros((1, 2, 8, 8)), **changes)


def test_shapes_are_named():
    with pytest.raises(ValueError, match="must be .places, exposures, rows, columns."):
        merge(np.zeros((2, 8, 8)))
    with pytest.raises(ValueError, match="one per exposure"):
        merge_exposures(
            np.zeros((1, 2, 8, 8)), (1, 2), np.zeros((8, 8)), gain=1, read_noise=1, saturation=9
        )
