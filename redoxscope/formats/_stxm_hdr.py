"""Headers of the ALS and of MAX IV (``.hdr``), with an image a file (``.xim``)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import FormatError
from ._stxm_parts import Raw, StxmFile, chosen, moment

__all__ = ["read_hdr", "parse_hdr"]

TOKEN = re.compile(r'"(?P<text>[^"]*)"|(?P<mark>[={}();,])|(?P<word>[^\s={}();,"]+)')
IMAGE = re.compile(r"Image0*(\d+)(?:_0*(\d+))?$")
MOST_NAMED = 8


def parse_hdr(text: str) -> dict[str, Any]:
    """The names and values of a header.

    ``{…}`` is a dict, ``(n, …)`` a list without the length it begins with. A name that comes again
    in one place keeps its first value.

    Raises
    ------
    FormatError
        It is no such header.
    """
    tokens = [
        (kind, match[kind]) for match in TOKEN.finditer(text) for kind in (match.lastgroup or "",)
    ]
    tokens.append(("end", ""))
    found, position = _struct(tokens, 0)
    if tokens[position][0] != "end":
        raise FormatError(f"the header cannot be read from {tokens[position][1]!r} on")
    return found


def _struct(tokens: list[tuple[str, str]], i: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while tokens[i][0] == "word" and tokens[i + 1] == ("mark", "="):
        value, after = _value(tokens, i + 2)
        found.setdefault(tokens[i][1], value)
        i = after + (tokens[after] == ("mark", ";"))
    return found, i


def _value(tokens: list[tuple[str, str]], i: int) -> tuple[Any, int]:
    kind, text = tokens[i]
    if kind == "text":
        return text, i + 1
    if (kind, text) == ("mark", "{"):
        found, i = _struct(tokens, i + 1)
        return found, _expect(tokens, i, "}")
    if (kind, text) == ("mark", "("):
        values, i = [], i + 1
        while tokens[i] != ("mark", ")"):
            value, i = _value(tokens, i)
            values.append(value)
            i += tokens[i] == ("mark", ",")
        return values[1:], i + 1  # the first is how many there are
    if kind == "word":
        words = []
        while tokens[i][0] == "word":
            words.append(tokens[i][1])
            i += 1
        word = " ".join(words)
        try:
            return float(word), i
        except ValueError:
            return word, i
    raise FormatError(f"the header has {text!r} where a value belongs")


def _expect(tokens: list[tuple[str, str]], i: int, mark: str) -> int:
    if tokens[i] != ("mark", mark):
        raise FormatError(f"the header has {tokens[i][1]!r} where {mark!r} belongs")
    return i + 1


def read_hdr(path: Path, channel: str | None) -> tuple[StxmFile, list[Raw]]:
    """Read a header and the images that lie beside it.

    Raises
    ------
    FormatError
        It is no header of images, or none of its images is there.
    """
    text = path.read_text("latin-1")
    if "ScanDefinition" not in text:
        raise FormatError(f"{path.name} is no file of a microscope that is known here")
    try:
        header = parse_hdr(text)
    except (FormatError, IndexError) as exc:
        raise FormatError(f"{path.name}: {exc}") from exc
    scan = header.get("ScanDefinition")
    if not isinstance(scan, Mapping) or "Image" not in str(scan.get("Type", "")):
        what = scan.get("Type") if isinstance(scan, Mapping) else scan
        raise FormatError(f"{path.name} is of a {what!r:.40}, not of images")
    channels = [dict(one) for one in _list(scan, "Channels") if isinstance(one, Mapping)]
    names = [str(one.get("Name", "")) for one in channels]
    name = chosen(path, channel, names)
    unit = str(channels[names.index(name)].get("Unit", ""))
    letter = "abcdefghijklmnopqrstuvwxyz"[names.index(name)]
    regions = _list(scan, "Regions")
    energies = _energies(header, scan)
    axis = scan.get("StackAxis")
    energy_unit = str(axis.get("Unit", "")) if isinstance(axis, Mapping) else ""
    found = [
        replace(
            _region(path, header, letter, unit, i, len(regions), dict(region), energies),
            energy_unit=energy_unit,
        )
        for i, region in enumerate(regions)
    ]
    said = StxmFile(
        path, "ALS or MAX IV", name, tuple(names), (), moment(str(header.get("Time", "")))
    )
    return said, found


def _list(place: Mapping[str, Any], key: str) -> list[Any]:
    value = place.get(key)
    if not isinstance(value, list) or not value:
        raise FormatError(f"the header has no list {key!r}")
    return value


def _points(place: Any) -> NDArray[np.float64]:
    if not isinstance(place, Mapping):
        raise FormatError("the header lacks an axis")
    try:
        return np.array(_list(place, "Points"), dtype=np.float64)
    except (TypeError, ValueError):
        raise FormatError(f"the points of axis {place.get('Name')!r} are no numbers") from None


def _energies(header: Mapping[str, Any], scan: Mapping[str, Any]) -> NDArray[np.float64]:
    axis = scan.get("StackAxis")
    if isinstance(axis, Mapping) and axis.get("Points"):
        return _points(axis)
    for key in ("Monochromator", "Energy"):
        place = header.get(key)
        if isinstance(place, Mapping) and isinstance(place.get("LastPosition"), float):
            return np.array([place["LastPosition"]])
    raise FormatError("the header does not say the photon energy")


def _region(
    path: Path,
    header: Mapping[str, Any],
    letter: str,
    unit: str,
    index: int,
    regions: int,
    region: dict[str, Any],
    energies: NDArray[np.float64],
) -> Raw:
    x, y = _points(region.get("PAxis")), _points(region.get("QAxis"))
    images: dict[int, NDArray[np.float64]] = {}
    for k in range(len(energies)):
        for name in _names(path.stem, letter, k, len(energies), index, regions):
            if (path.parent / name).is_file():
                images[k] = _image(path.parent / name, (len(y), len(x)))
                break
    if not images:
        raise FormatError(f"{path.name}: none of its .xim images lies beside it")
    there = sorted(images)
    remarks = []
    missing = [f"{energies[k]:g}" for k in range(len(energies)) if k not in images]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        remarks.append(
            f"{len(missing)} of {len(energies)} images are not there: "
            f"{', '.join(missing[:MOST_NAMED])}{more} eV"
        )
    name = f"region_{index + 1}" if regions > 1 else "region"
    return Raw(
        name, energies[there], x, y, np.array([images[k] for k in there]),
        _dwell(header, energies)[there], unit, str(region["PAxis"].get("Unit", "")),
        ring_current=_currents(header, len(energies), index)[there], remarks=remarks,
    )  # fmt: skip


def _names(stem: str, letter: str, k: int, energies: int, region: int, regions: int) -> list[str]:
    number = f"{k:03d}" if energies > 1 else ""
    if regions == 1:
        return [f"{stem}_{letter}{number}.xim", f"{stem}_{letter}000.xim"][: 1 + (energies == 1)]
    return [f"{stem}_{letter}{number}{region}.xim", f"{stem}_{letter}{number}_{region}.xim"]


def _image(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty file
            image = np.loadtxt(path, ndmin=2)
    except (ValueError, UserWarning) as exc:
        raise FormatError(f"{path.name} is no table of numbers: {exc}") from None
    if image.shape != shape:
        raise FormatError(f"{path.name} has {image.shape} pixels where the header says {shape}")
    return image


def _dwell(header: Mapping[str, Any], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time per pixel (s) of each image: that of its range of energies, else of the whole scan."""
    scan = header["ScanDefinition"]
    value = scan.get("Dwell")
    found = np.full(len(energies), np.nan)
    if isinstance(value, float):
        found[:] = value * 1e-3
    ranges = (header.get("ImageScan") or {}).get("EnergyRegions") or []
    for one in ranges if len(ranges) > 1 else []:
        low, high = sorted((one["StartEnergy"], one["EndEnergy"]))
        inside = (energies >= low - 1e-6) & (energies <= high + 1e-6)
        found[inside] = one["DwellTime"] * 1e-3
    return found


def _currents(header: Mapping[str, Any], n: int, region: int) -> NDArray[np.float64]:
    """Ring current (mA) of each image, by the order of the images; NaN where it is not said."""
    said: list[tuple[int, float]] = []
    for key, match in _matching(header):
        of = header[key]
        if match[2] is not None and int(match[2]) != region:
            continue
        if isinstance(of, Mapping) and isinstance(of.get("StorageRingCurrent"), float):
            said.append((int(match[1]), of["StorageRingCurrent"]))
    found = np.full(n, np.nan)
    # Counted from 0 where there is an image 0; else from 1, and the header speaks for the first.
    first = 0 if any(number == 0 for number, _ in said) else 1
    if first and isinstance(header.get("StorageRingCurrent"), float):
        found[0] = header["StorageRingCurrent"]
    for number, value in said:
        if 0 <= number - first < n:
            found[number - first] = value
    return found


def _matching(header: Mapping[str, Any]) -> Iterator[tuple[str, re.Match[str]]]:
    for key in header:
        if (match := IMAGE.match(key)) is not None:
            yield key, match
