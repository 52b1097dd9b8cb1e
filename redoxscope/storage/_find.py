"""Runs found by what they say of themselves, and listed so that a person can read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from html import escape
from typing import Any

import numpy as np

from redoxscope.inputs import as_name, as_whole, printable, unless_unmeasured
from redoxscope.scan import Scan

from .catalog import main_streams

__all__ = ["RunTable", "find", "runs_table"]

DATE_FORMS = "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m", "%Y"


def find(
    catalog: Any,
    *,
    edge: str | Iterable[str] | None = None,
    sample: str | Iterable[str] | None = None,
    since: str | date | timedelta | None = None,
    until: str | date | timedelta | None = None,
    plan: str | Iterable[str] | None = None,
    status: str | Iterable[str] | None = None,
    **keys: Any,
) -> Any:
    """Runs that say all of this of themselves.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        As :func:`open_catalog` gives it, or what an earlier search gave.
    edge, sample : str or list of str, optional
        As in the start document: ``"Mn L3"``; one of several.
    since, until : str, date, datetime or timedelta, optional
        When the run began, in local time: ``"2026-11-26"``, ``"2026-11-26 14:30"``, ``"2026-11"``;
        a timedelta is so long ago. ``until`` a day includes that day, a month or year likewise.
    plan : str or list of str, optional
        Its ``plan_name``: ``"stxm_energy_stack"``, ``"rixs_map"``.
    status : str or list of str, optional
        How it ended: ``"success"``, ``"abort"``, ``"fail"``.
    **keys
        Other keys of the start document, each with the value wanted: ``scan_id=17``,
        ``operator="Kim"``; a list for one of several.

    Returns
    -------
    CatalogOfBlueskyRuns
        A catalog of them, the newest last: ``found[-1]``, ``len(found)``, searched again likewise;
        `runs_table` lists it.

    Raises
    ------
    ValueError
        A date that is none, or ``until`` before ``since``; a value that is no text, number or list
        of such.
    """
    from bluesky_tiled_plugins.queries import TimeRange
    from tiled.queries import In, Key

    begin, end = _moment("since", since), _moment("until", until, last=True)
    if begin is not None and end is not None and begin > end:
        raise ValueError(f"until = {until!s} is before since = {since!s}")
    named = {"start.edge": edge, "start.sample": sample, "start.plan_name": plan}
    wanted: dict[str, list[Any] | None] = {key: _names(key, value) for key, value in named.items()}
    wanted["stop.exit_status"] = _names("status", status)
    wanted |= {f"start.{key}": _values(key, value) for key, value in keys.items()}
    found = catalog
    for key, values in wanted.items():
        if values is not None:
            one = len(values) == 1
            found = found.search(Key(key) == values[0] if one else In(key, values))
    if begin is not None or end is not None:
        found = found.search(TimeRange(since=begin, until=end, timezone="UTC"))
    return found


def _names(what: str, value: Any) -> list[Any] | None:
    if value is None:
        return None
    return [as_name(what.removeprefix("start."), v, "Mn L3") for v in _listed(what, value)]


def _values(what: str, value: Any) -> list[Any]:
    found = [one.item() if isinstance(one, np.generic) else one for one in _listed(what, value)]
    for one in found:
        if not isinstance(one, (str, int, float)):
            raise ValueError(f"{what} = {one!r:.60} must be text, a number, or a list of such")
    return found


def _listed(what: str, value: Any) -> list[Any]:
    if isinstance(value, (str, int, float, np.generic)):
        return [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ValueError(f"{what} = {value!r:.60} must be text, a number, or a list of such")
    found = list(value)
    if not found:
        raise ValueError(f"{what} is an empty list: nothing can be one of it")
    return found


def _moment(what: str, value: Any, last: bool = False) -> float | None:
    """Seconds since 1970; of a day, month or year its beginning, or its end."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return (datetime.now() - value).timestamp()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return _edge_of(datetime.combine(value, time()), "%Y-%m-%d", last)
    if isinstance(value, str):
        for form in DATE_FORMS:
            try:
                return _edge_of(datetime.strptime(value.strip(), form), form, last)
            except ValueError:
                continue
    raise ValueError(
        f"{what} = {value!r:.60} must be a date as '2026-11-26' or '2026-11-26 14:30', a datetime, "
        "or a timedelta (so long ago)"
    )


