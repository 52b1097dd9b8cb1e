"""What a scan takes, does to the sample, and why it would be refused; nothing moves."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import xraydb

from redoxscope.analysis.dose import absorbed_dose
from redoxscope.data import References, phase_absorption
from redoxscope.plans import estimate
from redoxscope.plans._schedule import (
    PER_IMAGE,
    PER_POINT,
    RIXS_BEGIN,
    RIXS_END,
    STACK_BEGIN,
    STACK_END,
)
from redoxscope.scan import Frame, Region, Role, Scan, points_scan, stack_scan
from redoxscope.testing import FakeMicroscope, FakeMono, FakeSpectrometer

from .timed import FLYBACK, SETTLE, VELOCITY, timed_microscope, timed_rixs

SQUARE = {"center": [0, 0], "size": [4, 2], "pixels": [20, 10], "name": "A"}
FAR = {"center": [100, -40], "size": [4, 4], "pixels": [10, 10], "name": "B"}
E_CHARGE = 1.602176634e-19


def stack(energies=(640.0, 650.0), regions=(SQUARE,), dwell=0.01, **options):
    return stack_scan(energies=list(energies), regions=list(regions), dwell=dwell, **options)


# -- time ---------------------------------------------------------------------------------------


def test_the_time_of_a_stack():
    found = estimate(stack([645.0, 655.0, 655.5]), timed_microscope())
    assert found.live == pytest.approx(3 * 200 * 0.01)
    moves = (5.0 + 10.0 + 0.5) / VELOCITY + 3 * SETTLE
    assert found.motion == pytest.approx(moves + 3 * 9 * FLYBACK)
    assert found.software == pytest.approx(STACK_BEGIN + STACK_END + 3 * PER_IMAGE)
    assert found.total == pytest.approx(found.live + found.motion + found.software)
    assert found.schedule.total == pytest.approx(found.total)
    assert found.ok and found.refused == ()


def test_a_region_elsewhere_takes_the_coarse_stage_there_and_back():
    one = estimate(stack([640.0], [SQUARE]), timed_microscope())
    other = estimate(stack([640.0], [FAR]), timed_microscope())
    both = estimate(stack([640.0, 650.0], [SQUARE, FAR]), timed_microscope())
    there = 1.0  # the longer of 100 µm and 40 µm at 100 µm/s
    assert other.motion == pytest.approx(one.motion + there)
    of_energy = SETTLE + (1.0 + SETTLE)
    back_and_forth = 3 * there  # A B A B
    flights = 4 * 9 * FLYBACK
    assert both.motion == pytest.approx(of_energy + back_and_forth + flights)


def test_the_public_fakes_take_the_time_of_counting():
    mono, bench = FakeMono(), FakeMicroscope()
    found = estimate(stack([640.0, 650.0], [SQUARE, FAR]), bench)
    assert (found.live, found.motion) == (pytest.approx(2 * (200 + 100) * 0.01), 0.0)
    points = estimate(points_scan(energies=[640.0], dwell=2.0), FakeSpectrometer(mono), mono)
    assert (points.live, points.motion) == (2.0, 0.0)
    assert found.ok and points.ok
    too_high = estimate(stack([640.0, 1200.0]), bench).refused
    assert too_high == ("energy = 1200 is outside 400 to 1100 eV",)


def test_the_fly_back_hides_a_shorter_move():
    stxm = timed_microscope()
    stxm.energy.time_to = lambda target, start=None: FLYBACK / 4
    found = estimate(stack([640.0, 641.0, 642.0]), stxm)
    assert found.motion == pytest.approx(FLYBACK / 4 + 2 * FLYBACK + 3 * 9 * FLYBACK)


def test_dwells_of_their_own():
    scan = stack_scan(zones=[(640, 642, 1), (644, 646, 1, 0.05)], regions=[SQUARE], dwell=0.01)
    assert estimate(scan, timed_microscope()).live == pytest.approx(200 * (3 * 0.01 + 3 * 0.05))


def test_the_time_of_points():
    scan = points_scan(energies=[645.0, 650.0], dwell=2.0, passes=2)
    found = estimate(scan, *timed_rixs())
    assert found.live == pytest.approx(8.0)
    assert found.motion == pytest.approx((5.0 + 3 * 5.0) / VELOCITY + 4 * SETTLE)
    assert found.software == pytest.approx(RIXS_BEGIN + RIXS_END + 4 * (PER_POINT + 0.15))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_numpy_s_numbers_are_numbers(kind):
    scan = stack([kind(640), kind(650)], dwell=np.float32(0.01))
    found = estimate(scan, timed_microscope(), flux=kind(1e7), density=kind(4), thickness=kind(1))
    assert type(found.total) is float and type(found.photons) is float


def test_a_time_that_nobody_declares_is_not_known():
    stxm = timed_microscope()

    def none(nx, ny, dwell):
        raise RuntimeError("scanner_flyback (PV X) says -1 s: must not be negative")

    stxm.scanner.frame_time = none
    found = estimate(stack(), stxm)
    assert math.isnan(found.total) and found.live == pytest.approx(4.0)
    assert "must not be negative" in found.refused[0] and not found.ok
    assert "unknown" in repr(found)


# -- photons and dose ---------------------------------------------------------------------------


def test_the_dose_by_hand():
    """Notes' example: 10 000 photons of 640 eV on 40 nm, 100 nm thick of OD 1: 0.97 MGy."""
    hand = 1e4 * 640 * E_CHARGE * (1 - math.exp(-1)) / (4200 * (40e-9) ** 2 * 100e-9)
    area, thickness = 0.04**2, 0.1
    by_od = absorbed_dose(1e4, 640, area, density=4.2, optical_density=1.0, thickness=thickness)
    by_mu = absorbed_dose(1e4, 640, area, density=4.2, absorption=10.0, thickness=thickness)
    assert by_od == pytest.approx(hand) == by_mu
    assert by_od == pytest.approx(0.97e6, rel=0.01)


