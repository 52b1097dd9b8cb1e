"""Absorption presets, and what a start document says about spectra."""

import pytest

from redoxscope.data import xas_edges, xas_preset
from redoxscope.documents import XasInfo, XasMode, from_json, json_bytes
from redoxscope.scan import energies_of


@pytest.mark.parametrize("edge", xas_edges())
def test_presets_make_sense(edge):
    preset = xas_preset(edge)
    energies = [energy for energy, _ in energies_of(preset.zones, preset.dwell)]
    assert energies == sorted(set(energies))
    assert 100 <= len(energies) <= 400
    for low, high in (preset.pre_edge, preset.post_edge):
        assert energies[0] <= low < high <= energies[-1]
        assert sum(low <= energy <= high for energy in energies) >= 8
    assert preset.pre_edge[1] < preset.post_edge[0]
    assert preset.normalise in ("maximum", "step")
    assert preset.source


def test_an_edge_without_preset_is_named():
    with pytest.raises(ValueError, match=r"'Mn L3' has no absorption preset; did you mean 'Mn L'"):
        xas_preset("Mn L3")


MODES = {
    "TEY": XasMode("em_tey", "em_i0"),
    "reference": XasMode("em_i2", "em_i1", "transmission"),
}


def test_what_a_run_measured_survives_json():
    info = XasInfo("Mn L", 4, MODES)
    start = from_json(json_bytes({"uid": "abc", "xas": info.as_dict()}))
    assert XasInfo.from_start(start) == info


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"'abcdefgh' says nothing of spectra"),
        ({"repeats": 1}, "lacks the key 'modes'"),
        ({"repeats": 0, "modes": {}}, "repeats = 0"),
        ({"repeats": 1, "modes": {"TEY": {"signal": "a", "i0": ""}}}, "mode i0"),
        ({"repeats": 1, "modes": {"TEY": {"signal": "a", "i0": "b", "kind": "x"}}}, "kind = 'x'"),
        ({"repeats": 1, "modes": {"TEY": {"signal": "a"}}}, "i0"),
    ],
)
def test_a_start_document_that_says_it_wrongly(content, said):
    start = {"uid": "abcdefghij", **({} if content is None else {"xas": content})}
    with pytest.raises(ValueError, match=said):
        XasInfo.from_start(start)
