"""The document log: every document of a run on disk before the plan goes on."""

from __future__ import annotations

from ._document_log import (
    SUFFIX,
    CorruptLog,
    DocumentLog,
    DocumentLogError,
    decode,
    lock_log,
    read_log,
    scan_log,
)
from ._linked import linked_runs, logged_run

__all__ = [
    "SUFFIX",
    "CorruptLog",
    "DocumentLog",
    "DocumentLogError",
    "decode",
    "linked_runs",
    "lock_log",
    "logged_run",
    "read_log",
    "scan_log",
]
