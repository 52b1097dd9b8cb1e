"""Which images of the empty beam belong to dose checks."""

from __future__ import annotations

from typing import Any

from ...scan import Role, Scan

__all__ = ["i0_of_checks"]


def i0_of_checks(scan: Scan) -> dict[int, tuple[int, ...]]:
    """Images of the empty beam that are taken with dose checks, and the checks of each.

    They are needed as long as the check is: with the I0 of hours before, a ring that decays looks
    like a sample that the beam has changed.

    Parameters
    ----------
    scan : Scan
        Of images.

    Returns
    -------
    dict of int to tuple of int
        Indices of frames: those of role ``i0`` after the last of role ``sample`` in the same turn
        of the outer loops, where there are checks at the same energy.
    """
    checks: dict[Any, list[int]] = {}
    last: dict[tuple[float, ...], int] = {}
    for i, frame in enumerate(scan.frames):
        if frame.role is Role.DOSE_CHECK:
            checks.setdefault((frame.energy, frame.outer), []).append(i)
        elif frame.role is Role.SAMPLE:
            last[frame.outer] = i
    return {
        i: tuple(checks[frame.energy, frame.outer])
        for i, frame in enumerate(scan.frames)
        if frame.role is Role.I0
        and (frame.energy, frame.outer) in checks
        and i > last.get(frame.outer, -1)
    }
