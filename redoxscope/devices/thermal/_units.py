"""Temperatures as users and controllers write them."""

from __future__ import annotations

from typing import Any

from ...inputs import suggestion

__all__ = ["ABSOLUTE_ZERO", "celsius", "from_celsius", "kelvin_hint", "round_in_kelvin", "unit_of"]

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


def round_in_kelvin(value: float) -> float | None:
    """The round temperature (degC) that a number is in kelvin, as 100 of 373 and of 373.15.

    A stage to 600 degC would heat to 373 degC without a word, where 100 were meant. Whole degrees
    above 273.15 are found, and of whole kelvin the steps of 25 that people set.
    """
    for zero, step in ((-ABSOLUTE_ZERO, 1.0), (float(int(-ABSOLUTE_ZERO)), 25.0)):
        steps = round((value - zero) / step)
        if steps > 0 and abs(value - zero - steps * step) < 1e-4:
            return steps * step
    return None
