"""Pictures of scans from their documents: each line and point where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import analysis, draw_scan, scans_from_run
from redoxscope.callbacks.scans import _reader
from redoxscope.plans import (
    focus_scan,
    line_spectrum,
    osa_image,
    point_spectrum,
    tiled_image,
)
from redoxscope.storage.results._datasets import datasets
from redoxscope.testing import FakeAxis, FakeMicroscope, make_engine


def documents_of(make, count=None, **options):
    stxm = FakeMicroscope(count=count)
    if count is not None:
        for counter in stxm.line_detectors:
            counter._count = lambda: 7 * stxm.osa.y.position + stxm.osa.x.position
    engine, documents = make_engine()
    engine(make(stxm, **options))
    return documents


def drawn(snapshot):
    figure = Figure()
    draw_scan(figure, snapshot)
    return [ax.get_xlabel() for ax in figure.axes] + [ax.get_ylabel() for ax in figure.axes]


def test_a_grid_is_an_image_of_its_axes():
    found = scans_from_run(
        documents_of(osa_image, count=lambda f, i: 0, energy=640, size=(6, 4), pixels=(6, 4))
    )
    (picture,) = found.values()
    assert picture.slow_name == "osa_y" and picture.fast_name == "osa_x"
    assert picture.counts == pytest.approx(7 * picture.slow[:, None] + picture.fast)
    assert picture.done == picture.total == 24 and picture.energy == 640
    assert {"OSA x (µm)", "OSA y (µm)"} <= set(drawn(picture))


def test_a_focus_scan_has_a_picture_for_each_energy():
    found = scans_from_run(
        documents_of(focus_scan, energies=[640, 650], travel=20, steps=5, pixels=3)
    )
    assert list(found) == ["640 eV", "650 eV"]
    picture = found["650 eV"]
    assert picture.slow == pytest.approx(400 - 9 * 650 + np.linspace(-10, 10, 5))
    assert picture.counts.shape == (5, 3) and (picture.counts == 1000).all()
    assert "zone plate z (µm)" in drawn(picture)


def test_line_and_point_spectra_have_the_energy_as_an_axis():
    (line,) = scans_from_run(
        documents_of(line_spectrum, energies=[642, 640, 641, 643], pixels=5)
    ).values()
    assert line.slow_name == "energy" and line.slow.tolist() == [642, 640, 641, 643]
    assert "energy (eV)" in drawn(line)
    (point,) = scans_from_run(
        documents_of(point_spectrum, positions=[(0, 0), (1, 1)], energies=[641, 640])
    ).values()
    assert point.fast.tolist() == [641, 640] and point.counts.shape == (2, 2)
    assert "energy (eV)" in drawn(point)


def test_a_line_flown_backwards_lies_the_right_way_round():
    pairs = []
    for name, doc in documents_of(line_spectrum, energies=[640, 641], pixels=5):
        if name == "event_page":
            data = dict(doc["data"])
            data["sample_x"] = [
                x[:: -1 if frame else 1]
                for x, frame in zip(data["sample_x"], data["frame"], strict=True)
            ]
            data["transmission"] = [[10.0 * at for at in x] for x in data["sample_x"]]
            doc = {**doc, "data": data}
        pairs.append((name, doc))
    (picture,) = scans_from_run(pairs).values()
    np.testing.assert_allclose(picture.counts, [10 * picture.fast] * 2)


def test_tiles_are_joined():
    number = iter(range(1, 10_000))
    found = scans_from_run(
        documents_of(
            tiled_image, count=lambda f, line: next(number), energies=640, size=4, pixels=8, tile=2
        )
    )
    (picture,) = found.values()
    assert picture.counts.shape == (8, 8) and np.isfinite(picture.counts).all()
    assert picture.fast == pytest.approx(np.arange(8) * 0.5 - 1.75)
    assert picture.counts[0, 0] == picture.counts[0, 3] < picture.counts[0, 4]
    assert picture.counts[4, 0] > picture.counts[3, 7]


def test_loops_around_it_are_pictures_of_their_own():
    found = scans_from_run(
        documents_of(
            line_spectrum, energies=[640, 641], pixels=2, outer={"temperature": [25, 50]},
            axes={"temperature": FakeAxis("heater")},
        )
    )  # fmt: skip
    assert list(found) == ["temperature 25", "temperature 50"]


def test_a_line_that_was_flown_backwards_lies_the_right_way_round():
    documents = documents_of(line_spectrum, energies=[640, 641], pixels=4)
    pairs = []
    for name, doc in documents:
        if name == "event_page":
            data = dict(doc["data"])
            data["transmission"] = [[1, 2, 3, 4] for _ in data["transmission"]]
            if 0 in data["frame"]:
                data["sample_x"] = [list(x)[::-1] for x in data["sample_x"]]
            doc = {**doc, "data": data}
        pairs.append((name, doc))
    (picture,) = scans_from_run(pairs).values()
    assert picture.counts.tolist() == [[4, 3, 2, 1], [1, 2, 3, 4]]


def test_what_is_missed_is_no_number_and_is_said():
    documents = documents_of(osa_image, energy=640, pixels=(2, 1))
    pairs = []
    for name, doc in documents:
        if name == "event" and doc["data"]["point"] == 1:
            doc = {**doc, "data": {**doc["data"], "point_status": 3}}
        pairs.append((name, doc))
    (picture,) = scans_from_run(pairs).values()
    assert np.isnan(picture.counts[0, 1]) and picture.doubtful == 1
    assert "left out" in picture.message
    drawn(picture)


def test_it_crosses_a_wire_and_is_stored():
    (picture,) = scans_from_run(documents_of(osa_image, energy=640, pixels=3)).values()
    record = analysis("scan_image")
    back = record.from_wire(*record.to_wire(picture))
    assert (back.counts == picture.counts).all() and back.title == picture.title
    stored = list(record.results(picture))
    assert [one.dims for one in stored] == [("osa_y", "osa_x")] * 2
    assert [(one.name, one.part, one.unit) for one in stored] == [
        ("counts", "", "counts"), ("i0", "", "counts"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plan", "options", "names"),
    [
        (focus_scan, {"energies": [640, 650], "travel": 20, "steps": 5}, ["640 eV", "650 eV"]),
        (
            line_spectrum,
            {"energies": [640, 641], "outer": {"polarisation": [-1, 1]}},
            ["polarisation -1", "polarisation 1"],
        ),
    ],
)
def test_pictures_with_axes_of_their_own_are_stored_as_parts(plan, options, names):
    """The zone plate is elsewhere at each energy, and names differ by a sign alone."""
    if "outer" in options:
        options = options | {"axes": {"polarisation": FakeAxis("undulator")}}
    pictures = scans_from_run(documents_of(plan, pixels=3, **options))
    results = [one for found in pictures.values() for one in analysis("scan_image").results(found)]
    parts = datasets(results)
    assert list(parts) == names
    for name, picture in pictures.items():
        stored = parts[name]
        assert (stored["counts"].values == picture.counts).all()
        assert stored["counts"].attrs["units"] == "counts"
        assert stored[picture.slow_name].values == pytest.approx(picture.slow)


def test_memory_of_tiles_is_that_of_their_pixels(monkeypatch):
    """Not that of all tiles for each of them."""
    asked = []
    monkeypatch.setattr(_reader, "room_for", lambda what, needed: asked.append(needed))
    documents = documents_of(tiled_image, energies=[640, 650], size=4, pixels=8, tile=2)
    scans_from_run(documents)
    assert asked == [2 * 8 * 8 * _reader.PIXEL_BYTES]


def test_other_runs_are_none():
    with pytest.raises(ValueError, match="no spectrum of lines"):
        scans_from_run([("start", {"plan_name": "count", "uid": "a"})])


def test_titles_say_each_thing_once_and_how_the_run_is_found_again():
    documents = documents_of(focus_scan, energies=[640, 650], travel=20, steps=5, pixels=3)
    (start,) = (doc for name, doc in documents if name == "start")
    picture = scans_from_run(documents)["650 eV"]
    begin, when, scan, uid = picture.title.rsplit(" · ", 3)
    assert begin == "focus scan · 650 eV"
    assert scan == f"scan {start['scan_id']}" and uid == start["uid"][:8] and when
    figure = Figure()
    draw_scan(figure, picture)
    assert figure.axes[0].get_title(loc="left") == picture.title
    (picture,) = scans_from_run(documents_of(osa_image, energy=640, pixels=3)).values()
    assert picture.title.startswith("OSA image · 640 eV · 2")
    (picture,) = scans_from_run(
        documents_of(line_spectrum, energies=[640, 641], pixels=2)
    ).values()  # fmt: skip
    assert picture.title.startswith("line spectrum · 2")


def test_it_is_drawn_into_a_figure_that_has_a_layout():
    (picture,) = scans_from_run(documents_of(osa_image, energy=640, pixels=4)).values()
    for layout in ("constrained", "tight"):
        figure = Figure(layout=layout)
        for _ in range(2):
            draw_scan(figure, picture)
            figure.draw_without_rendering()
        assert len(figure.axes) == 2
