"""Scans of a microscope as NXstxm files: afterwards, and while they are measured."""

from __future__ import annotations

from ._files import PART, NxstxmFiles, file_name
from ._recorder import NxstxmRecorder, is_for_nxstxm

__all__ = ["PART", "NxstxmFiles", "NxstxmRecorder", "file_name", "is_for_nxstxm"]
