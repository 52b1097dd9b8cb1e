"""A block of frames is what the plan asks and the station takes."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.scan import Block


def test_frames_of_a_block_are_counted_place_by_place() -> None:
    places = np.array([[0.0, 0.0], [0.04, 0.0]], dtype=np.float32)
    block = Block(np.int64(1), 3, places, (np.float32(0.01), 0.1))
    assert (block.frames, block.first, block.exposure) == (4, 3, 1)
    assert block.live_time == pytest.approx(0.22)
    assert all(type(value) is float for pair in block.positions for value in pair)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positions": ()}, "at least one place"),
        ({"times": ()}, "at least one place"),
        ({"times": (0.0,)}, "greater than 0 s"),
        ({"times": (True,)}, "must be one number"),
        ({"positions": ((0.0, np.nan),)}, r"positions\[0\]\[1\] = nan µm must be finite"),
        ({"positions": (3.0,)}, r"must be a pair"),
        ({"first": -1}, "block first = -1"),
    ],
)
def test_a_block_that_cannot_be_is_refused(change: dict, words: str) -> None:
    given = {"exposure": 0, "first": 0, "positions": ((0.0, 0.0),), "times": (0.1,)}
    with pytest.raises(ValueError, match=words):
        Block(**{**given, **change})
