"""What a shutter does some time after it was told."""

from __future__ import annotations

import threading


def closed(shutter, timeout=60.0):
    """Wait until the server says that the blade is in; it is asked for by nothing here.

    A pause orders it closed and does not wait, so that it holds up nothing.
    """
    there = threading.Event()

    def look(*, value, **_):
        if int(value) == 0:
            there.set()

    shutter.status.subscribe(look, run=False)
    try:
        assert not shutter.is_open or there.wait(timeout), "the shutter stays open"
    finally:
        shutter.status.clear_sub(look)
    assert not shutter.is_open
