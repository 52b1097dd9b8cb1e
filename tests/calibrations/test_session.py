"""The whole way on the simulated beamline: energy off by 0.4 eV, A1 by 1 %, the aperture aside."""

from __future__ import annotations

import pytest
from bluesky import plan_stubs as bps

from redoxscope import start_session
from redoxscope.calibrations import (
    CalibrationError,
    calibrate_aperture,
    calibrate_energy,
    calibrate_focus,
)
from redoxscope.plans import energy_stack, focus_scan, osa_image

SAMPLE = {"center": (0, 0), "size": (3, 3), "pixels": (40, 3), "name": "sample"}
EMPTY = {"center": (9, 0), "size": (1, 1), "pixels": (40, 1), "name": "empty"}
ENERGIES = [634.0, 637.0, *(639.5 + 0.5 * k for k in range(12)), 648.0, 652.0, 656.0, 660.0]
WRONG = {"a1-error": 0.01, "energy-offset": 0.4, "osa-x": 3.0, "osa-y": -2.0}


def test_calibrated_at_the_beamline(tmp_path):
    """What runs measured is proposed, applied by the session, and told in the next run."""
    with start_session(speed=200, simulation_options=WRONG, data=tmp_path) as s:
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
        run = s.cat[-1]
        focus = calibrate_focus(run)
        assert abs(focus.values["a1"] - stated / 1.01) < 3 * focus.sigma["a1"] < 0.02
        assert abs(focus.values["a0"] - 400.0) < 3 * focus.sigma["a0"]
        s.calibrations.apply(focus)
        assert s.stxm.zone_plate.a1.get() == pytest.approx(focus.values["a1"])
        assert [one["of"] for one in run.metadata["start"]["calibrations"]] == ["Mn L3"]
        s.calibrations.revert("zone plate")
        assert s.stxm.zone_plate.a1.get() == stated

        osa = s.stxm.osa
        s.RE(osa_image(s.stxm, energy=640, size=80, pixels=8))
        place = calibrate_aperture(s.cat[-1])
        for axis, true in (("x", 3.0), ("y", -2.0)):
            assert abs(place.values[axis] - true) < 3 * place.sigma[axis] < 2.0
        assert osa.x.position == pytest.approx(0.0, abs=0.5)
        s.RE(refused_meanwhile(s, place))
        with pytest.raises(ValueError, match="of focus_scan has measured nothing"):
            calibrate_focus(s.cat[-1])
        assert osa.x.position == pytest.approx(0.0, abs=0.5)
        s.calibrations.apply(place)
        there = osa.x.position, osa.y.position
        assert there == pytest.approx((place.values["x"], place.values["y"]), abs=0.5)
        assert [one.kind for one in s.calibrations.in_force] == ["energy", "aperture"]
        s.calibrations.revert("aperture")
        assert (osa.x.position, osa.y.position) == pytest.approx((0.0, 0.0), abs=0.5)


def refused_meanwhile(s, place):
    """A run in which the aperture is not moved; it measures nothing."""
    yield from bps.open_run({"plan_name": "focus_scan"})
    with pytest.raises(CalibrationError, match="a run is going on"):
        s.calibrations.apply(place)
    yield from bps.close_run()
