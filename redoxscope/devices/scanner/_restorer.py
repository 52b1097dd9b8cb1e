"""What was asked for and does not stand there any more is asked for again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ophyd.status import Status

from .._base import DeviceError, logged
from .._steps import Steps
from .._watch import Held, Watch

__all__ = ["NotRestoredError", "Restorer"]

log = logging.getLogger("redoxscope.scanner")


class NotRestoredError(DeviceError):
    """What was asked for again did not come, or was stopped on its way."""


class Restorer:
    """Brings back what has to hold, where that may be done.

    Parameters
    ----------
    name : str
        Of the scanner, for messages.
    watch : Watch
    """

    def __init__(self, name: str, watch: Watch):
        self._name, self._watch = name, watch
        self._restoring: list[Held] = []

    def restore(self, held: Sequence[Held], line: int, go_on: Callable[[], bool]) -> Steps:
        """Ask again for what does not stand where it was asked to; fail where nobody may.

        Parameters
        ----------
        held : sequence of Held
        line : int
            For messages.
        go_on : callable
            Asked when something was sent back: a pause that came as it was about to be has found
            nothing to halt yet, so it is halted here.
        """
        where = f"{self._name}, line {line}"
        wrong = self._watch.expect(held)
        texts = {one.signal: text for one, text in self._watch.off()}
        for one in wrong:
            if one.restore is None:
                raise DeviceError(f"{where}: {texts[one.signal]}")
        asked: list[Callable[[], Status]] = []
        try:
            for one in wrong:
                if one.restore is None or one.restore in asked:
                    continue
                log.warning("%s: %s; asked for again", self._name, texts[one.signal])
                asked.append(one.restore)
                self._restoring = [one]
                sent = one.restore()
                if not go_on():
                    self.halt()
                yield sent
        finally:
            self._restoring = []
        if wrong and self._watch.expect(held):
            text = "; ".join(text for _, text in self._watch.off())
            raise NotRestoredError(f"{where}: {text}, although asked for again")

    def halt(self) -> None:
        """Stop what was on its way back; the pause or the end of the plan comes first."""
        for one in self._restoring:
            if one.halt is not None:
                logged(log, one.name, one.halt)
