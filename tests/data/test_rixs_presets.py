"""RIXS presets, and users' windows in a file."""

import numpy as np
import pytest

from redoxscope.data import (
    EDGES,
    channel_absorption,
    load_windows,
    rixs_edges,
    rixs_preset,
    save_windows,
    window_problems,
)
from redoxscope.documents import Bins, Window

BINS = Bins(200.0, 1200.0, 0.5)


@pytest.mark.parametrize("edge", rixs_edges())
def test_presets_make_sense(edge):
    preset = rixs_preset(edge)
    energies = np.array(preset.energies)
    assert (np.diff(energies) > 0.05).all()
    assert 100 <= len(energies) <= 250
    stops = [zone[1] for zone in preset.zones[:-1]]
    assert stops == [zone[0] for zone in preset.zones[1:]]
    low, high = EDGES[edge if edge == "O K" else f"{edge}3"].window_ev
    assert low <= energies[0]
    assert energies[-1] <= high
    names = [window.name for window in preset.windows]
    assert len(set(names)) == len(names)
    assert {"TFY", "PFY"} <= set(names)
    assert not window_problems(preset.energies, preset.windows)
    for window in preset.windows:
        if not window.in_excitation:
            window.slice(BINS)
    assert {clash.window for clash in preset.clashes} <= set(names)
    assert len(preset.warnings()) == len(preset.clashes)
    assert ("iPFY" in names) == (edge != "O K")
    assert preset.source


def test_the_oxygen_edge_looks_for_oxidised_oxygen():
    preset = rixs_preset("O K")
    assert preset.pixels == 64
    window = preset.window(preset.feature.window)
    assert (window.kind, window.low, window.high) == ("sPFY", 522.3, 525.1)
    low, high = preset.feature.excitation
    assert low < 531.0 < high
    assert all(rixs_preset(edge).feature is None for edge in rixs_edges() if edge != "O K")


@pytest.mark.parametrize("edge", ["Fe L", "O", None, ["O K"]])
def test_an_edge_without_preset(edge):
    with pytest.raises(ValueError, match="there are: O K, Mn L, Co L, Ni L"):
        rixs_preset(edge)


def test_a_window_that_is_not_in_the_preset():
    with pytest.raises(ValueError, match="O K has no window 'iPFY'; it has TFY, PFY, oxidised"):
        rixs_preset("O K").window("iPFY")


@pytest.mark.parametrize(
    ("energies", "window", "says"),
    [
        ([525, 560], "iPFY[505:520]", "crosses the O K edge"),
        ([525, 560], "iPFY[500:540]", "brings scattered light into it"),
        ([635, 660], "iPFY[630:640]", "crosses the Mn L edge"),
        ([635, 660], "iPFY[300:320]", "no known emission line"),
        ([635, 660], "XES[700:710]", "none of the excitation energies"),
        ([635, 660], "PFY[700:710]", "nothing is emitted above"),
        ([635, 660], "iPFY[500:540]", None),
        ([635, 660], "PFY[630:655]", None),
        ([635, 660], "XES[650:670]", None),
        ([635, 660], "TFY", None),
    ],
)
def test_windows_that_mean_little(energies, window, says):
    found = window_problems(energies, [window])
    if says is None:
        assert not found
    else:
        assert any(says in problem for problem in found)
    with pytest.raises(ValueError, match="energies is empty"):
        window_problems([], [window])


def test_own_absorption_of_an_inverse_channel():
    found = channel_absorption("iPFY[500:540]", [640.0, 680.0])
    assert found.mean() == pytest.approx(1.0)
    assert 1.13 < found[0] / found[1] < 1.22  # between the powers -2 and -3 of the energy


@pytest.mark.parametrize(
    ("window", "energies", "says"),
    [
        ("PFY[500:540]", [640.0], "expected an iPFY"),
        ("iPFY[500:540]", [], "expected an iPFY and excitation energies"),
        ("iPFY[500:680]", [800.0], "holds O K, Mn L, F K; an inverse channel needs one"),
        ("iPFY[300:320]", [800.0], "holds no known line"),
        ("iPFY[500:520]", [525.0, 560.0], "crosses the O K edge"),
    ],
)
def test_what_is_no_inverse_channel(window, energies, says):
    with pytest.raises(ValueError, match=says):
        channel_absorption(window, energies)


def test_warnings_of_other_windows():
    assert any("crosses the O K edge" in w for w in rixs_preset("O K").warnings(["iPFY[500:520]"]))


def test_windows_come_back_from_a_file(tmp_path):
    path = tmp_path / "windows.yaml"
    co = save_windows(path, "Co L", ["PFY[765:785]", Window.parse("mine=sPFY[770.5:775]")])
    save_windows(path, "O K", ["TFY"])
    save_windows(path, "O K", ["XES[530:532]", "XES[534:536]"])
    found = load_windows(path)
    assert found["Co L"] == co
    assert [str(w) for w in found["O K"]] == ["XES[530:532]", "XES[534:536]"]
    assert [p.name for p in tmp_path.iterdir()] == ["windows.yaml"]


def test_what_cannot_be_saved_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "windows.yaml"
    save_windows(path, "Co L", ["PFY[765:785]"])
    before = path.read_text()
    for windows in (["PFY[1:2]", "PFY[3:4]"], ["PFY"], [3]):
        with pytest.raises(ValueError, match="windows file .*windows.yaml, Co L: "):
            save_windows(path, "Co L", windows)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 1", "expected edges with lists"),
        ("Co L: PFY[1:2]", "not a list of windows"),
        ("Co L: ['PFY[2:1]']", "Co L: window PFY"),
        ("Co L: [1]", "window 1 is not of the form"),
        ("Co L: ['PFY[1:2]', 'PFY[3:4]']", "two windows are called 'PFY'"),
        ("Co L: [", "windows.yaml:1: not a YAML file"),
        ("Co L: []\nO K: []\nCo L: []", "key 'Co L' is there twice, in lines 1 and 3"),
    ],
)
def test_files_that_hold_no_windows(tmp_path, text, says):
    path = tmp_path / "windows.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        load_windows(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        load_windows(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    assert load_windows(tmp_path / "empty.yaml") == {}
