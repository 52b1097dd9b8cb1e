"""PVs of devices that the simulation knows nothing of: they keep what is written."""

from __future__ import annotations

from typing import Any

from caproto import ChannelData, ChannelDouble, ChannelInteger, ChannelString

__all__ = ["plain_pv"]


def plain_pv(value: Any) -> ChannelData:
    """Channel that has this value, and this value's type, until somebody writes another."""
    if isinstance(value, str):
        return ChannelString(value=value, string_encoding="utf-8")
    kind = ChannelInteger if isinstance(value, int) else ChannelDouble
    return kind(value=value)
