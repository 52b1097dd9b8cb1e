"""Writing OFF files, as Dastard does."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._errors import FormatError
from ._lazy import LazyWriter
from ._off import off_dtype

__all__ = ["OffWriter"]

_SAVED_AS = "float64, row by row, little endian, after the header: projectors, then basis"


class OffWriter(LazyWriter):
    """Write one pixel's OFF file.

    The file is made when the first record comes, as Dastard does it.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    channel : int
        Number of the channel.
    frame_period : float
        Time between samples (s).
    projectors : array_like [n_bases, n_samples]
        From a record to its coefficients.
    basis : array_like [n_samples, n_bases]
        From coefficients to the record.
    presamples : int
        Samples before the trigger; default a quarter of the record.
    channel_index : int, optional
        Index in the server; default the channel's number.
    channel_name : str, optional
        Default ``chan<number>``.
    source_name : str
        Data source.
    description : str
        Of the model.
    readout, pixel, creation : mapping, optional
        Entries for ``ReadoutInfo``, ``PixelInfo`` and ``CreationInfo`` of the header.
    version : str
        Of the format.

    Raises
    ------
    FormatError
        The matrices do not fit each other, or the version is not known.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int,
        frame_period: float,
        projectors: ArrayLike,
        basis: ArrayLike,
        presamples: int | None = None,
        channel_index: int | None = None,
        channel_name: str | None = None,
        source_name: str = "",
        description: str = "",
        readout: Mapping[str, Any] | None = None,
        pixel: Mapping[str, Any] | None = None,
        creation: Mapping[str, Any] | None = None,
        version: str = "0.3.0",
    ) -> None:
        super().__init__(path, "OFF file")
        matrices = [np.ascontiguousarray(matrix, "<f8") for matrix in (projectors, basis)]
        if matrices[0].ndim != 2 or matrices[1].shape != matrices[0].shape[::-1]:
            raise FormatError(
                f"{self.path}: projectors of shape {matrices[0].shape} and basis of shape "
                f"{matrices[1].shape} do not fit each other"
            )
        n_bases, self._samples = matrices[0].shape
        self._presamples = self._samples // 4 if presamples is None else presamples
        self._dtype = off_dtype(version, n_bases)
        self._head = _header(
            matrices,
            version,
            {
                "ChannelIndex": channel if channel_index is None else channel_index,
                "ChannelName": channel_name or f"chan{channel}",
                "ChannelNumberMatchingName": channel,
                "MaxPresamples": self._presamples,
                "MaxSamples": self._samples,
                "FramePeriodSeconds": frame_period,
            },
            description,
            {
                "CreationInfo": {"SourceName": source_name, **(creation or {})},
                "ReadoutInfo": dict(readout or {}),
                "PixelInfo": dict(pixel or {}),
            },
        )

    def append(self, records: NDArray[np.void]) -> None:
        """Write records after the others; they may stay in the buffer until :meth:`flush`.

        Parameters
        ----------
        records : numpy.ndarray [n]
            Structured: ``frame``, ``t_ns`` (ns since 1970), ``ptm``, ``resid`` and ``coefs``
            [n, n_bases]; ``ptd`` is 0 and ``nsamp`` and ``npre`` are those of the file where
            they are missing. Other fields are left out.

        Raises
        ------
        FormatError
            A field is missing or has another number of coefficients.
        OSError
            The file cannot be written; names it.
        """
        if not len(records):
            return
        rows = self._rows(records)
        self._out.write(rows.tobytes() if self._out.made else self._head + rows.tobytes())
        self.count += len(rows)

    def _rows(self, records: NDArray[np.void]) -> NDArray[np.void]:
        names = records.dtype.names or ()
        missing = {"frame", "t_ns", "ptm", "resid", "coefs"} - set(names)
        if missing:
            raise FormatError(f"{self.path}: records have no {', '.join(sorted(missing))}")
        if records["coefs"].shape[1:] != self._dtype["coefs"].shape:
            raise FormatError(
                f"{self.path}: records of shape {records['coefs'].shape[1:]} coefficients, "
                f"expected {self._dtype['coefs'].shape}"
            )
        rows = np.zeros(len(records), self._dtype)
        rows["nsamp"], rows["npre"] = self._samples, self._presamples
        for name in set(names) & set(self._dtype.names or ()):
            rows[name] = records[name]
        return rows


def _header(
    matrices: list[NDArray[np.float64]],
    version: str,
    channel: dict[str, Any],
    description: str,
    info: dict[str, Any],
) -> bytes:
    inside = version.startswith("0.1.")
    model: dict[str, Any] = {}
    for name, matrix in zip(("Projectors", "Basis"), matrices, strict=True):
        model[name] = {"Rows": matrix.shape[0], "Cols": matrix.shape[1]}
        if inside:
            model[name]["RowMajorFloat64ValuesBase64"] = base64.b64encode(matrix.tobytes()).decode()
        else:
            model[name]["SavedAs"] = _SAVED_AS
    header = {
        **channel,
        "FileFormat": "OFF",
        "FileFormatVersion": version,
        "NumberOfBases": matrices[0].shape[0],
        "ModelInfo": {**model, "Description": description},
        **info,
    }
    text = json.dumps(header, indent=4).encode() + b"\n"
    return text if inside else text + b"".join(matrix.tobytes() for matrix in matrices)
