"""Files that are none, or wrong, at the command: refused in words, and nothing is left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from redoxscope.cli import app, main
from redoxscope.formats import FormatError, read_stxm

from ..formats.test_stxm import COUNTS, E, als, nexus  # noqa: F401  als is a fixture


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, which is not made for a file that is refused."""
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def imported(*arguments: Any) -> None:
    """The command, as its process runs it."""
    main(lambda: app(["import", *map(str, arguments)], standalone_mode=False))


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """What the command says of a file that it does not take."""
    with pytest.raises(SystemExit) as end:
        imported(*arguments)
    assert end.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: "), said
    return said[0]


def changed(**values: Any) -> Callable[[Path], Path]:
    return lambda folder: nexus(folder / "bad.nxs", **values)


def written(content: bytes, name: str = "bad.nxs") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut_off(folder: Path) -> Path:
    path = nexus(folder / "bad.nxs")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def rixs(folder: Path) -> Path:
    """A NeXus file of another experiment."""
    with h5py.File(folder / "bad.nxs", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"], entry["definition"] = "NXentry", "NXrixs"
        entry.create_group("data").attrs["NX_class"] = "NXdata"
        entry["data/data"] = np.ones((3, 100))
    return folder / "bad.nxs"


def in_nm(folder: Path) -> Path:
    path = nexus(folder / "bad.nxs")
    with h5py.File(path, "r+") as file:
        file["entry0/counter0/energy"].attrs["units"] = "nm"
    return path


def in_kev(folder: Path) -> Path:
    path = nexus(folder / "bad.nxs")
    with h5py.File(path, "r+") as file:
        file["entry0/counter0/energy"].attrs["units"] = "keV"
    return path


WITHOUT = COUNTS.copy()
WITHOUT[1, 0, 2] = -3.0
INFINITE = COUNTS.copy()
INFINITE[2, 1, 1] = np.inf
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))
WRONG: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "empty": (written(b""), ("no file of a microscope",)),
    "cut off": (cut_off, ("no HDF5 file, or is cut off",)),
    "picture": (written(PICTURE, "bad.nxs"), ("no file of a microscope",)),
    "HDF5 in name": (written(b"\x89HDF\r\n\x1a\n" + bytes(600)), ("no HDF5 file",)),
    "another experiment": (rixs, ("neither NXstxm nor Data Exchange",)),
    "energies": (changed(energy=np.array([700.0, np.nan, 703.0])), ("energy axis", "no numbers")),
    "no count": (changed(data=np.zeros(COUNTS.shape)), ("all are NaN or 0",)),
    "not measured": (changed(data=np.full(COUNTS.shape, np.nan)), ("all are NaN or 0",)),
    "eV called keV": (in_kev, ("energy axis has 703000 eV", "below 100000 eV")),
    "dwell": (changed(count_time=np.full(3, -0.01)), ("a dwell of -0.01 s", "above 0 s")),
    "all energies 0": (changed(energy=np.zeros(3)), ("energy axis has 0 eV", "above 20 eV")),
    "energies in nm": (in_nm, ("energies are in 'nm'",)),
    "below zero": (changed(data=WITHOUT), ("1 counts are below zero, down to -3",)),
    "infinite": (changed(data=INFINITE), ("1 counts are infinite",)),
    "monitor": (changed(control=WITHOUT), ("1 counts of the monitor are below zero",)),
    "text for counts": (changed(data="none"), ("cannot be read",)),
    "text for counts, many": (changed(data=np.array([b"a"] * 24).reshape(3, 2, 4)), ("cannot be",)),
    "nothing": (changed(data=h5py.Empty("f8")), ("cannot be read",)),
    "axis of two": (changed(sample_x=np.ones((2, 4))), ("data of (3, 2, 4) where its axes",)),
    "header alone": (written(b"ScanDefinition = { Type = 1", "bad.hdr"), ("header",)),
    "brackets": (written(b"ScanDefinition = " + b"{a = " * 9000, "bad.hdr"), ("recursion",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_is_no_stack(kind: str, tmp_path: Path, nothing: Path, capsys: Any) -> None:
    make, words = WRONG[kind]
    said = refused(capsys, make(tmp_path))
    assert "bad." in said and all(word in said for word in words), said
    assert not nothing.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: [p.unlink() for p in folder.glob("*.xim")], "none of its .xim images"),
        (lambda folder: (folder / "a_a0010.xim").write_text("1 2 3\n1 2 3 4\n"), "a_a0010.xim"),
        (lambda folder: (folder / "a_a0010.xim").write_text("1 2 3\n1 2 3\n"), "(2, 3) pixels"),
        (lambda folder: (folder / "a_a0010.xim").write_text(""), "a_a0010.xim"),
        (lambda folder: (folder / "a_a0010.xim").write_bytes(bytes(40)), "a_a0010.xim"),
    ],
    ids=["no images", "a short row", "short rows", "an empty one", "no text"],
)
def test_images_of_a_header(
    change: Callable[[Path], Any], words: str, als: Path, nothing: Path, capsys: Any  # noqa: F811
) -> None:  # fmt: skip
    change(als.parent)
    said = refused(capsys, als)
    assert "a.hdr" in said and words in said, said
    assert not nothing.exists()


def test_what_the_command_is_asked(tmp_path: Path, capsys: Any) -> None:
    good = nexus(tmp_path / "good.nxs")
    for arguments, words in (
        ((tmp_path / "none.nxs",), "none.nxs does not exist"),
        ((tmp_path,), "is a folder, and no file of a microscope"),
        ((good, "--edge", "Mn L3"), "edge = 'Mn L3': its references cover "),
        ((good, "--dwell", "0"), "dwell = 0"),
        ((good, "--position-unit", "inch"), "position_unit = 'inch'"),
        ((good, "--channel", "APD"), "no channel 'APD', only counter0"),
        ((good, "--region", "left"), "--region is for --as-sample"),
        ((good, "--as-sample", good), "take the place of good.nxs itself"),
        ((good, "--as-sample", tmp_path / "s.h5", "--edge", "Fe L3"), "--edge"),
    ):
        assert words in refused(capsys, *arguments), words


def test_energies_in_kev_and_energies_that_come_again(tmp_path: Path) -> None:
    path = nexus(tmp_path / "a.nxs", energy=E * 1e-3)
    with h5py.File(path, "r+") as file:
        file["entry0/counter0/energy"].attrs["units"] = "keV"
    np.testing.assert_allclose(read_stxm(path).stacks[0].energy, E)
    again = nexus(tmp_path / "b.nxs", energy=np.array([700.0, 701.0, 700.0]))
    assert read_stxm(again).remarks[-1] == "energies that come again are dose checks: 700 eV"


def test_whatever_is_broken_in_a_file_is_a_format_error(
    tmp_path: Path, als: Path  # noqa: F811
) -> None:  # fmt: skip
    """Bytes turned and ends cut off at places that are drawn: it reads, or says why not."""
    rng, said = np.random.default_rng(5), 0
    good = nexus(tmp_path / "good.nxs")
    for image in als.parent.glob("a_*.xim"):
        shutil.copy(image, tmp_path / image.name.replace("a_", "bad_", 1))
    for k in range(60):
        one = good if k % 2 else als
        path = tmp_path / f"bad{one.suffix}"
        content = bytearray(one.read_bytes())
        for at in rng.integers(0, len(content), 1 + k // 4):
            content[at] = rng.integers(256)
        path.write_bytes(content[: len(content) if k % 3 else int(rng.integers(len(content)))])
        try:
            read_stxm(path)
        except FormatError as exc:
            said += 1
            assert path.name in str(exc)
    assert said > 20
