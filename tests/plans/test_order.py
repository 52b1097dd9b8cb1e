"""``order=`` of a stack: which energy is gone to when, as the plan's messages have it."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.plans import energy_stack
from redoxscope.scan import bit_reversed

from .fake_microscope import fake_microscope, told
from .timed import timed_microscope

ENERGIES = [635.0 + 0.5 * i for i in range(40)]


def visited(stxm, **options):
    options = {"energies": ENERGIES, "pixels": (4, 3), "dwell": 0.001} | options
    list(energy_stack(stxm, **options))
    return list(stxm.checked.energies)


def moves(stxm, **options):
    options = {"energies": ENERGIES, "pixels": (4, 3), "dwell": 0.001} | options
    return [m[2] for m in told(energy_stack(stxm, **options)) if m[:2] == ("set", "energy")]


def test_bit_reversed_needs_no_references():
    assert visited(fake_microscope()) == ENERGIES
    expected = [ENERGIES[i] for i in bit_reversed(40)]
    assert visited(fake_microscope(), order="bit-reversed") == expected
    assert moves(fake_microscope(), order="bit-reversed") == expected


def test_informative_begins_where_the_edges_references_differ():
    order = visited(fake_microscope(), order="informative", edge="Mn L3")
    assert sorted(order) == ENERGIES
    first = order[:8]
    assert sum(639 < energy < 646 for energy in first) >= 5, first  # on the L3 lines
    assert min(first) < 639, first  # and what is not of the edge


def test_moves_that_take_longer_are_shorter():
    stxm = timed_microscope()
    stxm.checks = lambda scan: iter([lambda: stxm.check_scan(scan)])

    def way(seconds_per_ev):
        def time_to(target, start=None):
            return seconds_per_ev * abs(target - (640.0 if start is None else start))

        stxm.energy.time_to = time_to
        order = visited(stxm, order="informative", edge="Mn L3", pixels=100)[:12]
        return sum(abs(b - a) for a, b in zip(order, order[1:], strict=False))

    assert way(100.0) < 0.6 * way(1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"order": "bit-reversed"},
        {"order": "informative", "edge": "Mn L3"},
        {"order": "sequential", "until": 0.05, "edge": "Mn L3"},
    ],
    ids=lambda options: options["order"],
)
def test_energies_of_a_dose_check_come_first_and_at_the_end(options):
    """However early the stack ends, there is what its end is compared with."""
    plain = visited(fake_microscope(), **options)
    order = moves(fake_microscope(), **options, dose_check=[650.0, 635.5])
    rest = [energy for energy in plain if energy not in (650.0, 635.5)]
    assert order == [650.0, 635.5, *rest, 650.0, 635.5]


def test_all_in_sequence_a_dose_check_comes_at_the_end_only():
    assert moves(fake_microscope(), dose_check=635.5) == [*ENERGIES, 635.5]


def test_an_order_may_be_an_array_of_indices():
    found = np.random.default_rng(1).permutation(len(ENERGIES))
    assert visited(fake_microscope(), order=found) == [ENERGIES[i] for i in found]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "informative"}, "order = 'informative' needs reference spectra"),
        ({"order": "informative", "edge": "Fe L3"}, "none are shipped for Fe L3: give references"),
        ({"order": "informative", "edge": "Mn L3", "energies": [640, 641]}, "needs reference"),
        ({"order": "random"}, "order = 'random' is unknown"),
        ({"order": 3}, "order = 3 must be one of"),
        ({"order": np.arange(3)}, "order has 3 places"),
        ({"rows": np.arange(3)}, "rows = array.* is unknown"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(options, said):
    with pytest.raises(ValueError, match=said):
        energy_stack(fake_microscope(), **({"energies": ENERGIES} | options))
