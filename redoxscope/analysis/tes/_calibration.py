"""What a calibration is: one gain curve per pixel, a verdict on each, and energies from it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._gain import energy_of

__all__ = ["Calibration", "LineFit", "PixelCalibration"]

CHUNK = 1 << 15
"""Photons done at a time: their columns and the scratch space fit into the second-level cache."""


@dataclass(frozen=True)
class LineFit:
    """One line as found in one pixel.

    Attributes
    ----------
    name : str
        As in the line table, for instance ``"O K"``; ``"elastic"`` for the elastic line.
    energy_ev : float
        Where the line should be (eV).
    position : float
        Where it was found: filtered pulse height after drift correction (arbitrary units).
    residual_ev : float
        Energy that the calibration gives the peak, minus `energy_ev` (eV).
    counts : float
        Photons in the peak.
    left_out : bool
        The fit went without this line.
    """

    name: str
    energy_ev: float
    position: float
    residual_ev: float
    counts: float
    left_out: bool = False


@dataclass(frozen=True)
class PixelCalibration:
    """Gain curve of one pixel, and how far to trust it.

    The energy (eV) is ``h·(g0 + g1·h + g2·h² + g3·h³)`` with ``h = f·(1 + slope·(p − reference))``,
    f the filtered pulse height and p the mean of the record before the pulse (arbitrary units).

    Attributes
    ----------
    channel : int
    ok : bool
        Its energies are good enough for analysis.
    reason : str
        The verdict in words.
    gain : tuple of 4 floats
        g0 to g3 (eV per unit, unit², unit³, unit⁴); NaN where there is no calibration.
    drift_slope : float
        Relative change of the gain per unit of pretrigger mean.
    pretrigger_reference : float
        Pretrigger mean at which the gain needs no correction.
    lines : tuple of LineFit
    rms_ev : float
        Root mean square residual of the lines used (eV).
    elastic_ev, elastic_fwhm_ev : float
        Where the elastic line comes out, and its full width at half maximum (eV); NaN where there
        is none.
    n_photons : int
    mended : bool
        The pixel's own best assignment of peaks to lines was wrong and was replaced by what the
        other pixels say.
    """

    channel: int
    ok: bool
    reason: str
    gain: tuple[float, float, float, float] = (math.nan,) * 4
    drift_slope: float = 0.0
    pretrigger_reference: float = 0.0
    lines: tuple[LineFit, ...] = ()
    rms_ev: float = math.nan
    elastic_ev: float = math.nan
    elastic_fwhm_ev: float = math.nan
    n_photons: int = 0
    mended: bool = False

    @property
    def calibrated(self) -> bool:
        """There is a gain curve, good or not."""
        return bool(np.isfinite(self.gain).all())

    def energy(self, filtered: ArrayLike, pretrigger: ArrayLike) -> NDArray[np.float64]:
        """Energies (eV, [n]) by this pixel's curve, whatever the verdict."""
        f = np.asarray(filtered, float)
        h = f * (1 + self.drift_slope * (np.asarray(pretrigger, float) - self.pretrigger_reference))
        return energy_of(self.gain, h)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists; None for what is not known."""
        return {k: _plain(v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> PixelCalibration:
        """The inverse of :meth:`to_dict`."""
        d = dict(raw)
        d["gain"] = tuple(_number(g) for g in d["gain"])
        d["lines"] = tuple(_line(line) for line in d["lines"])
        for key in ("rms_ev", "elastic_ev", "elastic_fwhm_ev"):
            d[key] = _number(d[key])
        return cls(**d)


@dataclass(frozen=True)
class Calibration:
    """Calibration of an array.

    Attributes
    ----------
    pixels : tuple of PixelCalibration
        One per channel, channels rising; unusable ones are in it, with the reason.
    line_table : str
        Hash of the line table used.
    line_table_version : str
    method : str
        How it was made, in words.
    line_shifts : dict
        By how much each line was moved from its tabulated energy to suit all pixels (eV).
    uid : str
    created : float
        Seconds since 1970.
    """

    pixels: tuple[PixelCalibration, ...]
    line_table: str = ""
    line_table_version: str = ""
    method: str = ""
    line_shifts: Mapping[str, float] = field(default_factory=dict)
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)

    def __repr__(self) -> str:
        return f"<Calibration {self.uid}: {len(self.usable)} of {len(self.pixels)} pixels usable>"

    def __getitem__(self, channel: int) -> PixelCalibration:
        """The calibration of a channel; KeyError where it is not known."""
        return self._by_channel[channel]

    def __contains__(self, channel: object) -> bool:
        return channel in self._by_channel

    @cached_property
    def _by_channel(self) -> dict[int, PixelCalibration]:
        return {p.channel: p for p in self.pixels}

    @cached_property
    def usable(self) -> NDArray[np.uint16]:
        """Channels whose energies are good enough, rising."""
        return np.array(sorted(p.channel for p in self.pixels if p.ok), np.uint16)

    def best(self, n: int) -> NDArray[np.uint16]:
        """The `n` usable channels with the narrowest elastic line, rising.

        Fewer where fewer are usable. Channels without an elastic line come last, by their
        residuals.
        """

        def width(p: PixelCalibration) -> tuple[bool, float, int]:
            known = math.isfinite(p.elastic_fwhm_ev)
            return not known, p.elastic_fwhm_ev if known else p.rms_ev, p.channel

        good = sorted((p for p in self.pixels if p.ok), key=width)
        return np.array(sorted(p.channel for p in good[:n]), np.uint16)

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """Coefficients by channel number, [6, highest channel + 2]: k0, k1, g0, g1, g2, g3.

        Energy (eV) = ``h·(g0 + h·(g1 + h·(g2 + h·g3)))``, ``h = f·(k0 + k1·p)``; NaN for
        channels that are not usable or not known. The last column is NaN and stands for every
        higher channel.
        """
        top = max((p.channel for p in self.pixels), default=-1)
        table = np.full((6, top + 2), np.nan, np.float32)
        for p in self.pixels:
            if p.ok:
                k1 = p.drift_slope
                table[:, p.channel] = (1 - k1 * p.pretrigger_reference, k1, *p.gain)
        return table

    def energy(
        self,
        pixel: ArrayLike,
        filtered: ArrayLike,
        pretrigger: ArrayLike,
        *,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Energies of photons.

        Parameters
        ----------
        pixel : array_like of int [n]
            Channel numbers.
        filtered, pretrigger : array_like of float [n]
            Filtered pulse height and pretrigger mean (arbitrary units).
        out : numpy.ndarray of float32 [n], optional
            Where to put the energies.

        Returns
        -------
        numpy.ndarray of float32 [n]
            Energies (eV); NaN where the pixel is not usable or not known.

        Raises
        ------
        ValueError
            The columns differ in length.
        """
        pixel = np.asarray(pixel)
        f = np.asarray(filtered)
        p = np.asarray(pretrigger)
        if not pixel.shape == f.shape == p.shape:
            raise ValueError(
                f"columns differ: pixel {pixel.shape}, filtered {f.shape}, pretrigger {p.shape}"
            )
        if out is None:
            out = np.empty(len(pixel), np.float32)
        elif out.shape != pixel.shape or out.dtype != np.float32:
            raise ValueError(f"out is {out.dtype} {out.shape}; expected float32 {pixel.shape}")
        table = self.table
        last = table.shape[1] - 1
        n = min(CHUNK, len(pixel))
        work = np.empty(n, np.float32)
        height = np.empty(n, np.float32)
        index = np.empty(n, np.intp)
        for start in range(0, len(pixel), CHUNK):
            chunk = slice(start, start + CHUNK)
            e = out[chunk]
            i, w, h = index[: len(e)], work[: len(e)], height[: len(e)]
            np.minimum(pixel[chunk], last, out=i, casting="unsafe")
            np.take(table[1], i, out=h, mode="clip")
            np.multiply(h, p[chunk], out=h, casting="same_kind")
            h += np.take(table[0], i, out=w, mode="clip")
            np.multiply(h, f[chunk], out=h, casting="same_kind")
            np.take(table[5], i, out=e, mode="clip")
            for k in (4, 3, 2):
                e *= h
                e += np.take(table[k], i, out=w, mode="clip")
            e *= h
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, as JSON wants them."""
        return {
            "uid": self.uid,
            "created": self.created,
            "line_table": self.line_table,
            "line_table_version": self.line_table_version,
            "method": self.method,
            "line_shifts": {k: float(v) for k, v in self.line_shifts.items()},
            "pixels": [p.to_dict() for p in self.pixels],
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Calibration:
        """The inverse of :meth:`to_dict`.

        Raises
        ------
        ValueError
            Something is missing or not understood.
        """
        try:
            pixels = tuple(PixelCalibration.from_dict(p) for p in raw["pixels"])
            return cls(**{**raw, "pixels": pixels})
        except (KeyError, TypeError) as e:
            raise ValueError(f"this is no calibration: {e}") from e

    def of(self, channels: Iterable[int]) -> Calibration:
        """The same calibration with only these channels usable."""
        keep = set(map(int, channels))
        return replace(
            self,
            pixels=tuple(
                p if p.channel in keep or not p.ok else replace(p, ok=False, reason="not asked for")
                for p in self.pixels
            ),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _line(raw: Mapping[str, Any]) -> LineFit:
    values = {k: _number(raw[k]) for k in ("energy_ev", "position", "residual_ev", "counts")}
    return LineFit(name=str(raw["name"]), left_out=bool(raw["left_out"]), **values)
