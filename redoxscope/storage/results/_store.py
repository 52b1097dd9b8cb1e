"""Results into the catalog, beside their run: each time a version, none is ever overwritten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from redoxscope.callbacks import Result, analyses
from redoxscope.inputs import unless_unmeasured

from ..catalog import run_documents, writing
from ._datasets import datasets, plain
from ._derive import MAP, continues, derive, derive_map

if TYPE_CHECKING:
    import xarray

__all__ = ["SPEC", "key_of", "part_key", "store_results"]

SPEC = "redoxscope_results"
"""Spec of what holds the results of an analysis, by which they are told from streams."""
VERSION = re.compile(r"(?P<analysis>.+)_v(?P<version>[1-9]\d*)")
STALE = 600.0
"""Age (s) from which on results in a server's catalog that are not whole are taken for dead."""


@unless_unmeasured()
def store_results(catalog: Any, uid: str, results: Any = None) -> list[str]:
    """Put what analyses found into the catalog, beside the run.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        As :func:`open_catalog` gives it.
    uid : str
        Of the run, or its beginning.
    results : optional
        What to store: a snapshot of an analysis (``oxidation_map(run, references=mine)``), several
        (a list, or a dict by region), or `redoxscope.callbacks.Result` objects. By default what the
        analyses find in the run with their own options; the map of a run that continues another is
        of the lines of both.

    Returns
    -------
    list of str
        Names under which they are: ``run["oxidation_map"]`` for the first of an analysis,
        ``run["oxidation_map_v2"]`` for the next. A name never changes its content.

    Raises
    ------
    KeyError
        The catalog has no such run.
    ValueError
        There is nothing to store; something is neither a result nor a snapshot; the arrays of an
        analysis do not fit together; the snapshot is of another run; a stream of the run has the
        analysis's name.
    CatalogError
        Another process has been writing to the embedded catalog for a minute.
    """
    run = catalog[uid]
    full = str(run.metadata["start"]["uid"])
    if results is None:
        both = continues(run.metadata["start"])
        found, problems = derive(run_documents(run, files=True), but={MAP} if both else ())
        if both:
            whole, lacks = derive_map(run)
            found, problems = [*found, *whole], [*problems, *lacks]
        if problems and not found:
            raise ValueError(f"run {full[:8]}: {'; '.join(problems)}")
    else:
        found = list(_flat(results, full))
    by_analysis: dict[str, list[Result]] = {}
    for result in found:
        by_analysis.setdefault(result.analysis, []).append(result)
    if not by_analysis:
        raise ValueError(f"run {full[:8]}: there are no results to store")
    made = {name: datasets(group) for name, group in by_analysis.items()}  # before anything is
    with writing(catalog):
        return [_write(catalog, full, name, parts) for name, parts in made.items()]


def part_key(part: str) -> str:
    """Name of a part's dataset; a slash, as in a unit, would be a level."""
    return part.replace("/", "_")


def key_of(analysis: str, version: int) -> str:
    """Name of a version of an analysis's results in its run."""
    return analysis if version == 1 else f"{analysis}_v{version}"


def _flat(results: Any, uid: str) -> Iterable[Result]:
    """Results of whatever was given, none of another run.

    Raises
    ------
    ValueError
        Something in it is none.
    """
    if isinstance(results, Result):
        yield results
        return
    if is_dataclass(results) and not isinstance(results, type):
        for analysis in analyses():
            if isinstance(results, analysis.snapshot):
                of = str(getattr(results, "uid", "") or uid)
                if of != uid:
                    raise ValueError(f"the {analysis.title} is of run {of[:8]}, not of {uid[:8]}")
                yield from analysis.results(results)
                return
    elif isinstance(results, Mapping):
        yield from _flat(list(results.values()), uid)
        return
    elif isinstance(results, Iterable) and not isinstance(results, (str, bytes)):
        for one in results:
            yield from _flat(one, uid)
        return
    raise ValueError(f"{results!r:.60} is neither a result nor a snapshot of an analysis")


def _write(catalog: Any, uid: str, analysis: str, parts: Mapping[str, xarray.Dataset]) -> str:
    from tiled.structures.core import Spec

    if VERSION.fullmatch(analysis):
        raise ValueError(f"an analysis is called {analysis!r}, as a version of another would be")
    base = catalog[uid].base
    version = _next_version(base, analysis, embedded=_is_embedded(catalog))
    key, single = key_of(analysis, version), set(parts) == {""}
    attrs = {
        "analysis": analysis, "version": version, "run": uid,
        "software": f"redoxscope {version_of('redoxscope')}",
        "stored": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": [] if single else list(parts), "complete": False,
    }  # fmt: skip
    specs = [Spec(SPEC, version="1"), *([Spec("xarray_dataset")] if single else [])]
    shared = plain(parts[""].attrs, analysis) if single else {}
    place = base.create_container(key=key, metadata={"attrs": {**shared, **attrs}}, specs=specs)
    for part, dataset in parts.items():
        inner = place
        if not single:
            inner = place.create_container(
                key=part_key(part),
                metadata={"attrs": {**dataset.attrs, **attrs, "part": part, "complete": True}},
                specs=[Spec("xarray_dataset")],
            )
        for kind, variables in (
            ("xarray_data_var", dataset.data_vars), ("xarray_coord", dataset.coords)
        ):  # fmt: skip
            for name, array in variables.items():
                inner.write_array(
                    array.values, key=str(name), metadata={"attrs": dict(array.attrs)},
                    dims=list(map(str, array.dims)), specs=[Spec(kind)],
                )  # fmt: skip
    # Last: until then it is not there, for who reads, and a crash leaves nothing half.
    attrs["complete"] = True
    place.replace_metadata({"attrs": {**shared, **attrs}}, drop_revision=True)
    return key


def _next_version(base: Any, analysis: str, *, embedded: bool) -> int:
    """First number that is free; what a crash left half is removed."""
    version = 1
    names = set(base)
    while key_of(analysis, version) in names:
        key = key_of(analysis, version)
        there = base[key]
        if SPEC not in {spec.name for spec in there.specs}:
            raise ValueError(f"the run has a stream {key!r}, which is the analysis's name")
        attrs = there.metadata["attrs"]
        if not attrs["complete"] and (embedded or _age(attrs["stored"]) > STALE):
            there.delete(recursive=True, external_only=False)
            return version
        version += 1
    return version


def _age(stored: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(stored)).total_seconds()


def _is_embedded(catalog: Any) -> bool:
    """Whether nobody else can be writing to it, while we hold its lock."""
    return bool(catalog.metadata.get("application") == "redoxscope")
