"""How exposures are taken: in blocks, between which the plan looks at what came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..scan import Block, Exposures, Role, Scan

__all__ = ["block_lengths", "blocks_of", "blocks_of_scan", "count_blocks", "longest_block"]

LONGEST = 2.0
"""Exposures (s) of a block at most: what a pause or a frame that is missing costs, and how long the
picture waits for news."""


def _places(station: Any, part: Exposures) -> int:
    """Most places of a block of a part of a scan."""
    own = int(station.block_places(part.times))
    return max(1, min(own, int(LONGEST / sum(part.times)), len(part.positions)))


def blocks_of(station: Any, number: int, part: Exposures) -> Iterator[Block]:
    """The blocks of a part of a scan, in order; all but the last have as many places."""
    size, dark = _places(station, part), part.role is Role.DARK
    for first in range(0, len(part.positions), size):
        yield Block(number, first, part.positions[first : first + size], part.times, dark)


def blocks_of_scan(station: Any, scan: Scan) -> Iterator[Block]:
    """Those of all its parts."""
    for number, part in enumerate(scan.exposures):
        yield from blocks_of(station, number, part)


def block_lengths(station: Any, part: Exposures) -> list[int]:
    """Places of each block of a part of a scan; none is made, which takes long for many."""
    size, n = _places(station, part), len(part.positions)
    return [min(size, n - first) for first in range(0, n, size)]


def count_blocks(station: Any, scan: Scan) -> int:
    """Blocks of all its parts."""
    return sum(len(block_lengths(station, part)) for part in scan.exposures)


def longest_block(station: Any, scan: Scan) -> int:
    """Frames of its longest block."""
    return max(_places(station, part) * len(part.times) for part in scan.exposures)
