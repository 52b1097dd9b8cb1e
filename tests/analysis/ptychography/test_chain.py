"""Shifts of energies, one on the other, where some cannot be told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from redoxscope.analysis.ptychography import _spectro


def test_what_lies_on_one_that_is_not_known_is_no_part_of_the_chain(monkeypatch):
    """Image 2 lies on none that is known, 3 on 2 only, and 4 on 1."""
    good = {(1, 0), (3, 2), (4, 1)}
    images = [(np.full((4, 4), 1.0 - 0.1 * k), np.ones((4, 4))) for k in range(5)]

    def shift(image, on):
        k, other = (round(float(one[0, 0]) * 10) for one in (image, on))
        sigma = 0.01 if (k, other) in good else 9.0
        return SimpleNamespace(dy=1.0, dx=0.0, sigma_y=sigma, sigma_x=sigma)

    monkeypatch.setattr(_spectro, "shift_between", shift)
    results = [SimpleNamespace(energy_ev=640.0 + k) for k in range(5)]
    shifts, sigmas, notes = _spectro._shifts(results, images)
    assert [one[0] for one in shifts] == [0, 1, 1, 2, 2]
    assert [bool(np.isnan(one[0])) for one in sigmas] == [False, False, True, True, False]
    assert [note[:9] for note in notes] == ["at 642 eV", "at 643 eV"]
