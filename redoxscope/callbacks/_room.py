"""How much memory there is for what somebody wants."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_bytes", "gigabytes", "room_for"]


def available_bytes() -> int:
    """Memory that can be had without swapping: of the machine, or of this process's group."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found = [1024 * int(line.split()[1])]
    for most, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        limit, now = _text(most).strip(), _text(used).strip()
        if limit.isdigit() and now.isdigit():
            found.append(int(limit) - int(now))
    return max(min(found), 0)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:  # not this kind of system
        return ""


def room_for(what: str, needed: int) -> None:
    """Refuse what does not fit into the available memory (bytes).

    Raises
    ------
    ValueError
        Says how much it needs and how much there is.
    """
    available = available_bytes()
    if needed > available:
        raise ValueError(
            f"{what} needs {gigabytes(needed)}, and {gigabytes(available)} are available"
        )


def gigabytes(number: float) -> str:
    """``26.8 GB``."""
    return f"{number / 1e9:.3g} GB"
