"""What the command says of itself, in whatever the terminal can show."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from redoxscope import __version__
from redoxscope.cli import _commands
from redoxscope.devices import STXM

from .test_demo import redoxscope

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_version():
    done = redoxscope("--version")
    assert (done.returncode, done.stdout) == (0, f"redoxscope {__version__}\n")
    project = (DOCS.parent / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in project


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_output_in_any_encoding(encoding):
    code = (
        "from redoxscope.cli._common import echo, progress_bar, speak_any_encoding\n"
        "speak_any_encoding()\necho('First line … σ 0.1, χ² 1, 5 µm 中')\n"
        "with progress_bar('lines') as bar:\n    bar.add_task('… σ', total=1)\n"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"First line ")
    if encoding == "latin-1":
        assert done.stdout == "First line ... sigma 0.1, chi² 1, 5 µm ?\n".encode("latin-1")


def test_banner_is_what_the_tutorial_shows():
    parts = ["stxm", "energy", "mono", "tes", "holder", *STXM.component_names]
    session = SimpleNamespace(
        config=SimpleNamespace(name="simulated"), devices=dict.fromkeys(parts), RE=SimpleNamespace(
            md={"beamline_id": "simulated"}
        ),
    )  # fmt: skip
    text = (DOCS / "tutorial" / "first-map.md").read_text(encoding="utf-8")
    shown = re.search(r"```\n(redoxscope on simulated\n.*?)```", text, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == _commands._banner(session).strip()


def test_an_installation_is_not_shadowed_by_a_folder_of_its_name():
    """setuptools makes an editable installation a static path only where package-dir says so."""
    import tomllib

    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["package-dir"] == {"": "."}


def test_the_shell_has_the_magics_of_the_step_scans_page(capsys):
    from bluesky import RunEngine
    from IPython.core.interactiveshell import InteractiveShell
    from ophyd.sim import SynAxis
    from traitlets.config import Config

    axis = SynAxis(name="axis", labels={"motors"})
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=config, user_ns={"RE": RunEngine({}), "axis": axis})
    shell.extension_manager.load_extension("redoxscope.cli._magics")
    shell.run_line_magic("mov", "axis 3")
    assert axis.position == 3
    shell.run_line_magic("wa", "motors")
    assert "axis" in capsys.readouterr().out
    assert shell.find_line_magic("ct") is None
