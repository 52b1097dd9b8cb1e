"""NXstxm files of what a session measures, while it is measured."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bluesky import RunEngine

from ..storage.nxstxm import NxstxmFiles

__all__ = ["nxstxm_files"]


def nxstxm_files(
    folder: str, data: Path, engine: RunEngine, steps: ExitStack
) -> NxstxmFiles | None:
    """Write each scan of the microscope into a file, where that is wanted.

    Parameters
    ----------
    folder : str
        In the data folder where it is relative; empty: no files.
    data : pathlib.Path
        The data folder.
    engine : bluesky.RunEngine
    steps : contextlib.ExitStack
        Undoes it.
    """
    if not folder:
        return None
    files = NxstxmFiles(data / folder, logs=data / "documents")
    token = engine.subscribe(files)
    steps.callback(files.close)
    steps.callback(engine.unsubscribe, token)
    return files
