"""``make bench``: every figure with its target and its reference, from this run."""

from __future__ import annotations

import os
import platform
from pathlib import Path


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
    """Run everything, in its own data folder."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.environ["REDOXSCOPE_DATA"] = f"{folder}/data"
        os.environ["TILED_PROFILES"] = f"{folder}/profiles"
        from . import (
            bench_analysis,
            bench_camera,
            bench_choice,
            bench_drift,
            bench_dry_run,
            bench_estimate,
            bench_files,
            bench_fly,
            bench_heat,
            bench_prompt,
            bench_ptycho,
            bench_queue,
            bench_ramp,
            bench_rixs,
            bench_session,
            bench_spectra,
            bench_stack,
            bench_tes,
            bench_xas,
        )

        for part in (
            bench_session,
            bench_spectra,
            bench_stack,
            bench_prompt,
            bench_estimate,
            bench_dry_run,
            bench_fly,
            bench_heat,
            bench_ramp,
            bench_analysis,
            bench_drift,
            bench_choice,
            bench_rixs,
            bench_tes,
            bench_ptycho,
            bench_camera,
            bench_queue,
            bench_xas,
            bench_files,
        ):
            show(part.rows())


if __name__ == "__main__":
    main()
