"""A folder that two computers see, each under its own name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .._base import DeviceError

__all__ = ["Folders", "text"]


def text(value: Any) -> str:
    """Check of a `Setting`: text, empty too."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value.strip()


@dataclass(frozen=True)
class Folders:
    """Where files are.

    Attributes
    ----------
    there : str
        The folder as the camera's computer sees it; ends with its separator.
    here : Path
        As this computer sees it.
    """

    there: str
    here: Path

    @classmethod
    def of(cls, name: str, there: str, here: str) -> Self:
        """The folders by what a beamline file, or a plugin, says.

        Raises
        ------
        DeviceError
            None is known.
        """
        if not there:
            raise DeviceError(
                f"{name}: no folder for its files: give it a path in the beamline file, or set "
                f"{name}.write_path"
            )
        windows = "\\" in there or re.match(r"[A-Za-z]:", there)
        mark = "\\" if windows and "/" not in there else "/"
        whole = there if there.endswith(mark) else there + mark
        return cls(whole, Path(here or there))

    def seen_from_here(self, file: str) -> Path:
        """A file of the other computer, as this one sees it.

        Raises
        ------
        DeviceError
            It is in another folder.
        """
        if not file.startswith(self.there):
            raise DeviceError(f"the file {file!r} is not in the folder {self.there!r}")
        return self.here.joinpath(*re.split(r"[\\/]", file[len(self.there) :]))
