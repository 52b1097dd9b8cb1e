"""``dose_limit=``: a stack ends before a pixel of the sample has more dose than it may."""

from __future__ import annotations

import json
import logging
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.analysis.dose import DoseLimit, Ledger, absorbed_dose, as_dose_limit
from redoxscope.callbacks import OxidationMap
from redoxscope.data import phase_absorption
from redoxscope.devices import NoShutter
from redoxscope.documents import LineStatus, flights
from redoxscope.plans import (
    energy_stack,
    estimate,
    execute,
    focus_scan,
    image,
    line_spectrum,
    point_spectrum,
    tiled_image,
)
from redoxscope.plans.stxm._ahead import part_of
from redoxscope.scan import Region, Scan, stack_scan
from redoxscope.testing import FakeMicroscope, FakeSetting, make_engine

ENERGIES = [630.0 + i for i in range(20)]
FLUX, DWELL, SIZE, PIXELS = 1e8, 0.01, 2.0, 4


def bench(status=None):
    """A fake microscope with a flux, whose lines have a status of our own; a RunEngine."""
    stxm = FakeMicroscope()
    stxm.flux = FakeSetting("flux", FLUX)
    engine, documents = make_engine()
    if status is not None:
        collect = stxm.scanner.collect_pages

        def pages():
            for page in collect():
                page["data"]["line_status"] = [
                    status(energy, line)
                    for energy, line in zip(
                        page["data"]["energy"], page["data"]["line"], strict=True
                    )
                ]
                yield page

        stxm.scanner.collect_pages = pages
    return stxm, engine, documents


def of_images(energies=ENERGIES, area=(SIZE / PIXELS) ** 2):
    """Dose of each image (Gy): of the phase that absorbs most, in a thin sample."""
    photons = np.full(len(energies), FLUX * DWELL)
    absorption = phase_absorption("Mn L3", tuple(energies))
    return absorbed_dose(photons, energies, area, density=4.2, absorption=absorption).max(axis=0)


def run(dose_limit, status=None, **options):
    stxm, engine, documents = bench(status)
    options = {"edge": "Mn L3", "energies": ENERGIES, "dwell": DWELL, "size": SIZE,
               "pixels": PIXELS, "retries": 0} | options  # fmt: skip
    if "regions" in options:
        for name in ("size", "pixels"):
            options.pop(name)
    engine(energy_stack(stxm, dose_limit=dose_limit, **options))
    return stxm, documents


def frames_of(documents):
    pages = [doc for name, doc in documents if name == "event_page"]
    return list(dict.fromkeys(f for page in pages for f in page["data"]["frame"]))


def stop_of(documents):
    return next(doc for name, doc in documents if name == "stop")


@pytest.mark.parametrize("before", [0.0, 3.3])
@pytest.mark.parametrize("images", [1, 7, 19])
def test_it_ends_before_the_limit_is_exceeded(images, before):
    gray = of_images()
    had = before * gray[0]
    limit = had + gray[:images].sum() + 0.5 * gray[images]
    stxm, documents = run({"limit": limit, "before": had})
    assert frames_of(documents) == list(range(images))
    stop = stop_of(documents)
    assert stop["exit_status"] == "success"
    assert f"{20 - images} of 20 images were not taken" in stop["reason"]
    assert not stxm.shutter.beam and stxm.scanner.flown
    start = next(doc for name, doc in documents if name == "start")
    np.testing.assert_allclose(start["exposure"]["gray"], gray, rtol=1e-4)
    assert start["dose_limit"] == pytest.approx({"limit": limit, "before": had})


def test_what_fits_is_measured_to_the_end():
    _, documents = run(1.001 * of_images().sum())
    assert frames_of(documents) == list(range(20)) and not stop_of(documents).get("reason")


def test_that_it_will_not_suffice_is_said_before_the_first_move(caplog):
    with caplog.at_level(logging.WARNING):
        run(0.5 * of_images().sum())
    assert "all images would leave" in caplog.text


