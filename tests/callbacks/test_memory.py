"""A stack that does not fit into memory is made smaller, or declined, before it is allocated."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import PixelFlag
from redoxscope.callbacks import OxidationMap, oxidation_map
from redoxscope.callbacks._room import available_bytes
from redoxscope.callbacks.oxidation import _reader
from redoxscope.callbacks.oxidation._memory import Binning, binning_for, map_bytes
from redoxscope.callbacks.oxidation._reader import MapOptions, StackReader
from redoxscope.documents import LineStatus
from redoxscope.scan import Frame, Region, Scan

from .conftest import make

HUGE = (200, 4096, 4096)


def test_there_is_some_memory():
    assert 1e7 < available_bytes() < 1e15


@pytest.mark.parametrize(("gigabytes", "factor"), [(200, 1), (64, 2), (24, 4), (12, 7)])
def test_4096_squared_times_200(gigabytes, factor):
    assert map_bytes(HUGE, 3, True) > 30e9
    found = binning_for([HUGE], 3, True, int(gigabytes * 1e9))
    assert found == factor
    assert map_bytes(HUGE, 3, True, found) <= gigabytes * 0.5e9


def test_what_cannot_be_made_small_enough_is_declined():
    with pytest.raises(ValueError, match=r"needs 5\d.* GB and, .* 0.01 GB are available"):
        binning_for([HUGE], 3, True, 10**7)


def test_declined_live_and_the_scan_goes_on(monkeypatch, stack):
    monkeypatch.setattr(_reader, "available_bytes", lambda: 1000)
    documents, references = stack
    live = OxidationMap(references)
    for item in documents.documents():
        live(*item)  # does not raise
    live.close()
    assert "are available" in str(live.error) and live.snapshot is None
    with pytest.raises(ValueError, match="are available"):
        oxidation_map(documents.documents(), references)


def test_a_huge_stack_allocates_little_at_its_start():
    scan = Scan(
        regions=(Region((0, 0), 40, HUGE[1:]),),
        frames=tuple(Frame(e, 1e-3) for e in np.linspace(630, 660, 200)),
    )
    start = {
        "uid": "huge", "plan_name": "stxm_energy_stack", "scan": scan.as_dict(), "edge": "Mn L3",
        "detectors": ["i0"],
    }  # fmt: skip
    reader = StackReader(start, MapOptions())
    assert reader.part.images.shape[0] < 4096 or available_bytes() > 66e9
    assert reader.part.fit.shape == reader.part.images.shape


@pytest.fixture
def small(monkeypatch):
    """So little memory that two by two pixels are taken together."""
    room = map_bytes((12, 24, 30), 3, True, 2) * 2 + 10
    assert binning_for([(12, 24, 30)], 3, True, room) == 2
    monkeypatch.setattr(_reader, "available_bytes", lambda: room)


def summed(counts):
    n, ny, nx = counts.shape
    return counts.reshape(n, ny // 2, 2, nx // 2, 2).sum(axis=(2, 4))


@pytest.mark.parametrize("monitored", [False, True])
def test_pixels_taken_together_are_a_stack_of_larger_pixels(small, monkeypatch, monitored):
    stack, references = make(monitored=monitored)
    live, told = OxidationMap(references), []
    live.tell = lambda text: told.append((text, live.snapshot is not None))
    documents = list(stack.documents())
    order = [*range(2, 290), 50, 3, 120]  # some lines again, as a resumed run brings them
    spoilt = stack.line(2, 0)
    spoilt[1]["data"]["transmission"] = [[7.0] * 30]
    for item in (*documents[:2], spoilt, *(documents[i] for i in order), documents[-1]):
        live(*item)
    live.close()
    assert live.error is None
    found = live.snapshot
    assert found.lines_done == 288 and found.result.fraction.shape == (12, 15)
    assert [d.kind for d in found.doubts] == ["binned"] and found.doubts[0].value == 2
    ((text, late),) = told
    assert "2 × 2 pixels are taken together" in text and not late  # when there is time to act
    for words in ("2 × 2 pixels are taken together", "GB", "available"):
        assert words in found.message
    batch = oxidation_map(documents, references)
    np.testing.assert_allclose(found.result.coefficients, batch.result.coefficients, rtol=1e-9)
    monkeypatch.undo()
    coarse, _ = make(monitored=monitored)
    coarse.counts = summed(coarse.counts)
    if monitored:
        coarse.monitor = summed(coarse.monitor)
    coarse.x, coarse.y = coarse.x[::2] + 0.05, coarse.y[::2] + 0.05
    expected = oxidation_map(coarse.documents(), references)
    np.testing.assert_allclose(found.x, expected.x)
    np.testing.assert_allclose(found.y, expected.y)
    for name in ("fraction", "sigma", "thickness", "ln_i0"):
        np.testing.assert_allclose(
            getattr(found.result, name), getattr(expected.result, name), rtol=1e-5, atol=1e-7
        )


def test_lines_that_are_lacking_are_lacking_in_the_sum(small):
    stack, references = make()
    documents = list(stack.documents())
    documents[2 + 30] = stack.line(1, 6, missed=True)
    documents[2 + 2 * 24 + 9][1]["data"]["transmission"] = [[0.0] * 30]  # dark
    documents[2 + 3 * 24 + 20][1]["data"]["line_status"] = [int(LineStatus.DISTURBED)]
    documents.pop(2 + 11 * 24 + 23)  # never came
    found = oxidation_map(documents, references)
    kinds = {d.kind: d.value for d in found.doubts}
    assert kinds["lines"] == 4
    assert [int(n) for n in found.result.n_energies[[3, 4, 10, 11]]] == [11] * 4
    assert (found.result.flags[[3, 4, 10]] & PixelFlag.MISSED).all()


def test_masks_and_a_given_i0_follow(small):
    stack, references = make()
    area = np.zeros((24, 30), dtype=bool)
    area[10:14, 12:18] = True
    blank = np.zeros((24, 30), dtype=bool)
    blank[:2] = True
    found = oxidation_map(stack.documents(), references, area=area, blank=blank)
    assert found.spectrum.n_pixels == 6 and found.result.blank.sum() == 15
    axis = np.array([630.0, 670.0])
    for i0 in ((axis, [4e3, 4e3], [1.0, 1.0]), list(make(uid="o")[0].documents())):
        given = oxidation_map(stack.documents(), references, i0=i0)
        np.testing.assert_allclose(np.exp(given.result.ln_i0), 16e3, rtol=0.01)


def test_a_saturated_pixel_spoils_its_sum():
    binning = Binning(2, (1, 2, 4), False)
    binning.limits = (np.array([100.0]), np.array([np.inf]))
    assert binning.line(0, 0, np.array([1.0, 100.0, 2.0, 3.0]), None) is None
    group, counts, monitor = binning.line(0, 1, np.array([1.0, 1.0, 2.0, 3.0]), None)
    assert group == 0 and monitor is None
    np.testing.assert_array_equal(counts, [np.inf, 10.0])


def test_a_run_too_large_to_be_read_is_refused(monkeypatch):
    from redoxscope.callbacks import _room

    class Run(dict):
        metadata = {"start": {  # noqa: RUF012
            "uid": "r", "plan_name": "stxm_energy_stack",
            "scan": Scan(
                regions=(Region((0, 0), 3, 30),), frames=(Frame(640.0, 1), Frame(641.0, 1))
            ).as_dict(),
        }}  # fmt: skip

    monkeypatch.setattr(_room, "available_bytes", lambda: 1000)
    with pytest.raises(ValueError, match=r"run r has 1.8e\+03 pixels: reading it needs"):
        oxidation_map(Run())
