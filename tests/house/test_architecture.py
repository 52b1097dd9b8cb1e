"""The page on the architecture draws the house as it is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def drawn() -> list[set[str]]:
    """Rooms of each line of the drawing, without what is said of them."""
    drawing = re.findall(r"^```\n(.*?)^```", PAGE, re.S | re.M)[0]
    return [set(line[:81].split()) for line in drawing.splitlines()]


def test_rooms_are_drawn_in_the_order_of_the_contract():
    (order,) = (c for c in CONTRACTS["contracts"] if c["name"] == "Imports run one way")
    layers = [set(re.findall(r"\w+", layer)) for layer in order["layers"]]
    lines = drawn()
    assert lines[0] | lines[1] == layers[0]  # two lines, for each has much to say
    assert lines[2:] == layers[1:]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:\w+/)+\w+)`", PAGE))))
def test_paths_of_the_page_are_there(path):
    assert (ROOT / path).exists() or (ROOT / "redoxscope" / path).exists()
