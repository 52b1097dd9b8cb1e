"""What a user should know before believing a result."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Doubt"]


@dataclass(frozen=True)
class Doubt:
    """One thing that a user should know before believing a result.

    Attributes
    ----------
    kind : str
        What it is about: ``"missing"``, ``"blank"``, ``"chi2"``, ...; see
        ``docs/reference/summary.md``.
    value : float
        The number in it.
    text : str
        The same in words, a sentence or two.
    """

    kind: str
    value: float
    text: str
