from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import find_blank

from ..conftest import make_stack


def _noise(toner, n: int) -> float:
    return float(1.0 / np.sqrt(n * np.median(toner.i0)))


@pytest.mark.parametrize("n", [1, 2, 5, 20, 123])
def test_toner_agrees_with_the_authors_at_every_energy(toner, n):
    blank = find_blank(np.log(toner.counts[:n].astype(float)).mean(axis=0), _noise(toner, n))
    assert blank.found, blank.reason
    found = toner.counts[:, blank.mask].mean(axis=1, dtype=float)
    assert np.abs(found / toner.i0 - 1).max() < 0.005


def test_toner_all_energies_with_room_to_spare(toner):
    blank = find_blank(np.log(toner.counts.astype(float)).mean(axis=0), _noise(toner, 123))
    ratio = toner.counts[:, blank.mask].mean(axis=1, dtype=float) / toner.i0
    # The brightest 2 % give a mean of +0.22 % and +0.486 % at worst: they select fluctuations.
    assert abs(ratio.mean() - 1) < 0.001
    assert np.abs(ratio - 1).max() < 0.003


@pytest.mark.parametrize("rows", [5, 20, 60, 100])
def test_toner_part_of_the_first_image(toner, rows):
    image = np.full(toner.counts.shape[1:], np.nan)
    image[-rows:] = np.log(toner.counts[0, -rows:].astype(float))  # begins with the empty corner
    blank = find_blank(image, _noise(toner, 1))
    assert blank.found, blank.reason
    assert not blank.mask[:-rows].any()
    mean = toner.counts[:, blank.mask].mean(axis=1, dtype=float)
    sigma = 1 / np.sqrt(mean * blank.mask.sum())
    assert np.abs(mean / toner.i0 - 1).max() < 0.005 + 3 * sigma.max()


@pytest.mark.parametrize("rows", [1, 5, 20, 60, 80])
def test_toner_lines_without_blank_give_none(toner, rows):
    image = np.full(toner.counts.shape[1:], np.nan)
    image[:rows] = np.log(toner.counts[0, :rows].astype(float))  # begins on the particles
    blank = find_blank(image, _noise(toner, 1))
    assert not blank.found
    assert blank.reason
    assert not blank.mask.any()


@pytest.mark.parametrize("shape", [(16, 16), (3, 40), (48, 48), (200, 200)])
@pytest.mark.parametrize("counts", [200.0, 1e4])
def test_level_is_unbiased(shape, counts):
    rng = np.random.default_rng(3)
    x = np.broadcast_to(np.arange(shape[1]) / shape[1], shape)
    truth = counts * np.exp(-np.where(x < 0.4, 0.0, 0.3 + 1.5 * x))
    image = rng.poisson(truth)
    blank = find_blank(np.log(image), 1 / np.sqrt(counts))
    assert blank.found, blank.reason
    assert (x[blank.mask] < 0.45).all()
    n = blank.mask.sum()
    assert n > 0.3 * (x < 0.4).sum()
    fresh = rng.poisson(truth)[blank.mask].mean()  # the next energy: no selection
    assert fresh == pytest.approx(counts, rel=0.005 + 4 / np.sqrt(counts * n))
    assert image[blank.mask].mean() == pytest.approx(counts, rel=0.01 + 4 / np.sqrt(counts * n))


@pytest.mark.parametrize("counts", [200.0, 1e4, 1e6])
@pytest.mark.parametrize(
    "kind", ["uniform", "gradient", "rough", "speckle"], ids=lambda kind: f"no-{kind}"
)
def test_no_blank_is_invented(kind, counts):
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:64, :64] / 64
    od = {
        "uniform": np.zeros((64, 64)),
        "gradient": 0.3 + x,
        "rough": 1.0 + 0.3 * np.sin(9 * x) * np.cos(7 * y),
        "speckle": 0.8 + 0.25 * rng.standard_normal((64, 64)),
    }[kind]
    blank = find_blank(np.log(rng.poisson(counts * np.exp(-od)) + 1e-9), 1 / np.sqrt(counts))
    assert not blank.found


def test_small_blank_beside_a_uniform_film():
    rng = np.random.default_rng(7)
    od = np.full((80, 80), 0.4)
    od[:, :8] = 0.0  # a tenth of the field
    od[30:60, 30:60] = 1.5
    blank = find_blank(np.log(rng.poisson(1e3 * np.exp(-od))), 1 / np.sqrt(1e3))
    assert blank.found
    assert (od[blank.mask] == 0).all()


def test_few_pixels_and_bad_input():
    assert "pixels" in find_blank(np.zeros((5, 5)), 0.01).reason
    assert not find_blank(np.full((50, 50), np.nan), 0.01).found
    with pytest.raises(ValueError, match="dimensions"):
        find_blank(np.zeros(10), 0.01)
    with pytest.raises(ValueError, match="noise"):
        find_blank(np.zeros((10, 10)), 0.0)


def test_blank_of_a_particle_image():
    stack = make_stack()
    image = stack.counts(np.random.default_rng(0))[0]
    blank = find_blank(np.log(image), 1 / np.sqrt(stack.i0[0]))
    assert blank.found
    assert (stack.thickness[blank.mask] == 0).all()
