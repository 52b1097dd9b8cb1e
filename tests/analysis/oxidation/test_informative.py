"""Energies in the order in which they say most of the fraction."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import StackFit, informative_order
from redoxscope.scan import bit_reversed

from ..conftest import make_stack


def maps(toner, which):
    """Fraction and thickness of the real stack from some of its energies, with the live fit."""
    fit = StackFit(toner.design[which], 2, (125, 125), mode="monitor")
    for i, k in enumerate(which):
        fit.set_image(i, toner.counts[k], np.full((125, 125), toner.i0[k]))
    c = fit.solve().coefficients
    return c[0] / (c[0] + c[1]), c[0] + c[1]


@pytest.fixture(scope="module")
def full(toner):
    fraction, thickness = maps(toner, np.arange(123))
    mask = thickness > 0.3
    assert mask.sum() == 2449
    return fraction, mask


@pytest.mark.parametrize(
    ("order", "n", "most"), [("informative", 15, 0.06), ("bit-reversed", 30, 0.075)]
)
def test_few_energies_of_the_real_stack_give_its_map(toner, full, order, n, most):
    order = {
        "informative": lambda: informative_order(toner.design, 2, toner.energies),
        "bit-reversed": lambda: bit_reversed(123),
    }[order]()
    assert sorted(order) == list(range(123))
    fraction, mask = full
    off = maps(toner, np.array(order[:n]))[0][mask] - fraction[mask]
    assert np.sqrt(np.mean(off**2)) <= most
    scanned = maps(toner, np.arange(n))[0][mask] - fraction[mask]
    assert np.sqrt(np.mean(scanned**2)) > 1  # in the order of the energies: no map at all


@pytest.mark.parametrize("counts", [100, 400, 1000, 3000])
def test_the_order_does_not_hang_on_the_counts_it_was_made_for(toner, full, counts):
    order = informative_order(toner.design, 2, toner.energies, counts=counts)
    fraction, mask = full
    off = maps(toner, np.array(order[:15]))[0][mask] - fraction[mask]
    assert np.sqrt(np.mean(off**2)) < 0.065


def test_energies_may_come_in_any_order():
    stack = make_stack()
    energies = np.linspace(636.0, 660.0, 24)
    shuffled = np.random.default_rng(3).permutation(24)
    order = informative_order(stack.design, 2, energies)
    other = informative_order(stack.design[shuffled], 2, energies[shuffled])
    assert [shuffled[k] for k in other] == order


def test_moves_cost_and_make_the_way_shorter():
    stack = make_stack(60)
    energies = np.linspace(636.0, 660.0, 60)

    def way(travel):
        order = informative_order(stack.design, 2, energies, time=0.1, travel=travel)
        steps = np.diff(energies[order[:20]])
        return np.abs(steps).sum(), -steps[steps < 0].sum()

    free, _ = way(None)
    dear, down = way(np.abs)
    _, one_sided = way(lambda step: np.abs(step) + 5.0 * (step < 0))
    assert dear < 0.6 * free
    assert one_sided < down


def test_a_short_image_is_preferred_where_both_say_the_same():
    design = np.array([[1.0, 0, 1], [1.0, 0, 1], [0, 1.0, 1], [0, 0, 1.0]])
    energies = [640.0, 640.0001, 650.0, 630.0]
    order = informative_order(design, 2, energies, time=[4.0, 1.0, 1.0, 1.0], energy_sigma=0)
    assert order.index(1) < order.index(0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"energies": np.r_[636.0, 636.0, np.arange(22)]}, "24 different numbers in eV"),
        ({"energies": np.arange(23)}, "24 different numbers in eV"),
        ({"time": 0.0}, "time must be greater than 0 s"),
        ({"counts": True}, "counts = True"),
        ({"counts": -1}, "counts = -1 must be greater than 0"),
        ({"energy_sigma": float("nan")}, "energy_sigma"),
        ({"species": 3}, "collinear"),
        (
            {"species": 1},
            "design has 1 species: an order of energies that tells a fraction needs two",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    design = make_stack().design
    if options.get("species") == 3:
        design = np.column_stack([design[:, :2], design[:, 0] + design[:, 1], design[:, 2]])
    if options.get("species") == 1:
        design = design[:, [0, 2]]
    arguments = {"species": 2, "energies": np.linspace(636.0, 660.0, 24)} | options
    with pytest.raises(ValueError, match=said):
        informative_order(design, **arguments)
