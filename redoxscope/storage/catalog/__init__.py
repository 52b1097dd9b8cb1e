"""The catalog of runs: open it, put finished runs into it, read them back.

A run comes here after its stop document, by replaying its document log. Importing this package is
cheap: tiled (several seconds) is imported when a catalog is opened.
"""

from __future__ import annotations

from ._check import catalog_doubts, catalog_problems
from ._embedded import embedded_tree, writing
from ._export import documents_exporter, hdf5_exporter
from ._folder import CatalogError, data_directory, data_folder
from ._ingest import STORED, LogIndex, ingest, stored_run
from ._profile import DEFAULT_PROFILE, facility_profile, open_catalog, opening_lines
from ._read import run_documents
from ._store import RecoveryReport, in_order, recover_logs, store_log
from ._streams import main_streams
from ._writer import CatalogWriter

__all__ = [
    "DEFAULT_PROFILE",
    "STORED",
    "LogIndex",
    "CatalogError",
    "CatalogWriter",
    "catalog_doubts",
    "catalog_problems",
    "facility_profile",
    "RecoveryReport",
    "data_directory",
    "data_folder",
    "documents_exporter",
    "embedded_tree",
    "hdf5_exporter",
    "in_order",
    "ingest",
    "main_streams",
    "open_catalog",
    "opening_lines",
    "recover_logs",
    "run_documents",
    "store_log",
    "stored_run",
    "writing",
]
