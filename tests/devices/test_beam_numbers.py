"""A line without numbers is not a line in the dark."""

from __future__ import annotations

import numpy as np

from redoxscope.devices.scanner._beam import BeamJudge


def test_no_numbers_are_no_darkness():
    judge, ring, nothing = BeamJudge(), 500.0, np.full(5, np.nan)
    light = {"transmission": np.full(5, 1e3), "i0": nothing}
    judge.accept(0, light, ring)
    assert judge.judge(1, {"transmission": nothing, "i0": nothing}, ring) is None
    judge.accept(1, {"transmission": nothing, "i0": nothing}, ring)
    judge.begin_image()
    dark = judge.judge(1, {"transmission": np.zeros(5), "i0": nothing}, ring)
    assert dark is None or not dark.certain
    assert judge.judge(0, {"transmission": np.zeros(5), "i0": nothing}, ring) is not None