@pytest.mark.parametrize(
    ("status", "flown"),
    [(LineStatus.RETRIED, 4), (LineStatus.MISSED, 4), (LineStatus.DISTURBED, 4)],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_lines_flown_again_count_again(status, flown):
    """One line of each image is taken again: its pixels may have the dose four times."""
    gray = of_images()
    limit = 40.0 * gray[0]
    _, documents = run(
        limit, lambda energy, line: status if line == 2 else LineStatus.OK, retries=3
    )
    n = len(frames_of(documents))
    left = flown * gray[:n].sum()
    assert left <= limit
    assert n < 20 and left + 4 * gray[n] > limit  # no room for one that needs all its retries


def test_a_line_that_a_pause_broke_off_is_not_counted_once():
    assert flights(LineStatus.OK, 3) == 1
    assert flights(LineStatus.RETRIED, 0) == flights(LineStatus.RETRIED, 1) == 2
    assert flights(LineStatus.RETRIED, 10) == flights(LineStatus.MISSED, 10) == 11


def test_regions_that_overlap_share_what_they_have():
    gray = of_images()
    apart = [{"center": (10.0 * i, 0.0), "size": SIZE, "pixels": PIXELS} for i in range(2)]
    near = [{"center": (1.0 * i, 0.0), "size": SIZE, "pixels": PIXELS} for i in range(2)]
    limit = 1.001 * gray.sum()
    assert len(frames_of(run(limit, regions=apart)[1])) == 40
    both = np.cumsum(np.repeat(gray, 2))  # of the region that is next, and of its neighbour
    assert len(frames_of(run(limit, regions=near)[1])) == np.searchsorted(both, limit, "right")


def test_room_is_kept_for_the_dose_checks():
    """They are taken where it ends, so that what the beam has done is known."""
    gray = of_images()
    limit = gray[:12].sum() + gray[0] + 0.5 * gray[12]
    _, documents = run(limit, dose_check=[ENERGIES[0], ENERGIES[15]])
    assert frames_of(documents) == [*range(12), 20]  # of the energy that was measured
    assert "9 of 22 images were not taken" in stop_of(documents)["reason"]


def test_dose_checks_have_their_image_of_the_empty_beam_where_it_ends():
    """With the I0 of the first time a ring that decays would look like damage."""
    gray = of_images()
    limit = gray[:12].sum() + gray[0] + 0.5 * gray[12]
    i0 = {"center": (10.0, 0.0), "size": SIZE, "pixels": PIXELS, "name": "i0"}
    _, documents = run(limit, dose_check=[ENERGIES[0], ENERGIES[15]], i0_region=i0)
    # Sample and empty beam at 12 energies; both again at the one that was measured.
    assert frames_of(documents) == [*range(24), 40, 41]


def test_images_of_the_empty_beam_leave_nothing_in_the_sample():
    i0 = {"center": (10.0, 0.0), "size": SIZE, "pixels": PIXELS, "name": "i0"}
    _, documents = run(1.001 * of_images().sum(), i0_region=i0)
    assert len(frames_of(documents)) == 40


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "dose_limit = 0"),
        (-1.0, "dose_limit = -1"),
        (float("nan"), "dose_limit"),
        (True, "dose_limit = True"),
        ("much", "dose_limit = 'much'"),
        ({"limit": 1e6, "before": 2e6}, "is reached: the sample has had 2e.06 Gy"),
        ({"limit": 1e6, "thick": 1.0}, "thick"),
        ({"before": 1.0}, "limit"),
        ({"limit": 1e6, "density": 0}, "density = 0"),
        (1e-3, "the image at 630 eV alone"),
    ],
    ids=[str(i) for i in range(10)],
)
def test_what_makes_no_sense_is_refused_at_the_call(value, words):
    stxm, _, _ = bench()
    with pytest.raises((ValueError, TypeError), match=words):
        energy_stack(
            stxm, edge="Mn L3", energies=ENERGIES, dwell=DWELL, size=SIZE, pixels=PIXELS,
            dose_limit=value,
        )  # fmt: skip


def test_what_is_not_known_is_said():
    stxm = FakeMicroscope()
    options = {"energies": ENERGIES, "dose_limit": 1e9}
    with pytest.raises(
        ValueError, match="dose_limit cannot be kept: the flux is not known; set stxm.flux"
    ):
        energy_stack(stxm, edge="Mn L3", **options)
    stxm.flux = FakeSetting("flux", FLUX)
    with pytest.raises(ValueError, match="what absorbs is not known"):
        energy_stack(stxm, **options)


def test_the_shipped_references_may_be_asked_for_by_name():
    gray = of_images()
    limit = gray[:5].sum() + 0.5 * gray[5]
    _, documents = run(limit, references="Mn L3")
    assert frames_of(documents) == list(range(5))
    start = next(doc for name, doc in documents if name == "start")
    assert "gray" in start["exposure"]


