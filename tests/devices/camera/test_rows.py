"""The file of a camera while it is written: cut off, or a little smaller when it is closed."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from redoxscope.devices import DeviceError
from redoxscope.devices.camera._rows import DATASET, GIVEN_BACK, NUMBERS, FrameFile


def test_room_that_is_given_back_is_no_loss(tmp_path):
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file[DATASET] = np.zeros((3, 64, 64), np.uint16)
        file[NUMBERS] = np.arange(3)
    whole = path.stat().st_size
    with open(path, "ab") as file:
        file.write(bytes(GIVEN_BACK))
    found = FrameFile(path, "camera")
    try:
        assert found.rows == 3
        os.truncate(path, whole)
        assert found.rows == 3
        os.truncate(path, whole - GIVEN_BACK - 1)
        with pytest.raises(DeviceError, match=rf"was cut off: {whole - GIVEN_BACK - 1} bytes"):
            _ = found.rows
    finally:
        found.close()
