"""Exposures from places, and from paths of scanspec."""

from __future__ import annotations

import numpy as np
import pytest
from scanspec.specs import Line, Spiral

from redoxscope.scan import Scan, exposures_scan


def test_the_same_places_at_each_energy():
    scan = exposures_scan(energies=[640, 650], positions=[(0, 0), (1, 0.5)], dwell=0.1)
    assert scan.kind == "exposures" and scan.events == 4
    assert [part.energy for part in scan.exposures] == [640.0, 650.0]
    assert scan.exposures[1].positions == ((0.0, 0.0), (1.0, 0.5))
    assert Scan.from_json(scan.to_json()) == scan


def test_a_snaked_grid_of_scanspec():
    grid = Line("y", 0.0, 1.0, 2) * ~Line("x", 0.0, 2.0, 3)
    scan = exposures_scan(energies=[640], positions=grid, dwell=0.1)
    assert scan.exposures[0].positions == (
        (0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (1.0, 1.0), (0.0, 1.0)
    )  # fmt: skip
    assert Scan.from_json(scan.to_json()) == scan


def test_a_spiral_of_scanspec_stays_within_its_diameter():
    scan = exposures_scan(
        energies=[640], positions=Spiral("x", 1.0, 4.0, 0.3, "y", -1.0, 4.0), dwell=0.1
    )
    places = np.array(scan.exposures[0].positions)
    assert len(places) > 100
    assert np.hypot(*(places - [1.0, -1.0]).T).max() <= 2.1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": Line("z", 0.0, 1.0, 2)}, "a spec of the axes z; it must be of x and y"),
        ({"positions": []}, "positions is empty"),
        ({"positions": 3}, "positions = 3 must be a list"),
        ({"positions": [(0, float("nan"))]}, r"positions\[0\] y"),
        ({"energies": []}, "energies is empty"),
        ({"dwell": 0}, "dwell"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        exposures_scan(**{"energies": [640], "positions": [(0, 0)], "dwell": 0.1} | changes)
