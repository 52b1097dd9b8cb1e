"""Reference spectra: the shipped ones, a user's own, and the design matrix."""

import h5py
import numpy as np
import pytest

from redoxscope.data import (
    References,
    as_references,
    continuum,
    edge_absorption,
    edge_energies,
    load_references,
    references_from_csv,
    references_from_h5,
)

SHIPPED = ["Mn L3", "Co L3", "Ni L3", "O K"]


def total(energy):
    """Absorption of the oxide (1/µm), each edge at the mean of its phases."""
    return float(
        continuum(energy)[0] + sum(edge_absorption(n, energy).mean(axis=0)[0] for n in SHIPPED)
    )


@pytest.mark.parametrize(
    ("energy", "od_100nm"),
    [(520, 0.113), (560, 0.354), (630, 0.284), (770, 0.347), (805, 0.334), (845, 0.303)],
)
def test_material_matches_the_tables_off_the_edges(energy, od_100nm):
    assert total(energy) * 0.1 == pytest.approx(od_100nm, abs=0.0015)


def test_no_step_is_counted_twice():
    # 885 eV is above all edges; the white lines' tails are what is left over
    assert total(885) * 0.1 == pytest.approx(0.324, abs=0.006)
    assert (continuum(np.linspace(420, 1050, 200)) > 0).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_references_fit_their_preset(name):
    refs = load_references(name)
    design = refs.design(edge_energies(name))
    assert design.shape == (len(edge_energies(name)), 3)
    assert (design[:, -1] == 1).all()
    assert refs.unit == "1/µm" and refs.min_thickness == 0.02
    assert (refs.spectra > 0).all()


def test_mn_white_lines():
    refs = load_references("Mn L3")
    assert refs.names == ("Mn4+", "Mn3+") and refs.valences == (4, 3)
    for row, peak in zip(refs.spectra, (643.2, 641.8), strict=True):
        top = refs.energies[row.argmax()]
        assert top == pytest.approx(peak, abs=0.1)
        background = np.interp(634, refs.energies, row)
        assert (row.max() - background) * 0.1 == pytest.approx(0.55, abs=0.02)


def test_design_interpolates_linearly():
    refs = References(("a", "b"), [0, 1, 2], [[0, 1, 0], [1, 1, 5]], "OD", "test")
    assert refs.min_thickness == 0.3
    np.testing.assert_allclose(refs.design([0.5, 1.0, 1.5]), [[0.5, 1, 1], [1, 1, 1], [0.5, 3, 1]])


@pytest.mark.parametrize(
    ("energies", "match"),
    [
        ([600.0, 640.0, 645.0, 650.0], r"energies 600 eV are outside 625..670 eV.*Mn4\+, Mn3\+"),
        ([640.0, 645.0, 650.0, 700.0], r"energies 700 eV are outside"),
        ([640.0, np.nan, 650.0], r"energies\[1\] is not finite"),
        ([640.0, 650.0], "2 energies cannot fit 3 unknowns"),
        ([625.0, 625.1, 625.2, 625.3], r"condition number .* is above 1000"),
        ([[640.0]], r"shape \(1, 1\)"),
    ],
)
def test_design_refuses(energies, match):
    with pytest.raises(ValueError, match=match):
        load_references("Mn L3").design(energies)


def test_collinear_references():
    e = np.linspace(0, 1, 20)
    a = np.sin(5 * e)
    refs = References(("a", "b"), e, np.stack([a, 2 * a + 1]), "OD", "test")
    with pytest.raises(ValueError, match="a, b and a constant cannot be told apart"):
        refs.design(e)


