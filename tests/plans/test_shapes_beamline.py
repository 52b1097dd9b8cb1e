"""Focus, aperture, detector and map on the simulated beamline: what comes is true to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from redoxscope.analysis.particles import find_particles
from redoxscope.plans import (
    coarse_image,
    detector_image,
    focus_scan,
    map_then_zoom,
    osa_focus,
    osa_image,
)
from redoxscope.scan import Scan
from redoxscope.sim.physics.stxm import build_model


def points(record, key):
    return np.array([doc["data"][key] for name, doc in record if name == "event"])


def lines(record, key):
    found = []
    for name, doc in record:
        if name == "event_page":
            found += doc["data"][key]
        elif name == "event":
            found.append(doc["data"][key])
    return np.array(found)


def test_a_line_is_sharpest_where_the_sample_is_in_focus(RE, stxm, record, safe):
    nominal = stxm.focus.nominal(640.0)
    RE(focus_scan(stxm, energies=640.0, travel=120, steps=5, length=5, pixels=50, dwell=0.005))
    z = lines(record, "zone_plate_z")
    assert z == pytest.approx(nominal + np.linspace(-60, 60, 5), abs=0.6)
    sharp = np.abs(np.diff(lines(record, "transmission"), axis=1)).sum(axis=1)
    assert np.argmax(sharp) == 2 and sharp[2] > 1.2 * max(sharp[0], sharp[-1])
    assert set(lines(record, "line_status")) == {0}
    assert stxm.zone_plate.z.position == pytest.approx(stxm.focus.nominal(), abs=0.5)
    safe()


def test_the_aperture_is_a_disc_and_its_focus_a_focal_length_away(RE, stxm, record, safe):
    RE(osa_image(stxm, energy=640.0, size=60, pixels=(6, 1), dwell=0.005))
    counts = points(record, "transmission")
    assert points(record, "osa_x") == pytest.approx([-25, -15, -5, 5, 15, 25], abs=0.5)
    assert counts[2] > 1.3 * counts[0] and counts[3] > 1.3 * counts[5]
    assert set(points(record, "point_status")) == {0}
    assert stxm.osa.x.position == pytest.approx(0, abs=0.5)
    record.clear()
    RE(osa_focus(stxm, energy=640.0, travel=600, steps=3, length=10, center=25, pixels=2,
                 dwell=0.005))  # fmt: skip
    f = stxm.zone_plate.geometry.a1 * 640
    z, counts = points(record, "zone_plate_z"), points(record, "transmission").reshape(3, 2)
    assert z[2] == pytest.approx(-f, abs=0.6)
    step = counts[:, 0] - counts[:, 1]  # across the edge of the aperture
    assert np.argmax(step) == 1
    safe()


def test_the_detector_and_the_coarse_stage_are_stepped_and_go_back(RE, stxm, record, safe):
    RE(detector_image(stxm, energy=640.0, size=1800, pixels=(3, 1), dwell=0.005))
    counts = points(record, "transmission")
    assert counts[1] > 2 * counts[0] and counts[1] > 2 * counts[2]
    record.clear()
    RE(coarse_image(stxm, energy=640.0, size=40, pixels=(2, 2), dwell=0.005))
    assert points(record, "coarse_x") == pytest.approx([-10, 10, -10, 10], abs=1)
    assert stxm.sample_stage.x.position == pytest.approx(0, abs=1)
    safe()


def test_particles_of_a_map_are_where_and_as_thick_as_the_sample_has_them(
    RE, stxm, simulation, record, safe
):
    RE(
        map_then_zoom(
            stxm, edge="Mn L3", map_energies=[635, 642.6], size=14, pixels=56, tile=(14, 7),
            number=2, zoom_size=2, zoom_pixels=3, stack={"energies": [640, 642]},
        )
    )  # fmt: skip
    coarse, fine = (doc for name, doc in record if name == "start")
    assert coarse["plan_name"] == "tiled_image" and fine["zoom"]["map"] == coarse["uid"]
    particles = fine["zoom"]["particles"]
    assert len(particles) == 2 and [r.center for r in Scan.from_start(fine).regions] == [
        tuple(one["center"]) for one in particles
    ]
    model = build_model("lmr", seed=1)
    sample, grid = model.sample, (np.arange(56) - 27.5) * 0.25
    light = model.expected_transmission([635, 642.6], grid, grid)
    density = np.log(light[0] / light[1])
    seen = ndimage.uniform_filter(sample.thickness, round(0.25 / sample.pixel_um))
    for one in particles:
        (x, y), (width, height) = one["center"], one["size"]
        rows, columns = (abs(grid - at) < side / 2 for at, side in ((y, height), (x, width)))
        box = density[np.ix_(rows, columns)]
        ideal, *_ = find_particles(box, np.full_like(box, 0.01), grid[columns], grid[rows], gap=0.5)
        # But for the light, which the ring changes by 1 % while the map is taken.
        assert one["density"] == pytest.approx(ideal.density, rel=0.03)
        box = np.ix_(abs(sample.y - y) <= height / 2, abs(sample.x - x) <= width / 2)
        true = seen[box][seen[box] > seen[box].max() / 2].mean()
        # Too thin by 6 %: the spot of 55 nm does not resolve the gaps between particles (3 %), and
        # the mixture is not the mean of what it may be (2.6 %, which is within σ).
        assert one["thickness"] == pytest.approx(true, rel=0.1)
        assert one["thickness_sigma"] < 0.1 * one["thickness"]  # at 642.6 eV both phases are alike
    safe()
