"""What an energy stack looks like in documents: one event per line."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "CONTRACT_VERSION",
    "FOLLOWED",
    "I0_SPECTRUM",
    "IMAGE",
    "LINE_ARRAYS",
    "LINE_KEYS",
    "LINE_UNITS",
    "RESUMES",
    "STACK",
    "STREAM",
    "LineStatus",
    "flights",
]

CONTRACT_VERSION = 2
STREAM = "primary"

FOLLOWED = ("followed_x", "followed_y")
"""Keys of a line (µm) where the plan follows a drift: by how much its region was moved."""

RESUMES = "resumes"
"""Key of the start document of a run that goes on with another one's scan: a mapping of that
run's ``uid``, and the ``frame`` and ``line`` it begins at."""

I0_SPECTRUM = "i0_spectrum"
"""Key of the start document of an imported stack: its I0, measured on its own. A mapping of
``energies`` (eV), ``values`` and ``sigma`` (counts per pixel, or per monitor count where ``ratio``
is true), ``dwell`` (s; None: that of the stack) and ``source``."""

STACK = "stxm_energy_stack"
"""``plan_name`` of a stack; viewers of other people's runs choose by it, too."""
IMAGE = "image"
"""``plan_name`` of images at one energy."""

LINE_ARRAYS = ("sample_x", "sample_y")
LINE_UNITS = {"energy": "eV", "ring_current": "mA", "sample_x": "um", "sample_y": "um"}
LINE_KEYS = ("frame", "line", "line_status", *LINE_UNITS)
"""Data keys of every line, besides one for each detector. ``frame`` is an index into the frames of
the start document's scan, ``line`` one of that image."""

START_KEYS = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "scan", "edge",
)  # fmt: skip


class LineStatus(IntEnum):
    """How a line came about.

    ``OK`` at the first try, ``RETRIED`` after tries that failed or that a pause broke off,
    ``MISSED`` not at all: the counts of a missed line are NaN. ``DISTURBED``: flown, but something
    was not as asked for (moved by somebody else, no beam); its counts are kept and must not be
    used.
    """

    OK = 0
    RETRIED = 1
    MISSED = 2
    DISTURBED = 3


def flights(status: int, retries: int) -> int:
    """How often a line may have been flown, and so left its dose in the sample.

    One that came in the end may have failed as often as it is taken again: of it no less is known
    than of one that was lost. What a pause broke off is counted as one flight more where lines are
    not taken again.

    Parameters
    ----------
    status : int
        A `LineStatus`. One that is not known here counts as missed.
    retries : int
        How often a line of the scan is taken again.
    """
    if status == LineStatus.OK:
        return 1
    return max(2, 1 + retries) if status == LineStatus.RETRIED else 1 + retries
