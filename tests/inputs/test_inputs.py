"""What counts as a number, a pair, a list of energies and a name; one rule for every way in."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import xarray
from pandas import NA, Series

from redoxscope.documents import Bins, Window
from redoxscope.inputs import as_number, as_numbers, as_pair, as_whole, nearest, printable
from redoxscope.scan import Raster, Region

NUMBERS = [
    6,
    6.0,
    np.array(6),
    np.array([6.0], "f4"),
    np.array([[6]]),
    xarray.DataArray(6.0),
    Fraction(6),
    Decimal(6),
    *(np.dtype(kind).type(6) for kind in "bBhHiIlLqQefdg"),
]
NO_NUMBERS = [
    True, np.True_, None, "6", b"6", np.str_("6"), 6j, np.complex64(6), [6], (6,),
    np.array([6.0, 6.0]), np.array([True]),
    {6}, NA, np.ma.masked, np.timedelta64(6, "s"), np.datetime64("2026"), float,
    pytest.param(object(), id="object"),
]  # fmt: skip


@pytest.mark.parametrize("value", NUMBERS, ids=lambda v: type(v).__name__)
def test_numbers_of_every_kind(value):
    number, whole = as_number("dwell", value, "s", above=0), as_whole("pixels", value)
    assert type(number) is float and number == 6.0
    assert type(whole) is int and whole == 6
    assert as_pair("size", value, "µm", single=True) == (value, value)
    with pytest.raises(ValueError, match=r"center = .* must be a pair \(x, y\) in µm"):
        as_pair("center", value, "µm")


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="dwell = .* must be one number in s"):
        as_number("dwell", value, "s")
    with pytest.raises(ValueError, match="pixels = .* must be a whole number >= 0"):
        as_whole("pixels", value)
    with pytest.raises(ValueError, match=r"energies\[0\] = .* must be one number in eV"):
        as_numbers("energies", [value], "eV")


class Quantity(float):
    units = "ms"


def test_a_quantity_with_a_unit_of_its_own_is_not_taken_for_its_number():
    with pytest.raises(ValueError, match="dwell"):
        as_number("dwell", Quantity(1.0), "s")


@pytest.mark.parametrize(
    ("value", "limits", "says"),
    [
        (math.nan, {"above": 0}, "dwell = nan s must be greater than 0 s and finite"),
        (np.float32("inf"), {}, "dwell = inf s must be finite"),
        (10**400, {}, "must be finite"),
        (Decimal("NaN"), {}, "must be finite"),
        (Decimal("sNaN"), {}, "must be finite"),
        (-1, {"above": 0}, "dwell = -1 s must be greater than 0 s"),
        (np.int8(0), {"above": 0}, "dwell = 0 s must be greater than 0 s"),
        (5, {"at_least": 6, "at_most": 7}, "must be at least 6 s and at most 7 s"),
        (math.nan, {"finite": False}, "dwell = nan s must be a number"),
    ],
)
def test_limits_are_said(value, limits, says):
    with pytest.raises(ValueError) as caught:
        as_number("dwell", value, "s", **limits)
    assert says in str(caught.value)


@pytest.mark.parametrize("value", [2.5, -1, math.nan, math.inf, 7, 10**30, np.float16(2.5)])
def test_whole_numbers_within_their_limits(value):
    with pytest.raises(ValueError, match="pixels = .* must be a whole number >= 0 and <= 6"):
        as_whole("pixels", value, at_most=6)


@pytest.mark.parametrize(
    "values",
    [
        [640, 641.0], (640, np.int16(641)), range(640, 642), np.array([640, 641], "u2"),
        np.array([640, 641], "f4"), Series([640, 641]), Series([640, 641], dtype="Int64"),
        xarray.DataArray([640.0, 641.0]), (e for e in (640, 641)), np.array([640, 641], object),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_lists_of_every_kind(values):
    found = as_numbers("energies", values, "eV")
    assert found == [640.0, 641.0] and {type(e) for e in found} == {float}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (640, "energies = 640 must be a list of energies in eV"),
        (np.array(640.0), "must be a list"),
        ("640", "energies = '640' must be a list"),
        (None, "energies = None must be a list"),
        ({640.0, 641.0}, "must be a list"),  # has no order
        ({640: 1}, "must be a list"),
        (np.ones((2, 2)), "must be a list"),
        ([[640, 641]], "energies[0] = [640, 641] must be one number"),
        (["640"], "energies[0] = '640' must be one number"),
        (np.array([640, 641], "U3"), "energies[0]"),
        (np.array([True]), "energies[0] = True"),
        (Series([640, None]), "energies[1] = nan eV"),
        (np.ma.array([640, 641], mask=[False, True]), "energies[1] = masked"),
        (itertools.count(640), "more than 100000 values"),
    ],
)
def test_what_is_no_list(values, says):
    with pytest.raises(ValueError) as caught:
        as_numbers("energies", values, "eV", what="energies")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "value", ["ab", {1, 2}, {1: 2, 3: 4}, None, (1, 2, 3), [1], np.ones((2, 2))]
)
def test_what_is_no_pair(value):
    with pytest.raises(ValueError, match=r"size = .* must be one number or a pair \(x, y\) in µm"):
        as_pair("size", value, "µm", single=True)


def test_the_nearest_name():
    known = ["Mn L3", "Co L3", "O K"]
    for given in ("mn l3", "MnL3", "Mn_L3", " Mn  L3", "Mn-L3", "Mn L"):
        assert nearest(given, known) == "Mn L3"
    assert nearest("ok", known) == "O K"
    assert nearest("best", ["largest", "surest"]) is None
    assert nearest("xyz", known) is nearest("", known) is nearest(5, known) is None


def test_a_region_holds_plain_numbers():
    region = Region(np.array([1, 2], "f4"), (np.int8(3), 4), np.array([5, 6], "u1"))
    assert region == Region((1.0, 2.0), (3.0, 4.0), (5, 6))
    assert {type(v) for v in (*region.center, *region.size)} == {float}
    assert {type(v) for v in region.pixels} == {int}
    assert {type(v) for axis in region.extents for v in axis} == {float}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"center": 5}, "region center = 5 must be a pair"),
        ({"center": (0, None)}, "region center y = None must be one number in µm"),
        ({"size": (1, True)}, "region height = True"),
        ({"size": (0, 1)}, "region width = 0 µm must be greater than 0 µm"),
        ({"pixels": True}, "region pixels = True must be one number or a pair"),
        ({"pixels": (True, 1)}, "region pixels nx = True"),
        ({"pixels": (1, -1)}, "region pixels ny = -1"),
        ({"pixels": (1, 10**9)}, "<= 65536"),
        ({"pixels": "12"}, "region pixels = '12' must be one number or a pair"),
    ],
)
def test_a_region_refuses(change, says):
    with pytest.raises(ValueError) as caught:
        Region(**{"center": (0, 0), "size": (1, 1), "pixels": (2, 2), **change})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_start": "0"}, "raster x_start = '0'"),
        ({"nx": True}, "raster nx = True"),
        ({"ny": 2.5}, "raster ny = 2.5"),
        ({"dwell": None}, "raster dwell = None must be one number in s"),
        ({"retries": 1e9}, "raster retries = 1000000000.0"),
        ({"retries": True}, "raster retries = True"),
    ],
)
def test_a_raster_refuses(change, says):
    good = {"x_start": 0, "x_stop": 1, "nx": np.int64(2), "y_start": 0, "y_stop": 1, "ny": 2.0}
    raster = Raster(**good, dwell=np.float32(0.5), retries=np.uint8(1))
    assert [type(v) for v in (raster.nx, raster.ny, raster.dwell)] == [int, int, float]
    with pytest.raises(ValueError) as caught:
        Raster(**{**good, "dwell": 0.1, **change})
    assert says in str(caught.value)


def test_windows_and_bins_take_numbers_only():
    assert Window("PFY", np.int64(505), np.float32(535)) == Window.parse("PFY[505:535]")
    assert str(Window("PFY", np.int64(505), np.float32(535))) == "PFY[505:535]"
    for low in (True, "505", None, math.nan):
        with pytest.raises(ValueError, match="window PFY low = "):
            Window("PFY", low, 535)
    with pytest.raises(ValueError, match="'pfy'.*did you mean 'PFY'"):
        Window.parse("pfy[505:535]")
    with pytest.raises(ValueError, match="window name 5 must be text"):
        Window("PFY", 505, 535, 5)
    with pytest.raises(ValueError, match="bins step = True"):
        Bins(0, 10, True)
    assert Bins(np.int64(0), 10, 1).edges.tolist() == Bins(0.0, 10.0, 1.0).edges.tolist()


@pytest.mark.parametrize(
    "name, meant",
    [
        ("O L", "O K"), ("OL", "O K"), ("o l", "O K"), ("Mn K", "Mn L3"), ("mn", "Mn L3"),
        ("nil3", "Ni L3"), ("col", "Co L3"), ("Co K", "Co L3"), ("gold", None), (5, None),
    ],
)  # fmt: skip
def test_the_nearest_edge_is_of_the_same_element(name, meant):
    assert nearest(name, ["Mn L3", "Co L3", "Ni L3", "O K", "Fe L3"]) == meant


def test_text_from_elsewhere_keeps_its_letters_and_spaces_only():
    kept = "70\u2009160 µ\u00a0Å · σ"
    assert printable(kept) == kept
    assert printable("a\x1b[2J\nb\u202e\ud800") == "a\ufffd[2J\ufffdb\ufffd\ufffd"
    assert printable("a\nb", keep="\n") == "a\nb"
