"""The whole way on the simulated beamline: its A1 wrong by 1 %, its energy off by 0.4 eV."""

from __future__ import annotations

import pytest

from redoxscope import start_session
from redoxscope.calibrations import calibrate_energy, calibrate_focus
from redoxscope.plans import energy_stack, focus_scan

SAMPLE = {"center": (0, 0), "size": (3, 3), "pixels": (12, 12), "name": "sample"}
EMPTY = {"center": (9, 0), "size": (1, 1), "pixels": (12, 3), "name": "empty"}
ENERGIES = [634.0, 637.0, *(639.5 + 0.5 * k for k in range(12)), 648.0, 652.0, 656.0, 660.0]


def test_calibrated_at_the_beamline(tmp_path):
    """What runs measured is proposed, applied by the session, and told in the next run."""
    wrong = {"a1-error": 0.01, "energy-offset": 0.4}
    with start_session(speed=200, simulation_options=wrong, data=tmp_path) as s:
        s.RE(
            energy_stack(
                s.stxm, edge="Mn L3", energies=ENERGIES, regions=[SAMPLE], i0_region=EMPTY,
                dwell=0.002,
            )
        )  # fmt: skip
        energy = calibrate_energy(s.cat[-1], region="sample")
        assert s.stxm.monochromator.edge_offsets == {}
        assert abs(energy.values["offset"] - 0.4) < 3 * energy.sigma["offset"] < 0.15
        s.calibrations.apply(energy)
        s.RE(
            focus_scan(
                s.stxm, energies=[600.0, 800.0], edge="Mn L3", center=(0, 0.3), length=4,
                pixels=120, travel=80, steps=17, offset=60,
            )
        )  # fmt: skip
        stated = s.stxm.zone_plate.a1.get()
        focus = calibrate_focus(s.cat[-1])
        assert abs(focus.values["a1"] - stated / 1.01) < 3 * focus.sigma["a1"] < 0.02
        assert abs(focus.values["a0"] - 400.0) < 3 * focus.sigma["a0"]
        s.calibrations.apply(focus)
        assert s.stxm.zone_plate.a1.get() == pytest.approx(focus.values["a1"])
        start = s.cat[-1].metadata["start"]
        assert [one["of"] for one in start["calibrations"]] == ["Mn L3"]
        s.calibrations.revert("zone plate")
        assert s.stxm.zone_plate.a1.get() == stated
