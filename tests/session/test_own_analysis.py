"""An analysis of a user's own in a session: live, at its end, and in the catalog."""

from __future__ import annotations

from dataclasses import replace

import bluesky.plans as bp
import numpy as np
import pytest

from redoxscope import start_session
from redoxscope.callbacks import Reader, _registry, analyses, register

from ..callbacks.mean_spectrum import ANALYSIS as MEAN
from ..callbacks.mean_spectrum import MeanSpectrum
from .test_any_beamline import SOFT, written


class Diode(Reader):
    """What a diode read over an angle."""

    def __init__(self, start, options):
        self.rows = {}

    def describe(self, descriptor):
        return descriptor["name"] == "primary"

    def take(self, name, page):
        data = page["data"]
        for row in zip(page["seq_num"], data["angle"], data["diode"], strict=True):
            self.rows[row[0]] = row[1:]
        return page["time"]

    def snapshot(self, *, final=False, full=True, message=""):
        angle, diode = np.array(list(self.rows.values())).T
        return {"": MeanSpectrum(angle, diode, message)}


@pytest.fixture
def session(tmp_path, monkeypatch):
    analyses()
    monkeypatch.setattr(_registry, "_known", dict(_registry._known))
    register(
        replace(MEAN, accepts=lambda start: start.get("plan_name") == "scan",
                reader=Diode)
    )  # fmt: skip
    with start_session(written(tmp_path, SOFT), data=tmp_path / "data") as s:
        yield s


def test_a_session_runs_it_and_its_results_lie_beside_the_run(session):
    (uid,) = session.RE(bp.scan([session.diode], session.angle, 0, 1, 5))
    live = session.maps["mean_spectrum"].latest[uid, "mean_spectrum", ""]
    np.testing.assert_allclose(live.energies, np.linspace(0, 1, 5))
    stored = session.cat[uid]["mean_spectrum"]
    np.testing.assert_array_equal(stored["counts"].read(), live.counts)
    np.testing.assert_array_equal(stored.read()["energy"], live.energies)
    assert session.mean_spectrum.errors == {}
    session.RE(bp.count([session.diode]))
    assert "mean_spectrum" not in set(session.cat[-1])