def test_a_thin_sample_gets_the_dose_of_the_entrance():
    thin = absorbed_dose(1e4, 640, 1.0, density=4.2, absorption=5.0)
    assert thin == pytest.approx(1e4 * 640 * E_CHARGE * 5.0 / (4.2e-15))
    thick = absorbed_dose(1e4, 640, 1.0, density=4.2, absorption=5.0, thickness=1e-6)
    assert thick == pytest.approx(thin, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "either absorption"), ({"absorption": 1, "optical_density": 1}, "either absorption"),
     ({"optical_density": 1}, "needs the thickness"),
     ({"absorption": 1, "thickness": 0}, "thickness = 0 µm"),
     ({"absorption": 1, "density": -1}, "density = -1 g/cm³")],
)  # fmt: skip
def test_what_makes_no_dose(options, words):
    with pytest.raises(ValueError, match=words):
        absorbed_dose(1, 640, 1.0, **{"density": 4.2, **options})


def test_the_dose_of_a_stack_from_xraydb():
    """Carbon, whose absorption xraydb has; the beam is on during the fly-backs, too."""
    energies, density, flux = [300.0, 310.0, 320.0], 2.0, 1e8
    tabled = np.array([295.0, 325.0])
    mu = xraydb.material_mu("C", tabled, density=density) * 1e-4  # 1/cm to 1/µm
    references = References(("carbon",), tabled, [mu], "1/µm", "xraydb")
    scan = stack(energies, dwell=0.01)
    found = estimate(scan, timed_microscope(), flux=flux, references=references, density=density)
    seconds = 0.01 + 9 * FLYBACK / 200
    area = (4e-6 / 20) * (2e-6 / 10)
    hand = sum(
        flux * seconds * energy * E_CHARGE * (np.interp(energy, tabled, mu) * 1e6)
        / (density * 1e3 * area)
        for energy in energies
    )  # fmt: skip
    assert found.photons == pytest.approx(3 * flux * seconds)
    assert found.dose_gy == pytest.approx(hand)
    assert found.dose_sigma_gy == 0.0  # one phase: nothing to be unsure of
    assert found.regions[0].dose_gy == found.dose_gy


def test_the_edge_s_own_references_and_their_spread():
    energies = [640.0, 641.6, 643.2, 650.0]
    found = estimate(stack(energies, edge="Mn L3"), timed_microscope(flux=1e7))
    photons = 1e7 * (0.01 + 9 * FLYBACK / 200)
    doses = absorbed_dose(
        photons, energies, 0.04, density=4.2, absorption=phase_absorption("Mn L3", energies)
    ).sum(axis=1)
    assert found.dose_gy == pytest.approx(doses.mean())
    assert found.dose_sigma_gy == pytest.approx(np.ptp(doses) / math.sqrt(12)) and np.ptp(doses) > 0


def test_what_is_not_of_the_sample_gives_it_no_dose():
    frames = [
        Frame(640.0, 0.01),
        Frame(641.0, 0.01, role=Role.I0),
        Frame(640.0, 0.01, role=Role.DARK),
        Frame(640.0, 0.01, role=Role.DOSE_CHECK),
    ]
    scan = Scan(regions=(Region((0, 0), (4, 2), (20, 10)),), frames=frames, edge="Mn L3")
    alone = Scan(regions=scan.regions, frames=frames[:1], edge="Mn L3")
    of_all, of_one = (estimate(s, timed_microscope(), flux=1e7) for s in (scan, alone))
    assert of_all.dose_gy == pytest.approx(2 * of_one.dose_gy)
    assert of_all.photons == pytest.approx(2 * of_one.photons)


