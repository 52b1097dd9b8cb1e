"""What the ptychography demonstration refuses."""

from __future__ import annotations

import pytest

from redoxscope.demo import PtychoTold, run_ptycho


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
