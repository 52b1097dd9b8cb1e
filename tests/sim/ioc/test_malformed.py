"""Whatever is written to the PVs of the simulated beamline, it lives."""

from __future__ import annotations

import pytest
from caproto.sync.client import read as caget
from caproto.sync.client import write as caput

NONSENSE = ("", "../../x", "\0", "ä" * 10, "x" * 39, "99", "-1", "nan", "drop", "dastard drop x")
NUMBERS = (99, -1, 1 << 15, 0.5, -1e300, float("nan"), float("inf"))


@pytest.mark.parametrize("suffix", ["Sim:Fault", "Holder:Sample", "Mono:Energy", "Shutter:Mode"])
def test_nonsense_is_refused_or_harmless(simulation, fault, suffix):
    def tried(value):
        try:
            caput(f"{simulation.prefix}{suffix}", value, notify=True, timeout=60)
        except Exception as error:  # caproto has many; each says no
            assert str(error) or type(error).__name__

    before = caget(f"{simulation.prefix}Mono:Energy:RBV").data[0]
    for value in (*NONSENSE, *NUMBERS):
        tried(value)
    assert len(caget(f"{simulation.prefix}Holder:Sample:RBV").data) == 1
    assert caget(f"{simulation.prefix}Mono:Energy:RBV").data[0] == pytest.approx(before)
    fault("clear")
    tried(0)  # manual, the first sample, no fault
    if suffix == "Mono:Energy":
        tried(before)
