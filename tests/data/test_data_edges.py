"""Edge presets."""

import numpy as np
import pytest

from redoxscope.data import EDGES, edge_energies, get_edge


@pytest.mark.parametrize("name", EDGES)
def test_three_zones(name):
    edge = get_edge(name)
    e = edge_energies(name)
    assert len(edge.zones) == 3
    assert np.all(np.diff(e) > 0)
    assert e == [round(v, 3) for v in e]
    assert all(type(v) is float for v in e)
    assert 45 <= len(e) <= 80
    pre, near, post = (z[2] for z in edge.zones)
    assert 0.5 <= pre <= 1 and 0.1 <= near <= 0.25 and 0.5 <= post <= 2
    assert edge.window_ev[0] <= e[0] and e[-1] <= edge.window_ev[1]


def test_mn_spans_l3_and_l2():
    e = edge_energies("Mn L3")
    assert e[0] == 634.0 and e[-1] == 660.0
    assert get_edge("Mn L3").l3_max_ev == {"Mn4+": 643.2, "Mn3+": 641.8}


@pytest.mark.parametrize("name", ["Mn K", "", None, "mn l3", []])
def test_unknown_edge_lists_the_known(name):
    with pytest.raises(ValueError, match="Mn L3, Co L3, Ni L3, O K, Fe L3"):
        get_edge(name)
