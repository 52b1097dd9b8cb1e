"""What a shutter's monitors do not decide alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redoxscope.devices import DeviceError, Shutter


class Mode:
    """A PV whose last monitor is late."""

    pvname, monitor = "X:Mode", 0

    def __init__(self, server):
        self.server = server

    def get(self, use_monitor=True, **_):
        return self.monitor if use_monitor else self.server


def follows(server):
    shutter = SimpleNamespace(name="shutter", mode=Mode(server), _following=True)
    return Shutter.follows.fget(shutter)


def test_a_late_monitor_takes_it_from_nobody():
    """It may be of the pause before this client asked for it again."""
    assert follows(1) is True


@pytest.mark.parametrize("mode", [0, 2])
def test_who_took_it_out_of_following_is_told_of(mode):
    with pytest.raises(DeviceError, match=r"shutter \(X:Mode\) was taken out of following"):
        follows(mode)
