"""A measured stack in the place of the model."""

import h5py
import numpy as np
import pytest

from redoxscope.sim.physics.stxm import MeasuredStack, build_model, open_sample


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as f:
        f["counts"] = rng.random((5, 4, 3)).astype("f4") * 100
        f["energy"] = [700.0, 701.0, 702.0, 702.5, 703.0]
        f["x"] = [-4736.6, -4736.5, -4736.4]
        f["y"] = [1.0, 1.1, 1.2, 1.3]
        f["dwell"] = 0.433
        f["ring_current"] = [300.0, 299.0, 298.0, 297.0, 296.0]
        f["oxidized"] = np.c_[f["energy"][()], [0.0, 1, 2, 0, 1]]
        f["reduced"] = np.c_[f["energy"][()], [0.0, 2, 0, 1, 1]]
    return path


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"no.h5: there is no such file$"):
        MeasuredStack(tmp_path / "no.h5")


def test_counts_are_exact(small):
    m = open_sample(small)
    with h5py.File(small) as f:
        counts = f["counts"][()]
    for i, e in enumerate(m.energies):
        for j, y in enumerate(m.y):
            line = m.line(e, None, m.x, y, m.dwell_s, 0.0)
            np.testing.assert_array_equal(line["transmission"], counts[i, j].astype(float))
            assert np.isnan(line["i0"]).all()


def test_half_a_step_is_the_limit(small):
    m = MeasuredStack(small)
    exact = m.line(701.0, None, m.x, 1.1, m.dwell_s, 0)["transmission"]
    near = m.line(701.3, None, m.x + 0.04, 1.06, m.dwell_s, 0)["transmission"]
    np.testing.assert_array_equal(near, exact)
    far = m.line(701.0, None, [-4736.66, -4736.5, -4736.3, np.nan], 1.1, m.dwell_s, 0)
    np.testing.assert_array_equal(np.isnan(far["transmission"]), [True, False, True, True])
    assert np.isnan(m.line(701.0, None, m.x, 1.36, m.dwell_s, 0)["transmission"]).all()
    # steps of 1 eV below 702, of 0.5 eV above
    assert m.line(702.24, None, m.x, 1.1, m.dwell_s, 0)["transmission"][0] == m._counts[2, 1, 0]


@pytest.mark.parametrize("energy", [699.4, 703.3, np.nan])
def test_energy_off_the_stack(small, energy):
    m = MeasuredStack(small)
    m.prepare(energy)  # the monochromator may stand anywhere
    with pytest.raises(ValueError, match=r"not on the 5 energies of small.h5, 700..703 eV"):
        m.line(energy, None, m.x, 1.1, m.dwell_s, 0)


def test_other_dwell_is_refused(small):
    m = MeasuredStack(small)
    with pytest.raises(ValueError, match=r"dwell = 0.001 s is not 0.000433 s"):
        m.line(701.0, None, m.x, 1.1, 1e-3, 0)


def test_interface(small):
    m = build_model(small, a1_error=0.1)
    assert isinstance(m, MeasuredStack)
    at = m.positions(m.x, 1.1, 0.0)
    np.testing.assert_array_equal(at.measured_x, m.x)
    np.testing.assert_array_equal(at.actual_y, np.full(3, 1.1))
    assert np.isnan(m.ring_current(0.0)) and np.isnan(m.ring_current(0.0, 600.0))
    assert m.ring_current(0.0, 702.0) == 298.0
    assert m.ring_current(0.0, 702.0, beam_on=False) == 0.0
    assert m.truth([702.0], m.x, m.y, m.references()) is None
    assert not m.has_monitor
    assert m.region_um == pytest.approx((-4736.5, 1.15, 0.3, 0.4))
    closed = m.line(702.0, None, m.x, 1.1, m.dwell_s, 0, shutter_open=False)
    assert (closed["transmission"] == 0).all()
    refs = m.references()
    assert refs.names == ("oxidized", "reduced") and refs.unit == "OD" and refs.min_thickness == 0.3


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("counts", None, r"'counts' is missing; expected \[nE, ny, nx\]"),
        ("counts", np.ones((5, 4)), r"'counts' has shape \(5, 4\)"),
        ("energy", None, r"'energy' is missing; expected \[5\] eV"),
        ("energy", np.arange(4.0), r"'energy' has shape \(4,\); expected \[5\]"),
        ("energy", np.zeros(5), "'energy' has 0 eV twice, at index 0 and 1; .*strictly increasing"),
        ("energy", [705, 704, 703, 702, 701.0], "'energy' falls from 705 to 701 eV and must rise"),
        ("x", [3.0, 2.0, 1.0], "'x' falls from 3 to 1 µm and must rise"),
        ("y", [1.0, 3.0, 2.0, 4.0], "'y' must rise, but 2 comes after 3 µm, at index 2"),
        ("x", np.arange(4.0), r"'x' has shape"),
        ("y", [1.0, 2.0, np.nan, 3.0], "'y' is not finite at index 2: nan µm"),
        ("dwell", None, "'dwell' is missing"),
        ("dwell", [0.4, 0.4], r"'dwell' has shape \(2,\); expected a number or \[5\] ms"),
        ("dwell", 0.0, "'dwell' = 0 ms; expected above 0 ms"),
        ("dwell", b"fast", "'dwell' holds no numbers"),
        ("ring_current", [1.0], r"'ring_current' has shape \(1,\)"),
    ],
)
def test_bad_file(small, name, value, match):
    with h5py.File(small, "a") as f:
        del f[name]
        if value is not None:
            f[name] = value
    with pytest.raises(ValueError, match=match) as e:
        MeasuredStack(small)
    assert "small.h5" in str(e.value)


def test_file_without_end_members(small):
    with h5py.File(small, "a") as f:
        del f["reduced"]
    with pytest.raises(ValueError, match="'reduced' is missing"):
        MeasuredStack(small).references()


def test_real_stack(shared_data):
    m = MeasuredStack(shared_data / "toner_fe_l" / "71214078.h5")
    gx, gy = np.meshgrid(m.x, m.y)
    served = np.stack(
        [
            m.line(e, None, gx.ravel(), gy.ravel(), m.dwell_s, 0.0)["transmission"]
            for e in m.energies
        ]
    ).reshape(m.energies.size, m.y.size, m.x.size)
    with h5py.File(m.path) as f:
        np.testing.assert_array_equal(served, f["counts"][()].astype(float))
        i0 = f["i0"][:, 1] * f["dwell"][()]
    design = m.references().design(m.energies)
    od = -np.log(served / i0[:, None, None]).reshape(len(i0), -1)
    c = np.linalg.lstsq(design, od, rcond=None)[0]
    s = c[0] + c[1]
    mask = s > m.references().min_thickness
    fraction = (c[0] / s)[mask]
    assert mask.sum() == 2449
    assert fraction.mean() == pytest.approx(0.741, abs=0.001)
    assert fraction.std() == pytest.approx(0.289, abs=0.001)
