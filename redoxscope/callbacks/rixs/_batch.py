"""The same RIXS map from a run that is over, or from its photons with another calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...analysis.rixs import bin_points
from ...documents import (
    PHOTON_KEYS,
    PHOTON_STREAM,
    POINT_KEYS,
    STREAM,
    TOTAL_KEYS,
    TOTALS_STREAM,
    Window,
)
from ...formats import PhotonList, path_of_uri, read_photon_list
from ...inputs import unless_unmeasured
from .._documents import Doc, documents_of, rows_of, start_of, stream_rows
from ._reader import RixsOptions, RixsReader, is_rixs
from ._snapshot import RixsSnapshot

__all__ = ["photons_of_run", "rixs_from_photons", "rixs_from_run"]

COLUMNS = ("tes_spectrum", "i0", *(key for key in POINT_KEYS if key != "tes_spectrum"))


class Energies(Protocol):
    """A calibration, as far as it is needed here (``redoxscope.analysis.tes.Calibration``)."""

    def energy(
        self, pixel: NDArray, filtered: NDArray, pretrigger: NDArray
    ) -> NDArray[np.float32]: ...


@unless_unmeasured()
def rixs_from_run(
    source: Any,
    windows: Iterable[str | Window] | None = None,
    *,
    elastic_mask: float | None = None,
    damage_limit: float = 5.0,
) -> RixsSnapshot:
    """RIXS map of a finished run, equal to the live one.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.
    windows, elastic_mask, damage_limit
        As for `RixsMap`.

    Raises
    ------
    ValueError
        If there is no RIXS run in it, or a window is none.
    """
    return _read(source, _options(windows, elastic_mask, damage_limit)).snapshot(final=True)[""]


@unless_unmeasured()
def rixs_from_photons(
    photons: PhotonList,
    source: Any,
    calibration: Energies | None = None,
    windows: Iterable[str | Window] | None = None,
    *,
    elastic_mask: float | None = None,
    damage_limit: float = 5.0,
    include_late: bool = False,
) -> RixsSnapshot:
    """RIXS map of a run made again from its photons.

    Without a calibration it has the same counts as the live map. Points, I0 and live times are
    those of the run. The same pixels count as when it was measured, since the live time is
    theirs; one that the new calibration does not know is left out and its live time is not, so
    that rates get smaller by its share.

    Parameters
    ----------
    photons : redoxscope.formats.PhotonList
        The run's photon list: ``read_photon_list(path)``, or `photons_of_run`.
    source : run or iterable of (name, document)
        The run.
    calibration : redoxscope.analysis.tes.Calibration, optional
        Gives the energies; by default those in the list.
    windows, elastic_mask, damage_limit
        As for `RixsMap`.
    include_late : bool
        Count photons that came after their point was closed, which the live map does not have.

    Raises
    ------
    ValueError
        If there is no RIXS run in the source, the list is of another run, or it has no energies.

    Notes
    -----
    A point of which the list has not all photons that its event counted is left out, and the
    message says so: that is what a crash or a full disk leaves.
    """
    recount = _Recount(photons, calibration, include_late)
    reader = _read(source, _options(windows, elastic_mask, damage_limit), recount)
    return reader.snapshot(final=True, message=recount.message)[""]


@unless_unmeasured()
def photons_of_run(source: Any) -> PhotonList:
    """Photon list that a run's documents announce.

    Parameters
    ----------
    source : run or iterable of (name, document)

    Raises
    ------
    ValueError
        If the run announces none, or one that is not a local file.
    OSError, redoxscope.formats.FormatError
        If the file cannot be read.
    """
    for uri in _photon_uris(source):
        return read_photon_list(path_of_uri(uri))
    raise ValueError("the run announces no photon list")


def _photon_uris(source: Any) -> Iterator[str]:
    if hasattr(source, "metadata"):
        photons = source[PHOTON_STREAM] if PHOTON_STREAM in set(source) else {}
        for key in PHOTON_KEYS:
            if key in set(photons):
                yield photons[key].include_data_sources().data_sources()[0].assets[0].data_uri
        return
    for name, doc in source.documents() if hasattr(source, "documents") else source:
        if name == "stream_resource" and doc.get("data_key") in PHOTON_KEYS:
            yield doc["uri"]


def _options(
    windows: Iterable[str | Window] | None, elastic_mask: float | None, damage_limit: float
) -> RixsOptions:
    if windows is None:
        return RixsOptions(None, elastic_mask, damage_limit)
    parsed = tuple(w if isinstance(w, Window) else Window.parse(w) for w in windows)
    return RixsOptions(parsed, elastic_mask, damage_limit)


class _Recount:
    """Puts spectra made from a photon list in place of those in events."""

    def __init__(self, photons: PhotonList, calibration: Energies | None, include_late: bool):
        columns = photons.photons
        energy = columns.energy
        counted = np.zeros(1 << 16, dtype=bool)
        counted[columns.pixel[np.isfinite(energy)]] = True
        if calibration is not None:
            if not counted.any():
                counted[:] = True  # measured without a calibration: every pixel counted
            energy = calibration.energy(columns.pixel, columns.filtered, columns.pretrigger)
        elif len(photons) and not counted.any():
            raise ValueError(f"{photons.path} has no energies: give a calibration")
        inside = counted[columns.pixel] & (photons.point >= 0)
        used = inside if include_late else inside & ~photons.late
        self._path = photons.path
        self._energy, self._point = energy[used], photons.point[used]
        self._n = int(photons.point.max(initial=-1)) + 1
        self._in_time = np.bincount(photons.point[inside & ~photons.late], minlength=self._n)
        self._all = np.bincount(self._point, minlength=self._n)
        self._table: NDArray[np.int64] | None = None
        self._lacking: list[int] = []
        self._seen = 0

    @property
    def message(self) -> str:
        """What is wrong with the list."""
        if not self._lacking:
            return ""
        return (
            f"{len(self._lacking)} points are left out: {self._path.name} has not all of their "
            "photons."
        )

    def __call__(self, reader: RixsReader, data: Doc) -> Doc | None:
        """Data of a point with its spectrum from the list; None if photons of it are missing.

        Raises
        ------
        ValueError
            If the photons of all of the first points are missing: it is the list of another run.
        """
        if self._table is None:
            self._table = bin_points(self._energy, self._point, self._n, reader.bins)
        point, expected = int(data["tes_point"]), int(data["tes_counts"])
        there = int(self._in_time[point]) if point < self._n else 0
        self._seen += 1
        if there != expected:
            self._lacking.append(point)
            if len(self._lacking) == self._seen == 10:
                raise ValueError(
                    f"{self._path} is not the photon list of this run: point {point} has {there} "
                    f"photons there and {expected} in its event"
                )
            return None
        if point >= self._n:
            return data
        return {**data, "tes_spectrum": self._table[point], "tes_counts": int(self._all[point])}


Change = Callable[[RixsReader, Doc], "Doc | None"]


def _read(source: Any, options: RixsOptions, change: Change | None = None) -> RixsReader:
    # A run's own documents() needs an exporter, which a stock server does not have.
    if hasattr(source, "metadata"):
        return _from_catalog(source, options, change)
    return _from_documents(documents_of(source), options, change)


def _from_documents(
    documents: Iterable[tuple[str, Mapping[str, Any]]], options: RixsOptions, change: Change | None
) -> RixsReader:
    reader: RixsReader | None = None
    run, streams = "", {}
    for name, doc in documents:
        if name == "start" and is_rixs(doc):
            reader, run = RixsReader(doc, options), doc["uid"]
        elif reader is None:
            continue
        elif name == "descriptor" and doc["run_start"] == run and reader.describe(doc):
            streams[doc["uid"]] = doc["name"]
        elif name in ("event", "event_page") and doc["descriptor"] in streams:
            for _, data, _ in rows_of(name, doc, "tes_spectrum"):
                if streams[doc["descriptor"]] == TOTALS_STREAM:
                    reader.totals(data)
                else:
                    _point(reader, data, change)
    if reader is None:
        raise ValueError("no RIXS run in these documents (plan_name rixs_map or xes)")
    return reader


def _from_catalog(run: Any, options: RixsOptions, change: Change | None) -> RixsReader:
    start = start_of(run)
    if not is_rixs(start):
        raise ValueError(f"run {start.get('uid')} is not a RIXS run (plan_name rixs_map or xes)")
    reader = RixsReader(start, options)
    rows = stream_rows(run, STREAM, COLUMNS)
    reader.configure(run[STREAM].metadata.get("configuration", {}))
    for _, data in rows:
        _point(reader, data, change)
    if TOTALS_STREAM in run:
        for _, data in stream_rows(run, TOTALS_STREAM, TOTAL_KEYS):
            reader.totals(data)
    return reader


def _point(reader: RixsReader, data: Doc, change: Change | None) -> None:
    changed = data if change is None else change(reader, data)
    if changed is not None:
        reader.point(changed)
