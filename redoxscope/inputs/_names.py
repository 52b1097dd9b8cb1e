"""Names and keys, as users write them, and what a wrong one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from ._shown import shown

__all__ = ["as_name", "check_keys", "nearest", "suggestion"]

CLOSE = 0.65
"""Likeness (`difflib`) from which on another name may be meant: "best" is not "surest"."""


def as_name(name: str, value: Any, example: str) -> str:
    """Text that names something, as a plain str.

    Raises
    ------
    ValueError
        It is no text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} = {shown(value)} must be a name in quotes, as {example!r}")
    return str(value)


def nearest(name: object, known: Iterable[str]) -> str | None:
    """What was probably meant: capitals, blanks and signs count for nothing.

    Of names of two words, as edges have, those of the same first word come before others: "O L"
    is nearer to "O K" than to "Co L".
    """
    names = list(known)
    text = _letters(str(name))
    same = _of_the_same_first_word(text, names)
    by_letters = {_letters(other): other for other in reversed(same or names)}
    close = difflib.get_close_matches(text, by_letters, n=1, cutoff=0.0 if same else CLOSE)
    return by_letters[close[0]] if close else None


def _of_the_same_first_word(text: str, known: Iterable[str]) -> list[str]:
    """Known names of two words whose first word begins ``text``, at most two letters before its
    end; the longest such word counts ("nil3" is of nickel, not of nitrogen).
    """
    firsts = {other: _letters(other.split()[0]) for other in known if len(other.split()) == 2}
    found = {
        other: first
        for other, first in firsts.items()
        if text.startswith(first) and len(text) - len(first) <= 2
    }
    longest = max(map(len, found.values()), default=0)
    return [other for other, first in found.items() if len(first) == longest]


def suggestion(name: object, known: Iterable[str]) -> str:
    """The end of an error: ``"; did you mean 'Mn L3'?"``, or nothing."""
    close = nearest(name, known)
    return "" if close is None else f"; did you mean {close!r}?"


def check_keys(name: str, given: Iterable[object], known: Sequence[str], needed: int) -> None:
    """Refuse a mapping with a key that nobody knows, or without one that is needed.

    Parameters
    ----------
    name : str
        What the mapping is.
    given : iterable
        Its keys.
    known : sequence of str
        Keys that it may have, those that it must have first.
    needed : int
        How many of them it must have.

    Raises
    ------
    ValueError
        Names the key, and what may be meant.
    """
    given = list(given)
    for key in given:
        if key not in known:
            meant = suggestion(key, known) or f"; known are {', '.join(known)}"
            raise ValueError(f"{name}: key {key!r:.60} is not known{meant}")
    for key in known[:needed]:
        if key not in given:
            raise ValueError(f"{name} has no {key!r}")


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
