"""The table of emission lines."""

import pytest

from redoxscope.data import load_lines, mixture_lines
from redoxscope.data._emission import Line, LineTable


def test_lines_rise_and_name_their_source():
    table = load_lines()
    energies = [line.energy_ev for line in table]
    assert energies == sorted(energies)
    assert all(line.source in line.alternatives for line in table)
    assert all(0 < line.uncertainty_ev < 3 for line in table)


def test_value_is_that_of_its_source():
    for line in load_lines():
        assert line.energy_ev == line.alternatives[line.source][0]


def test_sources_disagree_by_more_than_the_resolution_at_nickel_and_copper():
    for name in ("Ni La", "Cu La"):
        values = [value for value, _ in load_lines()[name].alternatives.values()]
        assert max(values) - min(values) > 2.5


def test_select_takes_lines_and_elements():
    assert [line.name for line in load_lines(["O K", "Fe"])] == ["O K", "Fe Ll", "Fe La", "Fe Lb"]


def test_principal_lines():
    assert [x.name for x in load_lines(["O", "Ni"]) if x.principal] == ["O K", "Ni La"]


def test_unknown_line_is_named():
    with pytest.raises(ValueError, match="'Xx La' is not in the table; it has C K"):
        load_lines(["Xx La"])


def test_unknown_mixture_lists_known_ones():
    with pytest.raises(ValueError, match="'ad1' is not known; known ones: .*mixv4b"):
        mixture_lines("ad1")


def test_mixture():
    assert {x.element for x in mixture_lines("mixv4b")} == {"C", "N", "O", "Fe", "Ni", "Cu"}


def test_hash_follows_the_numbers_not_the_order():
    a, b = Line("A K", 1.0, 0.1), Line("B K", 2.0, 0.1)
    assert LineTable("1", (a, b)).hash == LineTable("2", (b, a)).hash
    assert LineTable("1", (a, Line("B K", 2.5, 0.1))).hash != LineTable("1", (a, b)).hash


def test_other_source():
    table = load_lines().from_source("ucal")
    assert table["Ni La"].energy_ev == 848.85
    assert table["V La"].energy_ev == load_lines()["V La"].energy_ev
    assert table.hash != load_lines().hash
