"""Frames are paired with rows by the camera's own numbers, and what is wrong is named."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.devices.camera import paired
from redoxscope.devices.camera._camera import pixel_bytes
from redoxscope.documents import FrameStatus

OK, MISSED, EXTRA = FrameStatus.OK, FrameStatus.MISSED, FrameStatus.EXTRA
UNWRITTEN, TORN = FrameStatus.UNWRITTEN, FrameStatus.TORN


@pytest.mark.parametrize(
    ("ids", "acquired", "row", "status", "words"),
    [
        pytest.param([11, 12, 13], 3, [5, 6, 7], [OK] * 3, "", id="as-asked"),
        pytest.param([12, 11, 13], 3, [6, 5, 7], [OK] * 3, "", id="out-of-order"),
        pytest.param([9, 10, 11, 12, 13], 3, [7, 8, 9], [OK] * 3, "", id="late-ones-before"),
        pytest.param([11, 13], 3, [5, -1, 6], [OK, UNWRITTEN, OK], "no row in the file", id="gap"),
        pytest.param([11, 12], 3, [5, 6, -1], [OK, OK, UNWRITTEN], "frames 2", id="end-unwritten"),
        pytest.param([12, 13], 3, [-1, 5, 6], [UNWRITTEN, OK, OK], "frames 0", id="begin"),
        pytest.param([11, 0, 13], 3, [5, -1, 7], [OK, TORN, OK], "only part", id="torn"),
        pytest.param([0, 12, 13], 3, [-1, 6, 7], [TORN, OK, OK], "only part", id="first-torn"),
        pytest.param([], 3, [-1] * 3, [UNWRITTEN] * 3, "no row in the file", id="none-written"),
        pytest.param([11, 0], 3, [5, -1, -1], [OK, TORN, UNWRITTEN], "only part", id="both"),
        pytest.param([11, 12], 2, [-1] * 3, [MISSED] * 3, "took 2 frames where 3", id="missed"),
        pytest.param([], 0, [-1] * 3, [MISSED] * 3, "took no frames where 3", id="none"),
        pytest.param([11, 12, 13, 14], 4, [-1] * 3, [EXTRA] * 3, "took 4 frames", id="extra"),
        pytest.param([11, 12, 13, 14], 3, [-1] * 3, [EXTRA] * 3, "took 4 frames", id="on-disk"),
        pytest.param([11, 12, 12], 3, [-1] * 3, [EXTRA] * 3, "took 4 frames", id="twice"),
    ],
)  # fmt: skip
def test_each_frame_has_its_row_or_its_reason(ids, acquired, row, status, words):
    found = paired("camera", 3, 10, acquired, np.array(ids, dtype=np.int32), 5)
    assert found.row.tolist() == row
    assert found.status.tolist() == [int(one) for one in status]
    assert words in "; ".join(found.reasons)
    assert bool(found.reasons) == any(status)


@pytest.mark.parametrize(
    ("kind", "size"), [("Int8", 1), ("UInt16", 2), ("UInt32", 4), ("Float64", 8), ("Unknown", 2)]
)
def test_how_much_a_pixel_takes_on_disk(kind, size):
    assert pixel_bytes(kind) == size
