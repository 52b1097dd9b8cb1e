"""Rates for counts, and an I0 from another run: through documents, live and afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.callbacks import OxidationMap, i0_of_run, oxidation_map

from .conftest import make


def sample_only(monitored=False):
    """A stack without blank area, and its truth's end: a run of the empty beam beside it."""
    stack, references = make(monitored=monitored)
    inner = np.s_[:, 8:16, 11:19]
    stack.counts = stack.counts[inner].copy()
    stack.x, stack.y = stack.x[11:19], stack.y[8:16]
    if monitored:
        stack.monitor = stack.monitor[inner].copy()
    empty, _ = make(uid="empty", monitored=monitored)
    empty.counts[:] = np.random.default_rng(3).poisson(4e3, empty.counts.shape)
    return stack, references, empty


class Run:
    """Anything with documents."""

    def __init__(self, stack):
        self.documents = stack.documents


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize("blank", ["area", "whole image"])
@pytest.mark.parametrize("form", [Run, lambda stack: list(stack.documents())])
def test_i0_of_another_run(monitored, blank, form):
    stack, references, empty = sample_only(monitored)
    other = empty if blank == "whole image" else make(uid="o", monitored=monitored)[0]
    found = oxidation_map(stack.documents(), references, i0=form(other))
    assert found.doubts == ()
    truth = 4e3 / 2e4 if monitored else 4e3
    np.testing.assert_allclose(np.exp(found.result.ln_i0), truth, rtol=0.01)
    assert (found.result.ln_i0_sigma > 1e-4).all()
    assert found.result.n_mask == 64 and found.result.mean == pytest.approx(0.55, abs=0.02)
    without = oxidation_map(stack.documents(), references)
    assert [d.kind for d in without.doubts][:1] == ["blank"]


def test_i0_of_a_run_with_another_dwell():
    stack, references, empty = sample_only()
    empty.dwell = 4e-3
    documents = list(empty.documents())
    for name, doc in documents:
        if name == "event_page":
            doc["data"]["transmission"] = [[4 * n for n in doc["data"]["transmission"][0]]]
    found = oxidation_map(stack.documents(), references, i0=documents).result
    np.testing.assert_allclose(np.exp(found.ln_i0), 4e3, rtol=0.01)


def test_i0_of_a_run_that_has_none():
    stack, references, _ = sample_only()
    thick = sample_only()[0]
    thick.counts = np.round(thick.counts * np.linspace(0.5, 1.0, 8)[:, None])  # a wedge
    with pytest.raises(ValueError, match=r"run run gives no I0: it has no blank area"):
        i0_of_run(thick.documents())
    with pytest.raises(ValueError, match="no energy stack"):
        oxidation_map(stack.documents(), references, i0=[("start", {"uid": "x"})])
    with pytest.raises(ValueError, match="but must be 'auto'"):
        oxidation_map(stack.documents(), references, i0=7.0)


def test_a_given_spectrum_live_and_afterwards():
    stack, references, _ = sample_only()
    spectrum = ([630.0, 670.0], [4e3, 4e3])
    live = OxidationMap(references, i0=spectrum)
    for item in stack.documents():
        live(*item)
    live.close()
    batch = oxidation_map(stack.documents(), references, i0=spectrum)
    np.testing.assert_array_equal(live.result.fraction, batch.result.fraction)
    assert batch.result.n_mask == 64
    assert [d.kind for d in batch.doubts] == ["i0"] and "without its σ" in batch.message


def test_i0_can_be_given_while_it_runs():
    stack, references, empty = sample_only()
    live = OxidationMap(references)
    documents = list(stack.documents())
    for item in documents[:60]:
        live(*item)
    assert live.wait(60) and not np.isfinite(live.result.ln_i0).any()
    live.set_i0(Run(empty))
    assert np.isfinite(live.snapshot.result.ln_i0).all()  # at once
    with pytest.raises(ValueError, match="covers 1 to 2 eV"):
        live.set_i0(([1.0, 2.0], [3.0, 4.0]))
    for item in documents[60:]:
        live(*item)
    live.close()
    expected = oxidation_map(stack.documents(), references, i0=Run(empty))
    np.testing.assert_allclose(live.result.fraction, expected.result.fraction, rtol=1e-9)


@pytest.mark.parametrize(
    ("i0", "words"),
    [
        (([640.0, 645.0], [4e3, 4e3]), "covers 640 to 645 eV"),
        (([630.0, 670.0], [4e6, 4e6]), "times darker than i0"),
    ],
)
def test_an_unsuitable_i0_is_refused_and_the_images_stay(i0, words):
    stack, references, _ = sample_only()
    with pytest.raises(ValueError, match=words):
        oxidation_map(stack.documents(), references, i0=i0)
    live = OxidationMap(references, i0=i0)
    for item in stack.documents():
        live(*item)
    live.close()
    assert words in str(live.error) and words in live.snapshot.message
    assert live.result.n_mask == 0 and np.isfinite(live.snapshot.frame.counts).all()


# -- rates ---------------------------------------------------------------------------------------


def as_rates(stack):
    stack.counts = stack.counts / 1e-3
    return stack


def test_rates_are_found_out_and_said():
    counts, references = make()
    expected = oxidation_map(counts.documents(), references)
    found = oxidation_map(as_rates(make()[0]).documents(), references)
    assert [d.kind for d in found.doubts] == ["counts"]
    assert found.doubts[0].value == pytest.approx(1000.0)
    assert "not in counts" in found.message and "counts_per_unit=0.001" in found.message
    np.testing.assert_allclose(found.result.sigma, expected.result.sigma, rtol=1e-3)
    np.testing.assert_allclose(found.result.chi2, expected.result.chi2, rtol=0.01)


def test_counts_per_unit_makes_them_counts():
    counts, references = make()
    expected = oxidation_map(counts.documents(), references)
    rates = as_rates(make()[0])
    found = oxidation_map(rates.documents(), references, counts_per_unit=1e-3)
    assert found.doubts == ()
    np.testing.assert_allclose(found.result.sigma, expected.result.sigma, rtol=1e-6)
    for value in (0, -1, float("nan"), "1 ms", True):
        with pytest.raises(ValueError, match="counts_per_unit"):
            oxidation_map(rates.documents(), references, counts_per_unit=value)


@pytest.mark.parametrize("unit", ["Hz", "1/s", "counts/s"])
def test_the_unit_of_the_documents_is_believed(unit):
    _, references = make()
    documents = list(as_rates(make()[0]).documents())
    documents[1][1]["data_keys"] = {"transmission": {"units": unit}}
    found = oxidation_map(documents, references)
    assert found.doubts == ()
    np.testing.assert_allclose(np.exp(found.result.ln_i0), 4e3, rtol=0.02)