def _edge_of(begin: datetime, form: str, last: bool) -> float:
    if not last or "%H" in form:
        return begin.timestamp()
    if "%d" in form:
        after = begin + timedelta(days=1)
    elif "%m" in form:
        after = (begin.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        after = begin.replace(year=begin.year + 1)
    return after.timestamp() - 1e-3


@dataclass(frozen=True, repr=False)
class RunTable:
    """Runs in lines that a person can read; shown as text, and as a table in a notebook.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple of str
        The newest run first.
    more : int
        Runs of the catalog that are not listed.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0

    def __repr__(self) -> str:
        if not self.rows:
            return "no runs"
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return text + (f"\n… and {self.more} older" if self.more else "")

    def _repr_html_(self) -> str:
        def row(cells: Iterable[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows)
        more = f"<p>… and {self.more} older</p>" if self.more else ""
        return f"<table>{row(self.columns, 'th')}{body}</table>{more}"

    def __len__(self) -> int:
        return len(self.rows)


@unless_unmeasured()
def runs_table(catalog: Any, last: int = 20) -> RunTable:
    """The newest runs of a catalog, a line each.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        All runs, or those that `find` gave.
    last : int
        Most runs that are listed.

    Returns
    -------
    RunTable
        Scan number, uid, when it began (local time), plan, edge, sample, what was measured, how
        many of its lines or points there are, and how it ended.

    Raises
    ------
    ValueError
        ``last`` is no whole number, or less than 1.
    """
    number = as_whole("last", last, at_least=1)
    total = len(catalog)
    rows = [_row(run) for _, run in catalog.items()[max(0, total - number) :]]
    return RunTable(tuple(_COLUMNS), tuple(rows[::-1]), max(0, total - number))


def _row(run: Any) -> tuple[str, ...]:
    return tuple(say(run) for say in _COLUMNS.values())


def _start(run: Any) -> Mapping[str, Any]:
    return run.metadata.get("start") or {}


def _said(key: str) -> Callable[[Any], str]:
    def say(run: Any) -> str:
        value = _start(run).get(key)
        if isinstance(value, Mapping):
            value = value.get("name", value)
        text = "" if value is None else f"{value!s:.24}"
        return printable(text)

    return say


def _when(run: Any) -> str:
    begin = _start(run).get("time")
    return f"{datetime.fromtimestamp(begin):%Y-%m-%d %H:%M}" if begin else ""


def _what(run: Any) -> str:
    try:
        scan = Scan.from_start(_start(run))
    except ValueError:  # none of ours, or of another version
        return ""
    energies = f"{len(scan.all_energies)} E"
    if not scan.regions:
        return energies
    sizes = dict.fromkeys("{}×{}".format(*region.pixels) for region in scan.regions)
    shown = ", ".join(list(sizes)[:2]) + (", …" if len(sizes) > 2 else "")
    many = f"{len(scan.regions)} regions " if len(scan.regions) > 1 else ""
    return f"{energies}, {many}{shown}"


def _done(run: Any) -> str:
    stop, total = run.metadata.get("stop") or {}, _start(run).get("num_points")
    counts = stop.get("num_events") or {}
    done = sum(counts.get(name, 0) for name in main_streams(_start(run)))
    if not stop:
        return f"?/{total}" if total else ""
    return f"{done}/{total}" if total else f"{done}"


def _end(run: Any) -> str:
    stop = run.metadata.get("stop")
    return "not ended" if not stop else str(stop.get("exit_status", ""))


_COLUMNS: dict[str, Callable[[Any], str]] = {
    "scan": _said("scan_id"),
    "uid": lambda run: str(_start(run).get("uid", ""))[:8],
    "began": _when,
    "plan": _said("plan_name"),
    "edge": _said("edge"),
    "sample": _said("sample"),
    "measured": _what,
    "done": _done,
    "ended": _end,
}
