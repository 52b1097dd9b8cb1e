"""Analyses are records that are checked, and found by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from redoxscope.callbacks import Analysis, Result, _registry, analyses, analysis, register
from redoxscope.scan import Region


@dataclass(frozen=True)
class Seen:
    values: np.ndarray
    message: str = ""


@dataclass(frozen=True)
class Silent:
    values: np.ndarray


def record(**change) -> Analysis:
    known = {
        "name": "seen", "title": "what was seen", "accepts": bool, "snapshot": Seen,
        "reader": lambda start, options: None, "draw": lambda figure, snapshot: None,
    }  # fmt: skip
    return Analysis(**{**known, **change})


@pytest.fixture
def own_registry(monkeypatch):
    """A registry that forgets what a test put into it."""
    analyses()
    monkeypatch.setattr(_registry, "_known", dict(_registry._known))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "two words"}, "an analysis is called 'two words'"),
        ({"name": 3}, "an analysis is called 3"),
        ({"reader": None}, "analysis 'seen': reader = None cannot be called"),
        ({"snapshot": dict}, "analysis 'seen': snapshot = <class 'dict'> is no dataclass"),
        ({"snapshot": Silent}, "analysis 'seen': Silent has no field 'message'"),
        ({"size": 3}, "analysis 'seen': size = 3 must be a pair"),
        ({"size": (3, -1)}, r"analysis 'seen': size = -1.* inches"),
        ({"period": 0}, r"analysis 'seen': period = 0.* s"),
        ({"rest": True}, "analysis 'seen': rest = True"),
    ],
)
def test_a_wrong_record_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        record(**change)


def test_snapshots_travel():
    sent = record().to_wire(Seen(np.arange(3.0), "so far"))
    back = record().from_wire(*sent)
    np.testing.assert_array_equal(back.values, np.arange(3.0))
    assert back.message == "so far"


@pytest.mark.parametrize("name", [*(one.name for one in analyses()), "agglomerates", "profiles"])
def test_no_region_is_called_as_results_are(name):
    """Its lines would be where the results belong, which would be lost."""
    for key in (name, f"{name}_v2"):
        with pytest.raises(ValueError, match=f"region name = '{key}' is that of results"):
            Region((0, 0), 1, 1, key)


def test_an_analysis_is_found_by_name(own_registry):
    mine = register(record())
    assert register(mine) is mine is analysis("seen")
    assert mine in analyses()
    with pytest.raises(ValueError, match=r"no analysis is called 'sen' \(did you mean 'seen'\?\)"):
        analysis("sen")
    with pytest.raises(ValueError, match="there is an analysis 'seen' already: what was seen"):
        register(record())
    with pytest.raises(ValueError, match="is no Analysis"):
        register("seen")


FROM_OUTSIDE = record(name="from_outside")
NO_ANALYSIS = 5


def test_entry_points_are_looked_up_once_and_a_broken_one_is_said(monkeypatch, caplog):
    here = "tests.callbacks.test_analysis"
    monkeypatch.setattr(_registry, "_known", {})
    monkeypatch.setattr(_registry, "_looked", False)
    entries = [
        EntryPoint("gone", "no.such.module:MAP", _registry.GROUP),
        EntryPoint("odd", f"{here}:NO_ANALYSIS", _registry.GROUP),
        EntryPoint("good", f"{here}:FROM_OUTSIDE", _registry.GROUP),
    ]
    asked = []
    monkeypatch.setattr(_registry, "entry_points", lambda group: asked.append(group) or entries)
    assert analysis("from_outside").title == "what was seen"
    assert len(analyses()) == len(_registry._known)
    assert asked == ["redoxscope.analyses"]
    assert "the analysis gone (no.such.module:MAP) cannot be used: No module" in caplog.text
    assert "the analysis odd" in caplog.text and "5 is no Analysis" in caplog.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "a result's name is ''"),
        ({"array": np.array(["a"])}, "result seen/od is an array of <U1, but must be of numbers"),
        ({"dims": ("x",)}, "result seen/od has the dimensions x, but its array has 2"),
        ({"dims": ("x", "x")}, "result seen/od has the dimensions x, x"),
        ({"coords": {"z": [1]}}, "result seen/od has a coordinate 'z', which is no dimension"),
        ({"coords": {"x": [1, 2]}}, r"result seen/od has 3 values along 'x', but .* \(2,\)"),
        ({"units": {"x": "µm"}}, "result seen/od has a unit for 'x', which is no coordinate"),
    ],
)
def test_a_wrong_result_is_refused(change, words):
    known = {"analysis": "seen", "name": "od", "array": np.zeros((2, 3)), "dims": ("y", "x")}
    with pytest.raises(ValueError, match=words):
        Result(**{**known, **change})


def test_a_result_says_what_it_is():
    found = Result("seen", "od", [[1, 2, 3]], ("y", "x"), "A", {"x": [0, 1, 2]}, {"x": "µm"}, "OD")
    assert repr(found) == "<Result seen/od of A (OD): y 1 × x 3>"
    assert found.array.shape == (1, 3)
