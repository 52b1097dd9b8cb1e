"""Which spectra a station can measure, from the channels that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...documents import XAS_REFERENCE, XasMode
from ...inputs import check_keys, suggestion

__all__ = ["modes_of"]

USUAL = {
    "TEY": ("tey", "i0", "yield"),
    "TFY": ("tfy", "i0", "yield"),
    "transmission": ("i1", "i0", "transmission"),
    XAS_REFERENCE: ("i2", "i1", "transmission"),
}
"""Signal, incoming beam and kind of the usual modes, by the channels' names."""


def modes_of(
    name: str, channels: Mapping[str, str], own: Mapping[str, Any] | None = None
) -> dict[str, XasMode]:
    """Modes by name: the usual ones whose channels are there, and the beamline's own.

    Parameters
    ----------
    name : str
        Of the station, for messages.
    channels : mapping of str to str
        Data key of each channel, by its name.
    own : mapping of str to mapping, optional
        ``{"PFY": {"signal": "sdd", "i0": "i0", "kind": "yield"}}``: channels by name; without
        ``kind``, a yield. One that is called as a usual mode takes its place.

    Raises
    ------
    ValueError
        A channel that there is not; no mode at all.
    """
    found = {
        mode: XasMode(channels[signal], channels[i0], kind)
        for mode, (signal, i0, kind) in USUAL.items()
        if signal in channels and i0 in channels
    }
    for mode, said in (own or {}).items():
        where = f"{name}.modes[{mode!r}]"
        if not isinstance(said, Mapping):
            raise ValueError(f"{where} = {said!r:.60} must be a mapping of signal, i0 and kind")
        check_keys(where, said, ("signal", "i0", "kind"), needed=2)
        for part in ("signal", "i0"):
            if said[part] not in channels:
                raise ValueError(
                    f"{where}: {part} = {said[part]!r} is no channel"
                    f"{suggestion(said[part], channels)}; channels: {', '.join(channels)}"
                )
        keys = channels[said["signal"]], channels[said["i0"]]
        try:
            found[mode] = XasMode(*keys, said.get("kind", "yield"))
        except ValueError as exc:
            raise ValueError(f"{where}: {exc}") from None
    if not found:
        raise ValueError(
            f"{name} has the channels {', '.join(channels) or 'none'}, of which no spectrum can be "
            "made: it needs i0 and tey or tfy, or i0 and i1, or modes of its own"
        )
    return found
