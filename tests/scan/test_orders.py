"""The order in which a stack visits its energies."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.scan import Region, as_order, bit_reversed, stack_scan

A = Region((0, 0), 5, (10, 8), "A")


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 123, 1000])
def test_bit_reversed_visits_each_once_and_leaves_no_wide_gap(n):
    order = bit_reversed(n)
    assert sorted(order) == list(range(n))
    for taken in (n // 4, n // 2):
        if taken > 1:
            ends = [-1, *sorted(order[:taken]), n]
            assert np.diff(ends).max() <= 2 * 2 ** np.ceil(np.log2(n / taken))


def test_a_stack_takes_energies_in_their_order_with_their_dwell():
    zones = [(640, 643, 1), (643, 644, 0.25, 0.004)]
    scan = stack_scan(zones=zones, regions=[A], dwell=0.001, order="bit-reversed")
    plain = stack_scan(zones=zones, regions=[A], dwell=0.001)
    assert scan.energies == [640, 643.25, 642, 643.75, 641, 643.5, 643, 644]
    assert {f.energy: f.dwell for f in scan.frames} == {f.energy: f.dwell for f in plain.frames}
    falling = stack_scan(energies=[643, 642, 641, 640], regions=[A], order="bit-reversed")
    assert falling.energies == [640, 642, 641, 643]
    assert stack_scan(energies=[3, 1, 2], regions=[A], order=np.array([1, 0, 2])).energies == [
        1,
        3,
        2,
    ]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("bitreversed", "order = 'bitreversed' is unknown.*did you mean 'bit-reversed'"),
        ("informative", "needs reference spectra"),
        ([0, 1], "order has 2 places; it must name each of 3 energies once"),
        ([0, 1, 1], "each of 3 energies once"),
        ([0, 1, 3], r"order\[2\] = 3"),
        ([0, True, 2], r"order\[1\] = True"),
        (None, "order = None must be one of sequential, bit-reversed, informative"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order, said):
    with pytest.raises(ValueError, match=said):
        as_order(order, [640.0, 641.0, 642.0])
