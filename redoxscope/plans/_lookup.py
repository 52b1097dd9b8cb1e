"""What a plan may ask of whoever runs it: devices and plans by name, the shutter, earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from bluesky import Msg
from bluesky.utils import MsgGenerator

from ..inputs import Unmeasured, suggestion
from ._carried import carried
from ._pauses import in_thread

__all__ = ["Lookup", "lookup"]

T = TypeVar("T")
Documents = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""A run's start document, and its stop document where it has one."""


class Lookup:
    """Answers plans that need a device, a plan or a run by its name: a preprocessor.

    A session has one already. A plan that is handed over as data, by a queue or to be resumed, has
    nothing but names in it.

    Parameters
    ----------
    devices : mapping of str to device
    plans : mapping of str to callable
    shutter : device, optional
        What lets beam onto the sample; closed while nobody measures.
    documents : callable, optional
        ``documents(uid)``: the documents of the run whose uid begins so, in order.
    runs : callable, optional
        ``runs(key, uid)``: of every run whose start document has a mapping ``key`` with a
        ``uid`` that begins so, start and stop document (None: it has not ended), in order.

    Examples
    --------
    >>> RE.preprocessors.append(Lookup(devices={"heater": heater}))  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        devices: Mapping[str, Any] | None = None,
        plans: Mapping[str, Callable[..., Any]] | None = None,
        shutter: Any = None,
        runs: Callable[[str, str], Iterable[Documents]] | None = None,
        documents: Callable[[str], Iterable[tuple[str, Mapping[str, Any]]]] | None = None,
    ) -> None:
        self.devices, self.plans = devices or {}, plans or {}
        self.shutter = shutter
        self._runs, self._documents = runs, documents

    def __call__(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """The plan, answered."""

        def carry(msg: Msg) -> MsgGenerator[Any]:
            answer = yield msg
            return self if msg.command == "null" and "lookup" in msg.kwargs else answer

        return carried(plan, carry)

    def device(self, name: str) -> Any:
        """The device of that name.

        Raises
        ------
        ValueError
        """
        return _of("device", self.devices, name)

    def plan(self, name: str) -> Callable[..., Any]:
        """The plan of that name.

        Raises
        ------
        ValueError
        """
        return _of("plan", self.plans, name)

    @property
    def knows_runs(self) -> bool:
        """Whether `runs` can be asked."""
        return self._runs is not None

    def runs(self, key: str, uid: str) -> MsgGenerator[list[Documents]]:
        """Ask for runs, away from the RunEngine's thread: a catalog takes seconds to open.

        Raises
        ------
        ValueError
            Nobody knows earlier runs.
        """
        find = self._runs
        if find is None:
            raise ValueError(
                "earlier runs are not known here: RE.preprocessors.append(Lookup(…, runs=…))"
            )
        return (yield from in_thread(lambda: list(find(key, uid)))) or []

    def run(
        self, uid: str, look: Callable[[Iterable[tuple[str, Mapping[str, Any]]]], T]
    ) -> MsgGenerator[T | None]:
        """What ``look`` finds in the documents of a run, away from the RunEngine's thread.

        None where the plan is only listed, or the run was only foretold.

        Raises
        ------
        ValueError
            Nobody knows earlier runs; what the finder and ``look`` raise.
        """
        find = self._documents
        if find is None:
            raise ValueError(
                "earlier runs are not known here: RE.preprocessors.append(Lookup(…, documents=…))"
            )

        def found() -> T | None:
            documents = find(uid)
            return None if isinstance(documents, Unmeasured) else look(documents)

        return (yield from in_thread(found))


def _of(what: str, known: Mapping[str, Any], name: str) -> Any:
    if name in known:
        return known[name]
    hint = suggestion(name, list(known)) or f"; known are {', '.join(known) or 'none'}"
    raise ValueError(f"there is no {what} {name!r}{hint}")


def lookup() -> MsgGenerator[Lookup]:
    """What whoever runs the plan knows; nothing, where nobody answers."""
    answer = yield Msg("null", None, lookup=True)
    return answer if isinstance(answer, Lookup) else Lookup()
