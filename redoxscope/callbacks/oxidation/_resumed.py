"""The live map of a run that continues another begins with what that one measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from ...documents import RESUMES
from .._documents import Doc
from ._batch import from_documents
from ._options import MapOptions
from ._reader import StackReader

__all__ = ["Earlier", "reader_for"]

logger = logging.getLogger(__name__)

Earlier = Callable[[str], Iterable[tuple[str, Doc]]]
"""Documents of a run by its uid."""


def reader_for(start: Doc, options: MapOptions) -> StackReader:
    """Reader of a run that begins, with the lines of those that it continues.

    Where they are not to be had the map is of the run's own lines, and a warning says so: what is
    measured now must be seen all the same.

    Parameters
    ----------
    start : dict
        Its start document.
    options : MapOptions
        With ``earlier``, which knows runs that have ended.
    """
    earlier = options.earlier
    if RESUMES not in start or earlier is None:
        return StackReader(start, options)
    try:
        runs = [earlier(uid) for uid in _before(start, earlier)]
        reader = from_documents(chain(*runs), options)
        reader.resumed(start)
    except Exception as exc:  # files that lack or break
        logger.warning(
            "the live map of run %s is of its own lines only: what run %s measured cannot be read "
            "(%s)", str(start["uid"])[:8], str(start[RESUMES]["uid"])[:8], exc,
        )  # fmt: skip
        return StackReader(start, options)
    reader.succeeded = True
    return reader


def _before(start: Doc, earlier: Earlier) -> list[str]:
    """Uids of the runs that a run continues, the first of them first."""
    found: list[str] = []
    while (link := start.get(RESUMES)) is not None:
        found.insert(0, str(link["uid"]))
        documents: Iterator[tuple[str, Doc]] = iter(earlier(found[0]))
        start = next(doc for name, doc in documents if name == "start")
    return found
