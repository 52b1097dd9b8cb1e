"""What the analyses find in documents of a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redoxscope.callbacks import Analysis, Reader, Result, analyses

__all__ = ["apart_for", "derive"]


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

    def failed(analysis: Analysis, error: Exception) -> None:
        problems.append(f"{analysis.title}: {error}")

    for name, doc in documents:
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
    for analysis, reader, _ in readers:
        try:
            for snapshot in reader.snapshot(final=True).values():
                results.extend(analysis.results(snapshot))
        except Exception as exc:  # as above
            failed(analysis, exc)
    return results, problems


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
