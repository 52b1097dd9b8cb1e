"""Temperatures as users and controllers write them."""

from __future__ import annotations

from typing import Any

from ...inputs import suggestion

__all__ = ["ABSOLUTE_ZERO", "celsius", "from_celsius", "kelvin_hint", "unit_of"]

ABSOLUTE_ZERO = -273.15
"""0 K (degC)."""

_WORDS = {
    "c": "degC", "degc": "degC", "celsius": "degC", "degrees c": "degC", "deg c": "degC",
    "k": "K", "kelvin": "K", "degk": "K",
}  # fmt: skip


def unit_of(name: str, word: Any) -> str:
    """``"degC"`` or ``"K"``, from what people and controllers call it.

    Raises
    ------
    ValueError
        Another one, or none.
    """
    text = word.strip().casefold().replace("°", "") if isinstance(word, str) else None
    if text not in _WORDS:
        hint = suggestion(word, ["degC", "K"]) if isinstance(word, str) else ""
        raise ValueError(f"{name} = {word!r} must be 'degC' or 'K'{hint}")
    return _WORDS[text]


def celsius(value: float, unit: str) -> float:
    """A temperature in ``unit`` ("degC" or "K") as degC."""
    return value + ABSOLUTE_ZERO if unit == "K" else value


def from_celsius(value: float, unit: str) -> float:
    """A temperature (degC) in ``unit`` ("degC" or "K")."""
    return value - ABSOLUTE_ZERO if unit == "K" else value


def kelvin_hint(value: float, low: float, high: float) -> str:
    """What was meant by a temperature too high for the stage that would be right in kelvin."""
    meant = celsius(value, "K")
    if value > high and low <= meant <= high:
        return f"; it is in degC: did you mean {meant:.6g} degC, which is {value:g} K?"
    return ""