def test_fe_has_no_shipped_reference():
    with pytest.raises(ValueError, match="'Fe L3' has no shipped references.*Mn L3"):
        load_references("Fe L3")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"unit": "cm"}, "unit"),
        ({"names": ("a", "a")}, "names"),
        ({"names": ("a", "")}, "names"),
        ({"names": "ab"}, "names = 'ab' must be a list"),
        ({"energies": [0, 0, 1]}, "references.energies has 0 eV twice, at index 0 and 1"),
        ({"energies": [2, 1, 0]}, "falls from 2 to 0 eV and must rise"),
        ({"energies": [0, 2, 1]}, "must rise, but 1 comes after 2 eV, at index 2"),
        ({"energies": [0, np.nan, 2]}, r"references.energies\[1\] = nan eV must be finite"),
        ({"energies": ["0", 1, 2]}, r"references.energies\[0\] = '0' must be one number in eV"),
        ({"energies": 5}, "references.energies = 5 must be a list"),
        ({"energies": [1]}, "1 values; at least 2 needed"),
        ({"spectra": [["x", 1, 2], [0, 1, 2]]}, "references.spectra is no table of numbers"),
        ({"spectra": [[0, 1], [0, 1, 2]]}, "references.spectra is no table of numbers"),
        ({"spectra": None}, "references.spectra"),
        ({"valences": (4, True)}, r"references.valences\[1\] = True"),
        ({"min_thickness": "thin"}, "references.min_thickness = 'thin'"),
        ({"spectra": [[0, 1, 2]]}, r"expected \(2, 3\)"),
        ({"spectra": [[0, 1, 2], [0, np.nan, 1]]}, "reference 'b' is not finite at 1 eV"),
        ({"valences": (4,)}, "valences"),
        ({"min_thickness": np.nan}, "min_thickness"),
    ],
)
def test_references_refuse(change, match):
    good = {"names": ("a", "b"), "energies": [0, 1, 2], "spectra": [[0, 1, 2], [2, 1, 1]]}
    with pytest.raises(ValueError, match=match):
        References(**{**good, "unit": "OD", "source": "test", **change})


def test_digest_follows_the_numbers():
    def refs(value, name="a"):
        return References((name, "b"), [0, 1], [[0, value], [2, 1]], "OD", "test")

    assert refs(1.0).digest() == refs(1.0).digest()
    assert len({refs(1.0).digest(), refs(1.0 + 1e-12).digest(), refs(1.0, "c").digest()}) == 3


def test_references_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load_references("Mn L3").spectra[0, 0] = 1


def test_csv(tmp_path):
    path = tmp_path / "standards.csv"
    path.write_text("# ours\nenergy, Mn4+, Mn3+\n640,1,2\n641,3,1\n642,0,5\n")
    refs = references_from_csv(path, unit="OD", valences=(4, 3))
    assert refs.names == ("Mn4+", "Mn3+") and refs.source == "standards.csv"
    np.testing.assert_array_equal(refs.spectra, [[1, 3, 0], [2, 1, 5]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "No such file"),
        ("", "is empty"),
        ("# ours\n\n", "is empty"),
        ("energy,a,b\n", "holds 0 energies; at least 2 needed"),
        ("energy;a;b\n1;2;3\n", "line 1: columns are separated by semicolons"),
        ("energy;a;b\n640,5;2,1;3\n", "semicolons; they must be by commas, with points"),
        ("energy\ta\n1\t2\n", "line 1: columns are separated by tabs"),
        ("energy,a\n640,5,1,2\n", "line 2: 4 values, expected 2; a decimal comma"),
        ("energy,a,a\n1,2,3\n2,3,4\n", "names"),
        ("energy,a,\n1,2,3\n2,3,4\n", "names"),
        ('energy,a\n1,"2\n2,3"\n', "line 3, column a: '3"),
        (
            "energy,a\n1,2\n3,1\n2,3\n",
            "line 4: the column energy must rise, but 2 comes after 3 eV",
        ),
        ("energy,a\n1,2\n# again\n1,3\n", "line 4: the column energy has 1 eV twice"),
        ("energy,a\n1,2\ninf,3\n", "line 3: the column energy is not finite"),
        ("E,a,b\n1,2,3\n2,3,4\n", "line 1.*expected energy,name1"),
        ("energy,a\n1,2\n", "1 energies"),
        ("energy,a\n1,2\n2,x\n", "line 3, column a: 'x' is no number"),
        ("#c\nenergy,a\n1,2\n2\n", "line 4: 1 values, expected 2"),
        ("energy,a\n1,2\n2,nan\n", "reference 'a' is not finite at 2 eV"),
        ("energy,a\n2,2\n1,3\n", "line 3: the column energy falls from 2 to 1 eV and must rise"),
    ],
)
def test_csv_refused(tmp_path, text, match):
    path = tmp_path / "standards.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=match) as e:
        references_from_csv(path)
    assert "standards.csv" in str(e.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "energy,Mn⁴⁺,µ\n".replace("⁴⁺", "4+").encode("cp1252"),
            r":1: byte 0xb5 is not UTF-8 \('µ'",
        ),
        ("energy,a\n1,2\n2,3\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"\x89HDF\r\n\x1a\n\0\0", "not a text file"),
    ],
)
def test_csv_in_another_encoding(tmp_path, content, says):
    path = tmp_path / "standards.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        references_from_csv(path)


