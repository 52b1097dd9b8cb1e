"""Waiting for what a measurement needs, as long as it is not there."""

from ._count_rate import CountRateSuspender
from ._limits import (
    CryostatSuspender,
    OverTemperatureSuspender,
    PressureSuspender,
    RingSuspender,
)

__all__ = [
    "CountRateSuspender",
    "CryostatSuspender",
    "OverTemperatureSuspender",
    "PressureSuspender",
    "RingSuspender",
]
