"""When a stack will be good enough, foretold while it is measured."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import I0Spectrum, StackFit, Target, forecast, informative_order
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
    ("order", "sigma", "uniform"),
    [
        ("bit-reversed", 0.06, True),
        ("bit-reversed", 0.04, True),
        ("bit-reversed", 0.06, False),
        ("informative", 0.04, True),
        ("informative", 0.06, False),
    ],
)
def test_from_a_third_on_the_end_is_foretold_within_a_tenth(order, sigma, uniform):
    found = said(order, Target(sigma, 0.8), uniform=uniform)
    end = len(found)
    assert found[-1].enough and found[-1].share >= 0.8 > found[-2].share and 8 < end < 60
    for one in found:
        if one.done >= end / 3:
            assert one.needed is not None and abs(one.needed - end) <= 0.1 * end, (one, end)
            assert one.earliest <= end <= (one.latest or 60), (one, end)


def test_a_target_that_will_not_be_reached_is_told_early():
    found = said("bit-reversed", Target(0.03, 0.8), uniform=False, step=5)
    assert len(found) == 12 and not found[-1].enough
    for one in found[4:]:
        assert one.needed is None
        assert one.final_share == pytest.approx(found[-1].share, abs=0.1)


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
    assert (off <= 0.1).mean() > 0.6 and off.max() < 0.15
