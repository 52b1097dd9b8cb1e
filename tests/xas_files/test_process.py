"""Files with spectra: from the command to summary, picture and curves; what is refused."""

from __future__ import annotations

import json

import matplotlib.image
import numpy as np
import pytest

from redoxscope.cli import app, main
from redoxscope.xas_files import process

from ..analysis.xas.spectra import ENERGY, l_edge
from ..analysis.xas.test_real_standards import SCANS, TABLE


@pytest.fixture
def run(monkeypatch, capsys):
    """The command as a user gives it: exit status, what it says, what it says of errors."""

    def call(*words):
        monkeypatch.setattr("sys.argv", ["redoxscope", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main(app)
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def table(tmp_path):
    """Write a table; columns by name."""

    def write(name, **columns):
        path = tmp_path / name
        rows = np.column_stack(list(columns.values()))
        np.savetxt(path, rows, delimiter=",", header=",".join(columns), comments="")
        return path

    return write


def edge(moved=0.0, seed=0, noise=0.003):
    value = l_edge(ENERGY, moved)
    return value * (1 + noise * np.random.default_rng(seed).standard_normal(len(value)))


def test_the_real_standards_as_they_are(run, shared_data, tmp_path):
    files = [shared_data / f"k_edge_xas/{name}.csv" for name in (*TABLE, "Mn_foil")]
    standards = ["MnO=2", "Mn2O3=3", "MnOOH=3", "MnO2_pyrolusite=4", "MnO2_ramsdellite=4"]
    options = [word for each in standards for word in ("--standard", each)]
    code, said, _ = run("xas", "process", *files, "--out", tmp_path, *options)
    assert code == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    for name, (half, integral) in TABLE.items():
        found = summary["files"][name]
        assert found["half_height_ev"] == pytest.approx(half, abs=0.15)
        assert found["integral_ev"] == pytest.approx(integral, abs=0.15)
        assert 0 < found["sigma_ev"] < 0.1 and 0 < found["normalisation_ev"] < 0.5
        assert found["shift_ev"] is None
        assert f"{found['integral_ev']:.2f}" in said
    lithium = summary["files"]["Li2MnO3"]
    assert lithium["valence"] == pytest.approx(4, abs=2 * lithium["valence_sigma"])
    assert summary["valence"]["scatter_ev"] == pytest.approx(0.6, abs=0.25)
    assert any("outside the standards" in text for text in summary["files"]["Mn_foil"]["warnings"])
    picture = matplotlib.image.imread(tmp_path / "xas.png")
    assert picture.shape[1] > 1400 and picture[..., :3].std() > 0.05
    curve = np.genfromtxt(tmp_path / "MnO_normalised.csv", delimiter=",", names=True)
    assert curve.dtype.names == ("energy_ev", "normalised", "sigma")


def test_the_drift_of_the_real_scans_is_removed_and_the_step_is_told(run, shared_data, tmp_path):
    files = [shared_data / f"k_edge_xas/{name}.csv" for name in SCANS]
    words = ("xas", "process", *files, "--reference", "mu_Ni_foil", "--out", tmp_path, "--average")
    code, said, _ = run(*words)
    assert code == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    half = [each["half_height_ev"] for each in summary["files"].values()]
    raw = [each["half_height_ev"] - each["shift_ev"] for each in summary["files"].values()]
    assert np.ptp(half) < 0.25
    assert np.ptp(raw) == pytest.approx(5.3, abs=0.1)
    left = summary["alignment"]["remains"]["half_height"]
    assert left["spread_ev"] == pytest.approx(np.ptp(half))
    assert left["step_after"] == "NiO_scan04"
    assert "between NiO_scan04 and NiO_scan06" in said
    assert summary["alignment"]["removed_ev"] == pytest.approx(5.3, abs=0.2)
    assert summary["average"]["averaged"] + len(summary["average"]["outliers"]) == 10


def test_repeats_are_averaged_and_the_wrong_one_is_named(table, tmp_path):
    files = [table(f"scan{k}.csv", energy_eV=ENERGY, mu=edge(seed=k)) for k in range(5)]
    files.append(table("glitch.csv", energy_eV=ENERGY, mu=edge(seed=9, noise=0.1)))
    average = process(files, tmp_path / "out", average=True)["average"]
    assert average["averaged"] == 5
    assert list(average["outliers"]) == ["glitch"]


def test_an_average_is_normalised_as_its_members_are(run, shared_data, tmp_path):
    files = [shared_data / f"k_edge_xas/{name}.csv" for name in SCANS]
    ranges = ("--pre", 8150, 8200, "--post", 8370, 8420)
    words = ("--reference", "mu_Ni_foil", *ranges, "--average", "--out", tmp_path)
    assert run("xas", "process", *files, *words)[0] == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    places = [each["integral_ev"] for each in summary["files"].values()]
    assert min(places) <= summary["average"]["integral_ev"] <= max(places)
    mean = np.genfromtxt(tmp_path / "average_normalised.csv", delimiter=",", names=True)
    one = np.genfromtxt(tmp_path / f"{SCANS[0]}_normalised.csv", delimiter=",", names=True)
    near = mean["energy_ev"] < 8420
    np.testing.assert_allclose(mean["normalised"][near], one["normalised"][near], atol=0.1)


def test_two_repeats_that_differ_are_told(run, table, tmp_path):
    files = [
        table(f"scan{k}.csv", energy_eV=ENERGY, mu=edge(moved=0.5 * k, seed=k)) for k in (0, 1)
    ]
    code, said, _ = run("xas", "process", *files, "--average", "--out", tmp_path / "out")
    assert code == 0
    assert "The two repeats differ" in said
    alike = [table(f"same{k}.csv", energy_eV=ENERGY, mu=edge(seed=k)) for k in (0, 1)]
    told = process(alike, tmp_path / "alike", average=True)["average"]["warnings"]
    assert not any("repeats differ" in text for text in told)
    assert any("stands above half height" in text for text in told)  # of the mean's edge


def test_the_average_is_in_the_picture(table, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda *args, **kw: (drawn.append(kw.get("label")), plot(*args, **kw))[1]
    )
    files = [table(f"scan{k}.csv", energy_eV=ENERGY, mu=edge(seed=k)) for k in (0, 1)]
    process(files, tmp_path / "out", average=True)
    assert "average" in drawn


def test_a_small_sigma_is_not_shown_as_none():
    from redoxscope.cli._xas import _sigma

    assert [_sigma(each) for each in (0.0123, 0.00047, 0.0, None)] == [
        "0.012", "0.00047", "0.000", "–",
    ]  # fmt: skip


def test_soft_energies_need_their_unit(table, tmp_path):
    """Ag K in keV ends at 26, Li K in eV at 80."""
    soft = ENERGY - 580
    for k, name in enumerate(("energy_eV", "Energy (eV)", "eV")):
        file = table(f"soft{k}.csv", **{name: soft, "mu": edge()})
        assert process([file], tmp_path / f"{k}")["files"][f"soft{k}"]["integral_ev"] < 80
    file = table("hard.csv", energy_keV=0.06 + ENERGY / 1e5, mu=edge())
    assert process([file], tmp_path / "keV")["files"]["hard"]["points"] == len(ENERGY)


def test_a_mixture_of_two_files_is_found(table, tmp_path):
    a, b = l_edge(ENERGY), l_edge(ENERGY, reduced=1.0)
    files = [
        table(name, energy_eV=ENERGY, mu=value)
        for name, value in (("a.csv", a), ("b.csv", b), ("mix.csv", 0.3 * a + 0.7 * b))
    ]
    found = process(files, tmp_path / "out", components=["a.csv", "b"], to="area")["files"]["mix"]
    assert found["fractions"]["b"] == pytest.approx(0.7, abs=0.02)
    assert "fractions" not in process(files, tmp_path / "out")["files"]["mix"]


def test_order_units_repetitions_gaps_and_i0(table, tmp_path):
    mu = edge()
    plain = process([table("plain.csv", energy_eV=ENERGY, mu=mu)], tmp_path / "a")
    turned = table("turned.csv", Mono_keV=ENERGY[::-1] / 1000, mesh=2 + 0 * mu, tey=2 * mu[::-1])
    other = process([turned], tmp_path / "b", i0="mesh", column="tey")["files"]["turned"]
    position = plain["files"]["plain"]["integral_ev"]
    assert other["integral_ev"] == pytest.approx(position, abs=1e-6)
    gaps = np.where(np.arange(len(mu)) == 40, np.nan, mu)
    twice = np.append(ENERGY, ENERGY[10])
    last = table("last.csv", energy_eV=twice, mu=np.append(gaps, mu[10]))
    told = process([last], tmp_path / "c")["files"]["last"]
    assert told["integral_ev"] == pytest.approx(position, abs=0.05)
    assert "1 rows without a number are left out." in told["warnings"]
    assert "1 energies come again and are averaged." in told["warnings"]


def test_what_has_no_edge_is_told_and_the_others_are_done(table, tmp_path):
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(ENERGY))
    flat = table("flat.csv", energy_eV=ENERGY, mu=1 + noise)
    good = table("good.csv", energy_eV=ENERGY, mu=edge())
    found = process([flat, good], tmp_path / "out", to="step")["files"]
    assert found["flat"]["integral_ev"] is None
    assert any("no edge in it" in text for text in found["flat"]["warnings"])
    assert found["good"]["integral_ev"] is not None


@pytest.mark.parametrize("to", ["area", "none"])
def test_a_scale_without_edge_positions_says_so(table, tmp_path, to):
    files = [table(f"{k}.csv", energy_eV=ENERGY, mu=edge(seed=k)) for k in range(2)]
    summary = process(files, tmp_path / "out", to=to, average=True)
    for each in (summary["files"]["0"], summary["average"]):
        assert each["integral_ev"] is None
        assert f"Normalised to {to}: edge positions need step or maximum." in each["warnings"]


def test_a_column_that_was_not_asked_for_is_told(table, tmp_path):
    file = table("two.csv", energy_eV=ENERGY, mu=edge(), foil=edge())
    told = process([file], tmp_path / "out")["files"]["two"]
    assert told["columns"] == {"energy": "energy_eV", "signal": "mu"}
    assert any("'foil' not (--column chooses)" in text for text in told["warnings"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{good}", "--reference", "foil"], "good.csv has no column 'foil'; it has 'energy_eV'"),
        (["{good}", "--column", "mo"], "has no column 'mo'"),
        (["{good}", "--column", "mu", "--i0", "mu"], "column 'mu' cannot be two things"),
        (["{good}", "{good}"], "is given more than once"),
        (["{gone}"], "gone.csv"),
        (["{nothing}"], "no column is called energy; it has 'a', 'b' (--energy chooses)"),
        (["{kev}"], "goes up to 0.6615 eV"),
        (["{short}"], "3 points; a spectrum needs at least 5"),
        (["{good}", "--pre", "100", "200"], "pre = (100, 200) eV holds 0 points"),
        (["{good}", "--post", "650", "640"], "post = (650, 640) eV must rise"),
        (["{good}", "--to", "setp"], "to = 'setp' must be one of"),
        (["{good}", "--standard", "good"], "must be NAME=VALENCE, as MnO=2"),
        (["{good}", "--standard", "bad=2"], "standard 'bad' is none of the files good"),
        (["{good}", "--standard", "good=2"], "1 standards given"),
        (
            ["{good}", "--standard", "good=3", "--standard", "good.csv=4"],
            "standard 'good' is given more than once",
        ),
        (
            ["{good}", "--standard", "good=3", "--standard", "good=4"],
            "standard 'good' is given more than once",
        ),
        (["{silver}"], "'Energy' goes up to 25.3265, which may be eV or keV: its name must say"),
        (["{good}", "{average}", "--average"], "a file is called 'average'"),
        (["{good}", "--component", "x"], "component 'x' is none of the files"),
        (["{good}", "{far}", "--component", "far"], "reference 'far' has 780 to 806.5 eV"),
        (["{good}", "--average"], "1 spectra with an edge are there"),
    ],
    ids=[
        "reference", "column", "two things", "twice", "gone", "no energy", "keV", "short", "pre",
        "post", "to", "no valence", "no standard", "one standard", "standard twice",
        "the same standard twice", "eV or keV", "average", "component", "not covered", "one",
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    run, table, tmp_path, words, told
):
    known = {
        "good": table("good.csv", energy_eV=ENERGY, mu=edge()),
        "far": table("far.csv", energy_eV=ENERGY + 145, mu=edge()),
        "nothing": table("nothing.csv", a=ENERGY, b=edge()),
        "kev": table("kev.csv", energy=ENERGY / 1000, mu=edge()),
        "silver": table("silver.csv", Energy=25.3 + (ENERGY - ENERGY[0]) / 1000, mu=edge()),
        "average": table("average.csv", energy_eV=ENERGY, mu=edge()),
        "short": table("short.csv", energy_eV=ENERGY[:3], mu=edge()[:3]),
        "gone": tmp_path / "gone.csv",
    }
    out = tmp_path / "out"
    code, _, error = run("xas", "process", *[w.format(**known) for w in words], "--out", out)
    assert code == 2
    assert told in error and "Traceback" not in error
    assert not out.exists()
