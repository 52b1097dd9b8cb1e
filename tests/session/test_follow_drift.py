"""A sample that drifts on the simulated beamline, and the region that follows it, in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope import start_session
from redoxscope.plans import energy_stack

RUNOUT = (8.0, -5.0)
"""How far the zone plate goes aside along x and y over its travel (µm/mm): where the sample is
seen follows from the energy, however long anything takes."""
ENERGIES = np.linspace(638.0, 650.0, 10).tolist()
SIDE, PIXEL = 32, 0.1
NEAR = 0.02
"""µm, of a drift of 1 µm: the stage errs by some nanometres itself."""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    options = {"runout-x": RUNOUT[0], "runout-y": RUNOUT[1]}
    with start_session(
        speed=200, seed=3, simulation_options=options, data=tmp_path_factory.mktemp("data")
    ) as s:
        yield s


def stack(session, **options):
    """The run in the catalog, of one stack."""
    (uid,) = session.RE(
        energy_stack(
            session.stxm, edge="Mn L3", energies=ENERGIES, size=SIDE * PIXEL, pixels=SIDE,
            dwell=0.002, **options,
        )
    )  # fmt: skip
    assert session.finish(120)
    return session.cat[uid]


def test_the_region_follows_the_sample_and_the_map_stays_whole(session):
    run, left = stack(session, follow_drift=2.0), stack(session)
    z = np.array([session.stxm.focus.nominal(energy) for energy in ENERGIES])
    true = -np.outer(z - z[0], RUNOUT) / 1000  # the focus goes there, the sample seems to go back
    assert np.hypot(*true[-1]) > 0.9

    data = run["primary"].read()
    followed = np.column_stack([data[f"followed_{axis}"][::SIDE] for axis in "xy"])
    # Each image lies where the one before it was found to be; of two images alone little is sure.
    np.testing.assert_allclose(followed[3:], true[2:-1], atol=NEAR)
    x = data["sample_x"].values.reshape(len(ENERGIES), SIDE, SIDE).mean(axis=(1, 2))
    np.testing.assert_allclose(x - x[0], followed[:, 0], atol=NEAR)  # the stage was there

    lost = {}
    for name, one in (("followed", run), ("left", left)):
        found = {
            key: one["oxidation_map"][key].read()
            for key in ("movement_x", "movement_y", "shift_x_sigma", "shift_y_sigma", "thickness")
        }
        moved = np.column_stack([found["movement_x"], found["movement_y"]])
        np.testing.assert_allclose(moved, true, atol=NEAR)
        sigma = np.column_stack([found["shift_x_sigma"], found["shift_y_sigma"]])
        assert np.isfinite(sigma).all() and (sigma < 0.2).all()  # each image tells its own shift
        lost[name] = np.isnan(found["thickness"]).mean()
    # 8 of 32 columns and 5 of 32 lines drift out of a region that stays; two or three of each else.
    assert lost["left"] > 0.3 and lost["followed"] < 0.2
