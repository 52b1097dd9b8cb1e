"""I0 that was measured on its own, given at an import."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from redoxscope.callbacks import oxidation_map
from redoxscope.cli import app
from redoxscope.formats import FormatError, read_i0_table, read_stxm
from redoxscope.scan import Frame, Region, Role, Scan
from redoxscope.storage import stack_cube
from redoxscope.storage.nxstxm import NxstxmRecorder
from redoxscope.stxm_files import import_stxm, stack_documents
from redoxscope.stxm_files._i0 import given_i0, own_i0
from redoxscope.testing import validate_run

from ..callbacks.scan_runs import (
    EMPTY,
    ENERGIES,
    REFERENCES,
    Particle,
    Run,
    i0_rate,
    region,
    scan_of,
)
from ..formats.test_stxm import nexus
from ..storage.conftest import embedded, home  # noqa: F401  fixtures
from .test_import import file_of
from .test_refused import refused


def table(folder: Path, text: str = "energy_eV,counts\n", scale: float = 1e-3) -> Path:
    path = folder / "i0.csv"
    rows = zip(ENERGIES, i0_rate(ENERGIES) * scale, strict=True)
    path.write_text(text + "".join(f"{e},{v}\n" for e, v in rows))
    return path


def test_a_run_has_the_i0_that_it_was_imported_with(
    tmp_path: Path, embedded: Any, home: Path  # noqa: F811
) -> None:  # fmt: skip
    run = Run(scan_of(region("A", (12, 10))))
    found = file_of(run, tmp_path)
    report = import_stxm(found, embedded, i0=table(tmp_path))
    stored = embedded[report.uid]
    kept = stored.metadata["start"]["i0_spectrum"]
    assert kept["source"] == "i0.csv" and kept["dwell"] is None and kept["ratio"] is False
    i0 = i0_rate(ENERGIES) * 1e-3
    np.testing.assert_allclose(kept["sigma"], np.sqrt(i0))
    cube = stack_cube(stored)
    np.testing.assert_allclose(cube["od"], -np.log(run.counts / i0[:, None, None]), atol=1e-6)
    wanted = oxidation_map(run.documents(), REFERENCES, i0=(ENERGIES, i0, np.sqrt(i0)))
    map_ = oxidation_map(stored, REFERENCES)
    np.testing.assert_array_equal(map_.result.fraction, wanted.result.fraction)
    np.testing.assert_array_equal(map_.result.sigma, wanted.result.sigma)
    assert "i0.csv" in json.dumps(stored.metadata["start"])
    # Another choice is taken all the same.
    assert not np.allclose(stack_cube(stored, i0="blank")["od"], cube["od"], equal_nan=True)


def test_i0_of_a_run_and_other_ones_are_other_runs(tmp_path: Path) -> None:
    found, i0 = file_of(Run(scan_of(region("A"))), tmp_path), i0_rate(ENERGIES) * 1e-3
    empty = list(stack_documents(file_of(Run(scan_of(region("B")), (EMPTY,)), tmp_path)))
    uids = set()
    for given in (empty, (ENERGIES, i0), (ENERGIES, 2 * i0), None):
        spectrum = None if given is None else given_i0(given, found, stack_documents)[1]
        documents = list(stack_documents(found, i0=spectrum))
        validate_run(documents)
        uids.add(documents[0][1]["uid"])
        if given is empty:
            kept = documents[0][1]["i0_spectrum"]
            np.testing.assert_allclose(kept["values"], i0, rtol=0.01)
            assert 0 < np.max(kept["sigma"]) < 0.1 * np.sqrt(i0.max())
            assert empty[0][1]["uid"][:8] in kept["source"]
    assert len(uids) == 4


def test_our_own_images_of_the_empty_beam_come_back_as_i0(tmp_path: Path) -> None:
    """And dose checks are no region of their own."""
    frames = [
        Frame(float(e), 1e-3, i, role, ())
        for e in ENERGIES
        for i, role in ((0, Role.SAMPLE), (1, Role.I0))
    ]
    frames.append(Frame(float(ENERGIES[0]), 1e-3, 0, Role.DOSE_CHECK))
    scan = Scan(regions=(region("A"), region("no", (12, 10))), frames=tuple(frames))
    run = Run(scan, (Particle(), EMPTY))
    documents = list(run.documents())
    recorder = NxstxmRecorder(tmp_path / "a.nxs", documents[0][1])
    for name, doc in documents:
        recorder(name, {"time": 1.7e9, **doc} if name == "stop" else doc)
    found = read_stxm(tmp_path / "a.nxs")
    assert [stack.name for stack in found.stacks] == ["A"]
    assert found.remarks == ["A, dose check is left out"]
    found, i0 = own_i0(found, stack_documents)
    wanted, got = stack_cube(documents), stack_cube(list(stack_documents(found, i0=i0)))
    np.testing.assert_array_equal(got["counts"], wanted["counts"])
    np.testing.assert_allclose(got["od"], wanted["od"], atol=2e-3)
    # Which do not reach far enough are told.
    (stack,) = found.stacks
    late = replace(stack, energy=stack.energy + 5)
    found, i0 = own_i0(replace(found, stacks=(late,)), stack_documents)
    assert i0 is None and "are not used: i0 covers 636 to 660 eV" in found.remarks[-1]


@pytest.mark.parametrize("pixels", [(30, 24), (40, 1), (1, 1)], ids=["images", "line", "point"])
@pytest.mark.parametrize("monitored", [False, True])
def test_files_of_an_empty_place(pixels: tuple[int, int], monitored: bool, tmp_path: Path) -> None:
    """At another dwell; a monitor is used where both have one, and left out where one has not."""
    run = Run(scan_of(region("A")), monitored=True)
    empty = Run(
        scan_of(Region((0.0, 0.0), (pixels[0] * 0.1, pixels[1] * 0.1), pixels, "e"), dwell=0.01),
        (EMPTY,), monitored=monitored, seed=4,
    )  # fmt: skip
    beam = file_of(empty, tmp_path, 0.01)
    found, i0 = given_i0(beam, file_of(run, tmp_path), stack_documents)
    assert bool(i0.ratio) is monitored and i0.source == "other.nxs"
    assert (found.stacks[0].i0 is not None) is monitored
    assert ("the monitor is not used: the I0 has none" in found.remarks) is not monitored
    wanted = i0_rate(ENERGIES) / (2e7 if monitored else 1.0)
    ln, variance = i0.at(ENERGIES, np.full(12, 1.0))
    pulls = (ln - np.log(wanted)) / np.sqrt(variance)
    assert np.abs(pulls).max() < 4 and 0.4 < np.sqrt((pulls**2).mean()) < 1.8
    documents = list(stack_documents(found, i0=i0))
    map_ = oxidation_map(documents, REFERENCES).result
    assert abs(float(np.nanmean(map_.fraction[map_.mask])) - 0.4) < 0.03
    bare = replace(file_of(run, tmp_path), stacks=(replace(found.stacks[0], i0=None),))
    assert not given_i0(beam, bare, stack_documents)[1].ratio


def test_units_of_a_table(tmp_path: Path) -> None:
    i0 = i0_rate(ENERGIES)
    for names, scale, per_second, factor in (
        ("energy_eV,counts\n", 1.0, False, 1.0),
        ("Energy (eV),I0 (counts)\n", 1.0, False, 1.0),
        ("# a beamline\n# energy i0_cts\n".replace(" i0", ",i0"), 1.0, False, 1.0),
    ):
        found = read_i0_table(table(tmp_path, names, scale))
        assert found.per_second is per_second
        np.testing.assert_allclose(found.values, i0 * factor)
        np.testing.assert_allclose(found.sigma, np.sqrt(i0))
    path = tmp_path / "more.csv"
    path.write_text("energy (keV);I0 (kHz);dwell_ms\n0.700;3.0;500\n0.710;4.0;500\n")
    found = read_i0_table(path)
    np.testing.assert_allclose(found.energies, [700.0, 710.0])
    np.testing.assert_allclose(found.values, [3000.0, 4000.0])
    np.testing.assert_allclose(found.sigma, np.sqrt([1500.0, 2000.0]) / 0.5)
    path.write_text("energy,counts,dwell (ms),sigma\n700,3.0,500,0.1\n710,4.0,500,0.2\n")
    found = read_i0_table(path)
    np.testing.assert_allclose([found.values, found.sigma], [[6.0, 8.0], [0.2, 0.4]])
    assert found.per_second


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("energy_eV,i0 (V)\n700,1\n", "column 'i0 (V)' is in 'V', which are neither"),
        ("energy_eV,i0_nA\n700,1\n", "'i0_nA' is in 'nA'"),
        ("energy_eV,i0_Hz\n700,1\n", "'i0_Hz' is a rate"),
        ("energy (nm),counts\n1.77,1\n", "in 'nm', not in eV"),
        ("energy,counts\n0.7,1\n", "begins at 0.7 eV"),
        ("time,counts\n700,1\n", "no column of energy, only 'time', 'counts'"),
        ("energy,sigma\n700,1\n", "no column of counts"),
        ("energy,counts\n700,0\n", "column 'counts' has 0 in its row 1"),
        ("energy,counts\n700,\n", "column 'counts' has nan"),
        ("energy,counts,dwell (h)\n700,1,1\n", "'dwell (h)' is in 'h'"),
        ("", "is empty"),
        ("\0\1", "not a text file"),
    ],
)
def test_tables_that_are_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "i0.csv"
    path.write_text(text)
    with pytest.raises(FormatError) as found:
        read_i0_table(path)
    assert words in str(found.value) and "i0.csv" in str(found.value)


def test_at_the_command(tmp_path: Path, embedded: Any, home: Path, capsys: Any) -> None:  # noqa: F811
    """What does not cover the energies, or is none, leaves no run; a run is named by its uid."""

    def line(name: str, **values: Any) -> Path:
        counts, y = np.full((3, 4), 400.0), np.zeros(4)
        return nexus(tmp_path / name, "sample line spectrum", data=counts, sample_y=y, **values)

    good = nexus(tmp_path / "good.nxs")
    short, twice, rates = (tmp_path / name for name in ("short.csv", "twice.csv", "rates.csv"))
    short.write_text("energy_eV,counts\n700,30\n702,30\n")
    twice.write_text("energy_eV,counts\n700,30\n703,30\n703,31\n")
    rates.write_text("energy_eV,i0 (pA)\n700,30\n703,30\n")
    before = len(embedded), len(list(home.rglob("documents/**/*")))
    for i0, words in (
        (short, "i0 covers 700 to 702 eV, but the stack goes from 700 to 703 eV"),
        (twice, "twice.csv: i0 has the energy 703 eV twice"),
        (rates, "rates.csv: column 'i0 (pA)'"),
        (tmp_path / "none.csv", "none.csv does not exist"),
        ("1a2b3c", "run '1a2b3c' is not in the catalog"),
        (line("late.nxs", energy=np.array([701.0, 702.0, 704.0])), "i0 covers 701 to 704 eV"),
    ):
        assert words in refused(capsys, good, "--i0", i0)
    assert (len(embedded), len(list(home.rglob("documents/**/*")))) == before
    done = CliRunner().invoke(app, ["import", str(good), "--i0", str(line("even.nxs"))])
    assert done.exit_code == 0, (done.output, done.exception)
    uid = done.output.split("It is run ")[1].split(";")[0]
    i0 = embedded[uid].metadata["start"]["i0_spectrum"]
    assert i0["source"] == "even.nxs" and len(i0["values"]) == 3
