from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import MapView, draw, oxidation_map
from redoxscope.callbacks._draw import pretty

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def snapshot(stack):
    documents, references = stack
    return oxidation_map(documents.documents(), references)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Mn4+", "Mn⁴⁺"), ("Fe2+", "Fe²⁺"), ("oxidized", "oxidized"), ("Ni", "Ni"), ("O2-", "O²⁻")],
)
def test_charges_are_raised(name, shown):
    assert pretty(name) == shown


def test_picture(snapshot, tmp_path):
    figure = Figure(figsize=(11, 7.6))
    draw(figure, snapshot)
    figure.savefig(tmp_path / "map.png")
    axes = figure.axes
    left, right = axes[0].get_xlim()
    assert (left, right) == pytest.approx((snapshot.x[0] - 0.05, snapshot.x[-1] + 0.05))
    labels = " ".join(
        [a.get_xlabel() + a.get_ylabel() for a in axes] + [t.get_text() for t in figure.texts]
    )
    for text in ("Mn⁴⁺ fraction", "σ of", "Thickness", "x (µm)", "photon energy (eV)", "residual"):
        assert text in labels
    image = axes[0].get_images()[0].get_array()
    assert (image.mask == ~snapshot.result.mask).all()
    draw(figure, snapshot)  # again on the same figure
    assert len(figure.axes) == len(axes)


def test_picture_of_an_early_map(stack, tmp_path):
    documents, references = stack
    early = oxidation_map(documents.documents(lines=30), references)
    assert early.spectrum is None
    figure = Figure()
    draw(figure, early)
    figure.savefig(tmp_path / "early.png")


def test_thinned(snapshot):
    thin = snapshot.thinned(10)
    assert thin.result.fraction.shape == (8, 10)
    assert thin.x.shape == (10,)
    assert thin.result.blank.shape == (8, 10)
    draw(Figure(), thin)


def test_view_writes_a_file_where_there_is_no_display(snapshot, tmp_path):
    with MapView(tmp_path, window=False) as view:
        view(snapshot)
    assert (tmp_path / "live.png").read_bytes().startswith(PNG)
    assert [p.name for p in tmp_path.iterdir()] == ["live.png"]
    assert not view.alive


def test_killed_view_hurts_nobody(snapshot, tmp_path):
    view = MapView(tmp_path, window=False)
    os.kill(view._process.pid, signal.SIGKILL)
    view._process.wait(10)
    for _ in range(5):
        view(snapshot)
    view.close()
    assert not view.alive


def test_view_ends_with_its_parent(tmp_path):
    code = (
        "import os, sys; from redoxscope.callbacks import MapView;"
        f"view = MapView({str(tmp_path)!r}, window=False);"
        "print(view._process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    pidfd = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    parent.kill()
    parent.communicate()
    if pidfd is None:
        pytest.skip("no pidfd on this platform")
    import select

    readable, _, _ = select.select([pidfd], [], [], 20)
    os.close(pidfd)
    assert readable
