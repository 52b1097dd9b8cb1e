"""TiledWriter, set up for replaying a log: imports tiled, so import it late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bluesky_tiled_plugins import TiledWriter
from bluesky_tiled_plugins.writing.consolidators import (
    CONSOLIDATOR_REGISTRY,
    HDF5Consolidator,
    Patch,
)
from bluesky_tiled_plugins.writing.tiled_writer import RESERVED_DATA_KEYS, RunNormalizer
from event_model import DocumentNames, unpack_event_page

__all__ = ["tiled_writer"]


class _LogNormalizer(RunNormalizer):
    """Pass plain events straight on.

    The stock normalizer deep-copies and validates every event, two thirds of the time of a
    replay. Ours were validated by the RunEngine and belong to nobody else. Events with external
    data, or with data keys that must be renamed, take the stock way. Data that stream documents
    announce are in no event.
    """

    def descriptor(self, doc: Any) -> None:
        super().descriptor(doc)
        self._plain = getattr(self, "_plain", True) and not any(
            key.get("external", "STREAM:") != "STREAM:" or name in RESERVED_DATA_KEYS
            for name, key in doc["data_keys"].items()
        )

    def event(self, doc: Any) -> None:
        if self._plain:
            self.dispatcher.process(DocumentNames.event, doc)
        else:
            super().event(doc)

    def event_page(self, doc: Any) -> None:
        for event in unpack_event_page(doc):
            self.event(event)


class _CountedRows(HDF5Consolidator):
    """Count the rows of a file.

    The stock one keeps a dict of every row for each column, some 200 bytes: gigabytes for the
    photons of an hour. All that is asked of it is how many there are.
    """

    _counted = 0  # rows that belong to an event; the others are skipped

    @property
    def has_skips(self) -> bool:
        return bool(self._num_rows > self._counted)

    def consume_stream_datum(self, doc: Any) -> Patch:
        before = self.shape
        rows, numbers = (doc[key]["stop"] - doc[key]["start"] for key in ("indices", "seq_nums"))
        self._num_rows += rows
        self._counted += min(rows, numbers)
        after = self.shape
        return Patch(
            offset=(before[0], *[0] * len(after[1:])), shape=(after[0] - before[0], *after[1:])
        )


for _mimetype in HDF5Consolidator.supported_mimetypes:
    CONSOLIDATOR_REGISTRY[_mimetype] = _CountedRows


def tiled_writer(client: Any, batch_size: int) -> Callable[[str, dict[str, Any]], None]:
    """A writer for the documents of one log.

    Parameters
    ----------
    client : CatalogOfBlueskyRuns
        Where the run goes.
    batch_size : int
        Events written at a time.

    Returns
    -------
    callable
        ``write(name, doc)``.
    """
    # max_array_size=0: every array is a zarr node, whatever its length, so that a line of 10
    # pixels reads back like one of 1000, and SQLite, which has no lists, can hold the table.
    return TiledWriter(client, normalizer=_LogNormalizer, batch_size=batch_size, max_array_size=0)
