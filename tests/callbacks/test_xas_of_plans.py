"""What the plan of a spectrum emits is what the live spectrum reads: step, flown, paused."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.callbacks import xas_from_run
from redoxscope.plans import xas
from redoxscope.testing import FakeStation

ENERGIES = np.round(np.arange(630.0, 660.0, 0.5), 2).tolist()


def current(channel, energy):
    edge = 1.0 / (1 + np.exp(-(energy - 642)))
    line = np.exp(-0.5 * ((energy - 645) / 1.5) ** 2)
    factor = {"i0": 1.0, "tey": 0.1 + line + 0.3 * edge, "tfy": 0.01 * (0.1 + line)}[channel]
    return 1e-9 * factor


@pytest.mark.parametrize("fly", [False, True], ids=["step", "flown"])
def test_a_run_of_the_plan_becomes_spectra(RE, fly):  # noqa: N803
    station = FakeStation(current=current, flies=fly)
    documents = []
    plan = xas(station, edge="Mn L", energies=ENERGIES, repeats=2, dwell=0.1, fly=fly)
    RE(plan, lambda name, doc: documents.append((name, doc)))
    snapshot = xas_from_run(documents)
    assert set(snapshot.modes) == {"TEY", "TFY"}
    assert snapshot.repeats_done == 2 and snapshot.points_done == snapshot.points_total
    for mode, channel in (("TEY", "tey"), ("TFY", "tfy")):
        mean = snapshot.modes[mode].mean
        assert mean.n == 2
        expected = [current(channel, e) / current("i0", e) for e in mean.energy]
        np.testing.assert_allclose(mean.value, expected, rtol=1e-6)
        assert snapshot.modes[mode].positions["integral"].found


def test_an_energy_that_is_gone_to_twice_has_the_mean_of_both(RE):  # noqa: N803
    seen = []

    def once(channel, energy):
        if channel == "tey" and energy == 645.0:
            seen.append(energy)
            return 1e-9 * (1.0 if len(seen) == 1 else 3.0)
        return current(channel, energy)

    documents = []
    plan = xas(FakeStation(current=once), energies=[*ENERGIES, 645.0], dwell=0.1)
    RE(plan, lambda name, doc: documents.append((name, doc)))
    mean = xas_from_run(documents).modes["TEY"].mean
    assert len(mean.energy) == len(ENERGIES)
    assert mean.value[ENERGIES.index(645.0)] == pytest.approx(2.0)
