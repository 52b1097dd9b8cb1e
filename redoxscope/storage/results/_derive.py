"""What the analyses find in documents of a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redoxscope.callbacks import Analysis, Reader, Result, analyses, analysis, how_it_ended
from redoxscope.callbacks.oxidation import MapOptions, is_stack, maps_with
from redoxscope.documents import RESUMES

__all__ = ["MAP", "apart_for", "continues", "derive", "derive_map"]

MAP = "oxidation_map"


def derive(
    documents: Iterable[tuple[str, Mapping[str, Any]]], but: Iterable[str] = ()
) -> tuple[list[Result], list[str]]:
    """Let every analysis that wants the run read it, with its own options.

    Parameters
    ----------
    documents : iterable of (name, document)
        Of one run.
    but : iterable of str, optional
        Names of analyses to be left out.

    Returns
    -------
    results : list of Result
    problems : list of str
        Analyses that failed, and why; the others go on.
    """
    readers: list[tuple[Analysis, Reader[Any], _Feed]] = []
    results: list[Result] = []
    problems: list[str] = []
    left_out = set(but)
    stop: Mapping[str, Any] | None = None

    def failed(analysis: Analysis, error: Exception) -> None:
        problems.append(f"{analysis.title}: {error}")

    for name, doc in documents:
        if name == "stop":
            stop = doc
        if name == "start":
            for analysis in analyses():
                try:
                    if analysis.name in left_out or not analysis.accepts(doc):
                        continue
                    reader = analysis.reader(doc, analysis.options())
                # Whatever is wrong with one analysis, the others' results are wanted.
                except Exception as exc:
                    failed(analysis, exc)
                    continue
                if reader is not None:
                    readers.append((analysis, reader, _Feed(reader)))
            if not readers:  # no need to read the rest
                break
            continue
        for one in list(readers):
            try:
                one[2](name, doc)
            except Exception as exc:  # as above
                failed(one[0], exc)
                readers.remove(one)
    ended = how_it_ended(stop)  # the same is said of it as live
    for analysis, reader, _ in readers:
        try:
            for snapshot in reader.snapshot(final=True, message=ended).values():
                results.extend(analysis.results(snapshot))
        except Exception as exc:  # as above
            failed(analysis, exc)
    return results, problems


def continues(start: Mapping[str, Any]) -> bool:
    """Whether the map of a run is made of an earlier run's lines, too."""
    return is_stack(start) and start.get(RESUMES) is not None


def derive_map(run: Any, options: MapOptions | None = None) -> tuple[list[Result], list[str]]:
    """Results of the map of a run that `continues` another, of the lines of both.

    The later run's own are a part of the images only: their map would look like a whole one.

    Parameters
    ----------
    run : BlueskyRun
    options : MapOptions, optional
        By default those of the analysis.

    Returns
    -------
    results : list of Result
    problems : list of str
        Why there are none, as when the earlier run is not in the catalog.
    """
    made = analysis(MAP)
    try:
        found = maps_with(run, options or made.options())
        return [one for snapshot in found.values() for one in made.results(snapshot)], []
    except Exception as exc:  # as of any other analysis: other results are wanted
        return [], [f"{made.title}: {exc}"]


def apart_for(start: Mapping[str, Any]) -> list[str]:
    """Analyses with a process of their own that want a run, by their names."""
    return [one.name for one in analyses() if one.apart and one.accepts(start)]


class _Feed:
    """Gives a reader the documents that it wants."""

    def __init__(self, reader: Reader[Any]) -> None:
        self._reader = reader
        self._wanted: set[str] = set()
        self._resources: dict[str, Mapping[str, Any]] = {}  # of files, until they are needed

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "descriptor":
            if self._reader.describe(doc):
                self._wanted.add(doc["uid"])
        elif name == "stream_resource":
            self._resources[doc["uid"]] = doc
        elif name != "stop" and doc.get("descriptor") in self._wanted:
            resource = self._resources.pop(doc.get("stream_resource", ""), None)
            if resource is not None:
                self._take("stream_resource", resource)
            self._take(name, doc)

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        for _ in self._reader.take(name, doc):
            pass
