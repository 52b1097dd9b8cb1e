"""What a live analysis is: a record, and the reader of one run that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..inputs import as_number, as_pair
from . import wire
from ._documents import Doc
from ._doubt import Doubt
from ._results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["Analysis", "Reader", "Update"]

S = TypeVar("S")


class Reader(ABC, Generic[S]):
    """Takes the documents of one run and says what there is to be seen. No threads in it.

    One is made for each run, and all its methods are called from one thread. What they raise ends
    the analysis of this run: it is logged and shown, and the run goes on.
    """

    @abstractmethod
    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether what is of its stream is wanted."""

    @abstractmethod
    def take(self, name: str, doc: Doc) -> Iterable[float]:
        """Take an ``event_page``, a ``stream_resource`` or a ``stream_datum``.

        The host makes pages of single events.

        One row of the same descriptor and ``seq_num`` as a row before replaces that: a run that
        goes on after a pause gives out rows again.

        Returns
        -------
        iterable of float
            Times (s since 1970) at which what it holds was taken; the host makes latencies of them.
        """

    @abstractmethod
    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> Mapping[str, S]:
        """What there is now, by part of the run; the part that is looked at comes last.

        Parameters
        ----------
        final : bool
            The run has ended: all parts, everything solved. It may be asked for again, where a
            user changes something afterwards.
        full : bool
            With all that is only looked at; without, what is quick.
        message : str
            How the run ended, where there is something to say; belongs into the snapshot's message.

        Returns
        -------
        dict
            Parts that have changed since the last call, ``{"": snapshot}`` where there are no
            parts. Snapshots are never changed once they were given out. Empty for nothing to show.
        """

    @property
    def busy(self) -> bool:
        """Whether there is something left to be done that needs no further document."""
        return False

    def work(self) -> None:
        """Do a part of what is left, some tenths of a second of it.

        Called again and again while `busy` and no document waits; snapshots are made in between.
        """

    def told(self, kind: str, content: Any) -> Iterable[float] | None:
        """Take what is no document: a user's wish, photons of the point under way.

        Returns
        -------
        iterable of float or None
            As `take`; None where it changes nothing.
        """
        return None

    @property
    def part_names(self) -> tuple[str, ...]:
        """All parts of the run, whether there is something of them yet or not."""
        return ("",)

    def remarks(self) -> Iterable[Doubt]:
        """What is to be said before there are data, as that there is too little memory."""
        return ()

    @property
    def refusal(self) -> Exception | None:
        """Why there is less than was asked for, where the rest is shown all the same."""
        return None


@dataclass(frozen=True)
class Update:
    """A snapshot that is new, as `Host` hands it on.

    Attributes
    ----------
    run : str
        Uid.
    analysis : str
        Name of the analysis.
    part : str
        Region or other part of the run; empty where there is one only.
    parts : tuple of str
        All parts of the run.
    snapshot : dataclass
        Of the analysis's type.
    final : bool
        Whether the run has ended.
    """

    run: str
    analysis: str
    part: str
    parts: tuple[str, ...]
    snapshot: Any
    final: bool


def _nothing(_: Any) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Analysis:
    """A live analysis: which runs it wants, how it reads, shows, sends and stores what it finds.

    Attributes
    ----------
    name : str
        Letters, digits and _; also that of its results in the catalog.
    title : str
        The same in words, for messages: ``"oxidation map"``.
    accepts : callable
        Takes a start document; whether the run is wanted.
    reader : callable
        Takes a start document and options; makes the `Reader` of the run, or gives None where
        nothing is to be made of it.
    snapshot : type
        Of its snapshots: a frozen dataclass with a field ``message`` (str); what its fields may be
        says `redoxscope.callbacks.wire.pack`.
    draw : callable
        Takes a matplotlib figure, which it clears, and a snapshot.
    size : (float, float)
        Of the picture, inches.
    thin : callable
        Takes a snapshot and the most pixels a side; gives one for a screen.
    options : callable
        Makes the options of a reader where a user gives none.
    doubts : callable
        Takes the last snapshot of a part; gives each `Doubt` that is said when the run ends.
    results : callable
        Takes the last snapshot of a part; gives the `Result` of each array that is stored.
    period : float
        Shortest time between two snapshots, s.
    rest : float
        The host rests so many times longer than a snapshot took: it shares the interpreter.
    apart : bool
        It computes so much that a session runs it in a process of its own, and makes nothing of a
        run a second time where the first time failed.
    aside : bool
        Its picture stands beside that of another analysis of the run, not in its place.

    Raises
    ------
    ValueError
        One of them is not what it must be; names the analysis and the field.
    """

    name: str
    title: str
    accepts: Callable[[Doc], bool]
    reader: Callable[[Doc, Any], Reader | None]
    snapshot: type
    draw: Callable[[Figure, Any], object]
    size: tuple[float, float] = (8.0, 6.0)
    thin: Callable[[Any, int], Any] = lambda snapshot, most: snapshot
    options: Callable[..., Any] = dict
    doubts: Callable[[Any], Iterable[Doubt]] = _nothing
    results: Callable[[Any], Iterable[Result]] = _nothing
    period: float = 0.02
    rest: float = 0.0
    apart: bool = False
    aside: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(
                f"an analysis is called {self.name!r:.40}, but its name must be letters, digits "
                "and _"
            )
        who = f"analysis {self.name!r}"
        for what in ("accepts", "reader", "draw", "thin", "options", "doubts", "results"):
            if not callable(getattr(self, what)):
                raise ValueError(f"{who}: {what} = {getattr(self, what)!r:.60} cannot be called")
        for name in ("apart", "aside"):
            if type(value := getattr(self, name)) is not bool:
                raise ValueError(f"{who}: {name} = {value!r:.40} must be True or False")
        kind = self.snapshot
        if not (isinstance(kind, type) and is_dataclass(kind)):
            raise ValueError(f"{who}: snapshot = {kind!r:.60} is no dataclass")
        if "message" not in {f.name for f in fields(kind)}:
            raise ValueError(f"{who}: {kind.__name__} has no field 'message'")
        pair = as_pair(f"{who}: size", self.size, "inches")
        size = tuple(as_number(f"{who}: size", side, "inches", above=0) for side in pair)
        for what, value in (
            ("size", size),
            ("period", as_number(f"{who}: period", self.period, "s", above=0)),
            ("rest", as_number(f"{who}: rest", self.rest, at_least=0)),
        ):
            object.__setattr__(self, what, value)

    def to_wire(self, snapshot: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Header and arrays of a snapshot, as `redoxscope.callbacks.wire` sends them."""
        return wire.pack(snapshot)

    def from_wire(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Make a snapshot of what `to_wire` made of one.

        Raises
        ------
        redoxscope.callbacks.wire.WireError
            It is none of this analysis, or of another release.
        """
        return wire.unpack(self.snapshot, header, arrays)
