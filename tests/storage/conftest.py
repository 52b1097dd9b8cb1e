"""Embedded catalogs in temporary folders, and runs to put into them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.documents import STACK

NX, NY = 20, 5


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own for these tests: making an embedded catalog takes seconds."""
    folder = tmp_path_factory.mktemp("home with space")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("XDG_DATA_HOME", str(folder / "share"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("TILED_PROFILES", str(folder / "profiles"))
        patch.setenv("REDOXSCOPE_DATA", str(folder / "data"))
        # Tiled reads the environment when it is imported, which may have been before.
        import tiled.profiles

        patch.setattr(tiled.profiles, "paths", [folder / "profiles"])
        patch.setattr(tiled.profiles, "_all_paths", [folder / "profiles"] * 2)
        yield folder
        tiled.profiles.load_profiles.cache_clear()


@pytest.fixture(scope="package")
def embedded(home: Path) -> Any:
    """The default embedded catalog, shared by the tests."""
    from redoxscope.storage import open_catalog

    return open_catalog()


@pytest.fixture(scope="package")
def fresh(home: Path) -> Callable[[Path], Any]:
    """Open a new embedded catalog in a folder: a copy, as making one takes seconds."""
    from redoxscope.storage import open_catalog
    from redoxscope.storage.catalog._embedded import make_embedded

    template = home / "template"
    make_embedded(template)

    def make(folder: Path) -> Any:
        shutil.copytree(template, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that databroker opens another
            return open_catalog(directory=folder)

    return make


@pytest.fixture
def python(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code in a fresh process that sees the same home."""

    def run(
        code: str, *arguments: str, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            input=input,
            capture_output=True,
            text=True,
            timeout=300,
            env=dict(os.environ),
            check=False,
        )

    return run


def stack_lines(energies: int = 2, nx: int = NX, ny: int = NY) -> list[dict[str, Any]]:
    """Data of each line of a stack, as the contract has them; line 3 is a missed one."""
    rng = np.random.default_rng(1)
    lines = []
    for number in range(energies * ny):
        missed = number == 3
        lines.append(
            {
                "energy": 640.0 + number // ny,
                "frame": number // ny,
                "line": number % ny,
                "sample_x": np.linspace(-1, 1, nx).tolist(),
                "sample_y": [0.1 * (number % ny)] * nx,
                "transmission": [np.nan] * nx
                if missed
                else rng.poisson(1000, nx).astype(float).tolist(),
                "i0": [np.nan] * nx,
                "ring_current": np.nan if number == 0 else 300.0,
                "line_status": 2 if missed else 0,
            }
        )
    return lines


def data_keys(nx: int = NX) -> dict[str, Any]:
    """Data keys of the contract's primary stream."""
    line = {"dtype": "array", "shape": [nx], "dtype_numpy": "<f8", "source": "test"}
    number = {"dtype": "number", "shape": [], "dtype_numpy": "<f8", "source": "test"}
    integer = {"dtype": "integer", "shape": [], "dtype_numpy": "<i8", "source": "test"}
    return {
        "energy": number,
        "frame": integer,
        "line": integer,
        "sample_x": line,
        "sample_y": line,
        "transmission": line,
        "i0": line,
        "ring_current": number,
        "line_status": integer,
    }


def stack_documents(
    lines: list[dict[str, Any]] | None = None, *, seq_nums: list[int] | None = None, **md: Any
) -> list[tuple[str, dict[str, Any]]]:
    """A whole run of one-line event pages."""
    from event_model import compose_run

    lines = stack_lines() if lines is None else lines
    keys = data_keys(len(lines[0]["sample_x"]) if lines else NX)
    run = compose_run(time=md.pop("time", None), metadata={"plan_name": STACK, "scan_id": 12, **md})
    configuration = {
        "counter": {
            "data": {"transmission_dead_time": 1e-7},
            "timestamps": {"transmission_dead_time": 0.0},
            "data_keys": {
                "transmission_dead_time": {"dtype": "number", "shape": [], "source": "test"}
            },
        }
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys, configuration=configuration)
    documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for row, line in enumerate(lines):
        seq_num = seq_nums[row] if seq_nums else row + 1
        documents.append(
            (
                "event_page",
                {
                    "descriptor": stream.descriptor_doc["uid"],
                    "seq_num": [seq_num],
                    "time": [1e9 + row],
                    "data": {key: [value] for key, value in line.items()},
                    "timestamps": {key: [1e9 + row] for key in line},
                    "uid": [f"{run.start_doc['uid']}-{row}"],
                    "filled": {},
                },
            )
        )
    stop = run.compose_stop()
    stop["num_events"] = {"primary": len({*(seq_nums or range(1, len(lines) + 1))})}
    return [*documents, ("stop", stop)]
