"""Contracts that import-linter has not, for ``make check``."""

from __future__ import annotations

import grimp
from importlinter import Contract, ContractCheck, output


class PrivateModules(Contract):
    """A module with an underscore is imported within its own package only, at any depth."""

    type_name = "private_modules"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        found = []
        for imported in sorted(graph.modules):
            for importer in sorted(graph.find_modules_that_directly_import(imported)):
                home = _home(imported)
                if home is not None and not f"{importer}.".startswith(f"{home}."):
                    found.append(f"{importer} imports {imported}, which is private to {home}")
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["found"]:
            output.print_error(line)


def _home(module: str) -> str | None:
    """The package within which a module may be imported; None: everywhere.

    The outermost private name counts: what lies in a private package is as private as that.
    """
    parts = module.split(".")
    for depth, part in enumerate(parts):
        if depth and part.startswith("_") and not part.startswith("__"):
            return ".".join(parts[:depth])
    return None
