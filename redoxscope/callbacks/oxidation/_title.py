"""What a stack's start document says of it, as a map shows it."""

from __future__ import annotations

from .._documents import Doc
from .._title import found_again_by

__all__ = ["title_of"]


def title_of(start: Doc, n_energies: int, region: str = "") -> str:
    """Heading of a stack: what, of which region and sample, when, and how it is found again."""
    parts = [
        f"{start.get('edge') or ''} {'energy stack' if n_energies > 1 else 'image'}".strip(),
        region and f"region {region}",
        *found_again_by(start),
    ]
    return " · ".join(filter(None, parts))
