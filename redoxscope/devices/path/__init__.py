"""What visits places one after the other, and gates a camera at each."""

from ._path import FlownPath, PathScanner

__all__ = ["FlownPath", "PathScanner"]
