"""What heating looks like in documents: phases, a soak, T(t), and runs that belong together."""

from __future__ import annotations

__all__ = [
    "EXPERIMENT",
    "HEATING",
    "HEATING_RESERVED",
    "HEATING_START",
    "PHASES",
    "PHASE_KEYS",
    "RAMP_KEYS",
    "RAMP_RESERVED",
    "SOAK_KEYS",
    "SOAK_STREAM",
    "monitor_stream",
    "soak_key",
]

HEATING = "heating"
"""Key of the start document that says what was asked of the heater: ``heater`` (its name),
``target_c`` and ``cool_to_c`` (degC), ``rate`` and ``cool_rate`` (degC/min; None: what the stage
had), ``soak_s`` and ``timeout_s`` (s, of the heater's clock), ``then`` ("cool" or "hold")."""

HEATING_START = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "heating",
)  # fmt: skip
"""Keys of a start document of `redoxscope.plans.ramp_and_soak`."""

HEATING_RESERVED = HEATING_START
"""Keys of that start document that only the plan may write."""

PHASES = ("begin", "reached", "soaked", "cooled")
"""Texts of ``phase``: each event of the stream ``primary`` is read when that has come about."""

PHASE_KEYS = {"point": None, "phase": None, "elapsed": "s"}
"""Unit of each data key of such an event, beside those of the heater: ``point`` counts the events
from 0, ``elapsed`` is the time since the run began, of the heater's clock."""

RAMP_KEYS = {
    "point": None,
    "ramp_due": "s",
    "ramp_elapsed": "s",
    "ramp_late": "s",
    "ramp_missed": None,
    "ramp_tries": None,
    "ramp_from": "degC",
    "ramp_to": "degC",
}
"""Unit of each data key of a point of a ramp, beside those of heater and detectors: ``point`` is
the number of its due time, ``ramp_due`` and ``ramp_elapsed`` say when it was to begin and when it
did since the ramp began (s, of the heater's clock), ``ramp_late`` their difference,
``ramp_missed`` how many due times before it were left out, ``ramp_tries`` how often it was measured
(more than 1 after a pause or a suspension), ``ramp_from`` and ``ramp_to`` the temperature before
and after."""

RAMP_RESERVED = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "ramp",
)  # fmt: skip
"""Keys of the start document of `redoxscope.plans.measure_during_ramp` that only it may write."""

SOAK_STREAM = "soak"
"""Stream of one event: what the soak clock counted, also where the soak was ended early."""

SOAK_KEYS = {
    "in_band": "s",
    "left_out": "s",
    "longest_gap": "s",
    "min": "degC",
    "max": "degC",
    "overshoot": "degC",
}
"""Unit of each of its data keys, which are those of `soak_key`."""

EXPERIMENT = "experiment"
"""Key of the start document of each run that belongs to an experiment of several: ``uid`` (of the
experiment), ``plan``, ``part`` (in words), ``index`` of the part and ``total`` of parts, ``run``
(number of the run in its part, from 0), ``attempt`` (0; more where it was resumed), ``single``
(the part has one run) and ``recipe``: what it takes to resume it."""


def soak_key(heater: str, what: str) -> str:
    """Data key of one of `SOAK_KEYS` of a heater."""
    return f"{heater}_soak_{what}"


def monitor_stream(signal: str) -> str:
    """Stream of what is monitored of a signal, as bluesky's own preprocessor calls it."""
    return f"{signal}_monitor"
