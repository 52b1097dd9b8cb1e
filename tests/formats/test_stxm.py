"""Files of other microscopes: real samples, and what may be in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from redoxscope.formats import FormatError, read_stxm
from redoxscope.formats._stxm_hdr import parse_hdr

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = DATA / "stxm_files"
needs_files = pytest.mark.skipif(not FILES.is_dir(), reason="no ../shared/data/stxm_files")

E, Y, X = np.array([700.0, 701.0, 703.0]), np.array([1.0, 1.5]), np.array([3.0, 3.5, 4.0, 4.5])
COUNTS = np.arange(1.0, 25.0).reshape(3, 2, 4)


@needs_files
def test_als() -> None:
    found = read_stxm(FILES / "71214078.hdr")
    (stack,) = found.stacks
    assert found.channel == "counter1" and found.time is not None and found.time.year == 2007
    np.testing.assert_array_equal(stack.energy, [700.0, 709.464, 717.544, 730.353])
    assert stack.counts.shape == (4, 125, 125)
    np.testing.assert_allclose(stack.dwell, 0.433e-3)
    assert found.remarks[0].startswith("119 of 123 images are not there: 700.375, 700.75")
    with h5py.File(DATA / "toner_fe_l/71214078.h5") as file:
        taken = np.isin(np.round(file["energy"], 3), np.round(stack.energy, 3))
        np.testing.assert_allclose(stack.counts, file["counts"][taken], atol=1e-3)
        np.testing.assert_allclose(stack.x, file["x"])
        assert stack.ring_current is not None
        np.testing.assert_allclose(stack.ring_current, file["ring_current"][taken])


@needs_files
def test_rates_of_max_iv_are_counts_after_their_dwell() -> None:
    found = read_stxm(FILES / "max_iv.hdr")
    (stack,) = found.stacks
    assert found.channel == "PMT" and found.remarks == ["rates (Hz) times the dwell are the counts"]
    rates = np.loadtxt(FILES / "max_iv_a001.xim")
    np.testing.assert_allclose(stack.counts[1], rates * 1e-3)
    again = read_stxm(FILES / "max_iv.hdr", dwell=0.1)
    np.testing.assert_allclose(again.stacks[0].counts[1], rates * 0.1)


@needs_files
def test_rates_without_a_dwell_are_refused(tmp_path: Path) -> None:
    for path in FILES.glob("max_iv*"):
        text = path.read_text("latin-1").replace("Dwell = 1;", "")
        (tmp_path / path.name).write_text(text)
    with pytest.raises(FormatError, match="sigma of counts is not known: give the dwell"):
        read_stxm(tmp_path / "max_iv.hdr")


@needs_files
def test_pixelator() -> None:
    found = read_stxm(FILES / "small_diamond_nxs.nxs")
    (stack,) = found.stacks
    assert (found.program, found.channel) == ("NXstxm", "Counter1")
    with h5py.File(FILES / "small_diamond_nxs.nxs") as file:
        np.testing.assert_array_equal(stack.counts, file["entry1/Counter1/data"])
    np.testing.assert_allclose(np.diff(stack.x), 0.0667, rtol=1e-2)
    assert "taken as mm" in found.remarks[0] and len(found.remarks) == 1
    np.testing.assert_allclose(stack.dwell, 0.01)
    micro = read_stxm(FILES / "small_diamond_nxs.nxs", position_unit="um")
    np.testing.assert_allclose(np.diff(micro.stacks[0].x), 6.67e-5, rtol=1e-2)


# -- what may be in a file ----------------------------------------------------------------------


def header(change: Callable[[str], str] = lambda text: text) -> str:
    """Of two regions and two channels, its second axis falling."""
    return change("""\
ScanDefinition = { Label = "a.hdr"; Type = "NEXAFS Image Scan"; Dwell = 2;
    Regions = (2,
{ PAxis = { Name = "Sample X"; Unit = "um"; Points = (4, 3.0, 3.5, 4.0, 4.5); };
  QAxis = { Name = "Sample Y"; Unit = "um"; Points = (2, 1.5, 1.0); };
},
{ PAxis = { Name = "Sample X"; Unit = "um"; Points = (2, 0.0, 0.5); };
  QAxis = { Name = "Sample Y"; Unit = "um"; Points = (2, 0.0, 0.5); };
});
    StackAxis = { Name = "Energy"; Unit = "eV"; Points = (3, 703.0, 701.0, 700.0); };
    Channels = (2, { Name = "PMT"; Unit = "counts";}, { Name = "I0 mesh"; Unit = "Hz";});
};
 Time = "2020 October 15 11:59:33";
