"""Which number a channel has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...inputs import as_name, as_whole

__all__ = ["channel_numbers"]

MOST = 4


def channel_numbers(name: str, channels: Mapping[Any, Any]) -> dict[str, int]:
    """Number of each channel by its name, from a device's ``{number: name}``.

    Raises
    ------
    ValueError
        No channel, one that there is not, two of the same name.
    """
    found: dict[str, int] = {}
    for number, channel in channels.items():
        whole = as_whole(f"{name}.channels", number, at_least=1, at_most=MOST)
        called = as_name(f"{name}.channels[{whole}]", channel, "tey")
        if called in found:
            raise ValueError(f"{name}: channels {found[called]} and {whole} are both {called!r}")
        found[called] = whole
    if not found:
        raise ValueError(f"{name}.channels is empty; as {{1: 'i0', 2: 'tey'}}")
    return found
