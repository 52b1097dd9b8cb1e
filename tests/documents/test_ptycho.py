"""The start document and the blocks of ptychography."""

from __future__ import annotations

import json

import numpy as np
import pytest

from redoxscope.documents import BlockFrames, FrameStatus, PtychoInfo

INFO = PtychoInfo(
    image="camera_image", shape=(256, 256), pixel_um=30, distance_um=np.float32(125_000),
    defocus_um=-5, object_pixel_um=[(640, 0.005, 0.005), np.array([642.0, 0.0049, 0.0049])],
    probe_um=0.2, saturation=4095, read_noise=2, gain=5, pedestal=0, mask=None,
    zone_plate={"diameter_um": 240, "outer_zone_nm": 45.0},
)  # fmt: skip


def test_info_comes_back_from_a_start_document():
    start = json.loads(json.dumps({"ptychography": INFO.as_dict()}, allow_nan=False))
    found = PtychoInfo.from_start(start)
    assert found == INFO and found.shape == (256, 256)
    assert found.object_pixel(642) == (0.0049, 0.0049)
    with pytest.raises(ValueError, match="energy = 641 eV is none"):
        found.object_pixel(641)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixel_um": 0}, "'abcdefgh': pixel_um = 0 µm must be greater than 0"),
        ({"shape": [256]}, "shape = .* must be a pair"),
        ({"gain": None}, "gain = None must be one number in counts/photon"),
        ({"object_pixel_um": [[640, 1]]}, r"object_pixel_um\[0\] = .* must be energy"),
        ({"more": 1}, "'more'"),
    ],
)
def test_info_that_makes_no_sense_is_refused(changes, words):
    start = {"uid": "abcdefghijk", "ptychography": INFO.as_dict() | changes}
    with pytest.raises(ValueError, match=words):
        PtychoInfo.from_start(start)


def test_a_run_that_says_nothing_of_it():
    with pytest.raises(ValueError, match="'abcdefgh' says nothing of ptychography"):
        PtychoInfo.from_start({"uid": "abcdefghijk"})


def test_frames_of_a_block_are_of_places_and_times():
    pad = int(FrameStatus.PADDING)
    data = {
        "exposure": 3, "first": 7, "row": [10, 11, -1, 13, -1, -1], "x": [0, 0, 1, 1, np.nan, 0],
        "y": [5.0] * 6, "gate": [0.1, 1, np.nan, 1, np.nan, np.nan],
        "frame_status": [0, 0, int(FrameStatus.MISSED), 0, pad, pad],
    }  # fmt: skip
    block = BlockFrames.from_data(data, times=2)
    assert block.exposure == 3
    assert block.place.tolist() == [7, 7, 8, 8] and block.time.tolist() == [0, 1, 0, 1]
    assert block.row.tolist() == [10, 11, -1, 13] and block.status.tolist() == [0, 0, 1, 0]
    assert block.x.tolist() == [0, 0, 1, 1] and len(block.gate) == len(block.y) == 4
