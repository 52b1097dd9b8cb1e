"""Store the logs that are named on the standard input: for a process that is ending."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

from .catalog import STORED, CatalogError, in_order, open_catalog, store_log
from .results import keep_results


def main() -> None:
    """Open the catalog by profile and data folder, and put each log into it."""
    warnings.simplefilter("ignore", UserWarning)  # whoever orders it was told
    profile, directory, *logs = json.load(sys.stdin)
    try:
        catalog = open_catalog(profile, directory)
    except (CatalogError, ValueError) as exc:
        sys.exit(f"the catalog cannot be opened: {exc}")
    for path in in_order(map(Path, logs)):
        if path.parent.name == STORED:  # what one of them continues
            continue
        report = store_log(path, catalog, [keep_results()])
        if report.status == "failed":
            logging.getLogger("redoxscope.storage").warning(
                "run %s: %s", report.uid, report.message
            )


if __name__ == "__main__":
    main()
