"""What the analyses find in documents of a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redoxscope.callbacks import Analysis, Reader, Result, analyses

__all__ = ["derive"]


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
    readers: list[tuple[Analysis, Reader[Any], set[str]]] = []
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
                    readers.append((analysis, reader, set()))
            if not readers:  # no need to read the rest
                break
            continue
        for one in list(readers):
            try:
                _feed(one[1], one[2], name, doc)
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


def _feed(reader: Reader[Any], wanted: set[str], name: str, doc: Mapping[str, Any]) -> None:
    if name == "descriptor":
        if reader.describe(doc):
            wanted.add(doc["uid"])
    elif name != "stop" and doc.get("descriptor") in wanted:
        for _ in reader.take(name, doc):
            pass
