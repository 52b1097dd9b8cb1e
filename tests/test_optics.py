"""Zone plate formulas against published numbers, and the collision check."""

import math

import pytest

from redoxscope.optics import (
    InterlockError,
    ZonePlateGeometry,
    check_focus,
    defocus_sigma,
    depth_of_focus,
    focal_length,
    focal_slope,
    focus_z,
    largest_a0,
    rayleigh_resolution,
    to_osa_zero,
    to_sample_zero,
    zone_count,
)

MN = [634.0, 640.0, 660.0]


def geometry(**kwargs):
    """One that is possible, but for what is given."""
    usual = {"diameter_um": 240.0, "outer_zone_nm": 45.0, "central_stop_um": 95.0}
    return ZonePlateGeometry(**{**usual, "osa_diameter_um": 50.0, "a0_um": 400.0, **kwargs})


CARBON = geometry(outer_zone_nm=25.0)  # 240 µm / 25 nm


@pytest.mark.parametrize(("energy", "f_mm"), [(530, 3.59), (640, 4.336), (778, 5.27), (853, 5.78)])
def test_focal_length(energy, f_mm):
    assert focal_length(energy, 240, 35) * 1e-3 == pytest.approx(f_mm, abs=0.005)


@pytest.mark.parametrize(("energy", "dof"), [(530, 1.05), (640, 1.26), (778, 1.54), (853, 1.69)])
def test_depth_of_focus(energy, dof):
    assert depth_of_focus(energy, 35) == pytest.approx(dof, abs=0.006)


def test_slope_zones_resolution():
    assert focal_slope(240, 35) == pytest.approx(6.78, abs=0.006)
    assert zone_count(240, 35) == pytest.approx(1714, abs=0.5)
    assert rayleigh_resolution(45) == pytest.approx(54.9)


@pytest.mark.parametrize(("energy", "a0_max"), [(250, 252), (285, 287), (706, 712)])
def test_largest_a0(energy, a0_max):
    assert largest_a0(CARBON, energy) == pytest.approx(a0_max, abs=0.6)


def test_defocus_blur():
    g = geometry()
    f = g.a1 * 640
    assert defocus_sigma(10.0, 640, g) == pytest.approx(240 * 10 / f / 4)
    assert defocus_sigma(-10.0, 640, g) == defocus_sigma(10.0, 640, g)


def test_z_convention_and_its_converters():
    g = geometry(a0_um=400)
    z = focus_z(g, 640)
    f = g.a1 * 640
    assert z == pytest.approx(-(f - 400))
    assert to_sample_zero(z, 400) == pytest.approx(-f)  # zero = sample plane: focus reads -f
    assert to_osa_zero(to_sample_zero(z, 400), 400) == z


def test_good_plan_passes():
    check_focus(geometry(), MN, z_limits=(-10000, 0))


def test_a1_is_filled_in_from_the_zones():
    assert geometry().a1_um_per_ev == pytest.approx(240 * 45 / 1239.842)
    assert geometry(a1_um_per_ev=8.8).a1 == 8.8


def test_the_lowest_energy_decides():
    g = geometry(outer_zone_nm=25.0, a0_um=400.0)
    check_focus(g, [706.0, 720.0])
    with pytest.raises(InterlockError, match=r"287 µm.*lowest energy 285 eV"):
        check_focus(g, [706.0, 285.0, 720.0])


def test_message_names_device_value_limit_unit():
    with pytest.raises(InterlockError) as e:
        check_focus(geometry(a0_um=1200), [640, 602, 660])
    assert str(e.value) == (
        "zone_plate.a0 = 1200 µm is above 1092 µm, the largest A0 that keeps the order-sorting "
        "aperture clear at the lowest energy 602 eV (D_osa·f/D_zp)"
    )
    assert isinstance(e.value, ValueError)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"energies": []}, "none given"),
        ({"energies": [640, math.nan]}, r"energies\[1\] = nan eV"),
        ({"energies": [640, 0.0]}, r"energies\[1\] = 0 eV"),
        ({"energies": MN, "z_limits": (0.0, 0.0)}, "not a range"),
        ({"energies": MN, "z_limits": (math.nan, 0.0)}, "not a range"),
        ({"energies": MN, "z_limits": (-5300, 0)}, r"at 660 eV is below its limit -5300 µm"),
        ({"energies": MN, "z_limits": (-9000, -5200)}, r"at 634 eV is above its limit -5200 µm"),
        ({"energies": MN, "sample_z_um": math.nan}, "sample.z"),
        ({"energies": MN, "sample_z_um": -301.0}, r"leaves 99 µm .* below 100 µm"),
    ],
)
def test_check_fails_closed(kwargs, match):
    with pytest.raises(InterlockError, match=match):
        check_focus(geometry(), **kwargs)


def test_gap_between_sample_and_osa():
    with pytest.raises(InterlockError, match="a0 = 99 µm is not above 100 µm"):
        check_focus(geometry(a0_um=99), MN)


def test_gap_between_zone_plate_and_osa():
    # short focal length: the window for A0 is open, but the zone plate would be at the OSA
    g = ZonePlateGeometry(60, 30, 55, 50, a0_um=150)
    with pytest.raises(InterlockError, match=r"zone_plate.z = .* below 100 µm"):
        check_focus(g, [150.0])


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"diameter_um": 0}, "zone_plate.diameter"),
        ({"outer_zone_nm": math.nan}, "zone_plate.outer_zone = nan nm"),
        ({"a0_um": math.nan}, "zone_plate.a0"),
        ({"a1_um_per_ev": math.nan}, "zone_plate.a1"),
        ({"a1_um_per_ev": 13.2}, "not within 20 %"),
        ({"central_stop_um": 240}, "zone_plate.central_stop"),
        ({"osa_diameter_um": 95}, "undiffracted"),
    ],
)
def test_impossible_geometry(kwargs, match):
    with pytest.raises(InterlockError, match=match):
        geometry(**kwargs)


def test_a_geometry_has_no_default():
    """It is one instrument's; a default would be another's."""
    with pytest.raises(TypeError, match="a0_um"):
        ZonePlateGeometry(240.0, 45.0, 95.0, 50.0)
    with pytest.raises(TypeError, match="diameter_um"):
        ZonePlateGeometry()
