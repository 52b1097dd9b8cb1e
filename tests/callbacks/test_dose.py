"""What the beam has left in each pixel: live, of a finished run, and in what is stored."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.analysis.dose import Exposed, Ledger
from redoxscope.callbacks import DoseSnapshot, Host, analysis, dose_of_run, draw_dose
from redoxscope.callbacks.dose import DoseReader
from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack, line_spectrum
from redoxscope.testing import FakeMicroscope, FakeSetting, make_engine

ENERGIES = [630.0 + i for i in range(8)]
FLUX, DWELL = 1e8, 0.01


def documents(status=None, flux=FLUX, **options):
    """Of a stack on a fake microscope with a flux, line 1 with a status of our own."""
    stxm = FakeMicroscope()
    if flux:
        stxm.flux = FakeSetting("flux", flux)
    engine, found = make_engine()
    if status is not None:
        collect = stxm.scanner.collect_pages

        def pages():
            for page in collect():
                data = page["data"]
                data["line_status"] = [
                    status if line == 1 else LineStatus.OK for line in data["line"]
                ]
                yield page

        stxm.scanner.collect_pages = pages
    options = {"edge": "Mn L3", "energies": ENERGIES, "dwell": DWELL, "retries": 2} | options
    engine(energy_stack(stxm, **options))
    return list(found)


def start_of(found):
    return next(doc for name, doc in found if name == "start")


@pytest.mark.parametrize(
    ("status", "flown"),
    [(None, 1), (LineStatus.RETRIED, 3), (LineStatus.MISSED, 3)],
    ids=["all well", "again", "missed"],
)
def test_each_line_counts_as_often_as_it_was_flown(status, flown):
    found = documents(status, size=2.0, pixels=4)
    (one,) = dose_of_run(found).values()
    said = start_of(found)["exposure"]
    assert said["flux"] == FLUX and said["photons"] == FLUX * DWELL
    times = np.ones(4)
    times[1] = flown
    np.testing.assert_allclose(one.photons, 8 * FLUX * DWELL * times[:, None] * np.ones(4))
    np.testing.assert_allclose(one.gray, sum(said["gray"]) * times[:, None] * np.ones(4))
    assert one.most == pytest.approx(flown * sum(said["gray"]))
    np.testing.assert_allclose(one.x, [-0.75, -0.25, 0.25, 0.75])


def test_live_is_what_the_run_says_afterwards():
    regions = [
        {"name": name, "center": (x, 0.0), "size": size, "pixels": 4}
        for name, x, size in (("a", 0.0, 2.0), ("b", 10.0, 1.0))
    ]
    found = documents(LineStatus.RETRIED, regions=regions, dose_limit={"limit": 1e9, "before": 1e6})
    updates = []
    host = Host([analysis("dose")], rate=1e6)
    host.on_update = updates.append
    for name, doc in found:
        host(name, doc)
    host.close()
    batch = dose_of_run(found)
    assert list(batch) == ["a", "b"] or set(batch) == {"a", "b"}
    # A pixel of a quarter of the area has four times the dose.
    assert batch["b"].most == pytest.approx(4 * batch["a"].most)
    assert batch["a"].before == 1e6 and batch["a"].limit == 1e9
    results = list(analysis("dose").results(batch["b"]))
    assert [one.name for one in results] == ["photons", "gray"]
    assert {one.part for one in results} == {"b"} and results[1].unit == "Gy"
    figure = Figure(figsize=(6, 5.5))
    draw_dose(figure, batch["b"])
    assert figure.axes[0].get_xlabel() == "x (µm)"
    assert "MGy" in figure.axes[1].get_ylabel()


def test_where_what_absorbs_is_not_known_there_are_photons():
    found = documents(edge=None, energies=[700.0, 701.0], size=2.0, pixels=4)
    (one,) = dose_of_run(found).values()
    assert (one.photons == 2 * FLUX * DWELL).all() and np.isnan(one.gray).all()
    figure = Figure(figsize=(6, 5.5))
    draw_dose(figure, one)
    assert "photons" in figure.axes[1].get_ylabel()


def test_without_a_flux_nothing_is_claimed():
    found = documents(flux=0, size=2.0, pixels=4)
    assert "exposure" not in start_of(found)
    assert not analysis("dose").accepts(start_of(found))
    with pytest.raises(ValueError, match="the flux was not known"):
        dose_of_run(found)


def test_a_dose_that_does_not_say_its_pixels_is_known_all_the_same():
    row = np.full((1, 5), 1e6)
    dose = DoseSnapshot("run", "", "", np.arange(5.0), np.zeros(1), row, row)
    one = Exposed("run", 0.0, "", dose.x, dose.y, dose.photons, dose.gray, dose.pixel)
    (x0, x1), (y0, y1) = one.edges[0][[0, -1]], one.edges[1][[0, -1]]
    assert (x0, x1, y0, y1) == (-0.5, 4.5, -0.5, 0.5)
    assert Ledger((one,)).within([((0.0, 1.0), (-0.1, 0.1))]).gray == 1e6


def test_it_goes_over_the_wire():
    found = documents(size=2.0, pixels=4)
    (one,) = dose_of_run(found).values()
    back = analysis("dose").from_wire(*analysis("dose").to_wire(one.thinned(2)))
    assert back.gray.shape == (2, 2) and back.uid == one.uid


def test_a_spectrum_along_a_line_says_what_it_leaves_too():
    stxm = FakeMicroscope()
    stxm.flux = FakeSetting("flux", FLUX)
    engine, found = make_engine()
    engine(line_spectrum(stxm, edge="Mn L3", energies=ENERGIES, length=1.0, pixels=10, dwell=DWELL))
    (one,) = dose_of_run(list(found)).values()
    assert one.photons.shape == (1, 10) and (one.photons == 8 * FLUX * DWELL).all()
    assert one.most > 0


def test_an_image_that_was_not_taken_leaves_nothing_unknown():
    """Of an aborted run whose last energies have no references."""
    found = documents(size=2.0, pixels=4)
    said = start_of(found)["exposure"]
    gray = [*said["gray"][:-1], np.nan]
    reader = DoseReader({**start_of(found), "exposure": {**said, "gray": gray}})
    for frame in range(7):
        for line in range(4):
            reader.line(frame, line, LineStatus.OK)
    (one,) = reader.snapshot(final=True).values()
    np.testing.assert_allclose(one.gray, sum(gray[:-1]))
    reader.line(7, 0, LineStatus.OK)
    (one,) = reader.snapshot(final=True).values()
    assert np.isnan(one.gray[0]).all() and np.isfinite(one.gray[1:]).all()
