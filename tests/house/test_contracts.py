"""The contract that import-linter has not: private modules are private."""

import grimp
import pytest

from .contracts import PrivateModules


def check(importer: str, imported: str) -> list[str]:
    graph = grimp.ImportGraph()
    for module in (importer, imported):
        graph.add_module(module)
    graph.add_import(importer=importer, imported=imported)
    contract = PrivateModules("private", {}, {})
    return contract.check(graph, verbose=False).metadata["found"]


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        ("house.room._a", "house.room._b", True),
        ("house.room", "house.room._b", True),
        ("house.room.corner._a", "house.room._b", True),
        ("house.room._a", "house.other", True),
        ("house.room._a", "house.other._b", False),
        ("house.room._a", "house.room.corner._b", False),
        ("house.roomy", "house.room._b", False),
        ("house.room._a", "house.other._hidden.open", False),
        ("house.room._a", "house.room._hidden.open._b", True),
        ("house.room._a", "house.other.__main__", True),
        ("house.room._a", "_thread", True),
    ],
)
def test_private_modules_are_private(importer, imported, kept):
    found = check(importer, imported)
    assert (found == []) == kept
    if not kept:
        assert importer in found[0] and imported in found[0]
