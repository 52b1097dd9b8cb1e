"""Presets by edge: read from a file of the package, and looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, TypeVar

import yaml

from redoxscope.inputs import suggestion

__all__ = ["load_presets", "preset_of"]

P = TypeVar("P")


def load_presets(file: str, make: Callable[[str, Mapping[str, Any]], P]) -> dict[str, P]:
    """Make a preset of each entry of a YAML file of this package, by edge."""
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return {edge: make(edge, raw) for edge, raw in yaml.safe_load(text).items()}


def preset_of(presets: Mapping[str, P], edge: str, what: str) -> P:
    """The preset of an edge.

    Raises
    ------
    ValueError
        There is none; the message lists those that are. ``what`` says of what they are.
    """
    try:
        return presets[edge]
    except (KeyError, TypeError):
        raise ValueError(
            f"edge = {edge!r} has no {what} preset{suggestion(edge, presets)}; "
            f"there are: {', '.join(presets)}"
        ) from None
