from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from redoxscope.callbacks import draw_rixs, rixs_from_run
from redoxscope.callbacks._draw_style import measured, window_colours, window_label
from redoxscope.callbacks.rixs._draw_panels import board_shape
from redoxscope.callbacks.rixs._pixels import PixelState, PixelTally
from redoxscope.callbacks.rixs._reader import RixsReader
from redoxscope.callbacks.wire import decode, encode, pack, unpack
from redoxscope.documents import Window

from .rixs_runs import WINDOWS, RixsRun, verdict


def sent(snapshot) -> bytes:
    return encode(*pack(snapshot))


def drawn(snapshot, path) -> tuple[Figure, str]:
    """Picture of a snapshot as the view makes it, and all that is written in it."""
    figure = Figure(figsize=(12, 8.6))
    FigureCanvasAgg(figure)
    draw_rixs(figure, unpack(type(snapshot), *decode(sent(snapshot.thinned()))))
    figure.savefig(path)
    words = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        legend = ax.get_legend()
        words += [ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="right")]
        words += [text.get_text() for text in ax.texts]
        words += [] if legend is None else [text.get_text() for text in legend.get_texts()]
    return figure, "\n".join([*words, figure.get_suptitle()])


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Titles, axis labels and notes that lie on each other."""
    renderer = figure.canvas.get_renderer()
    texts = [figure._suptitle]
    for ax in figure.axes:
        texts += [ax.xaxis.label, ax.yaxis.label, ax._right_title, *ax.texts]
        texts += [] if ax.get_legend() is None else ax.get_legend().get_texts()
    shown = [t for t in texts if t.get_text().strip() and t.get_visible()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in shown]
    return [
        (a, b)
        for i, (a, box) in enumerate(boxes)
        for b, other in boxes[i + 1 :]
        if box.shrunk(0.96, 0.9).overlaps(other.shrunk(0.96, 0.9))
    ]


@pytest.mark.parametrize("edge", ["O K", "Co L"])
def test_picture(edge, tmp_path):
    run = RixsRun(edge, passes=2, configuration=verdict())
    snapshot = rixs_from_run(run.documents())
    figure, words = drawn(snapshot, tmp_path / "map.png")
    assert snapshot.photons >= 1000 and "\ufffd" not in words  # thousands have a thin space
    for text in (
        f"{edge} RIXS · lmr_charged", "17 late, 23 lost", "excitation energy (eV)",
        "emission energy (eV)", "photons / s / eV", "elastic", "TFY 200–1200 eV",
        "226 of 240 pixels", "14 left out", "passes agree",
    ):  # fmt: skip
        assert text in words
    assert ("feature at" in words) == (edge == "O K")
    assert ("ms / photon" in words) == (edge == "Co L")
    assert overlaps(figure) == []
    axes = len(figure.axes)
    draw_rixs(figure, snapshot)  # again on the same figure, and unthinned
    assert len(figure.axes) == axes


def test_map_shows_what_was_measured_and_grey_elsewhere(tmp_path):
    run = RixsRun("O K", passes=1)
    snapshot = rixs_from_run(run.documents(points=40))
    figure, words = drawn(snapshot, tmp_path / "part.png")
    mesh = figure.axes[0].collections[0].get_array()
    assert not np.ma.getmaskarray(mesh)[:, :40].any()
    assert np.ma.getmaskarray(mesh)[:, 40:].all()
    (low, high), *_ = snapshot.emission_ranges
    inside = (run.bins.centers > low) & (run.bins.centers < high)
    np.testing.assert_allclose(
        mesh[:, :40], snapshot.result.rate[:40, inside].T / run.bins.step, rtol=1e-6
    )
    assert "40 of 107 points" in words
    assert "one pass" in words


def test_falling_energies_are_drawn_rising(tmp_path):
    energies = np.round(np.arange(540.0, 526.0, -0.5), 3)
    run = RixsRun("O K", passes=1, energies=energies)
    figure, _ = drawn(rixs_from_run(run.documents()), tmp_path / "falling.png")
    left, right = figure.axes[0].get_xlim()
    assert left < right
    mesh = figure.axes[0].collections[0].get_array()
    first = run.counts[0, -1].sum() / run.counts[0, 0].sum()
    assert mesh[:, 0].sum() / mesh[:, -1].sum() == pytest.approx(first, rel=0.15)


def reader(run, points: int) -> RixsReader:
    made = RixsReader(run.start()[1])
    made.describe(run.descriptor()[1])
    for i in range(points):
        made.take(*run.event(i))
    return made


def test_picture_of_a_map_without_points(tmp_path):
    run = RixsRun("O K")
    figure, words = drawn(reader(run, 0).snapshot()[""], tmp_path / "none.png")
    for text in ("no point measured yet", "no emission spectrum yet", "nothing known of single"):
        assert text in words
    assert "passes are compared" in words
    assert overlaps(figure) == []


def test_picture_of_a_point_under_way(tmp_path):
    run = RixsRun("O K")
    made = reader(run, 30)
    made.photons(run.batch(30, 200))
    snapshot = made.snapshot()[""]
    figure, words = drawn(snapshot, tmp_path / "live.png")
    assert "530.4 eV under way, pass 1" in words
    assert figure.axes[0].lines[-1].get_xdata() == [pytest.approx(530.4)]
    mesh = figure.axes[0].collections[0].get_array()
    assert not np.ma.getmaskarray(mesh)[:, 30].any()
    assert np.ma.getmaskarray(mesh)[:, 31].all()


def test_picture_of_few_counts_and_refused_yield(tmp_path):
    run = RixsRun("Co L", passes=1, dwell=0.02)
    figure, words = drawn(rixs_from_run(run.documents()), tmp_path / "few.png")
    assert "refused at 205 of 205 points: fewer than 25 photons" in words
    assert overlaps(figure) == []


def test_picture_of_a_damaged_sample(tmp_path):
    run = RixsRun("O K", fade=0.8)
    figure, words = drawn(rixs_from_run(run.documents()), tmp_path / "damage.png")
    assert "the sample changes" in words
    assert "% per pass" in words
    assert overlaps(figure) == []


def test_picture_of_one_energy_and_no_windows(tmp_path):
    run = RixsRun("O K", energies=np.array([531.0]), passes=3)
    for windows in (["XES[530.9:531.1]"], ["TFY"], []):
        figure, _ = drawn(rixs_from_run(run.documents(), windows), tmp_path / "one.png")
        assert overlaps(figure) == []


def test_thinned_keeps_what_is_drawn():
    run = RixsRun("Co L", passes=1)
    snapshot = rixs_from_run(run.documents())
    thin = snapshot.thinned()
    assert len(sent(thin)) < len(sent(snapshot)) / 10
    assert thin.emission_ranges == snapshot.emission_ranges
    cut = np.isin(snapshot.bins.centers, thin.bins.centers)
    np.testing.assert_allclose(thin.shown, snapshot.shown[:, cut], rtol=1e-6)


# -- small parts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sigma", "shown"),
    [
        (7.3149, 0.1234, "7.31 ± 0.12"), (959.3, 222.0, "960 ± 220"),
        (-0.0301, 0.58, "−0.03 ± 0.58"),
        (12.0, float("nan"), "12"), (0.0, 0.0, "0"), (5.4321, 9.6, "5.4 ± 9.6"),
    ],
)  # fmt: skip
def test_value_and_sigma(value, sigma, shown):
    assert measured(value, sigma) == shown


def test_windows_have_colours_and_words():
    windows = [Window.parse(text) for text in WINDOWS["Co L"]]
    colours = window_colours(windows)
    assert len(set(colours.values())) == len(windows)
    assert window_label(Window.parse("PFY[765:785]")) == "PFY 765–785 eV"
    assert window_label(Window.parse("ll=PFY[672:684.5]")) == "ll = PFY 672–684.5 eV"
    assert window_label(Window.parse("XES[530:532]")) == "XES 530–532 eV"
    assert window_label(Window.parse("TFY")) == "TFY"


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (8, (1, 8)), (240, (8, 30)), (64, (4, 16))])
def test_board_holds_all_pixels(n, shape):
    assert board_shape(n) == shape
    assert shape[0] * shape[1] >= n


def test_pixel_states():
    tally = PixelTally()
    assert tally.health() is None
    tally.judge([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 0], ["", "", "", "", "", "no line found"])
    assert (tally.health().states[:5] == PixelState.USED).all()  # nothing came yet: not silent
    for channel, n in zip((1, 2, 3, 4, 9), (100, 110, 90, 20, 50), strict=True):
        tally.add(np.full(n, channel, np.uint16))
    health = tally.health()
    assert health.channel.tolist() == [1, 2, 3, 4, 5, 6, 9]
    assert health.states.tolist() == [0, 0, 0, PixelState.ODD, PixelState.SILENT, 1, 1]
    assert health.left_out == {6: "no line found", 9: "not in the calibration"}
    following = PixelTally(tally)  # the verdict holds, photons are counted anew
    tally.add(np.array([1]))
    assert following.health().photons.sum() == 0 and following.health().usable.sum() == 5
