"""Rows that are not flown any more, and what the map is without them."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import (
    StackFit,
    Target,
    blocks_of,
    forecast,
    informative_order,
    rows_that_matter,
)
from redoxscope.data import load_references


def flown(counts, design, energies, order, *, share, target=None, least):
    """A fit of which only chosen rows were measured, to a share of all lines, and that share."""
    fit = StackFit(
        design[order], design.shape[1] - 1, counts.shape[1:], energies=energies[order],
        min_thickness=least,
    )  # fmt: skip
    ny, taken = counts.shape[1], 0
    for i, k in enumerate(order):
        rows = None if i == 0 else rows_that_matter(fit, fit.solve(fit.refresh()), target)
        chosen = np.arange(ny) if rows is None else np.flatnonzero(rows)
        if not chosen.size or taken + chosen.size > share * ny * len(order):
            break
        taken += chosen.size
        for line in chosen:
            fit.set_line(i, int(line), counts[k, line])
    return fit, taken / (ny * len(order))


def test_a_tenth_of_the_real_stack_gives_its_map(toner):
    order = informative_order(toner.design, 2, toner.energies)
    whole = StackFit(toner.design, 2, (125, 125), min_thickness=0.3)
    for k, image in enumerate(toner.counts):
        whole.set_image(k, image)
    full = whole.solve()
    fit, share = flown(toner.counts, toner.design, toner.energies, order, share=0.1, least=0.3)
    assert 0.08 < share <= 0.1
    c = fit.solve().coefficients
    off = (c[0] / (c[0] + c[1]) - full.fraction)[full.mask]
    assert np.isfinite(off).all() and np.sqrt(np.mean(off**2)) <= 0.06


N, ENERGIES = 48, np.linspace(636.0, 656.0, 80)
REFERENCES = load_references("Mn L3")


def particles(seed):
    """Counts, design and true fraction of two particles, which lie in half of the rows."""
    species, design = len(REFERENCES.names), REFERENCES.design(ENERGIES)
    y, x = np.mgrid[:N, :N]
    r = np.minimum(np.hypot(y - 30, x - 15) / 9, np.hypot(y - 22, x - 34) / 7)
    thick = 0.15 * np.sqrt(np.clip(1.2 - r**2, 0, 1)) * (r < 1)
    f = 0.2 + 0.6 * x / N
    c = np.stack([thick * f, *[thick * (1 - f) / (species - 1)] * (species - 1), 0.3 * thick])
    expected = 3000.0 * np.exp(-np.einsum("kj,jyx->kyx", design, c))
    return np.random.default_rng(seed).poisson(expected).astype(float), design, f


@pytest.mark.parametrize("target", [None, Target(0.03, 0.9)], ids=["sample", "until"])
def test_sigma_stays_honest(target):
    """Of made particles, four together; without drift, and with the energies as they are said."""
    inside, pixels = 0, 0
    order = informative_order(REFERENCES.design(ENERGIES), len(REFERENCES.names), ENERGIES)
    for seed in range(4):
        counts, design, f = particles(seed)
        fit, share = flown(
            counts, design, ENERGIES, order, share=0.2, target=target,
            least=REFERENCES.min_thickness,
        )  # fmt: skip
        assert 0.03 < share <= 0.2
        result = fit.solve()
        z = ((result.fraction - f) / result.sigma)[result.mask]
        inside, pixels = inside + int((np.abs(z) < 1).sum()), pixels + z.size
    assert pixels > 1000
    assert 0.63 < inside / pixels < 0.73  # 68 ± 5 %


def test_rows_without_sample_are_left_out_but_for_some_of_the_blank():
    counts, design, _ = particles(1)
    order = informative_order(design, len(REFERENCES.names), ENERGIES)
    fit, _ = flown(counts, design, ENERGIES, order, share=0.2, least=REFERENCES.min_thickness)
    measured = fit.lines_present.sum(axis=0)
    n = int(measured.max())
    sample = (np.arange(N) > 16) & (np.arange(N) < 38)
    assert (measured[sample] == n).all()
    assert (measured[~sample] < n).sum() >= 15
    assert measured.min() >= design.shape[1] + 2  # all rows are known a little
    ln_i0 = fit.solve().ln_i0[fit.lines_present.any(axis=1)]
    assert np.isfinite(ln_i0).all()


def test_before_enough_is_known_all_rows_are_flown():
    counts, design, _ = particles(1)
    fit = StackFit(design, len(REFERENCES.names), (N, N))
    assert rows_that_matter(fit, fit.solve()) is None
    for k in range(0, 80, 20):
        fit.set_image(k, counts[k])
    assert rows_that_matter(fit, fit.solve()) is None


def some_energies(n, missed):
    """A fit of the first energies that say most, of which lines ``missed(i, line)`` are lacking."""
    counts, design, _ = particles(1)
    order = informative_order(design, len(REFERENCES.names), ENERGIES)[:n]
    fit = StackFit(
        design[order], len(REFERENCES.names), (N, N), energies=ENERGIES[order],
        min_thickness=REFERENCES.min_thickness,
    )  # fmt: skip
    for i, k in enumerate(order):
        for line in range(N):
            fit.set_line(i, line, np.full(N, np.nan) if missed(i, line) else counts[k, line])
    return fit


def test_a_row_whose_first_lines_were_missed_is_flown_again():
    fit = some_energies(8, lambda i, line: line == 30 and i < 5)
    result = fit.solve()
    assert np.isnan(result.thickness[30]).all()
    rows = rows_that_matter(fit, result)
    assert rows[30] and rows.sum() < N
    assert rows_that_matter(fit, result, Target(0.9, 0.1))[30]


def test_enough_is_enough_where_no_row_has_all_energies():
    fit = some_energies(20, lambda i, line: line % 20 == i)
    result, target = fit.solve(), Target(0.9, 0.1)
    assert target.reached(result) >= 0.1
    assert forecast(fit, result, target).enough


def test_where_all_pixels_are_sure_no_row_matters():
    counts, design, _ = particles(1)
    fit = StackFit(design, len(REFERENCES.names), (N, N), min_thickness=REFERENCES.min_thickness)
    for k in range(80):
        fit.set_image(k, counts[k])
    result = fit.solve()
    assert not rows_that_matter(fit, result, Target(0.5, 0.5)).any()
    some = rows_that_matter(fit, result, Target(float(np.nanmedian(result.sigma)), 0.9))
    every = rows_that_matter(fit, result)
    assert 0 < some.sum() <= every.sum() < N


@pytest.mark.parametrize(
    ("rows", "blocks"),
    [
        ("", []),
        ("..##..", [(2, 4)]),
        ("##..##...#", [(0, 6), (9, 10)]),
        ("#....#", [(0, 1), (5, 6)]),
    ],
)
def test_blocks_bridge_small_gaps(rows, blocks):
    mask = np.array([c == "#" for c in rows], dtype=bool)
    assert [(b.start, b.stop) for b in blocks_of(mask)] == blocks