def test_what_the_limit_leaves_out_is_not_in_the_time():
    stxm, _, _ = bench()
    gray = of_images()
    options = {"edge": "Mn L3", "energies": ENERGIES, "dwell": DWELL, "size": SIZE,
               "pixels": PIXELS, "retries": 0, "dose_check": ENERGIES[0]}  # fmt: skip
    limit = gray[:5].sum() + gray[0] + 0.5 * gray[5]
    found = estimate(energy_stack(stxm, dose_limit=limit, **options))
    assert found.live == pytest.approx(6 * PIXELS**2 * DWELL)  # five, and the check of the first
    assert found.unknown[0].startswith("dose_limit ends it after 6 of 21 images")
    whole = estimate(energy_stack(stxm, dose_limit=100 * limit, **options))
    assert whole.live == pytest.approx(21 * PIXELS**2 * DWELL) and not whole.unknown


def test_a_part_of_a_scan_is_a_scan():
    regions = [Region((10.0 * i, 0.0), (SIZE, SIZE), (PIXELS, PIXELS)) for i in range(2)]
    scan = stack_scan(energies=ENERGIES[:3], regions=regions, dwell=DWELL, dose_check=ENERGIES[0])
    assert part_of(scan, range(8)) is scan
    rest = part_of(scan, [5, 6, 7])  # of the second region; checks without their images
    assert [str(frame.role) for frame in rest.frames] == ["sample"] * 3
    assert [frame.region for frame in rest.frames] == [1, 0, 1]
    last = part_of(scan, [1, 3, 5])
    assert last.regions == (scan.regions[1],) and {frame.region for frame in last.frames} == {0}


def test_where_beam_cannot_be_taken_away_there_is_no_limit():
    """Between lines and images, in a pause, at the end: nobody counts what that leaves."""
    stxm, _, _ = bench()
    stxm.shutter = NoShutter(name="shutter")
    options = {"edge": "Mn L3", "energies": ENERGIES}
    with pytest.raises(ValueError, match="dose_limit cannot be kept: there is no shutter"):
        energy_stack(stxm, dose_limit=1e9, **options)
    energy_stack(stxm, **options).close()


def test_a_fly_back_that_nobody_declares_is_not_counted_as_none():
    stxm, _, _ = bench()

    def none(nx, ny, dwell):
        raise RuntimeError("scanner_flyback says -1 s")

    stxm.scanner.frame_time = none
    with pytest.raises(ValueError, match="cannot be kept: how long the fly-back"):
        energy_stack(stxm, edge="Mn L3", energies=ENERGIES, dose_limit=1e9)


def test_it_may_be_said_in_several_ways():
    limit = DoseLimit(1e7, 1e6, density=5.0)
    assert as_dose_limit(json.loads(json.dumps(limit.as_dict()))) == limit
    assert as_dose_limit(limit) is limit
    assert as_dose_limit(np.float32(1e7)).limit == 1e7
    assert as_dose_limit({"limit": 1e7, "before": Ledger(())}).before == 0.0
    with pytest.raises(ValueError, match="no limit can be kept: run a: the flux was not known"):
        as_dose_limit({"limit": 1e7, "before": Ledger((), ("run a: the flux was not known",))})


def test_a_scan_given_as_data_has_a_limit_too():
    stxm, engine, documents = bench()
    region = Region((0.0, 0.0), (SIZE, SIZE), (PIXELS, PIXELS))
    scan = stack_scan(energies=ENERGIES, regions=[region], dwell=DWELL, edge="Mn L3", retries=0)
    gray = of_images()
    engine(execute(stxm, scan, dose_limit=gray[:5].sum() + 0.5 * gray[5]))
    assert frames_of(documents) == list(range(5))