def test_each_region_has_its_own():
    found = estimate(stack([640.0], [SQUARE, FAR], edge="Mn L3"), timed_microscope(), flux=1e7)
    a, b = found.regions
    assert (a.name, a.pixels, a.images) == ("A", (20, 10), 1)
    assert a.extents[0] == pytest.approx((-1.9, 1.9)) and b.extents[0][0] == pytest.approx(98.2)
    assert a.dose_gy > b.dose_gy and found.dose_gy == a.dose_gy  # its pixels are smaller


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "the flux is not known"),
     ({"flux": 1e7}, "what absorbs is not known"),
     ({"flux": 1e7, "references": "1/µm"}, "density is not known"),
     ({"flux": 1e7, "references": "OD", "density": 4}, "give the thickness"),
     ({"flux": 1e7, "references": "1/µm", "density": 4}, "do not reach 640, 650 eV")],
)  # fmt: skip
def test_what_is_not_known_is_said(options, words):
    unit = options.get("references")
    if unit is not None:
        spectra = [[1.0, 1.0], [2.0, 2.0]]
        options = options | {"references": References(("a", "b"), [700, 710], spectra, unit, "me")}
    found = estimate(stack(), timed_microscope(), **options)
    assert found.dose_gy is None and any(words in text for text in found.unknown)
    assert (found.photons is None) == ("flux" not in options)
    assert words in repr(found)


def test_a_spot_gets_all_points():
    scan = points_scan(energies=[640.0, 645.0], dwell=2.0, passes=3, edge="Mn L3")
    blind = estimate(scan, *timed_rixs(), flux=1e9)
    assert blind.dose_gy is None and "spot" in blind.unknown[0]
    found = estimate(scan, *timed_rixs(), flux=1e9, spot=(10.0, 5.0))
    doses = absorbed_dose(
        6e9, [640.0, 645.0], 50.0, density=4.2,
        absorption=phase_absorption("Mn L3", [640.0, 645.0]),
    ).sum(axis=1)  # fmt: skip
    assert found.photons == pytest.approx(12e9) and found.dose_gy == pytest.approx(doses.mean())


@pytest.mark.parametrize("name", ["flux", "density", "thickness"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, "1", True])
def test_what_cannot_be_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} = "):
        estimate(stack(), timed_microscope(), **{name: value})


# -- the verdict --------------------------------------------------------------------------------


def test_the_verdict_lists_all():
    out = {"center": [900, 0], "size": [4, 4], "pixels": [10, 10], "name": "C"}
    found = estimate(stack([590.0, 640.0, 705.0], [SQUARE, out]), timed_microscope())
    assert len(found.refused) == 4  # and that the time to C is not known, in the same words
    text = repr(found)
    for words in ("C x = 900 µm", "mono.energy = 590 eV", "mono.energy = 705 eV", "stage.x = 900"):
        assert words in text
    assert not any("640 eV is outside" in why for why in found.refused)


def test_a_long_list_is_shown_in_part():
    found = estimate(stack(np.linspace(100, 150, 40)), timed_microscope())
    assert len(found.refused) == 40 and "and 28 more: .refused" in repr(found)


def test_points_are_checked_too():
    tes, mono = timed_rixs()
    scan = points_scan(energies=[500.0, 640.0, 800.0], dwell=40.0)
    found = estimate(scan, tes, mono)
    text = "\n".join(found.refused)
    assert "500 eV" in text and "800 eV" in text and "dead man" in text and len(found.refused) == 3


def test_the_table():
    found = estimate(stack([640.0, 650.0], edge="Mn L3"), timed_microscope(flux=1e7))
    lines = repr(found).splitlines()
    assert lines[0] == "2 images (20 lines) at 2 energies, 640 to 650 eV"
    assert lines[1].startswith("time      ") and "live" in lines[2] and "%" in lines[2]
    assert "x -1.9 to 1.9 µm" in repr(found) and "Gy" in repr(found)
    assert lines[-1] == "refused   nothing"


def test_phases_that_differ_little_are_not_said_to_be_the_same():
    """Over a whole edge they absorb alike to 0.8 %."""
    found = estimate(
        stack(list(np.linspace(636, 660, 41)), edge="Mn L3"), timed_microscope(flux=1e7)
    )
    assert 0 < found.dose_sigma_gy < 0.01 * found.dose_gy
    assert "± 0.8% by composition" in repr(found)


def test_the_table_of_one_image_far_out():
    region = {"center": (30000, 0.5), "size": 5, "pixels": 100}
    found = estimate(stack_scan(energies=[640], regions=[region]), timed_microscope())
    text = repr(found)
    assert text.startswith("1 image (100 lines) at 640 eV\n")
    assert "x 29997.525 to 30002.475 µm, y -1.975 to 2.975 µm" in text
    assert "100 x 100 pixels, 1 image" in text


@pytest.mark.parametrize(
    ("instruments", "words"),
    [((), "needs estimate.scan, stxm."), ((timed_microscope(), 1), "2 instruments are given"),
     ((SimpleNamespace(name="x"),), "stxm = 'x' is not a device such as")],
)  # fmt: skip
def test_other_instruments(instruments, words):
    with pytest.raises(ValueError, match=words):
        estimate(stack(), *instruments)


def test_a_scan_from_json():
    scan = stack()
    same = estimate(scan.to_json(), timed_microscope())
    assert same.total == estimate(scan, timed_microscope()).total and same.scan == scan
