"""What a reader says of a file that it cannot use."""

from __future__ import annotations

__all__ = ["FormatError", "IncompleteHeader"]


class FormatError(ValueError):
    """A file or message is not what its format asks for; the text names it and the reason."""


class IncompleteHeader(FormatError):  # noqa: N818  (says what it is)
    """The file ends within its header: its writer may not have got further yet."""
