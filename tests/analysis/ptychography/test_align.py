"""Shifts between images, and resolution by rings."""

import numpy as np
import pytest

from redoxscope.analysis.ptychography import ring_correlation, shift_between

from .toy import sample


def moved(image: np.ndarray, dy: float, dx: float) -> np.ndarray:
    qy, qx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :]
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (qy * dy + qx * dx)))


@pytest.fixture(scope="module")
def image():
    return sample(128, np.random.default_rng(2), 90)


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (3.37, -1.62), (-7.0, 0.25)], ids=str)
def test_the_shift_that_brings_one_onto_the_other(image, dy, dx):
    other = moved(image, dy, dx)
    found = shift_between(np.abs(image), np.abs(other))
    assert (found.dy, found.dx) == pytest.approx((dy, dx), abs=0.03)
    assert found.sigma_y < 0.1 and found.sigma_x < 0.1
    as_waves = shift_between(image, other)
    assert (as_waves.dy, as_waves.dx) == pytest.approx((dy, dx), abs=0.03)


def test_sigma_is_the_scatter(image):
    """Of many noisy pairs: the error found over the σ said is near one, on average."""
    rng = np.random.default_rng(4)
    clean = np.abs(image)[32:96, 32:96]
    pulls = []
    for _ in range(25):
        a, b = (clean + rng.normal(0, 0.3, clean.shape) for _ in range(2))
        found = shift_between(a, b)
        pulls += [found.dy / found.sigma_y, found.dx / found.sigma_x]
    assert 0.5 < np.sqrt(np.median(np.square(pulls)) / 0.455) < 1.5


def test_nothing_in_common_has_no_sigma():
    found = shift_between(np.zeros((32, 32)), np.ones((32, 32)))
    assert np.isinf(found.sigma_x) and np.isinf(found.sigma_y) and found.dx == 0


def test_the_half_pitch_is_that_of_the_noise(image):
    """Two pictures that share everything below a frequency, and nothing above it."""
    rng = np.random.default_rng(5)
    q = np.hypot(np.fft.fftfreq(128, 0.005)[:, None], np.fft.fftfreq(128, 0.005)[None, :])
    white = rng.normal(size=(3, 128, 128)) + 1j * rng.normal(size=(3, 128, 128))
    common, one, two = np.fft.fft2(white)
    a, b = (5 + np.fft.ifft2(np.where(q < 50, common, own)) for own in (one, two))
    for threshold in ("half-bit", "one-bit", 0.5):
        found = ring_correlation(a, b, 0.005, threshold=threshold)
        assert found.half_pitch_um == pytest.approx(0.010, rel=0.03)
    assert found.value[5:20].min() > 0.95 and abs(found.value[-10:].mean()) < 0.1


def test_what_is_open_is_no_difference(image):
    rows, columns = np.mgrid[:128, :128]
    turned = 0.7 * moved(image, 0.4, -0.3) * np.exp(1j * (0.02 * rows - 0.03 * columns + 1))
    found = ring_correlation(image, turned, 0.005)
    assert found.half_pitch_um == pytest.approx(0.005)
    assert found.value[:40].min() > 0.99
    noise = np.random.default_rng(6).normal(size=(2, 128, 128))
    assert not ring_correlation(noise[0], noise[1], 0.005).half_pitch_um < 0.05


def test_only_the_area_counts(image):
    spoiled = image.copy()
    spoiled[:30] = np.random.default_rng(7).normal(size=(30, 128))
    area = np.ones(image.shape, dtype=bool)
    area[:32] = False
    assert ring_correlation(image, spoiled, 0.005, area=area).half_pitch_um == 0.005
    spoiled[:30] = np.nan
    assert ring_correlation(image, spoiled, 0.005).half_pitch_um == 0.005


@pytest.mark.parametrize(
    ("a", "options", "message"),
    [
        (np.ones((32, 32)), {"threshold": "three-sigma"}, "threshold = 'three-sigma'"),
        (np.ones((32, 32)), {"threshold": 2}, "threshold = 2 must be"),
        (np.ones((32, 16)), {}, "must be the same"),
        (np.ones((32, 32)), {"area": np.zeros((32, 32), bool)}, "fewer than 16"),
    ],
    ids=["name", "value", "shape", "area"],
)
def test_bad_input_is_named(a, options, message):
    with pytest.raises(ValueError, match=message):
        ring_correlation(a, np.ones((32, 32)), 0.005, **options)


def test_a_pixel_without_value_is_refused(image):
    """It gave a shift of the size of the search, and no word."""
    hole = np.array(image)
    hole[3, 5] = np.nan
    for pair in ((hole, image), (image, hole)):
        with pytest.raises(ValueError, match="an image has pixels without a value"):
            shift_between(*pair)
