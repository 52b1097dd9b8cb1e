"""Engines that use the frames of another again: in halves, or with more freedom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from ...inputs import as_number, as_whole
from ._engine import Engine
from ._modes import with_modes

__all__ = ["halves", "refined"]


def halves(engine: Engine) -> tuple[Engine, Engine]:
    """Two engines that begin anew, each with every other frame.

    After about as many updates per frame, their results give σ and resolution (`with_sigma`).
    """
    count = len(engine)
    one, two = (_other(engine, range(first, count, 2), engine.first_probe, {}) for first in (0, 1))
    return one, two


def refined(
    engine: Engine, *, modes: int = 2, positions: bool = True, largest_um: float = 0.01
) -> Engine:
    """An engine that goes on with more freedom, for after the scan.

    Parameters
    ----------
    engine : Engine
        It stays as it is.
    modes : int
        Of the beam: partial coherence, or a sample that trembles. New ones begin as derivatives of
        the first, which is what a source of finite size makes.
    positions : bool
        Whether the places of the frames are improved as well.
    largest_um : float
        How far a place may move (µm).

    Raises
    ------
    ValueError
        Modes are not 1 to 8, or the distance is not positive.
    """
    wanted = as_whole("modes", modes, at_least=1, at_most=8)
    largest = as_number("largest_um", largest_um, "µm", above=0.0)
    finer: dict[str, Any] = {"subpixel": 4} if positions else {}
    return _other(
        engine, range(len(engine)), with_modes(engine.probe, wanted), finer, engine.object,
        largest if positions else None, engine.updates,
    )  # fmt: skip


def _other(
    engine: Engine,
    which: Sequence[int],
    probe: NDArray,
    changes: dict[str, Any],
    start: NDArray | None = None,
    largest_um: float | None = None,
    updates: int = 0,
) -> Engine:
    options: dict[str, Any] = engine.options | changes
    expected = max(1, len(which))
    other = Engine(engine.geometry, probe, engine.field, expected=expected, **options)
    other.refused = dict(engine.refused)
    frames = engine.frames.part(which)
    other.resume(frames, object=start, largest_um=largest_um, updates=updates)
    return other
