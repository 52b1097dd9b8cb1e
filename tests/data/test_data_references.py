"""Reference spectra: the shipped ones, a user's own, and the design matrix."""

import h5py
import numpy as np
import pytest

from redoxscope.data import (
    References,
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
        ({"energies": [0, 0, 1]}, "does not increase at 0 eV"),
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
        ("", "no table"),
        ("E,a,b\n1,2,3\n2,3,4\n", "line 1.*expected energy,name1"),
        ("energy,a\n1,2\n", "1 energies"),
        ("energy,a\n1,2\n2,x\n", "line 3, column a: 'x' is no number"),
        ("#c\nenergy,a\n1,2\n2\n", "line 4: 1 values, expected 2"),
        ("energy,a\n1,2\n2,nan\n", "reference 'a' is not finite at 2 eV"),
        ("energy,a\n2,2\n1,3\n", "does not increase at 1 eV"),
    ],
)
def test_csv_refused(tmp_path, text, match):
    path = tmp_path / "standards.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=match) as e:
        references_from_csv(path)
    assert "standards.csv" in str(e.value)


def test_h5(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as f:
        f["ox"] = [[700.0, 1.0], [701.0, 2.0]]
        f["red"] = [[700.0, 3.0], [701.0, 1.0]]
        f["other"] = [[700.0, 3.0], [702.0, 1.0]]
        f["flat"] = [1.0, 2.0]
        f.create_group("group")
    assert references_from_h5(path, ("ox", "red")).unit == "OD"
    for names, match in (
        (("ox", "none"), "'none' is missing"),
        (("ox", "flat"), r"'flat' has shape \(2,\)"),
        (("ox", "group"), "'group' has shape"),
        (("ox", "other"), "differ in their energies"),
    ):
        with pytest.raises(ValueError, match=match):
            references_from_h5(path, names)
    with pytest.raises(ValueError, match="cannot be read"):
        references_from_h5(tmp_path / "none.h5")
