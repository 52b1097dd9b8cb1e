"""Parts of an experiment: runs one after another that say what they belong to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluesky import Msg
from bluesky.utils import MsgGenerator, ensure_generator

from ...documents import EXPERIMENT
from .._carried import carried

__all__ = ["Part", "Past", "checked", "in_order"]

log = logging.getLogger("redoxscope.plans")


@dataclass(frozen=True)
class Part:
    """A part: ``name`` is the plan's, ``kind`` is "before", "heat" or "after"."""

    kind: str
    name: str
    make: Callable[[], MsgGenerator[Any]]
    single: bool


@dataclass(frozen=True)
class Past:
    """What the runs of an experiment say of it.

    Attributes
    ----------
    uid : str
    recipe : mapping
        What it takes to resume it.
    done : int
        Parts that are finished, from the first.
    total : int
    attempts : int
    interrupted : tuple of str
        Uids of runs whose part is not finished.
    """

    uid: str
    recipe: Mapping[str, Any]
    done: int
    total: int
    attempts: int
    interrupted: tuple[str, ...]

    @classmethod
    def of(cls, runs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]) -> Past:
        """Of all its runs, start and stop document (None: it has none).

        A part is finished when a later one has begun; the last when its runs ended well and are
        all that it has: of a plan that is known there is one, of a function of the user's as many
        as the same had before.
        """
        found = sorted(runs, key=lambda run: float(run[0].get("time", 0.0)))
        says = [start[EXPERIMENT] for start, _ in found]
        newest = says[-1]
        well: dict[tuple[int, int], int] = {}  # runs that ended well, by part and attempt
        for said, (_, stop) in zip(says, found, strict=True):
            ended = stop is not None and stop.get("exit_status") == "success"
            key = said["index"], said["attempt"]
            well[key] = well.get(key, 0) + ended
        last = max(said["index"] for said in says)
        done = last + _whole(last, newest, says, well)
        interrupted = tuple(
            start["uid"] for start, _ in found if start[EXPERIMENT]["index"] >= done
        )
        attempts = 1 + max(said["attempt"] for said in says)
        return cls(newest["uid"], newest["recipe"], done, newest["total"], attempts, interrupted)


def _whole(
    last: int,
    newest: Mapping[str, Any],
    says: Sequence[Mapping[str, Any]],
    well: Mapping[tuple[int, int], int],
) -> bool:
    """Whether the part that was begun last is finished."""
    mine = [said for said in says if said["index"] == last]
    attempt = max(said["attempt"] for said in mine)
    if mine[0]["single"]:
        return well[last, attempt] >= 1
    half = newest["total"] // 2  # the heating: as many parts before it as after it
    earlier = last - half - 1
    if earlier < 0:
        return False
    needed = max((n for (index, _), n in well.items() if index == earlier), default=0)
    return well[last, attempt] >= needed > 0


def checked(parts: Iterable[Part]) -> None:
    """Have each part refused now that would be refused: its checks come before its first message.

    Raises
    ------
    Exception
        As the plan raises it.
    """
    for part in parts:
        plan = ensure_generator(part.make())
        try:
            next(plan, None)
        finally:
            plan.close()


def in_order(
    parts: Sequence[Part], md: Mapping[str, Any], experiment: Mapping[str, Any], first: int
) -> MsgGenerator[None]:
    """Run the parts from ``first`` on; each of their runs says what it belongs to.

    Raises
    ------
    ValueError
        A start document says something else.
    """
    total = len(parts)
    starts: dict[str, Mapping[str, Any]] = {}

    def look(name: str, doc: Mapping[str, Any]) -> None:
        starts[doc["uid"]] = doc

    token = yield Msg("subscribe", None, look, "start")
    for index, part in enumerate(parts):
        if index < first:
            continue
        log.info("part %d of %d (%s): %s", index + 1, total, part.kind, part.name)
        own = {
            **experiment, "part": part.kind, "name": part.name, "index": index, "total": total,
            "single": part.single,
        }  # fmt: skip
        starts.clear()
        yield from carried(ensure_generator(part.make()), _Link(md, own, starts))
    yield Msg("unsubscribe", None, token=token)


class _Link:
    """Writes into each run that is opened what it belongs to, and looks whether it is there."""

    def __init__(
        self, md: Mapping[str, Any], own: Mapping[str, Any], starts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._md, self._own, self._starts = md, own, starts
        self._runs = 0

    def __call__(self, msg: Msg) -> MsgGenerator[Any]:
        if msg.command == "close_run":
            answer = yield msg
            yield Msg("checkpoint")  # a pause now repeats nothing of a run that is over
            return answer
        if msg.command != "open_run":
            return (yield msg)
        meant = {**self._own, "run": self._runs}
        self._runs += 1
        uid = yield msg._replace(kwargs={**self._md, **msg.kwargs, EXPERIMENT: meant})
        start = self._starts.get(uid)
        if start is not None and start.get(EXPERIMENT) != meant:
            raise ValueError(
                f"the start document says {EXPERIMENT} = {start.get(EXPERIMENT)!r:.60}, so that "
                f"nobody could resume the experiment: take it out of RE(…, {EXPERIMENT}=…)"
            )
        return uid
