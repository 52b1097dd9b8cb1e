"""What a plan reads of the TES beside its points: the photons, and the totals of a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from ophyd.status import Status

from ...documents import TOTAL_KEYS
from ...formats import photon_data_keys
from .._base import DeviceError, Move
from ._run import Whole

__all__ = ["PhotonCollector", "Totals"]

log = logging.getLogger("redoxscope.tes")


class PhotonCollector:
    """The photons of a run, to be collected into a stream of their own.

    ``declare_stream(tes.photons, name="tes_photons", collect=True)``, then ``collect`` as often
    as one likes; what is announced is on disk.
    """

    parent = None

    def __init__(self, tes: Whole):
        self._tes = tes
        self.name = f"{tes.name}_photons"

    def __repr__(self) -> str:
        return f"PhotonCollector({self.name!r})"

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """One external data key per column."""
        return photon_data_keys(self._tes.source)

    def get_index(self) -> int:
        """Photons in the list so far."""
        run = self._tes.run
        return 0 if run is None else run.asset.get_index()

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Documents for the photons that came since the last call.

        What cannot be written fails the run (see `TES.trigger` and `Totals.trigger`), not this.
        """
        run = self._tes.run
        if run is None:
            return
        run.acquisition.write_list()
        try:
            docs = list(run.asset.collect_asset_docs(index))
        except OSError as exc:
            run.acquisition.fail(DeviceError(f"the photons of the run cannot be kept: {exc}"))
            log.error("%s: %s", self.name, exc)
            return
        yield from docs


class Totals:
    """Counts of the whole run, complete once the server's own counts cover its last point."""

    parent = None

    def __init__(self, tes: Whole):
        self._tes = tes
        self.name = f"{tes.name}_totals"

    def __repr__(self) -> str:
        return f"Totals({self.name!r})"

    def trigger(self) -> Status:
        """Wait for the server's counts, then close the photon list.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` where the counts do not come, the run had failed already,
            or the list cannot be completed; the list is closed all the same.
        """
        run = self._tes.staged_run("read totals")
        whole = Move(f"{self.name}: closing {run.path}", self._tes.patience(5.0) + 30.0)
        counts = Move(
            f"{self._tes.where}: its pulse counts (status TRIGGERRATE) cover the last point",
            self._tes.patience(5.0),
        )

        def covered(status: Status) -> None:
            error = status.exception(timeout=0)
            try:
                run.acquisition.finish()
            except OSError as exc:
                error = error or DeviceError(f"the photon list is not complete: {exc}")
            whole.end(error)

        counts.add_callback(covered)
        run.acquisition.cover(counts)
        return whole

    def read(self) -> dict[str, Any]:
        """The counts as they are now."""
        run = self._tes.staged_run("read totals")
        acquisition = run.acquisition
        values = (
            acquisition.photons,
            acquisition.late,
            acquisition.lost,
            acquisition.outside,
            len(acquisition.setup.counted),
        )
        now = time.time()
        return {
            key: {"value": int(value), "timestamp": now}
            for key, value in zip(TOTAL_KEYS, values, strict=True)
        }

    def describe(self) -> dict[str, Any]:
        key = {"source": self._tes.source, "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {name: dict(key) for name in TOTAL_KEYS}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}
