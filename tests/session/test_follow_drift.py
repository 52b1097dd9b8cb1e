"""A sample that drifts on the simulated beamline, and the region that follows it, in one piece."""

from __future__ import annotations

import numpy as np

from redoxscope import start_session
from redoxscope.plans import energy_stack

RUNOUT = (8.0, -5.0)
"""How far the zone plate goes aside along x and y over its travel (µm/mm): where the sample is
seen follows from the energy, however long anything takes."""
ENERGIES = np.linspace(638.0, 650.0, 10).tolist()
SIDE, PIXEL = 32, 0.1
NEAR = 0.02
"""µm, of a drift of 1 µm: the stage errs by some nanometres itself."""


def test_the_region_follows_the_sample_and_the_map_stays_whole(tmp_path):
    options = {"runout-x": RUNOUT[0], "runout-y": RUNOUT[1]}
    with start_session(speed=200, seed=3, simulation_options=options, data=tmp_path) as s:
        (uid,) = s.RE(
            energy_stack(
                s.stxm, edge="Mn L3", energies=ENERGIES, size=SIDE * PIXEL, pixels=SIDE,
                dwell=0.002, follow_drift=2.0,
            )
        )  # fmt: skip
        assert s.finish(120)
        run, z = s.cat[uid], np.array([s.stxm.focus.nominal(energy) for energy in ENERGIES])
        data = run["primary"].read()
        found = {name: array.read() for name, array in run["oxidation_map"].items()}
    true = -np.outer(z - z[0], RUNOUT) / 1000  # the focus goes there, the sample seems to go back
    assert np.hypot(*true[-1]) > 0.9

    followed = np.column_stack([data[f"followed_{axis}"][::SIDE] for axis in "xy"])
    # Each image lies where the one before it was found to be; of two images alone little is sure.
    np.testing.assert_allclose(followed[3:], true[2:-1], atol=NEAR)
    x = data["sample_x"].values.reshape(len(ENERGIES), SIDE, SIDE).mean(axis=(1, 2))
    np.testing.assert_allclose(x - x[0], followed[:, 0], atol=NEAR)  # the stage was there
    moved = np.column_stack([found["movement_x"], found["movement_y"]])
    np.testing.assert_allclose(moved, true, atol=NEAR)
    sigma = np.column_stack([found["shift_x_sigma"], found["shift_y_sigma"]])
    assert np.isfinite(sigma).all() and (sigma < 0.2).all()  # each image tells its own shift
    # A region that stays loses what drifts out of it: 8 of 32 columns, 5 of 32 lines.
    left = 1 - np.prod(1 - np.abs(true[-1]) / (SIDE * PIXEL))
    assert np.isnan(found["thickness"]).mean() < left / 2
    assert left > 0.35
