"""Runs of the ALS (contract ``stxm``, version 1) give their map; what is wrong is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from redoxscope.callbacks import OxidationMap, oxidation_map
from redoxscope.data import references_from_h5
from redoxscope.testing import validate_fly_run

from .scan_runs import ENERGIES, REFERENCES, AlsRun, Run, play, region, scan_of
from .test_regions import same


def golden(**options) -> AlsRun:
    """A stack with the counts of one of ours."""
    ours = Run(scan_of(region("A")), dead_time=options.pop("dead_time", 0.0))
    return AlsRun(np.array(ours.counts), ENERGIES, 1.0, **options)


def test_the_golden_run_is_one_of_their_contract():
    validate_fly_run(list(golden().documents()))


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize("extent", [(-1.5, 1.4), (1.4, -1.5)])
@pytest.mark.parametrize("positions", [True, False])
def test_a_run_of_theirs_gives_the_map_of_its_counts(page, extent, positions):
    """Live and afterwards, flown either way, with positions and with their zeros for positions."""
    ours = oxidation_map(Run(scan_of(region("A"))).documents(), REFERENCES)
    run = golden(page=page, x_extent=extent, y_extent=(2.0, -0.3), positions=positions)
    live = OxidationMap(REFERENCES)
    play(live, run.documents())
    found = live.snapshot
    assert live.error is None and found.lines_done == 12 * 24
    turned = extent[0] > extent[1]
    fraction = ours.result.fraction[:, ::-1] if turned else ours.result.fraction
    np.testing.assert_allclose(found.result.fraction, fraction, rtol=1e-9)
    np.testing.assert_allclose(found.x, np.linspace(-1.5, 1.4, 30), atol=1e-12)
    np.testing.assert_allclose(found.y, np.linspace(2.0, -0.3, 24), atol=1e-12)
    assert [d.kind for d in found.doubts] == ["dead_time"]  # their runs do not say it
    same(oxidation_map(run.documents(), REFERENCES).result, found.result)


def test_the_toner_stack_in_their_layout_gives_the_figures_of_its_readme(toner):
    with h5py.File(toner) as f:
        counts, energies = f["counts"][:], f["energy"][:]
        dwell, x, y = float(f["dwell"][()]), f["x"][:], f["y"][:]
    run = AlsRun(counts, energies, dwell, (x[0], x[-1]), (y[0], y[-1]))
    references = references_from_h5(toner, ("oxidized", "reduced"), unit="OD")
    found = oxidation_map(run.documents(), references)
    assert found.result.n_mask == pytest.approx(2449, abs=25)
    assert found.result.mean == pytest.approx(0.741, abs=0.005)
    assert found.result.std == pytest.approx(0.289, abs=0.005)


def test_a_dead_time_can_be_given():
    run = golden(dead_time=3e-8)
    found = oxidation_map(run.documents(), REFERENCES, dead_time=3e-8)
    off = ((found.result.fraction - 0.4) / found.result.sigma)[found.result.mask]
    assert abs(off.mean()) < 0.3 and found.doubts == ()
    wrong = oxidation_map(run.documents(), REFERENCES)
    thick = [float(np.median(m.result.thickness[m.result.mask])) for m in (found, wrong)]
    assert thick[0] == pytest.approx(1.2, abs=0.02) and thick[1] < 1.15
    with pytest.raises(ValueError, match=r"dead_time = -1 s must be at least 0"):
        oxidation_map(run.documents(), REFERENCES, dead_time=-1)


def test_a_short_run_and_missing_rows():
    run = golden()
    found = oxidation_map(run.documents(lines=8 * 24 + 5), REFERENCES)
    assert found.lines_done == 197 and "have no data" in found.message
    documents = list(run.documents())
    name, doc = documents[2 + 30]
    doc["data"]["transmission"] = [[float("nan")] * 30]
    documents.pop(2 + 60)
    found = oxidation_map(documents, REFERENCES)
    assert "2 lines of 2 images are lacking" in found.message
    assert int(found.result.n_energies[6]) == 11 == int(found.result.n_energies[12])


def test_a_line_that_comes_again_replaces():
    run = golden()
    documents = list(run.documents())
    spoilt = run.line(3, 4)
    spoilt[1]["data"]["transmission"] = [[7.0] * 30]
    documents.insert(2, spoilt)
    same(
        oxidation_map(documents, REFERENCES).result,
        oxidation_map(run.documents(), REFERENCES).result,
    )


def test_another_data_field():
    run = golden(field="STXMLineFlyer_DATA")
    same(
        oxidation_map(run.documents(), REFERENCES).result,
        oxidation_map(golden().documents(), REFERENCES).result,
    )


# -- references ------------------------------------------------------------------------------------


def test_the_edge_is_known_by_its_energies_or_given():
    run = golden()
    found = oxidation_map(run.documents())
    assert found.names[0].startswith("Mn") and "it is taken for Mn L3" in found.message
    given = oxidation_map(run.documents(), edge="Mn L3")
    same(given.result, found.result)
    assert "taken for" not in given.message
    with pytest.raises(ValueError, match="Mn L3"):
        oxidation_map(run.documents(), edge="Mn L9")
    with pytest.raises(ValueError, match="outside"):
        oxidation_map(run.documents(), edge="Co L3")


def test_no_references_are_refused_in_words_and_the_images_stay():
    run = golden()
    run.energies = ENERGIES + 800.0
    words = "1436 to 1460 eV, are those of no edge with references .*: give references= or edge="
    with pytest.raises(ValueError, match=words):
        oxidation_map(run.documents())
    live = OxidationMap()
    play(live, run.documents())
    assert "give references= or edge=" in str(live.error)
    assert "No map" in live.snapshot.message
    np.testing.assert_array_equal(live.snapshot.frame.counts, run.counts[-1])


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energies": [640.0, 641.0]}, "stxm lists 2 energies, but its shape has 12"),
        ({"contract_version": 2}, "stxm contract_version = 2; this redoxscope reads 1"),
        ({"contract_version": None}, "its block 'stxm' has no 'contract_version'"),
        ({"contract_version": True}, "stxm contract_version = True"),
        ({"shape": [12, 24]}, r"stxm shape = \[12, 24\] must be \[energies, lines, pixels\]"),
        ({"shape": [12, 24, 0]}, r"stxm shape\[2\] = 0"),
        (
            {"shape": [12, 24, 31]},
            r"event 1 .*: transmission has shape \(30,\), but a line has 31 pixels",
        ),
        ({"shape": [12, 12, 30]}, "seq_num 145 is outside a stack of 12 images of 12 lines"),
        ({"dwell_ms": 0.0}, "stxm dwell_ms = 0"),
        ({"x_extent": [1.0]}, "stxm x_extent"),
        ({"y_extent": [1.0, float("nan")]}, "stxm y_extent"),
        ({"data_field": None}, "its block 'stxm' has no 'data_field'"),
        ({"data_field": "COUNTS"}, "run 'als' has no counts: its lines have no 'COUNTS', only"),
    ],
)
def test_wrong_blocks_are_refused_by_name(change, words):
    run = golden()
    documents = [run.start(**change), *list(run.documents())[1:]]
    with pytest.raises(ValueError, match=words):
        oxidation_map(documents, REFERENCES)
    live = OxidationMap(REFERENCES)
    play(live, documents)
    with pytest.raises(ValueError, match=words):
        raise live.error
    play(live, golden(uid="next").documents())  # the next run is not affected
    assert live.error is None and live.snapshot.finished


def test_a_stack_without_a_block_is_refused():
    run = golden()
    documents = list(run.documents())
    del documents[0][1]["stxm"]
    with pytest.raises(ValueError, match="run 'als' is a stack with neither 'scan' nor 'stxm'"):
        oxidation_map(documents, REFERENCES)


def test_an_energy_that_comes_again_is_a_dose_check():
    run = golden()
    run.counts = np.concatenate([run.counts, run.counts[3:4] * 0 + run.counts[3]])
    run.energies = np.append(ENERGIES, ENERGIES[3])
    found = oxidation_map(run.documents(), REFERENCES)
    assert found.lines_total == 12 * 24
    (change,) = found.dose
    assert change.change == 0.0  # the same counts


# -- catalog ---------------------------------------------------------------------------------------


def test_a_run_of_theirs_in_a_catalog():
    xarray = pytest.importorskip("xarray")
    from .test_oxidation_map import _Run, _Stream

    run = golden()
    everything = list(run.documents())
    pages = [doc for name, doc in everything if name == "event_page"]
    columns = {}
    for key in ("transmission", "SampleX", "SampleY"):
        values = np.array([page["data"][key][0] for page in pages])
        columns[key] = (("time", f"dim_{key}")[: values.ndim], values)
    columns["seq_num"] = ("time", np.array([page["seq_num"][0] for page in pages]))
    stored = _Run(
        primary=_Stream(xarray.Dataset(columns), {"data_keys": everything[1][1]["data_keys"]})
    )
    stored.metadata = {"start": everything[0][1]}
    same(
        oxidation_map(stored, REFERENCES).result,
        oxidation_map(everything, REFERENCES).result,
    )
