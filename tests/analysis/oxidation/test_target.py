"""When a stack will be good enough, foretold while it is measured."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import (
    Forecast,
    I0Spectrum,
    StackFit,
    Target,
    forecast,
    informative_order,
)
from redoxscope.data import load_references
from redoxscope.scan import bit_reversed

N, ENERGIES = 32, np.linspace(636.0, 656.0, 60)
REFERENCES = load_references("Mn L3")


def said(order, target, *, uniform, seed=1, counts=4000.0, step=1):
    """What is foretold after each energy, or each ``step``-th, to the one that ends it."""
    species, design = len(REFERENCES.names), REFERENCES.design(ENERGIES)
    y, x = np.mgrid[:N, :N]
    r = np.hypot(y - N / 2, x - N / 2) / (N / 3)
    thick = 0.1 * (r < 1) * (1.0 if uniform else np.sqrt(np.clip(1 - r**2, 0, 1)) + 0.1)
    parts = [x / N, *[(1 - x / N) / (species - 1)] * (species - 1)]
    c = np.stack([*(thick * part for part in parts), 0.1 * (r < 1)])
    expected = counts * np.exp(-np.einsum("kj,jyx->kyx", design, c))
    images = np.random.default_rng(seed).poisson(expected).astype(float)
    order = {
        "bit-reversed": lambda: bit_reversed(60),
        "informative": lambda: informative_order(design, species, ENERGIES),
    }[order]()
    fit = StackFit(
        design[order], species, (N, N), energies=ENERGIES[order],
        min_thickness=REFERENCES.min_thickness,
    )  # fmt: skip
    found = []
    for i, k in enumerate(order):
        fit.set_image(i, images[k])
        if (i + 1) % step:
            continue
        found.append(forecast(fit, fit.solve(fit.refresh()), target))
        if found[-1].enough:
            break
    return found


@pytest.mark.parametrize(
    ("order", "sigma", "share", "uniform", "counts"),
    [
        ("bit-reversed", 0.06, 0.8, True, 4000.0),
        ("bit-reversed", 0.04, 0.8, True, 4000.0),
        ("bit-reversed", 0.06, 0.8, False, 4000.0),
        ("informative", 0.04, 0.8, True, 4000.0),
        ("informative", 0.06, 0.8, False, 4000.0),
        # The coefficients of few energies scatter: taken as they are, thin pixels are seen where
        # there are none, and 30 energies foretold instead of 19.
        ("informative", 0.075, 0.9, True, 1000.0),
    ],
)
def test_from_a_third_on_the_end_is_foretold_within_a_tenth(order, sigma, share, uniform, counts):
    found = said(order, Target(sigma, share), uniform=uniform, counts=counts)
    end = len(found)
    assert found[-1].enough and found[-1].share >= share > found[-2].share and 8 < end < 60
    for one in found:
        if one.done >= end / 3:
            off = max(1.0, 0.1 * end)
            assert one.needed is not None and abs(one.needed - end) <= off, (one, end)
            assert one.earliest <= end <= (one.latest or 60), (one, end)


def test_a_target_that_will_not_be_reached_is_told_early():
    found = said("bit-reversed", Target(0.03, 0.8), uniform=False, step=5)
    assert len(found) == 12 and not found[-1].enough
    for one in found[4:]:
        assert one.needed is None
        assert one.final_share == pytest.approx(found[-1].share, abs=0.1)


def test_pixels_looked_at_are_not_all_of_one_column():
    """As every thousandth of an image whose rows have a thousand, or a hundred, pixels."""
    ny, nx, n = 1000, 100, 8
    species, design = len(REFERENCES.names), REFERENCES.design(ENERGIES)
    order = informative_order(design, species, ENERGIES)
    fit = StackFit(
        design[order], species, (ny, nx), energies=ENERGIES[order],
        min_thickness=REFERENCES.min_thickness, dtype=np.float32,
    )  # fmt: skip
    thick = np.where((np.arange(nx) > 30) & (np.arange(nx) < 70), 0.1, 0.0)
    rng = np.random.default_rng(1)
    for i, k in enumerate(order[:n]):
        od = design[k, :species].mean() * thick
        fit.set_image(i, rng.poisson(4000.0 * np.exp(-od), (ny, nx)))
    one = forecast(fit, fit.solve(fit.refresh()), Target(0.035, 0.9))
    assert one.share < 0.5 and one.final_share > 0.99 and one.needed is not None


@pytest.mark.parametrize(
    ("needed", "earliest", "latest", "said"),
    [
        (23, 22, 25, "about 14 more, 6 min left"),
        (10, 10, 11, "about 1 more, 6 min left"),
        (23, 20, 27, "between 11 and 18 more, 6 min left"),
        (23, 20, None, "11 more at the earliest, at the latest never, 6 min left"),
        (None, 55, None, "81 % at the end, so it may just be missed (or 46 more)"),
        (None, None, None, "81 % at the end, so it will not be reached"),
    ],
)
def test_one_number_is_said_where_it_may_turn_out_little_different(needed, earliest, latest, said):
    one = Forecast(0.62, 412, 9, 59, needed, 0.81, earliest, latest)
    words = one.in_words(Target(0.05), left="6 min")
    start = "62 % of 412 pixels have σ ≤ 0.05 after 9 of 59 energies, wished 90 %: "
    assert words == start + said


def test_before_any_energy_nothing_is_foretold():
    fit = StackFit(REFERENCES.design(ENERGIES), len(REFERENCES.names), (N, N))
    one = forecast(fit, fit.solve(), Target(0.05))
    assert (one.done, one.needed, one.pixels, one.share) == (0, None, 0, 0.0)
    assert np.isnan(one.final_share) and not one.enough


def test_an_energy_without_an_i0_is_neither_measured_nor_to_come():
    """As while the image of the empty beam is still to be flown."""
    images, n = np.full((10, N, N), 1000.0), 8
    images[:, :10, :10] = 700.0
    without = I0Spectrum(ENERGIES[:n], np.full(n, 1000.0), partial=True)
    fit = StackFit(
        REFERENCES.design(ENERGIES[:10]), len(REFERENCES.names), (N, N),
        energies=ENERGIES[:10], i0=without,
    )  # fmt: skip
    for k in range(n + 1):  # of the last but one only the sample is there
        fit.set_image(k, images[k])
    one = forecast(fit, fit.solve(fit.refresh()), Target(1e-4))
    assert (one.done, one.total, one.needed) == (n + 1, 10, None)
    assert 0 <= one.final_share <= 1


def test_on_the_real_stack_the_end_lies_where_it_is_foretold(toner):
    """Every second pixel each way; where the share hardly rises, a range says so."""
    targets = [Target(0.1, 0.5), Target(0.12, 0.75), Target(0.15, 0.85)]
    order = informative_order(toner.design, 2, toner.energies)
    fit = StackFit(
        toner.design[order], 2, (63, 63), energies=toner.energies[order], min_thickness=0.3
    )
    said, ends = {target: [] for target in targets}, {}
    for i, k in enumerate(order):
        fit.set_image(i, toner.counts[k, ::2, ::2])
        result = fit.solve(fit.refresh())
        for target in set(targets) - set(ends):
            if i >= 5 and target.reached(result) >= target.share:
                ends[target] = i + 1
            elif i % 3 == 2:
                said[target].append(forecast(fit, result, target))
        if len(ends) == len(targets):
            break
    assert len(ends) == 3
    late = [
        (one, end) for target, end in ends.items() for one in said[target] if 3 * one.done >= end
    ]
    assert len(late) > 15
    assert all(one.earliest <= end <= (one.latest or 123) for one, end in late)
    off = np.array([abs(one.needed - end) / end for one, end in late])
    assert (off <= 0.1).mean() > 0.8 and off.max() < 0.2
    numbers = np.array([one.foretold for one, _ in late])
    assert numbers.sum() > 2 and (off[numbers] <= 0.1).all()
