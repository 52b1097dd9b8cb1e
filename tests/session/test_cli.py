"""What the command says of itself, in whatever the terminal can show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redoxscope import __version__

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
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"First line ")
    if encoding == "latin-1":
        assert done.stdout == "First line ... sigma 0.1, chi² 1, 5 µm ?\n".encode("latin-1")


def test_an_installation_is_not_shadowed_by_a_folder_of_its_name():
    """setuptools makes an editable installation a static path only where package-dir says so."""
    import tomllib

    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["package-dir"] == {"": "."}


SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from redoxscope import start_session
from tests.devices.tes.parts import truth

with start_session(speed=8, tes=True, data=sys.argv[1]) as s:
    s.tes.set_calibration(truth())
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=config, user_ns=s.namespace(), colors="NoColor")
    shell.extension_manager.load_extension("redoxscope.cli.magics")
    hook = s.RE.waiting_hook = lambda statuses: None
    for line in sys.argv[2:]:
        print(">", line)
        shell.run_cell(line).raise_error()
    assert s.RE.waiting_hook is hook  # progress bars are the session's
    print("runs", len(s.cat), s.stxm.shutter.is_open)
"""


def test_the_magics_of_the_step_scans_page_in_ipython(tmp_path):
    """A process of its own: IPython is one per process, and prints where it likes."""
    lines = ["%mov energy 641 sample_stage.x 2", "%movr energy 0.5", "print(energy.position)",
             "%wa", "%ct", "%ct spectrometers", "%ct tables"]  # fmt: skip
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", SHELL, str(tmp_path), *lines],
        capture_output=True, text=True, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(part.split("\n", 1) for part in done.stdout.split("> ")[1:])
    assert float(told["print(energy.position)"]) == pytest.approx(641.5, abs=0.02)
    for word in ("stxm_sample_stage_x ", "stxm_monochromator ", "motors", "detectors", "tes"):
        assert word in told["%wa"]
    assert "Error" not in told["%wa"]
    counts = dict(line.split(None, 1) for line in told["%ct"].splitlines())
    assert {"transmission", "i0"} <= set(counts) and float(counts["transmission"]) > 100
    spectrum = dict(line.split(None, 1) for line in told["%ct spectrometers"].splitlines())
    assert int(spectrum["tes_counts"]) > 10 and spectrum["tes_spectrum"] == "2000 values"
    assert "nothing is labelled 'tables'; labels are detectors, motors" in told["%ct tables"]
    assert "runs 2 False" in told["%ct tables"]
