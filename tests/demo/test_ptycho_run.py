"""What the ptychography demonstration refuses, and in which order it does what it does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redoxscope.demo import PtychoTold, run_ptycho
from redoxscope.demo._ptycho import _measure, _Watched


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"energies": 2}, "energies = 2"),
        ({"energies": 99}, "energies = 99"),
        ({"sample": "lmr"}, "sample = 'lmr'"),
        ({"size": 0.1}, "size = 0.1 µm"),
        ({"size": float("nan")}, "size = nan"),
        ({"speed": 0.0}, "speed = 0"),
        ({"simulation_options": {"fault": ["camera nonsense"]}}, "nonsense"),
    ],
    ids=["few", "many", "sample", "size", "nan", "speed", "fault"],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path, options, message):
    began = []
    with pytest.raises(ValueError, match=message):
        run_ptycho(out=tmp_path / "out", told=PtychoTold(begin=lambda: began.append(1)), **options)
    assert not began and not (tmp_path / "out").exists()


def test_the_view_is_open_until_the_map_is_made(tmp_path, monkeypatch):
    order = []

    class View:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            order.append("closed")

    monkeypatch.setattr("redoxscope.callbacks.MapView", View)
    for name in ("energy_stack", "ptychography"):
        monkeypatch.setattr(f"redoxscope.plans.{name}", lambda *_, **__: None)
    watched = _Watched(PtychoTold(rest=lambda: order.append("rest")))
    session = SimpleNamespace(
        maps={"ptychography": SimpleNamespace()}, oxidation_map=SimpleNamespace(), stxm=None,
        ptycho=None, finish=lambda: order.append("finished"),
        RE=lambda _: watched("start", {"uid": "1a", "plan_name": "ptychography"}),
    )  # fmt: skip
    assert _measure(session, [640.0], "diffusion", 0.9, tmp_path, False, watched) is None
    assert order == ["rest", "finished", "closed"]