OTHERS = {
    "line_spectrum": (line_spectrum, {"energies": ENERGIES, "length": 1.0, "pixels": 2}, 20),
    "point_spectrum": (
        point_spectrum, {"energies": ENERGIES, "positions": [(0.0, 0.0), (0.02, 0.0)]}, 40
    ),
    "focus_scan": (
        focus_scan, {"energies": 640.0, "steps": 20, "travel": 20.0, "length": 1.0, "pixels": 2}, 20
    ),
    "tiled_image": (
        tiled_image, {"energies": ENERGIES, "size": 2.0, "pixels": 4, "tile": 1.0}, 80
    ),
    "image": (
        image,
        {"energy": 640.0, "regions": [Region((0.1 * i, 0), 1, 2, f"r{i}") for i in range(3)]},
        3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_every_plan_that_flies_has_a_limit_and_says_where_it_ends(name):
    """Tiles lie side by side and share nothing, places and regions that overlap share theirs."""
    make, options, images = OTHERS[name]
    options = {"edge": "Mn L3", "dwell": DWELL, "retries": 0, **options}
    stxm, engine, documents = bench()
    whole = estimate(make(stxm, **options))
    assert whole.photons > 0 and whole.dose_gy > 0 and not whole.unknown
    assert "photons, dose" in repr(whole)
    engine(make(stxm, **options, dose_limit=1e12))
    assert frames_of(documents) == list(range(images))
    start = next(doc for name, doc in documents if name == "start")
    gray = np.broadcast_to(start["exposure"]["gray"], images)
    turn = 4 if name == "tiled_image" else 1  # images of one energy, each on a place of its own
    most = turn * (images // turn // 2)
    limit = gray[:most:turn].sum() + 0.5 * gray[most]
    stxm, engine, documents = bench()
    engine(make(stxm, **options, dose_limit=limit))
    assert frames_of(documents) == list(range(most))
    assert f"{images - most} of {images} images were not taken" in stop_of(documents)["reason"]
    assert not stxm.shutter.beam
    told = estimate(make(stxm, **options, dose_limit=limit))
    assert told.unknown[0].startswith(f"dose_limit ends it after {most} of {images} images, before")
    assert 0 < told.dose_gy <= limit
    with pytest.raises(ValueError, match="alone"):
        make(stxm, **options, dose_limit=0.5 * gray[0])


@pytest.mark.parametrize("zone_nm", [25.0, 45.0])
def test_where_nothing_is_swept_the_beam_falls_on_no_more_than_its_focus(zone_nm):
    """A point stands still, a line is flown at one height: its pixels may be said to be larger."""
    side = 2e-3 * zone_nm / np.sqrt(np.pi)
    line = {"energies": ENERGIES, "length": 10.0, "pixels": 50}
    point = {"energies": ENERGIES, "positions": [(0.0, 0.0)]}
    cases = (
        (line_spectrum, line, 0.2 * side),
        (point_spectrum, point, min(side, 0.05) ** 2),
        (energy_stack, {"energies": ENERGIES, "size": SIZE, "pixels": PIXELS}, 0.25),
    )
    for make, options, area in cases:
        stxm, engine, documents = bench()
        stxm.zone_plate = SimpleNamespace(geometry=SimpleNamespace(outer_zone_nm=zone_nm))
        plan = make(stxm, edge="Mn L3", dwell=DWELL, **options)
        told = estimate(plan)
        engine(make(stxm, edge="Mn L3", dwell=DWELL, **options))
        start = next(doc for name, doc in documents if name == "start")
        gray = of_images(area=area)
        np.testing.assert_allclose(start["exposure"]["gray"], gray, rtol=1e-4)
        scan = estimate(Scan.from_start(start), stxm)
        assert told.dose_gy == pytest.approx(scan.dose_gy)
        assert 0.8 < told.dose_gy / gray.sum() <= 1.0  # the mean of the phases


def test_what_the_beam_has_done_is_found_by_the_plans_own_check(caplog):
    """A sample that each image reduces a little, from the plan to what is said at the prompt."""
    energies = [632.0, 638.0, 640.0, 641.6, 643.2, 644.4, 650.0]
    spectra = phase_absorption("Mn L3", tuple(energies))  # 1/µm, of Mn4+ and Mn3+
    stxm, engine, documents = bench()
    rng, line, collect = np.random.default_rng(4), count(), stxm.scanner.collect_pages
    thickness = np.repeat([0.0, 0.1], 12)  # µm, along a line

    def pages():
        for page in collect():
            data = page["data"]
            rows = []
            for energy in data["energy"]:
                reduced = 0.2 + 0.02 * (next(line) // 20)
                mixed = [1 - reduced, reduced] @ spectra[:, energies.index(round(energy, 1))]
                rows.append(rng.poisson(2e4 * np.exp(-thickness * mixed)).astype(float).tolist())
            data["transmission"] = rows
            yield page

    stxm.scanner.collect_pages = pages
    with OxidationMap() as live, caplog.at_level(logging.WARNING):
        engine.subscribe(live)
        engine(
            energy_stack(
                stxm, edge="Mn L3", energies=energies, size=5.0, pixels=(24, 20), dwell=DWELL,
                dose_check=[632.0, 641.6],
            )
        )  # fmt: skip
        assert live.wait(60)
        before, white = live.snapshot.dose
    change = 0.1 * 0.02 * np.array([7 - 0, 8 - 3]) * (spectra[1] - spectra[0])[[0, 3]]
    for one, truth in zip((before, white), change, strict=True):
        assert one.change == pytest.approx(truth, abs=4 * one.sigma) and one.n_pixels > 200
    assert abs(before.significance) < 3 < abs(white.significance)
    assert "Dose check at 632 eV" in caplog.text and "no change beyond" in caplog.text
    assert caplog.text.count("the sample has changed") == 1
    assert stop_of(documents)["exit_status"] == "success"
