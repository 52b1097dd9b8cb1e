"""Doubts are asked for when a map is there: they must not be what stops it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from .._doubt import Doubt

__all__ = ["asked"]

logger = logging.getLogger(__name__)


def asked(what: str, doubts: Iterator[Doubt]) -> Iterator[Doubt]:
    """Doubts as they come; where asking fails, that as a doubt, and its traceback in the log.

    Parameters
    ----------
    what : str
        What is asked.
    doubts : iterator of Doubt

    Yields
    ------
    Doubt
    """
    try:
        yield from doubts
    except Exception as exc:
        # What the data do not determine is no fault of the program.
        known = isinstance(exc, ValueError)
        logger.log(
            logging.WARNING if known else logging.ERROR, "%s of the map could not be checked: %s",
            what, exc, exc_info=not known,
        )  # fmt: skip
        yield Doubt("unasked", 0, f"Whether {what} may be trusted could not be asked: {exc}.")
