"""What places have had in several runs adds up, place by place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from redoxscope.analysis.dose import Exposed, Ledger


def exposed(run: str, center, size: float, pixels: int, gray: float) -> Exposed:
    pixel = size / pixels
    x, y = (c + (np.arange(pixels) - (pixels - 1) / 2) * pixel for c in center)
    shape = (pixels, pixels)
    return Exposed(run, 0.0, "region", x, y, np.full(shape, 10 * gray), np.full(shape, gray))


def test_overlapping_regions_add_up_where_they_overlap():
    one = exposed("a", (0.0, 0.0), 4.0, 8, 1.0)
    two = exposed("b", (2.0, 0.0), 4.0, 5, 10.0)  # other pixels
    away = exposed("c", (20.0, 0.0), 2.0, 4, 5.0)
    ledger = Ledger((one, two, away))
    assert ledger.gray == pytest.approx(11.0)
    x, y, total = ledger.map()
    area = np.outer(np.diff(y), np.diff(x))
    assert (total * area).sum() == pytest.approx(16 * 1.0 + 16 * 10.0 + 4 * 5.0)
    # Photons per area: they do not depend on how large pixels are.
    assert (ledger.map("photons")[2] * area).sum() == pytest.approx(
        sum(one.photons.sum() for one in ledger.entries)
    )


def test_within_a_region_only_what_lies_there_counts():
    ledger = Ledger((exposed("a", (0.0, 0.0), 4.0, 8, 1.0), exposed("b", (20.0, 0.0), 2.0, 4, 5.0)))
    assert ledger.within([((-1.0, 1.0), (-1.0, 1.0))]).gray == pytest.approx(1.0)
    assert ledger.within([((1.9, 5.0), (0.0, 0.0))]).gray == pytest.approx(1.0)
    assert ledger.within([((19.0, 21.0), (0.0, 1.0))]).gray == pytest.approx(5.0)
    nothing = ledger.within([((8.0, 12.0), (0.0, 1.0))])
    assert nothing.entries == () and nothing.gray == 0.0
    assert ledger.within([((0.0, 20.0), (0.0, 0.0))]).gray == pytest.approx(5.0)


def test_the_most_is_that_of_one_place_and_not_of_all():
    """Two runs on two halves of a region: no place has had both."""
    left, right = exposed("a", (-2.0, 0.0), 4.0, 4, 3.0), exposed("b", (2.0, 0.0), 4.0, 4, 4.0)
    assert Ledger((left, right)).within([((-3.0, 3.0), (-1.0, 1.0))]).gray == pytest.approx(4.0)


def test_nothing_measured_is_nothing_had():
    assert Ledger(()).gray == 0.0 and Ledger(()).photons == 0.0


def test_a_line_is_as_high_as_its_pixels_are_wide():
    x = 0.1 * np.arange(10)
    line = Exposed("a", 0.0, "line", x, np.zeros(1), np.ones((1, 10)), np.full((1, 10), 2.0))
    xs, ys = line.edges
    assert ys == pytest.approx([-0.05, 0.05]) and xs[0] == pytest.approx(-0.05)
    assert Ledger((line,)).within([((0.0, 1.0), (0.2, 1.0))]).gray == 0.0
    assert Ledger((line,)).photons == pytest.approx(100.0)  # per µm²


def test_a_dose_that_is_not_known_hides_none_that_is():
    """Photons are known, what absorbs is not: the sum is of the rest, and it is said."""
    known = exposed("a", (0.0, 0.0), 4.0, 8, 3.0)
    unknown = replace(exposed("b" * 20, (1.0, 0.0), 4.0, 8, 1.0), gray=np.full((8, 8), np.nan))
    ledger = Ledger((known, unknown), ("run c: the flux was not known",))
    assert ledger.gray == pytest.approx(3.0) and np.isfinite(ledger.map()[2]).all()
    assert len(ledger.unknown) == 2 and ledger.unknown[1].startswith("run bbbbbbbb: ")
    assert ledger.photons == pytest.approx(4 * (30.0 + 10.0))
    # Where it has not been, it lacks nothing.
    assert len(ledger.within([((-1.9, -1.2), (0.0, 0.0))]).unknown) == 1
    assert len(ledger.within([((1.2, 1.9), (0.0, 0.0))]).unknown) == 2


def test_many_runs_make_no_grid_of_all_their_pixels():
    runs = [exposed(str(i), (0.013 * i, 0.007 * i), 4.0, 200, 1.0) for i in range(40)]
    x, y, total = Ledger(tuple(runs)).map()
    assert total.shape == (len(y) - 1, len(x) - 1) and total.size <= 80**2
    assert total.max() == pytest.approx(40.0)
    assert (total * np.outer(np.diff(y), np.diff(x))).sum() == pytest.approx(40 * 16.0)


def test_lines_flown_again_are_seen_in_the_sum():
    one = exposed("a", (0.0, 0.0), 4.0, 8, 1.0)
    one.gray[3] = 2.0
    x, y, total = Ledger((one,)).map()
    assert x == pytest.approx([-2.0, 2.0]) and y == pytest.approx([-2.0, -0.5, 0.0, 2.0])
    assert total[:, 0].tolist() == [1.0, 2.0, 1.0]


def test_what_touches_a_small_region_is_kept_alone():
    ledger = Ledger((exposed("a", (0.0, 0.0), 4.0, 8, 1.0),)).within([((0.1, 0.1), (0.1, 0.1))])
    (one,) = ledger.entries
    assert one.gray.shape == one.photons.shape == (1, 1)
    assert [edge.tolist() for edge in one.edges] == [[0.0, 0.5], [0.0, 0.5]]
    assert ledger.photons == pytest.approx(40.0)  # per µm²
