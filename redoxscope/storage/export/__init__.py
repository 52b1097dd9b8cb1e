"""Runs and what was found in them, as files that other programs read."""

from __future__ import annotations

from ._export import FORMATS, export_run

__all__ = ["FORMATS", "export_run"]
