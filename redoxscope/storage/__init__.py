"""What is kept of a run: the document log while it runs, the catalog afterwards.

The document log (:class:`DocumentLog`) is the primary writer during a run. The catalog gets the
run after its stop document, by replaying the log. Importing this package is cheap: tiled (several
seconds) is imported when a catalog is opened.
"""

from __future__ import annotations

from ._cube import stack_cube
from ._dose_so_far import dose_so_far
from ._find import RunTable, find, runs_table
from ._recover import recover, store_run
from .catalog import (
    DEFAULT_PROFILE,
    CatalogError,
    CatalogWriter,
    RecoveryReport,
    catalog_doubts,
    catalog_problems,
    data_directory,
    data_folder,
    documents_exporter,
    embedded_tree,
    facility_profile,
    hdf5_exporter,
    ingest,
    open_catalog,
    opening_lines,
    run_documents,
)
from .export import export_run
from .log import CorruptLog, DocumentLog, DocumentLogError, linked_runs, logged_run, read_log
from .results import (
    StoredResults,
    agglomerates,
    keep_results,
    list_results,
    profiles,
    read_results,
    store_results,
)

__all__ = [
    "DEFAULT_PROFILE",
    "CatalogError",
    "CatalogWriter",
    "CorruptLog",
    "DocumentLog",
    "DocumentLogError",
    "RunTable",
    "StoredResults",
    "RecoveryReport",
    "agglomerates",
    "catalog_doubts",
    "catalog_problems",
    "data_directory",
    "data_folder",
    "documents_exporter",
    "dose_so_far",
    "embedded_tree",
    "export_run",
    "facility_profile",
    "find",
    "hdf5_exporter",
    "ingest",
    "keep_results",
    "linked_runs",
    "list_results",
    "logged_run",
    "open_catalog",
    "opening_lines",
    "profiles",
    "read_log",
    "read_results",
    "recover",
    "run_documents",
    "runs_table",
    "stack_cube",
    "store_results",
    "store_run",
]
