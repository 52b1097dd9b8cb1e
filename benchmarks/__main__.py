"""``make bench``: every figure with its target and its reference, from this run.

``python -m benchmarks shift drift`` takes only those parts.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from importlib import import_module
from pathlib import Path

PARTS = (
    "session",
    "spectra",
    "stack",
    "shift",
    "prompt",
    "estimate",
    "dry_run",
    "fly",
    "heat",
    "ramp",
    "analysis",
    "drift",
    "choice",
    "rixs",
    "tes",
    "ptycho",
    "camera",
    "queue",
    "xas",
    "files",
)


def show(rows: list[dict[str, object]]) -> None:
    """Print rows of ``what, value, unit, target, reference`` as a Markdown table."""
    print(f"{_machine()}\n")
    print("| what | measured | target | reference, same run |\n|---|---|---|---|", flush=True)
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.3g} {row['unit']}".strip()
        print(f"| {row['what']} | {value} | {_target(row)} | {row['reference']} |", flush=True)


def _target(row: dict[str, object]) -> str:
    target = row["target"]
    if target is None:
        return ""
    return target if isinstance(target, str) else f"≤ {target:g} {row['unit']}"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return f"{os.cpu_count()} cores {model}, Python {platform.python_version()}"


def main() -> None:
    """Run what was named, or everything, in a data folder of its own."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Print figures.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or PARTS
    for name in wanted:
        if name not in PARTS:
            parser.error(f"{name!r} is none of {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REDOXSCOPE_DATA"] = f"{folder}/data"
        os.environ["TILED_PROFILES"] = f"{folder}/profiles"
        for name in wanted:
            show(import_module(f".bench_{name}", __package__).rows())


if __name__ == "__main__":
    main()
