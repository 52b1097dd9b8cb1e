"""What a session writes while it measures: the plans themselves, with fakes, into NXstxm files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky import RunEngine

from redoxscope.beamline import parse_beamline
from redoxscope.plans import (
    coarse_image,
    detector_image,
    energy_stack,
    focus_scan,
    image,
    line_spectrum,
    osa_focus,
    osa_image,
    point_spectrum,
    tiled_image,
)
from redoxscope.session._files import nxstxm_files
from redoxscope.testing import FakeMicroscope, make_engine

PLANS: dict[str, tuple[Callable[[Any], Any], list[str], tuple[int, ...]]] = {
    "stack": (
        lambda s: energy_stack(s, energies=[641.0, 640.0], size=2, pixels=(4, 3)),
        ["sample image stack"], (2, 3, 4),
    ),
    "image": (
        lambda s: image(s, energy=640, size=2, pixels=(4, 3)), ["sample image"], (3, 4),
    ),
    "line": (
        lambda s: line_spectrum(s, energies=[640, 642, 641], length=4, pixels=8),
        ["sample line spectrum"], (3, 8),
    ),
    "point": (
        lambda s: point_spectrum(s, positions=[(0, 0), (3, 1.5)], energies=[640, 641]),
        ["sample point spectrum"] * 2, (2, 1, 1),
    ),
    "focus": (
        lambda s: focus_scan(s, energies=[640, 650], travel=20, steps=5, pixels=3),
        ["sample focus"] * 2, (5, 3),
    ),
    "tiles": (
        lambda s: tiled_image(s, energies=640, size=4, pixels=4, tile=2),
        ["sample image"] * 4, (2, 2),
    ),
    "osa_image": (
        lambda s: osa_image(s, energy=640, size=2, pixels=(3, 2)), ["osa image"], (2, 3),
    ),
    "osa_focus": (
        lambda s: osa_focus(s, energy=640, travel=60, steps=3, length=2, pixels=2),
        ["osa focus"], (3, 2),
    ),
    "detector": (
        lambda s: detector_image(s, energy=640, size=2, pixels=(3, 2)), ["detector image"], (2, 3),
    ),
    "coarse": (
        lambda s: coarse_image(s, energy=640, size=40, pixels=(3, 2)), ["sample image"], (2, 3),
    ),
}  # fmt: skip
"""Each plan, the types of its entries and the shape of the first."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[RunEngine, Callable[[], list[Path]]]]:
    """An engine whose scans go into files, and those that there are at the end."""
    made, _ = make_engine()
    with ExitStack() as steps:
        files = nxstxm_files("night", tmp_path, made, steps)
        assert files is not None

        def written() -> list[Path]:
            assert files.wait(60) and not files.problems
            return sorted((tmp_path / "night").iterdir())

        yield made, written


@pytest.mark.parametrize("kind", list(PLANS))
def test_each_plan_of_the_microscope(kind: str, engine: Any) -> None:
    from nexusformat.nexus.validate import logger, validate_file

    make, types, shape = PLANS[kind]
    RE, written = engine
    RE(make(FakeMicroscope()))
    (path,) = written()
    assert path.suffix == ".nxs"
    with h5py.File(path) as file:
        entries = [file[f"entry{i + 1}/counter0"] for i in range(len(types))]
        assert len(file) == len(types)
        assert [entry["stxm_scan_type"][0].decode() for entry in entries] == types
        assert entries[0]["data"].shape == shape
        for entry in entries:
            assert not np.isnan(entry["data"][()]).any()
            assert not entry["line_status"][()].any()
        instrument = file["entry1/instrument"]
        assert np.isfinite(instrument["monochromator/energy"][()]).all()
        for name in entries[0].attrs["axes"]:
            if name.decode() in instrument:  # measured, one for each point
                assert np.isfinite(instrument[f"{name.decode()}/data"][()]).all()
    logger.handlers.clear()
    assert validate_file(str(path)) == (0, 0)


def test_a_run_that_is_ended_leaves_what_it_has(engine: Any) -> None:
    RE, written = engine
    stxm = FakeMicroscope()
    kickoff, images = stxm.scanner.kickoff, []

    def break_down() -> Any:
        images.append(1)
        if len(images) == 3:
            raise RuntimeError("the stage is off")
        return kickoff()

    stxm.scanner.kickoff = break_down
    with pytest.raises(Exception, match="the stage is off"):
        RE(energy_stack(stxm, energies=[640, 641, 642], size=2, pixels=(4, 3)))
    (path,) = written()
    with h5py.File(path) as file:
        status = file["entry1/counter0/line_status"][()]
    assert (status[:2] == 0).all() and (status[2] == -1).all()


def test_no_folder_no_files(tmp_path: Path) -> None:
    made, _ = make_engine()
    with ExitStack() as steps:
        assert nxstxm_files("", tmp_path, made, steps) is None


def test_the_beamline_file_names_the_folder() -> None:
    text = 'name: b\ndevices:\n  m: {class: ophyd.EpicsMotor, prefix: "X:m1"}\n'
    assert parse_beamline(text, "b.yml").nxstxm == ""
    assert parse_beamline(text + "nxstxm: night\n", "b.yml").nxstxm == "night"
