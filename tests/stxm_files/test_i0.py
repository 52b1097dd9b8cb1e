"""I0 that was measured on its own, given at an import."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from redoxscope.callbacks import i0_of_run, oxidation_map
from redoxscope.cli import app
from redoxscope.formats import FormatError, read_i0_table, read_stxm
from redoxscope.scan import Frame, Region, Role, Scan, stack_scan
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
    """And dose checks are no region of their own, nor is the I0 that they have beside them."""
    scan = stack_scan(
        energies=ENERGIES, regions=[region("A")], i0_region=region("no", (12, 10)), dwell=1e-3,
        dose_check=ENERGIES[0],
    )  # fmt: skip
    documents = list(Run(scan, (Particle(), EMPTY)).documents())
    found = read_stxm(recorded(documents, tmp_path))
    assert [stack.name for stack in found.stacks] == ["A"]
    assert found.remarks == ["A, dose check is left out", "no, i0, no. 2 is left out"]
    # The same file is an I0 for another: its images of the empty beam, not its sample.
    other = given_i0(found, replace(found, empty=()), stack_documents)[1]
    found, i0 = own_i0(found, stack_documents)
    assert i0 is not None
    np.testing.assert_array_equal(other.values, i0.values)
    wanted, got = stack_cube(documents), stack_cube(list(stack_documents(found, i0=i0)))
    np.testing.assert_array_equal(got["counts"], wanted["counts"])
    np.testing.assert_allclose(got["od"], wanted["od"], atol=2e-3)
    # Which do not reach far enough are told.
    (stack,) = found.stacks
    late = replace(stack, energy=stack.energy + 5)
    found, i0 = own_i0(replace(found, stacks=(late,)), stack_documents)
    assert i0 is None and "are not used: i0 covers 636 to 660 eV" in found.remarks[-1]


def recorded(documents: list[Any], folder: Path) -> Path:
    """The NXstxm file of a run."""
    recorder = NxstxmRecorder(folder / "a.nxs", documents[0][1])
    for name, doc in documents:
        recorder(name, {"time": 1.7e9, **doc} if name == "stop" else doc)
    return folder / "a.nxs"


def test_our_own_run_of_the_empty_beam_alone(tmp_path: Path, capsys: Any) -> None:
    """An I0 for others, and nothing that is imported or a sample."""
    frames = tuple(Frame(float(e), 1e-3, 0, Role.I0) for e in ENERGIES)
    run = Run(Scan(regions=(region("no", (12, 10)),), frames=frames), (EMPTY,))
    path = recorded(list(run.documents()), tmp_path)
    i0 = given_i0(path, file_of(Run(scan_of(region("A"))), tmp_path), stack_documents)[1]
    np.testing.assert_allclose(i0.values, i0_rate(ENERGIES) * 1e-3, rtol=0.02)
    for more in ((), ("--as-sample", tmp_path / "sample.h5")):
        assert "a.nxs has no images of a sample" in refused(capsys, path, *more)


@pytest.mark.parametrize("monitored", [False, True])
def test_a_line_over_a_particle_is_no_i0(monitored: bool, tmp_path: Path) -> None:
    over = file_of(Run(scan_of(region("A")), monitored=monitored), tmp_path)
    (stack,) = over.stacks
    row = int(np.argmin(stack.counts.sum(axis=(0, 2))))  # across the particle
    line = replace(
        stack, y=stack.y[[row]], counts=stack.counts[:, [row]],
        i0=None if stack.i0 is None else stack.i0[:, [row]],
    )  # fmt: skip
    over = replace(over, stacks=(line,))
    with pytest.raises(FormatError, match="other.nxs gives no I0: its pixels differ by"):
        given_i0(over, over, stack_documents)


def test_the_i0_of_a_run_that_was_imported_with_one(tmp_path: Path) -> None:
    """Counts of a table without a dwell are at that of the run."""
    found, i0 = file_of(Run(scan_of(region("A"))), tmp_path), i0_rate(ENERGIES) * 1e-3
    given = given_i0((ENERGIES, i0), found, stack_documents)[1]
    got = i0_of_run(list(stack_documents(found, i0=given)))
    np.testing.assert_array_equal(got.values, i0)
    assert got.dwell == 1e-3 and got.source.startswith("run ")
    (stack,) = found.stacks
    mixed = replace(stack, dwell=np.linspace(1e-3, 2e-3, len(ENERGIES)))
    with pytest.raises(ValueError, match="at its own dwells of 0.001 to 0.002 s"):
        i0_of_run(list(stack_documents(replace(found, stacks=(mixed,)), i0=given)))


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
        ("point,energy_eV\n1,700\n", "no column of counts"),
        ("energy_eV,time_s\n700,1\n", "no column of counts"),
        ("energy_eV,time_s,counts\n700,1,9\n", "'time_s' may be how long was counted"),
        ("energy_eV,pmt,diode\n700,1,9\n", "may be counts: 'pmt', 'diode'"),
        ("energy_eV,I0,counts\n700,1,9\n", "may be counts: 'I0', 'counts'"),
        ("energy_eV,E_set (eV),I0\n700,1,9\n", "may be energy: 'energy_eV', 'E_set (eV)'"),
        ("energy_eV,counts_per_s\n700,1\n", "'counts_per_s' is called a rate"),
        ("energy_eV,count_rate\n700,1\n", "'count_rate' is called a rate"),
        ("energy_eV,I0_rate\n700,1\n", "'I0_rate' is called a rate"),
        ("energy_eV,I0,sigma (%)\n700,1,3\n", "'sigma (%)' is in '%'"),
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


@pytest.mark.parametrize(
    "header",
    [
        "itrans,energy,i0,std_dev",
        "stdev,energy_eV,itrans,i0",
        "point,energy_eV,counts,sigma",
        "time_s,energy (eV),counts/s,err",
        "energy_std,E (eV),I0_counts,I0_err",
    ],
)
def test_columns_of_a_table_are_those_that_say_so(header: str, tmp_path: Path) -> None:
    names = header.split(",")
    row = dict.fromkeys(names, 3.0)
    (energy,) = (n for n in names if n.startswith(("e", "E")) and "std" not in n and n != "err")
    (counts,) = (n for n in names if n.startswith(("i0", "I0", "counts")) and "err" not in n)
    (sigma,) = (n for n in names if n in ("std_dev", "stdev", "sigma", "err", "I0_err"))
    row |= {energy: 700.0, counts: 400.0, sigma: 7.0}
    path = tmp_path / "i0.csv"
    path.write_text(f"{header}\n{','.join(map(str, row.values()))}\n")
    found = read_i0_table(path)
    assert (*found.energies, *found.values, *found.sigma) == (700.0, 400.0, 7.0)
    assert found.per_second is (counts == "counts/s")


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
    assert "I0: even.nxs\n" in done.output
    uid = done.output.split("It is run ")[1].split(";")[0]
    i0 = embedded[uid].metadata["start"]["i0_spectrum"]
    assert i0["source"] == "even.nxs" and len(i0["values"]) == 3


def test_the_command_says_which_i0_it_took(
    tmp_path: Path, embedded: Any, home: Path  # noqa: F811
) -> None:  # fmt: skip
    """Its own images of the empty beam, and why they, or a monitor, are not used."""
    scan = stack_scan(
        energies=ENERGIES, regions=[region("A")], i0_region=region("no", (12, 10)), dwell=1e-3
    )
    path = recorded(list(Run(scan, (Particle(), EMPTY), monitored=True).documents()), tmp_path)
    done = CliRunner().invoke(app, ["import", str(path)])
    assert "I0: the images of the empty beam in the file\n" in done.output, done.output
    done = CliRunner().invoke(app, ["import", str(path), "--i0", str(table(tmp_path))])
    assert "the monitor is not used: the I0 has none\nI0: i0.csv\n" in done.output, done.output
