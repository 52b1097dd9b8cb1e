"""Which keys of a start document belong to the contract, and whether it says what a plan meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ._rixs import RIXS_START
from ._stack import START_KEYS as STACK_START_KEYS

__all__ = [
    "RIXS_RESERVED",
    "SESSION_KEYS",
    "STACK_RESERVED",
    "check_metadata",
    "check_session",
    "check_start",
]

STACK_RESERVED = (
    *STACK_START_KEYS, "shape", "extents", "snaking", "references", "stxm", "until",
    "follow_drift", "resumes", "i0_spectrum",
    "dose_limit", "exposure", "rows",
)  # fmt: skip
"""Keys of the start document of images that only the plan may write."""
RIXS_RESERVED = (*RIXS_START, "holder")
"""The same for RIXS maps, emission spectra and calibrations."""

SESSION_KEYS = ("beamline_id", "simulated", "calibrations")
"""Keys that a session writes: from its beamline file, and of the calibrations in force."""

_BY_THE_ENGINE = ("uid", "time")


def check_metadata(md: Any, reserved: Collection[str]) -> dict[str, Any]:
    """A user's ``md`` as a dict of its own.

    Raises
    ------
    ValueError
        It is no mapping of names, or holds a key of the contract: readers would take it for what
        was measured.
    """
    if md is None:
        return {}
    if not isinstance(md, Mapping):
        raise ValueError(f"md = {md!r} must be a mapping, as {{'sample': 'electrode 7'}}")
    for key in md:
        if not isinstance(key, str):
            raise ValueError(f"md has the key {key!r}; keys must be text")
        if key in SESSION_KEYS:
            raise ValueError(f"md has the key {key!r}, which the session writes itself")
        if key in reserved:
            raise ValueError(
                f"md has the key {key!r}, which the plan writes itself: {_listing(reserved)}"
            )
    return dict(md)


def check_start(
    start: Mapping[str, Any], meant: Mapping[str, Any], reserved: Collection[str]
) -> None:
    """Compare a start document with what the plan gave for it.

    Parameters
    ----------
    start : mapping
        As it was emitted: bluesky lets ``RE(plan, key=…)`` overwrite the plan's keys, and fills in
        those that it lacks from ``RE.md``.
    meant : mapping
        The plan's own keys.
    reserved : collection of str
        Keys that only the plan may write.

    Raises
    ------
    ValueError
        Names each key that says something else.
    """
    wrong = []
    for key in reserved:
        if key in _BY_THE_ENGINE:
            continue
        if key not in meant:
            if key in start:
                wrong.append(f"{key} = {_shown(start[key])}, which this plan does not give")
        elif _plain(start.get(key)) != _plain(meant[key]):
            wrong.append(f"{key} = {_shown(start.get(key))} instead of {_shown(meant[key])}")
    if wrong:
        raise ValueError(
            f"the start document says {'; '.join(wrong)}. Nothing has moved. Take it out of "
            f"RE(…, {wrong[0].split(' ')[0]}=…), RE.md or what wraps the plan: "
            f"{_listing(reserved)}"
        )


def check_session(md: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse metadata of a run that say something else than the session of its beamline.

    Parameters
    ----------
    md : mapping
        Of a run that is about to be opened, merged.
    own : mapping
        What the session says: `SESSION_KEYS`.

    Raises
    ------
    ValueError
        A key of the session has another value; or ``sample`` is neither text nor a mapping, as
        bluesky demands.
    """
    for key, value in own.items():
        if key not in md or md[key] != value:
            raise ValueError(
                f"metadata say {key} = {_shown(md.get(key))} instead of {value!r}, which is the "
                "beamline file's. Nothing has moved."
            )
    sample = md.get("sample", "")
    if not isinstance(sample, (str, Mapping)):
        raise ValueError(f"sample = {_shown(sample)} must be text or a mapping")


def _listing(reserved: Collection[str]) -> str:
    return f"reserved are {', '.join(reserved)}"


def _plain(value: Any) -> Any:
    """Tuples as lists, as they are in JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
