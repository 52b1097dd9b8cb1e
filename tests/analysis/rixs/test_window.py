"""Windows: text and back, and what they take of the bins."""

import pytest

from redoxscope.analysis.rixs import Bins, Window

BINS = Bins(200.0, 1200.0, 0.5)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("TFY", "TFY"),
        ("TFY[200:1200]", "TFY"),
        ("PFY[765:785]", "PFY"),
        ("iPFY[500:540]", "iPFY"),
        ("oxidised=sPFY[522.3:525.1]", "oxidised"),
        ("XES[530:532]", "XES_530_532"),
        ("XES[530.5:531.5]", "XES_530p5_531p5"),
        ("all=TFY", "all"),
    ],
)
def test_text_and_back(text, name):
    window = Window.parse(text)
    assert window.name == name
    assert str(window) == text
    assert Window.parse(str(window)) == window


def test_spaces_are_allowed():
    assert Window.parse(" a = PFY [ 1 : 2.5 ] ") == Window("PFY", 1.0, 2.5, "a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PFY", "needs a range"),
        ("TEY[1:2]", "'TEY' is not known"),
        ("PFY[785:765]", "765 eV must lie above 785 eV"),
        ("PFY[1:1]", "1 eV must lie above 1 eV"),
        ("PFY[1]", "not a range low:high"),
        ("PFY[1:2:3]", "not a range low:high"),
        ("PFY[a:2]", "not a range low:high"),
        ("PFY[1:inf]", "must be finite"),
        ("PFY[nan:2]", "must be finite"),
        ("a b=PFY[1:2]", "'a b'"),
        ("9=PFY[1:2]", "'9'"),
        ("=PFY[1:2]", "empty name"),
        ("PFY[1:2", "not of the form"),
        ("", "not of the form"),
        (None, "not of the form"),
    ],
)
def test_what_is_no_window(text, says):
    with pytest.raises(ValueError, match=says.replace("[", r"\[")):
        Window.parse(text)


def test_limits_move_to_the_nearest_edges_of_bins():
    window = Window.parse("oxidised=sPFY[522.3:525.1]")
    assert BINS.edges[window.slice(BINS).start] == 522.5
    assert BINS.edges[window.slice(BINS).stop] == 525.0
    assert str(window.snapped(BINS)) == "oxidised=sPFY[522.5:525]"


def test_total_yield_takes_the_whole_band():
    assert Window.parse("TFY").slice(BINS) == slice(0, 2000)
    assert str(Window.parse("TFY").snapped(BINS)) == "TFY[200:1200]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PFY[100:300]", "reaches beyond the spectrum of 200 to 1200 eV"),
        ("PFY[1100:1300]", "reaches beyond the spectrum of 200 to 1200 eV"),
        ("PFY[500.1:500.2]", "narrower than the bins of 0.5 eV"),
        ("XES[530:532]", "excitation, not of emission"),
    ],
)
def test_windows_that_do_not_fit_the_bins(text, says):
    with pytest.raises(ValueError, match=says):
        Window.parse(text).slice(BINS)
