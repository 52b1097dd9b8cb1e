"""Live absorption spectra: points in, averaged and normalised spectra out."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.analysis.xas import compare, edge_positions, normalise
from redoxscope.callbacks import Host, XasOptions, analysis, draw_xas, xas_from_run
from redoxscope.data import xas_preset
from redoxscope.documents import PointStatus, XasMode

from .xas_runs import ENERGIES, MODES, XasRun, absorption, as_page

TRUTH = absorption(ENERGIES)


def pulls(spectrum, truth):
    return (spectrum.value - truth) / spectrum.sigma


@pytest.mark.parametrize("given", [True, False], ids=["sigma given", "sigma from repeats"])
def test_the_mean_is_the_truth_and_its_sigma_is_right(given):
    found = xas_from_run(XasRun(repeats=6, given_sigma=given)).modes
    for name, scale in (("TEY", 1.0), ("TFY", 0.01)):
        z = pulls(found[name].mean, scale * TRUTH)
        assert found[name].mean.n == 6
        assert abs(z.mean()) < 0.3
        assert z.std() == pytest.approx(1.0, abs=0.15)


def test_counts_and_currents_make_the_same_spectrum():
    currents = xas_from_run(XasRun(dwell=0.5)).modes["TEY"].mean
    counts = xas_from_run(XasRun(dwell=0.5, units="counts")).modes["TEY"].mean
    # the dark point's offset is then one per second
    np.testing.assert_allclose(counts.value, currents.value, rtol=2e-2)


def test_offsets_of_dark_points_are_taken_off():
    with_dark = xas_from_run(XasRun(dark=True)).modes["TFY"].mean
    without = xas_from_run(XasRun(dark=False)).modes["TFY"].mean
    np.testing.assert_allclose(with_dark.value, without.value, rtol=1e-9)


def test_it_is_normalised_as_the_edge_says_and_its_edge_is_that_of_the_truth():
    run = XasRun(repeats=8, noise=0.001)
    mode = xas_from_run(run).modes["TEY"]
    assert mode.to == xas_preset("Mn L").normalise == "maximum"
    assert np.nanmax(mode.normalised.value) == pytest.approx(1.0, abs=0.02)
    true = edge_positions(normalise(mode.mean.changed(value=TRUTH, sigma=np.full(len(TRUTH), 1e-6)),
                                    pre=xas_preset("Mn L").pre_edge))  # fmt: skip
    for method, position in mode.positions.items():
        assert position.energy_ev == pytest.approx(true[method].energy_ev, abs=0.05), method


def test_what_is_not_what_it_seems_is_left_out_and_named():
    snapshot = xas_from_run(XasRun(repeats=5, bad=2))
    assert set(snapshot.modes["TEY"].outliers) == {"repeat 3"}
    assert snapshot.modes["TFY"].outliers == {}
    assert snapshot.modes["TEY"].mean.n == 4
    assert "TEY: repeat 3 is left out, it scatters" in snapshot.message


def test_a_point_that_comes_again_replaces_what_there_was():
    run = XasRun(repeats=1)
    good = list(run.documents())
    name, doc = run.point(30)
    doc["data"]["meter_tey"] *= 5
    once = xas_from_run(good).modes["TEY"].mean.value
    again = xas_from_run([*good[:20], (name, doc), *good[20:]]).modes["TEY"].mean.value
    np.testing.assert_array_equal(once, again)


def test_doubtful_points_and_missing_values_are_gaps_that_are_told():
    run = XasRun(repeats=1)
    documents = list(run.documents())
    documents[2 + 40] = run.point(40, status=int(PointStatus.ENERGY))
    documents[2 + 41] = run.point(41, gone=True)
    documents[2 + 42] = run.point(42, tries=2)
    snapshot = xas_from_run(documents)
    value = snapshot.modes["TEY"].mean.value
    assert np.flatnonzero(~np.isfinite(value)).tolist() == [39, 40]  # point 0 is dark
    assert (snapshot.doubtful, snapshot.missing, snapshot.again) == (1, 1, 1)
    for words in ("1 doubtful", "1 points lack", "1 points were measured again"):
        assert words in snapshot.message


def test_lines_that_are_flown_give_what_points_give():
    run = XasRun(repeats=2)
    documents = list(run.documents())
    n = len(ENERGIES)
    events = documents[2:-1]
    pages = [as_page(part) for part in (events[:1], events[1 : n + 1], events[n + 1 :])]
    flown = [*documents[:2], *pages, documents[-1]]
    np.testing.assert_array_equal(
        xas_from_run(flown).modes["TFY"].mean.value,
        xas_from_run(documents).modes["TFY"].mean.value,
    )


def test_a_repeat_under_way_does_not_change_the_mean():
    run = XasRun(repeats=3)
    n = len(ENERGIES)
    documents = [*run.documents(range(1 + n + n // 2))]
    whole = xas_from_run([*run.documents(range(1 + n))])
    begun = xas_from_run(documents)
    np.testing.assert_array_equal(begun.modes["TEY"].mean.value, whole.modes["TEY"].mean.value)
    assert begun.repeats_done == 1
    assert "repeat 2 has 50 % of its points and is left out" in begun.message


def test_the_first_repeat_is_shown_from_its_first_points_on():
    run = XasRun(repeats=2)
    snapshot = xas_from_run([*run.documents(range(4))])
    mode = snapshot.modes["TEY"]
    assert np.isfinite(mode.mean.value).sum() == 3
    assert mode.to == ""
    assert any("Not normalised" in text for text in mode.warnings)
    assert xas_from_run([run.start(), run.descriptor()]).modes == {}


def with_doubtful(run, parts):
    """Documents of a run whose repeats have only these parts of their points without doubt."""
    n = len(ENERGIES)
    doubtful = {
        1 + k * n + i for k, part in enumerate(parts) for i in range(round(part * n), n)
    }  # point 0 is dark
    return [
        run.start(),
        run.descriptor(),
        *(
            run.point(k, status=int(PointStatus.ENERGY) if k in doubtful else 0)
            for k in range(len(run.scan.points))
        ),
        run.stop(),
    ]


def test_repeats_that_all_lack_the_same_are_all_averaged():
    snapshot = xas_from_run(with_doubtful(XasRun(repeats=6), [0.88] * 6))
    assert snapshot.modes["TEY"].mean.n == 6
    assert "left out: repeat" not in snapshot.message and "% of its points" not in snapshot.message


def test_a_repeat_that_lacks_more_than_the_others_is_left_out_and_named():
    snapshot = xas_from_run(with_doubtful(XasRun(repeats=6), [0.1, *[0.85] * 5]))
    assert snapshot.modes["TEY"].mean.n == 5
    assert "repeat 1 has 10 % of its points and is left out" in snapshot.message


def test_a_reference_channel_aligns_the_repeats():
    modes = {**MODES, "reference": XasMode("foil", "meter_i0", "transmission")}
    moved = (0.0, 0.1, 0.2, 0.3)
    snapshot = xas_from_run(XasRun(repeats=4, noise=0.001, modes=modes, moved=moved))
    shifts = snapshot.modes["TEY"].shifts
    np.testing.assert_allclose(shifts, [0.0, -0.1, -0.2, -0.3], atol=0.02)
    assert "drifted by 0.30 eV and were aligned" in snapshot.message
    assert snapshot.modes["TEY"].outliers == {}
    unmoved = xas_from_run(XasRun(repeats=4, noise=0.001, modes=modes))
    assert (unmoved.modes["TEY"].shifts == 0).all()


def test_two_runs_of_the_same_do_not_differ_and_two_of_others_do():
    before, same = (xas_from_run(XasRun(seed=k)).means["TEY"] for k in (1, 2))
    moved = xas_from_run(XasRun(seed=3, moved=(-0.1,) * 4)).means["TEY"]
    assert not compare(before, same).significant
    found = compare(before, moved)
    assert found.significant
    assert found.change == pytest.approx(-0.1, abs=3 * found.change_sigma)


def test_the_host_finds_it_and_stores_its_results():
    host = Host(options={"xas": XasOptions(to="area")})
    for name, doc in XasRun(repeats=3).documents():
        host(name, doc)
    host.wait(60)
    assert host.errors == {}
    snapshot = host.latest["spectra", "xas", ""]
    assert snapshot.finished and snapshot.modes["TEY"].to == "area"
    results = {result.name: result for result in host.results("spectra")}
    assert results["TEY_mean_sigma"].sigma_of == "TEY_mean"
    assert results["TEY_repeats"].array.shape == (3, len(ENERGIES))
    assert results["TFY_normalised"].attrs["repeats_averaged"] == 3
    host.close()


def test_a_run_without_a_channel_says_which():
    run = XasRun()
    name, descriptor = run.descriptor()
    del descriptor["data_keys"]["diode"]
    with pytest.raises(ValueError, match="no diode"):
        xas_from_run([run.start(), (name, descriptor)])
    with pytest.raises(ValueError, match="no absorption spectra"):
        xas_from_run([("start", {"uid": "x"})])


def test_snapshots_travel_and_are_drawn():
    snapshot = xas_from_run(XasRun(repeats=4, bad=1))
    record = analysis("xas")
    back = record.from_wire(*record.to_wire(snapshot))
    np.testing.assert_array_equal(back.spectra["TEY"].value, snapshot.spectra["TEY"].value)
    assert back.modes["TEY"].positions == snapshot.modes["TEY"].positions
    figure = Figure(figsize=record.size)
    draw_xas(figure, back)
    words = " ".join(
        text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))
    )
    for wanted in ("photon energy (eV)", "TEY (maximum 1)", "left out: repeat 2", "3 averaged"):
        assert wanted in words
    draw_xas(Figure(), xas_from_run([XasRun().start(), XasRun().descriptor()]))
