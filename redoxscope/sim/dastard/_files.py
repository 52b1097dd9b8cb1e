"""Files of one run of the simulated server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...formats import ExternalTriggerWriter, LjhWriter, OffWriter, StateWriter
from ._source import Source

__all__ = ["RunFiles"]

_MAX_WAITING = 100_000
"""Photons that are kept at most before they go to the files."""

Waveforms = Callable[[NDArray[np.void]], NDArray[np.uint16]]


class RunFiles:
    """OFF and LJH files of every channel, state labels, external triggers, lost data.

    A file comes into being with its first entry. Photons are kept for a while and handed to
    the files in one go, channel by channel: hundreds of files cannot be touched for every
    photon.

    Parameters
    ----------
    pattern : str
        Name of a file with two ``%s`` for what it holds and its suffix.
    source : Source
        Running.
    frame_ns : int
        Time between samples (ns).
    start_ns : int
        When the server was started (ns since 1970).
    off, ljh : bool
        Which formats are written.
    waveforms : callable
        Records [n, nsamp] of pulses.
    """

    def __init__(
        self,
        pattern: str,
        source: Source,
        *,
        frame_ns: int,
        start_ns: int,
        off: bool,
        ljh: bool,
        waveforms: Waveforms,
    ):
        self._pattern, self._source, self._waveforms = pattern, source, waveforms
        self._frame_s, self._start_ns = frame_ns * 1e-9, start_ns
        self._write_ljh = ljh
        self._off = {i: self._off_writer(i) for i in sorted(source.projectors)} if off else {}
        self._ljh: dict[int, LjhWriter] = {}
        self._begun = np.zeros(source.nchan, bool)
        self._waiting: list[NDArray[np.void]] = []
        self._n_waiting = 0
        self._labels = StateWriter(self.name("experiment_state", "txt"))
        self._triggers = ExternalTriggerWriter(
            self.name("external_trigger", "bin"), source.divisions
        )
        self._drops = Path(self.name("data_drop", "txt"))

    def name(self, what: str, suffix: str) -> str:
        """Name of a file of this run."""
        return self._pattern % (what, suffix)

    def _off_writer(self, index: int) -> OffWriter:
        source = self._source
        projectors, basis, description = source.projectors[index]
        row, rows = source.row(index)
        return OffWriter(
            self.name(source.names[index], "off"),
            channel=source.number(index),
            channel_index=index,
            channel_name=source.names[index],
            frame_period=self._frame_s,
            projectors=projectors,
            basis=basis,
            presamples=source.npre,
            source_name=source.name,
            description=description,
            readout={
                "ColumnNum": 0,
                "RowNum": row,
                "NumberOfColumns": 1,
                "NumberOfRows": rows,
                "NumberOfChans": source.nchan,
                "SubframeDivisions": source.divisions,
                "SubframeOffset": row,
            },
        )

    def _ljh_writer(self, index: int) -> LjhWriter:
        source = self._source
        row, rows = source.row(index)
        return LjhWriter(
            self.name(source.names[index], "ljh"),
            channel=source.number(index),
            n_samples=source.nsamp,
            presamples=source.npre,
            timebase=self._frame_s,
            channel_index=index,
            channel_name=source.names[index],
            source_name=source.name,
            subframe_divisions=source.divisions,
            subframe_offset=row,
            start_ns=self._start_ns,
            rows=rows,
            row=row,
            n_channels=source.nchan,
        )

    def writes(self, index: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether photons of channel indices are written at all, [n]."""
        if self._write_ljh:
            return np.ones(len(index), bool)
        return np.isin(index, list(self._off))

    def add(self, photons: NDArray[np.void]) -> None:
        """Take photons.

        Raises
        ------
        OSError
            A file cannot be written; names it.
        """
        new = ~self._begun[photons["chan_index"]]
        if new.any():  # the first of a channel makes its file
            self._begun[photons["chan_index"][new]] = True
            self._write(photons[new])
            photons = photons[~new]
        if len(photons):
            self._waiting.append(photons)
            self._n_waiting += len(photons)
        if self._n_waiting > _MAX_WAITING:
            self._empty()

    def _empty(self) -> None:
        photons, self._waiting, self._n_waiting = self._waiting, [], 0
        if photons:
            self._write(np.concatenate(photons))

    def _write(self, photons: NDArray[np.void]) -> None:
        photons = photons[np.argsort(photons["chan_index"], kind="stable")]
        index, first = np.unique(photons["chan_index"], return_index=True)
        for i, rows in zip(index.tolist(), np.split(photons, first[1:]), strict=True):
            if i in self._off:
                n = self._source.n_coefs[i]
                self._off[i].append(rows if n == rows["coefs"].shape[1] else _with_coefs(rows, n))
            if self._write_ljh:
                if i not in self._ljh:
                    self._ljh[i] = self._ljh_writer(i)
                self._ljh[i].append(rows["frame"], rows["t_ns"], self._waveforms(rows))

    def label(self, label: str, when_ns: int) -> None:
        """Write a state label; raises OSError, FormatError."""
        self._labels.label(label, when_ns)

    def trigger(self, frames: Iterable[int]) -> None:
        """Write external triggers, by frame; raises OSError."""
        self._triggers.append(np.asarray(list(frames), np.int64) * self._source.divisions)

    def data_drop(self, first_frame: int, frames: int) -> None:
        """Write that frames before one got lost; raises OSError."""
        new = not self._drops.exists()
        with self._drops.open("a") as file:
            if new:
                file.write("# first framenum after drop, number of dropped frames\n")
            file.write(f"{first_frame:12d} {frames:8d}\n")

    def flush(self) -> None:
        """Hand everything to the operating system; raises OSError."""
        self._empty()
        for writer in (*self._off.values(), *self._ljh.values(), self._triggers):
            writer.flush()

    def close(self) -> None:
        """Close every file.

        Raises
        ------
        OSError
            Something could not be written; the files are closed nevertheless.
        """
        problems: list[OSError] = []
        try:
            self._empty()
        except OSError as exc:
            problems.append(exc)
        for writer in (*self._off.values(), *self._ljh.values(), self._triggers, self._labels):
            try:
                writer.close()
            except OSError as exc:
                problems.append(exc)
        if problems:
            raise problems[0]


def _with_coefs(photons: NDArray[np.void], n: int) -> NDArray[np.void]:
    """The same photons with another number of coefficients; missing ones are 0."""
    names = [name for name in photons.dtype.names or () if name != "coefs"]
    dtype = np.dtype([*((k, photons.dtype[k]) for k in names), ("coefs", "<f8", (n,))])
    out = np.zeros(len(photons), dtype)
    for name in names:
        out[name] = photons[name]
    both = min(n, photons["coefs"].shape[1])
    out["coefs"][:, :both] = photons["coefs"][:, :both]
    return out
