"""A host of one analysis, as a user has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._analysis import Analysis, Reader, Update
from ._host import Host
from ._live_run import LiveRun

__all__ = ["LiveMap"]

R = TypeVar("R", bound=Reader)
S = TypeVar("S")


class LiveMap(Host, Generic[R, S]):
    """A host of one analysis; what is looked at is of the run that began last.

    Parameters
    ----------
    analysis : Analysis
    options : Any
        What its reader is made with.
    on_update, rate, timeout
        As for `Host`.
    """

    def __init__(
        self,
        analysis: Analysis,
        options: Any,
        *,
        on_update: Callable[[Update], object] | None,
        rate: float,
        timeout: float,
    ) -> None:
        super().__init__(
            [analysis],
            options={analysis.name: options},
            on_update=on_update,
            rate=rate,
            timeout=timeout,
        )

    @property
    def options(self) -> Any:
        """What readers are made with, from the next run on."""
        return self._options[self.analyses[0].name]

    @options.setter
    def options(self, options: Any) -> None:
        self._options[self.analyses[0].name] = options

    @property
    def _run(self) -> LiveRun | None:
        runs = self.runs
        return runs[-1] if runs else None

    @property
    def _reader(self) -> R | None:
        run = self._run
        return None if run is None else run.reader  # type: ignore[return-value]

    @property
    def snapshot(self) -> S | None:
        """What was published last; None before the first data of a run.

        What the user changed just before is in it, and after the end of a run it is the final one:
        that is waited for.
        """
        run = self._run
        return None if run is None else run.snapshot

    @property
    def error(self) -> Exception | None:
        """What went wrong in the current or last run, or why it has less, if anything."""
        run = self._run
        return None if run is None else run.refusal

    @property
    def latencies_ms(self) -> deque[float]:
        """From the reading of each row to the snapshot that holds it, of this run (ms)."""
        return self._latencies("event")

    def _latencies(self, kind: str) -> deque[float]:
        run = self._run
        return deque() if run is None else run.latencies[kind]
