"""Whether a catalog takes and gives back what a run holds, found out before the first run."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.documents import PHOTON_STREAM, STREAM
from redoxscope.formats import PhotonAsset, PhotonListWriter, photon_data_keys
from redoxscope.photons import Photons

from ._embedded import writing

__all__ = ["catalog_doubts", "catalog_problems"]

PATIENCE = 10.0
"""Longest time (s) for a catalog to answer."""

_LINE = [1.0, 2.0, float("nan")]


def catalog_doubts(
    open_it: Callable[[], Any], photons: Path | None = None, timeout: float = PATIENCE
) -> list[str]:
    """Open a catalog and try it, in bounded time; what does not work.

    Parameters
    ----------
    open_it : callable
        Opens it.
    photons : path, optional
        As for :func:`catalog_problems`.
    timeout : float
        Longest time, s.

    Returns
    -------
    list of str
        Empty where everything works.
    """
    found: list[list[str]] = []

    def work() -> None:
        try:
            found.append(catalog_problems(open_it(), photons))
        except Exception as exc:  # whatever it is, it is told and no run is to be stored there
            found.append([str(exc) or type(exc).__name__])

    thread = threading.Thread(target=work, daemon=True, name="catalog-check")
    thread.start()
    thread.join(timeout)
    return found[0] if found else [f"it does not answer within {timeout:g} s"]


def catalog_problems(catalog: Any, photons: Path | None = None) -> list[str]:
    """Store a small run, read it back, remove it; say what does not work.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        As :func:`open_catalog` gives it.
    photons : path, optional
        Folder of photon lists, which the catalog must be able to read.

    Returns
    -------
    list of str
        Empty where everything works.
    """
    from ._tiled_writer import tiled_writer

    uid = str(uuid.uuid4())
    problems: list[str] = []
    try:
        with writing(catalog), _impatient():
            write = tiled_writer(catalog, 10)
            for name, doc in _documents(uid):
                write(name, doc)
    except Exception as exc:
        problems.append(
            "it cannot store a run: the server needs writable storage for tables (SQL) and for "
            f"arrays (files), and our key the right to write ({_reason(exc)})"
        )
    else:
        problems += _unreadable(catalog, uid, photons)
    try:
        if uid in catalog:
            catalog[uid].delete(recursive=True, external_only=False)
    except Exception as exc:
        problems.append(f"the run {uid} that was tried cannot be removed ({_reason(exc)})")
    return problems


@contextmanager
def _impatient() -> Iterator[None]:
    """Ask a server that fails twice, not for most of a minute: the answer will be the same."""
    from tiled.client import utils

    attempts, utils.TILED_RETRY_ATTEMPTS = utils.TILED_RETRY_ATTEMPTS, 2
    try:
        yield
    finally:
        utils.TILED_RETRY_ATTEMPTS = attempts


def _unreadable(catalog: Any, uid: str, photons: Path | None) -> list[str]:
    problems = []
    try:
        data = catalog[uid][STREAM].read()
        np.testing.assert_array_equal(data["line"].values, [_LINE] * 2)
        np.testing.assert_array_equal(data["energy"].values, [1.0, 2.0])
    except Exception as exc:
        problems.append(f"it does not give back what was stored ({_reason(exc)})")
    if photons is not None:
        file = photons / f"check-{uid}.h5"
        try:
            _try_photons(catalog, uid, file)
        except Exception as exc:
            problems.append(
                f"it cannot read photon lists: the server needs {photons} as readable storage "
                f"({_reason(exc)})"
            )
        finally:
            file.unlink(missing_ok=True)
    return problems


def _try_photons(catalog: Any, run: str, file: Path) -> None:
    from bluesky_tiled_plugins.writing.consolidators import consolidator_factory

    with PhotonListWriter(file) as writer:
        asset = PhotonAsset(writer)
        writer.append(Photons.of([1], [1], [1.0], [1.0], [1.0]), [0], [False])
        documents = list(asset.collect_asset_docs())
    keys = {"data_keys": photon_data_keys("check")}
    name, resource = documents[0]
    reader = consolidator_factory(resource, keys)
    datum = next(doc for name, doc in documents if doc.get("stream_resource") == resource["uid"])
    reader.consume_stream_datum({**datum, "seq_nums": {"start": 1, "stop": 2}})
    source = reader.get_data_source()
    node = catalog[run].new(
        key=PHOTON_STREAM, structure_family=source.structure_family, data_sources=[source],
        metadata={}, specs=[],
    )  # fmt: skip
    # Not node.read(), which goes on asking a server that fails for most of a minute.
    answer = node.context.http_client.get(node.item["links"]["full"])
    if answer.status_code != 200:
        raise OSError(f"it answers {answer.status_code} {answer.reason_phrase}")


def _documents(uid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    now = time.time()
    yield "start", {"uid": uid, "time": now, "plan_name": "redoxscope check"}
    number = {"dtype": "number", "shape": [], "dtype_numpy": "<f8", "source": "check"}
    keys = {"energy": number, "line": {**number, "dtype": "array", "shape": [len(_LINE)]}}
    yield (
        "descriptor",
        {
            "uid": f"{uid}-d", "run_start": uid, "time": now, "name": STREAM, "data_keys": keys,
            "configuration": {}, "object_keys": {}, "hints": {},
        },
    )  # fmt: skip
    for row in (1, 2):
        yield (
            "event",
            {
                "uid": f"{uid}-{row}", "descriptor": f"{uid}-d", "seq_num": row, "time": now,
                "data": {"energy": float(row), "line": list(_LINE)},
                "timestamps": {"energy": now, "line": now}, "filled": {},
            },
        )  # fmt: skip
    yield "stop", {"uid": f"{uid}-s", "run_start": uid, "time": now, "exit_status": "success"}


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc).strip().splitlines()[0] if str(exc).strip() else ''}"
