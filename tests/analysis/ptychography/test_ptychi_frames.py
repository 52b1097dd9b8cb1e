"""What pty-chi is given: it has one mask for all frames."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.analysis.ptychography import _ptychi


class Engine:
    geometry = SimpleNamespace(size=4)

    def __init__(self, mask):
        self.frames = SimpleNamespace(
            amplitude=np.full(mask.shape, 2.0), read=np.zeros(mask.shape), mask=mask
        )

    def __len__(self):
        return len(self.frames.mask)


def test_frames_that_take_their_light_from_one_another_are_refused():
    mask = np.ones((3, 4, 4))
    mask[1, 0, 0] = 0
    counts, good = _ptychi._frames(Engine(mask))
    assert counts.shape == (3, 4, 4) and counts.max() == 4 and good.sum() == 15
    mask[2, :2] = 0
    with pytest.raises(ValueError, match="hold 50% of the light, more than 10%"):
        _ptychi._frames(Engine(mask))
