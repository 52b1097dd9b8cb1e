from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import (
    Doubt,
    OxidationMap,
    draw_oxidation,
    draw_rixs,
    oxidation_map,
    rixs_from_run,
)
from redoxscope.callbacks.oxidation._draw import pretty

from .conftest import make
from .rixs_runs import RixsRun

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
    draw_oxidation(figure, snapshot)
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
    draw_oxidation(figure, snapshot)  # again on the same figure
    assert len(figure.axes) == len(axes)


def test_what_the_prompt_shows_of_a_map_is_a_line(snapshot):
    for part in (snapshot, snapshot.result, snapshot.spectrum, snapshot.frame):
        assert len(repr(part)) < 400
        assert "array" not in repr(part)
    assert f"{snapshot.result.mean:.3f}" in repr(snapshot)
    assert "no map" in repr(replace(snapshot, names=()))


def test_an_optical_density_without_a_blank_area_is_called_relative(snapshot):
    for doubts, label in (
        ((), "optical density"),
        ((Doubt("blank", 0, "No blank area found."),), "optical density + const."),
    ):
        figure = Figure(figsize=(11, 7.6))
        draw_oxidation(figure, replace(snapshot, doubts=doubts))
        assert label in [ax.get_ylabel() for ax in figure.axes]


@pytest.mark.parametrize("read", [oxidation_map, rixs_from_run])
@pytest.mark.parametrize(
    "source",
    ["f945d905", 5, None, ["f945d905"], [("start", "f945d905")], SimpleNamespace(metadata={})],
    ids=repr,
)
def test_what_is_no_run_is_named(read, source):
    with pytest.raises(ValueError, match=r"is neither a run, as cat\[-1\]"):
        read(source)


def words(figure) -> str:
    return " ".join(
        t.get_text()
        for t in (
            *figure.texts,
            *(
                t
                for a in figure.axes
                for t in (a.title, a._left_title, a.xaxis.label, a.yaxis.label)
            ),
            *([figure._suptitle] if figure._suptitle else []),
        )
    )


def test_picture_of_an_early_map(stack, tmp_path):
    """Before the map means something, the image that lines come into is drawn."""
    documents, references = stack
    early = oxidation_map(documents.documents(lines=30), references)
    assert early.spectrum is None and not early.has_map
    figure = Figure()
    draw_oxidation(figure, early)
    figure.savefig(tmp_path / "early.png")
    counts = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_array_equal(counts.mask, np.isnan(early.frame.counts))
    assert "counts per pixel at 638.182 eV (image 2 of 12)" in words(figure)
    assert "optical density" in words(figure)


def test_the_heading_says_what_of_what_and_when(stack):
    documents, references = stack
    everything = list(documents.documents())
    everything[0][1].update(
        time=1.7e9, sample={"name": "cathode 7"}, scan_id=17, uid="run", edge="Mn L3"
    )
    figure = Figure()
    draw_oxidation(figure, oxidation_map(everything, references))
    for text in ("Mn L3", "cathode 7", "2023-11-1", "scan 17", "run"):
        assert text in words(figure)


def test_doubts_are_in_the_picture(stack):
    documents, references = stack
    figure = Figure()
    draw_oxidation(figure, oxidation_map(documents.documents(lines=8 * 24), references))
    assert "4 of 12 energies have no data" in words(figure)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (3, 60), (60, 3), (1, 1)])
@pytest.mark.parametrize("mapped", [True, False])
def test_long_and_thin_regions(shape, mapped, tmp_path):
    ny, nx = shape
    stack, references = make()
    y, x = np.mgrid[:ny, :nx]
    thickness = np.where(x + y > (nx + ny) / 2, 1.0, 0.0)
    od = np.tensordot(references.spectra.T, np.stack([0.6 * thickness, 0.4 * thickness]), 1)
    stack.counts = np.random.default_rng(0).poisson(4e3 * np.exp(-od)).astype(float)
    stack.x, stack.y = 100 + 0.1 * np.arange(nx), 0.1 * np.arange(ny)[::-1]
    blank = thickness == 0 if nx * ny > 1 else np.ones((1, 1), dtype=bool)
    snapshot = oxidation_map(stack.documents(), references if mapped else None, blank=blank)
    assert snapshot.has_map == (mapped and nx * ny > 1)
    figure = Figure(figsize=(11, 7.6))
    draw_oxidation(figure, snapshot)
    figure.savefig(tmp_path / "long.png")
    shown = figure.axes[0].get_images()[0].get_array()
    assert shown.shape == (ny, nx)


def test_an_area_at_the_rim_is_outlined_all_round(stack):
    from matplotlib.collections import LineCollection

    documents, references = stack
    area = np.zeros((24, 30), dtype=bool)
    area[:8, 12:20] = True
    snapshot = oxidation_map(documents.documents(), references, area=area)
    figure = Figure()
    draw_oxidation(figure, snapshot)
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert len(lines[0].get_segments()) == 2 * (8 + 8) and not lines[0].get_clip_on()


def test_thinned(snapshot):
    thin = snapshot.thinned(10)
    assert thin.result.fraction.shape == (8, 10)
    assert thin.x.shape == (10,)
    assert thin.result.blank.shape == (8, 10)
    draw_oxidation(Figure(), thin)


def test_the_heading_names_the_region():
    from .scan_runs import REFERENCES, Particle, Run, play, region, scan_of

    run = Run(scan_of(region("left"), region("right")), (Particle(0.7), Particle(0.2)))
    live = OxidationMap(REFERENCES)
    play(live, run.documents())
    figure = Figure()
    draw_oxidation(figure, live.snapshots["left"])
    assert "region left" in words(figure)


@pytest.mark.parametrize(
    "words", [r"a $\frac b$", "5 $ and 6 $", "\x1b[2Jx", "\ud800"], ids=["tex", "$", "esc", "half"]
)
def test_whatever_a_sample_is_called_there_is_a_picture(snapshot, words, tmp_path):
    rixs = rixs_from_run(RixsRun("O K", passes=1).documents(points=2))
    odd = {"title": words, "message": words}
    for draw, shown in (
        (draw_oxidation, replace(snapshot, **odd, names=(words, *snapshot.names[1:]))),
        (draw_rixs, replace(rixs, **odd)),
    ):
        figure = Figure()
        draw(figure, shown)
        figure.savefig(tmp_path / "odd.png")
        written = figure.get_suptitle().replace(r"\$", "$")
        assert ("$" in words) == (words in written)
