"""The RunEngine of a session, with what goes into every run of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bluesky import RunEngine

from ..beamline import Beamline
from ..documents import check_session
from ._baseline import Baseline
from ._ending import is_heater
from ._engine import make_engine
from ._metadata import Metadata, ScanNumbers

__all__ = ["session_engine"]


def session_engine(
    beamline: Beamline, data: Path, *, kind: Callable[..., RunEngine] = RunEngine
) -> tuple[RunEngine, Baseline]:
    """A RunEngine for a beamline, and what it reads with every run besides.

    Parameters
    ----------
    beamline : Beamline
        Its name goes into every run, and what stands still in its instruments into the baseline.
    data : path
        Folder in which metadata and scan numbers go on from session to session.
    kind : callable
        Makes the RunEngine.
    """
    own = {"beamline_id": beamline.file.name, "simulated": beamline.file.simulated}
    engine = make_engine(
        Metadata(data / "metadata.json"),
        scan_id_source=ScanNumbers(data / "scan_id"),
        md_validator=partial(check_session, own=own),
        kind=kind,
    )
    engine.md.update(own)
    instruments = beamline.instruments.values()
    fixed = [part for one in instruments for part in getattr(one, "fixed_parts", ())]
    # What heats a sample is part of what every run measured of it.
    heated = [one.temperature for one in beamline.devices.values() if is_heater(one)]
    baseline = Baseline(baseline=fixed, carried=fixed, monitors=heated)
    engine.preprocessors.append(baseline)
    return engine, baseline
