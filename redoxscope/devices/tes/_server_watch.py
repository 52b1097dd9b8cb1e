"""What other clients of the server change while a run goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ServerWatch"]

log = logging.getLogger("redoxscope.tes")


def _source(status: Mapping[str, Any]) -> dict[str, Any]:
    names = ("Running", "SourceName", "Nchannels", "Nsamples", "Npresamp", "SamplePeriod")
    return {name: status.get(name) for name in names}


def _projectors(status: Mapping[str, Any]) -> list[Any]:
    return sorted(status.get("ChannelsWithProjectors") or [])


def _triggers(groups: list[Mapping[str, Any]]) -> list[str]:
    """The server lists the groups in any order, and the channels too."""
    told = [{**group, "ChannelIndices": sorted(group["ChannelIndices"])} for group in groups]
    return sorted(json.dumps(group, sort_keys=True) for group in told)


_Parts = Mapping[str, tuple[str, Callable[[Any], Any]]]

_DECISIVE: _Parts = {
    "source": ("STATUS", _source),
    "projectors": ("STATUS", _projectors),
    "triggers": ("TRIGGER", _triggers),
    "channels": ("CHANNELNAMES", list),
}
"""What the photons depend on: the message that tells it, and what of it."""

_TOLD: _Parts = {
    "writing of files": (
        "WRITING",
        lambda w: {name: bool(w.get(name)) for name in ("Active", "Paused")},
    ),
    "name of its files": ("WRITING", lambda w: w.get("FilenamePattern")),
    "state label": ("STATELABEL", str),
}
"""What only its own files depend on."""


class ServerWatch:
    """Compares what the server says with what held when a run began.

    Parameters
    ----------
    last : callable
        Content of the last message of a tag, None where none came.
    label : str
        State label of the run; "" where it has none.
    """

    def __init__(self, last: Callable[[str], Any], label: str = ""):
        self._last = last
        self._before: dict[str, Any] = {}
        for what, (tag, part) in {**_DECISIVE, **_TOLD}.items():
            content = last(tag)
            if content is not None:
                self._before[what] = part(content)
        # That of the run may be told later than it was set.
        self._before["state label"] = label
        self._told = _TOLD if label else {}

    def now(self) -> str:
        """As `changed`, of everything that was said last."""
        for tag in {tag for tag, _ in _DECISIVE.values()}:
            content = self._last(tag)
            if content is not None and (reason := self.changed(tag, content)):
                return reason
        return ""

    def changed(self, tag: str, content: Any) -> str:
        """What of that the photons depend on has changed, in words; "" where nothing has.

        The rest is written to the log, once for each change.
        """
        for what, words in self._differences(self._told, tag, content):
            log.warning(
                "somebody else changed the server's %s: %s. The run's own photon list goes on",
                what, words,
            )  # fmt: skip
        for what, words in self._differences(_DECISIVE, tag, content):
            return f"the server's {what} changed within the run: {words}. Another client?"
        return ""

    def _differences(self, parts: _Parts, tag: str, content: Any) -> list[tuple[str, str]]:
        found = []
        for what, (told_by, part) in parts.items():
            if told_by == tag:
                now = part(content)
                before = self._before.setdefault(what, now)
                if now != before:
                    self._before[what] = now
                    found.append((what, _words(before, now)))
        return found


def _words(before: Any, now: Any) -> str:
    if isinstance(now, dict):
        return ", ".join(f"{k} was {before[k]}, is {now[k]}" for k in now if now[k] != before[k])
    if isinstance(now, list):
        return f"{len(before)} entries were there, {len(now)} are, or others"
    return f"it was {before!r}, it is {now!r}"