def test_csv_from_a_spreadsheet(tmp_path):
    """A byte order mark, quotes, and line ends of Windows."""
    path = tmp_path / "standards.csv"
    path.write_bytes('\ufeff"Energy","Mn4+"\r\n640,1\r\n641,"3"\r\n'.encode())
    refs = references_from_csv(path)
    assert refs.names == ("Mn4+",) and refs.spectra.tolist() == [[1.0, 3.0]]


def test_csv_that_is_a_folder(tmp_path):
    with pytest.raises(ValueError, match="Is a directory"):
        references_from_csv(tmp_path)


@pytest.mark.parametrize("edge", ["mn l3", "MnL3", ["Mn L3"], None, 5])
def test_shipped_references_by_a_wrong_name(edge):
    with pytest.raises(ValueError, match="is not known.*known edges: Mn L3"):
        load_references(edge)


def test_h5(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as f:
        f["ox"] = [[700.0, 1.0], [701.0, 2.0]]
        f["red"] = [[700.0, 3.0], [701.0, 1.0]]
        f["other"] = [[700.0, 3.0], [702.0, 1.0]]
        f["flat"] = [1.0, 2.0]
        f.create_group("group")
        f["text"] = f["text2"] = [[b"a", b"b"]]
    assert references_from_h5(path, ("ox", "red")).unit == "OD"
    for names, match in (
        (("ox", "none"), "'none' is missing"),
        (("ox", "flat"), r"'flat' has shape \(2,\)"),
        (("ox", "group"), "'group' has shape"),
        (("ox", "other"), "differ in their energies"),
        (("text", "text2"), "'text' holds no numbers"),
        ("ox", "names = 'ox' must be a list"),
    ):
        with pytest.raises(ValueError, match=match):
            references_from_h5(path, names)
    with pytest.raises(ValueError, match="cannot be read"):
        references_from_h5(tmp_path / "none.h5")


TABLE = {"names": ["a", "b"], "energies": [640, 650, 660], "spectra": [[0, 1, 1], [1, 1, 0]]}


def test_references_as_json_says_them(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("energy,a,b\n640,0,1\n650,1,1\n660,1,0\n")
    own = references_from_csv(file, unit="OD", valences=(4, 3))
    assert as_references(own) is own
    assert as_references("Mn L3") is load_references("Mn L3")
    for given in (str(file), file, {"file": str(file)}):
        assert as_references(given).names == ("a", "b")
    loaded = as_references({"file": str(file), "unit": "OD", "valences": [4, 3]})
    assert loaded.digest() == own.digest() and loaded.valences == (4, 3)
    table = as_references({**TABLE, "unit": "OD"})
    assert table.digest() == own.digest() and table.source == "given with the plan"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, ["references = 3", "edge", "csv"]),
        ("Mn L4", ["'Mn L4'", "did you mean 'Mn L3'"]),
        ("no.csv", ["no.csv"]),
        ({}, ["lacks 'names'"]),
        ({"names": ["a"]}, ["lacks 'energies'"]),
        ({**TABLE, "uint": "OD"}, ["'uint'", "did you mean 'unit'"]),
        ({**TABLE, "unit": "cm"}, ["unit = 'cm'"]),
        ({**TABLE, "names": "ab"}, ["names", "'ab'"]),
        ({**TABLE, "spectra": [["x"]]}, ["spectra"]),
        ({"file": 3}, ["references.file = 3"]),
        ({"file": "a.csv", "names": ["a"]}, ["'names'", "HDF5"]),
    ],
)
def test_references_that_say_nothing(given, says):
    with pytest.raises(ValueError) as caught:
        as_references(given)
    for word in says:
        assert word in str(caught.value), str(caught.value)