ImageScan = { EnergyRegions = (2,
{ StartEnergy = 700; EndEnergy = 701; DwellTime = 5;}, { StartEnergy = 703; EndEnergy = 703; DwellTime = 2;}); };
Image000_0 = {StorageRingCurrent = 248.0;};
Image001_0 = {StorageRingCurrent = 247.0;};
Image000_1 = {StorageRingCurrent = 100.0;};
""")  # noqa: E501


@pytest.fixture
def als(tmp_path: Path) -> Path:
    path = tmp_path / "a.hdr"
    path.write_text(header())
    for k in range(3):
        np.savetxt(tmp_path / f"a_a00{k}0.xim", COUNTS[2 - k][::-1])
        np.savetxt(tmp_path / f"a_a00{k}1.xim", np.full((2, 2), 10.0 + k))
        np.savetxt(tmp_path / f"a_b00{k}_0.xim", 1000 * COUNTS[k])
        np.savetxt(tmp_path / f"a_b00{k}_1.xim", np.full((2, 2), 1.0))
    return path


def test_regions_channels_and_falling_axes(als: Path) -> None:
    found = read_stxm(als)
    first, second = found.stacks
    assert found.channels == ("PMT", "I0 mesh") and second.counts.shape == (3, 2, 2)
    np.testing.assert_array_equal(first.counts, COUNTS)
    np.testing.assert_array_equal(first.energy, E)
    np.testing.assert_array_equal(first.y, Y)
    np.testing.assert_array_equal(second.counts[:, 0, 0], [12.0, 11.0, 10.0])
    np.testing.assert_allclose(first.dwell, [0.005, 0.005, 0.002])  # of each energy
    assert first.ring_current is not None
    np.testing.assert_array_equal(first.ring_current, [np.nan, 247.0, 248.0])
    assert "region_1: the energy axis was turned" in found.remarks
    assert "region_1: the y axis was turned" in found.remarks
    other = read_stxm(als, channel="I0 mesh").stacks[0]
    np.testing.assert_allclose(other.counts[2, ::-1], 1000 * COUNTS[0] * 0.002)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("Image Scan", "Point Scan"), "Point Scan', not of images"),
        (lambda text: text.replace("(2, 1.5, 1.0)", "(2, 1.5, up)"), "'Sample Y' are no numbers"),
        (lambda text: text.replace("(4, 3.0, 3.5, 4.0,", "(4, 3.0, 3.1, 4.0,"), "no regular grid"),
        (lambda text: text.replace("(4, 3.0, 3.5,", "(3, 3.0,"), "where the header says"),
        (lambda text: text[:400], "a.hdr"),
        (lambda text: "something else", "no file of a microscope"),
    ],
)
def test_headers_that_are_refused(als: Path, change: Callable[[str], str], words: str) -> None:
    als.write_text(header(change))
    with pytest.raises(FormatError, match=words):
        read_stxm(als)


def test_images_that_are_refused(als: Path) -> None:
    with pytest.raises(FormatError, match="no channel 'PMT2', only PMT, I0 mesh"):
        read_stxm(als, channel="PMT2")
    (als.parent / "a_a0010.xim").write_text("1 2 x\n")
    with pytest.raises(FormatError, match="a_a0010.xim is no table"):
        read_stxm(als)
    for path in als.parent.glob("*.xim"):
        path.unlink()
    with pytest.raises(FormatError, match="none of its .xim images"):
        read_stxm(als)
    with pytest.raises(FileNotFoundError):
        read_stxm(als.parent / "b.hdr")


def test_a_header_is_names_and_values() -> None:
    assert parse_hdr('A = { B = (2, 1.5, "x; y"); }; C = true; D = -1e3;') == {
        "A": {"B": [1.5, "x; y"]}, "C": "true", "D": -1000.0,
    }  # fmt: skip


def nexus(path: Path, kind: str = "sample image stack", **values: Any) -> Path:
    """An NXstxm file of some program; values replace, or None takes out, what is in it."""
    content = {
        "data": COUNTS, "energy": E, "sample_y": Y, "sample_x": X,
        "count_time": np.array([0.01, 0.02, 0.03]), **values,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry0")
        entry.attrs["NX_class"] = np.bytes_("NXentry")
        entry["definition"] = "NXstxm"
        entry["start_time"] = "2024-05-06T07:08:09+02:00"
        data = entry.create_group("counter0")
        data.attrs["NX_class"] = "NXdata"
        data["stxm_scan_type"] = kind
        if "axes" in content:
            data.attrs["axes"] = content.pop("axes")
        control = content.pop("control", None)
        for name, value in content.items():
            if value is not None:
                data[name] = value
        if control is not None:
            entry.create_group("control").attrs["NX_class"] = "NXmonitor"
            entry["control/data"] = control
    return path


def test_nexus_of_others(tmp_path: Path) -> None:
    (stack,) = read_stxm(nexus(tmp_path / "a.hdf5")).stacks
    np.testing.assert_array_equal(stack.counts, COUNTS)
    np.testing.assert_array_equal(stack.dwell, [0.01, 0.02, 0.03])
    assert stack.remarks == () and stack.i0 is None
    turned = nexus(tmp_path / "b", data=COUNTS[::-1, :, ::-1], energy=E[::-1], sample_x=X[::-1])
    (stack,) = read_stxm(turned).stacks
    np.testing.assert_array_equal(stack.counts, COUNTS)
    assert stack.remarks == ("the energy axis was turned", "the x axis was turned")
    moved = nexus(tmp_path / "c", data=COUNTS.transpose(2, 1, 0), axes=["sample_x", "sample_y", "energy"])  # fmt: skip  # noqa: E501
    np.testing.assert_array_equal(read_stxm(moved).stacks[0].counts, COUNTS)
    image = nexus(tmp_path / "d", "sample image", data=COUNTS[0], energy=E[:1], count_time=0.5)
    np.testing.assert_array_equal(read_stxm(image).stacks[0].counts, COUNTS[:1])
    old = nexus(tmp_path / "e", "Image", data=COUNTS[:1, None][0], energy=E[:1], count_time=0.5)
    np.testing.assert_array_equal(read_stxm(old).stacks[0].counts, COUNTS[:1])


def test_spectra_of_others(tmp_path: Path) -> None:
    line = nexus(
        tmp_path / "a", "sample line spectrum", data=COUNTS[:, 0], sample_y=np.full(4, 2.0)
    )
    (stack,) = read_stxm(line).stacks
    np.testing.assert_array_equal(stack.counts, COUNTS[:, :1])
    np.testing.assert_array_equal(stack.y, [2.0])
    point = nexus(
        tmp_path / "b", "sample point spectrum", data=COUNTS[:, 0, 0], sample_x=X[:1],
        sample_y=Y[:1],
    )  # fmt: skip
    np.testing.assert_array_equal(read_stxm(point).stacks[0].counts, COUNTS[:, :1, :1])
    with pytest.raises(FormatError, match="line along y"):
        read_stxm(nexus(tmp_path / "c", "sample line spectrum", data=COUNTS[:, 0],
                        sample_y=np.arange(4.0), sample_x=np.zeros(4)))  # fmt: skip


def test_a_monitor_is_taken_a_ring_current_is_not(tmp_path: Path) -> None:
    (stack,) = read_stxm(nexus(tmp_path / "a", control=COUNTS + 5)).stacks
    assert stack.i0 is not None
    np.testing.assert_array_equal(stack.i0, COUNTS + 5)
    flat = np.broadcast_to(np.array([400.0, 399.0, 398.0])[:, None, None], COUNTS.shape)
    (stack,) = read_stxm(nexus(tmp_path / "b", control=flat)).stacks
    assert stack.i0 is None and "no monitor's counts" in stack.remarks[0]
    (stack,) = read_stxm(nexus(tmp_path / "c", control=np.array([400.0]))).stacks
    assert stack.i0 is None and "not used" in stack.remarks[0]


def with_units(path: Path, **units: str) -> Path:
    """Units of data, count_time, ... of the first entry, and of control."""
    with h5py.File(path, "r+") as file:
        for name, unit in units.items():
            where = "entry0/control/data" if name == "control" else f"entry0/counter0/{name}"
            file[where].attrs["units"] = unit
    return path


def test_rates_of_data_and_monitor_are_counts_after_their_dwell(tmp_path: Path) -> None:
    dwell = np.array([0.01, 0.02, 0.03])[:, None, None]
    path = nexus(tmp_path / "a", control=COUNTS + 5)
    (stack,) = read_stxm(with_units(path, data="kHz", control="Hz")).stacks
    np.testing.assert_allclose(stack.counts, 1e3 * COUNTS * dwell)
    assert stack.i0 is not None
    np.testing.assert_allclose(stack.i0, (COUNTS + 5) * dwell)
    assert stack.remarks == (
        "rates (kHz) times the dwell are the counts",
        "rates of the monitor (Hz) times the dwell are its counts",
    )
    # Which says no unit is of the same program, and in the same.
    (stack,) = read_stxm(with_units(nexus(tmp_path / "b", control=COUNTS), data="cps")).stacks
    assert stack.i0 is not None
    np.testing.assert_allclose(stack.i0, stack.counts)
    path = nexus(tmp_path / "c", control=COUNTS)
    (stack,) = read_stxm(with_units(path, data="counts/sec", control="counts")).stacks
    assert stack.i0 is not None
    np.testing.assert_allclose(stack.i0, COUNTS)
    np.testing.assert_allclose(stack.counts, COUNTS * dwell)


@pytest.mark.parametrize("unit", ["V", "pA", "mHz", "OD"])
def test_what_is_neither_counts_nor_rates_has_no_sigma(unit: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=f"in '{unit}', which are neither counts nor a rate"):
        read_stxm(with_units(nexus(tmp_path / "a"), data=unit))
    path = with_units(nexus(tmp_path / "b", control=COUNTS + 5), data="counts", control=unit)
    (stack,) = read_stxm(path).stacks
    assert stack.i0 is None
    assert stack.remarks == (f"the monitor is in '{unit}', which are no counts: not used",)


def test_a_dwell_has_a_unit(tmp_path: Path) -> None:
    path = with_units(nexus(tmp_path / "a"), count_time="ms")
    (stack,) = read_stxm(path).stacks
    np.testing.assert_allclose(stack.dwell, [1e-5, 2e-5, 3e-5])
    other = with_units(nexus(tmp_path / "b"), count_time="ticks")
    with pytest.raises(FormatError, match="give the dwell"):
        read_stxm(other)
    (stack,) = read_stxm(other, dwell=0.5).stacks
    np.testing.assert_array_equal(stack.dwell, [0.5] * 3)
    assert stack.remarks == ("count_time is in 'ticks', no unit of time: not used",)
    with h5py.File(tmp_path / "mantis.hdf5", "w") as file:
        for name, value in (("energy", E), ("x", X), ("y", Y)):
            file[f"exchange/{name}"] = value
        file["exchange/data"] = COUNTS.transpose(2, 1, 0)
        file["spectromicroscopy/data_dwell"] = np.full(3, 2.0)  # ms
    np.testing.assert_allclose(read_stxm(tmp_path / "mantis.hdf5").stacks[0].dwell, 0.002)


@pytest.mark.parametrize("rest", [np.nan, 0.0])
def test_what_an_aborted_stack_lacks_is_missing(rest: float, tmp_path: Path) -> None:
    counts = COUNTS.copy()
    counts[2] = rest
    counts[1, 1] = rest
    (stack,) = read_stxm(nexus(tmp_path / "a", data=counts)).stacks
    assert np.isnan(stack.counts[2]).all() and np.isnan(stack.counts[1, 1]).all()
    np.testing.assert_array_equal(stack.counts[0], COUNTS[0])
    assert "3 of 6 lines are missing" in stack.remarks
    assert ("the last 3 lines are zeros: not measured" in stack.remarks) == (rest == 0)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("sample focus", {}, "'sample focus': images, stacks and spectra"),
        ("osa image", {}, "osa image"),
        ("sample image stack", {"count_time": None}, "give the dwell"),
        ("sample image stack", {"energy": None}, "photon energy"),
        ("sample image stack", {"sample_x": None}, "no positions"),
        ("sample image stack", {"sample_x": X[:3]}, "data of"),
        ("sample image stack", {"sample_x": np.array([3.0, 3.5, np.nan, 4.5])}, "no numbers"),
        ("sample image stack", {"data": None}, "no detector"),
    ],
)
def test_nexus_that_is_refused(kind: str, values: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=words):
        read_stxm(nexus(tmp_path / "a", kind, **values))


def test_data_exchange_and_a_measured_sample(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "mantis.hdf5", "w") as file:
        for name, value in (("energy", E), ("x", X), ("y", Y)):
            file[f"exchange/{name}"] = value
        file["exchange/data"] = COUNTS.transpose(2, 1, 0)
    with pytest.raises(FormatError, match="give the dwell"):
        read_stxm(tmp_path / "mantis.hdf5")
    (stack,) = read_stxm(tmp_path / "mantis.hdf5", dwell=0.001).stacks
    np.testing.assert_array_equal(stack.counts, COUNTS)
    with h5py.File(tmp_path / "sample.h5", "w") as file:
        file["counts"], file["energy"], file["x"], file["y"] = COUNTS, E, X, Y
        file["dwell"] = 2.0
    (stack,) = read_stxm(tmp_path / "sample.h5").stacks
    np.testing.assert_array_equal(stack.dwell, [0.002] * 3)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["something"] = 1.0
    with pytest.raises(FormatError, match="neither NXstxm nor Data Exchange"):
        read_stxm(tmp_path / "other.h5")


@pytest.mark.parametrize("dwell", [0.0, -1.0, float("nan"), True])
def test_a_dwell_is_above_zero(dwell: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dwell"):
        read_stxm(nexus(tmp_path / "a"), dwell=dwell)
    with pytest.raises(ValueError, match="position_unit = 'inch'"):
        read_stxm(tmp_path / "a", position_unit="inch")
