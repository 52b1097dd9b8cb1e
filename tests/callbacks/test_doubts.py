"""What speaks against a map is said, in words and numbers, and what is lacking is left out."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from redoxscope.analysis.oxidation import PixelFlag
from redoxscope.callbacks import OxidationMap, oxidation_map
from redoxscope.data import References
from redoxscope.documents import LineStatus

from .conftest import make


def kinds(snapshot) -> dict[str, float]:
    for doubt in snapshot.doubts:
        assert doubt.text in snapshot.message
    return {doubt.kind: doubt.value for doubt in snapshot.doubts}


def played(documents, *args, **options) -> OxidationMap:
    callback = OxidationMap(*args, **options)
    for name, doc in documents:
        callback(name, doc)
    callback.close()
    return callback


@pytest.mark.parametrize("off", [0.4, -0.4, 0.05, np.nan, [0.4, 0.0, 0.0]], ids=str)
def test_an_energy_that_was_not_reached(off):
    """The monochromator reads another energy than was asked for, in images 3 and 7."""
    stack, references = make()
    documents = list(stack.documents())
    for name, doc in documents:
        if name == "event_page" and doc["data"]["frame"][0] in (3, 7):
            one = off if np.ndim(off) == 0 else off[doc["data"]["line"][0] % 3]
            doc["data"]["energy"] = [doc["data"]["energy"][0] + one]
    snapshot = oxidation_map(documents, references)
    if np.ndim(off) or not abs(off) > 0.1:
        assert snapshot.doubts == ()  # a line that says something else is not yet an image
        return
    (doubt,) = snapshot.doubts
    assert doubt.kind == "energy" and doubt.value == pytest.approx(off)
    assert doubt.text.startswith("2 images were taken at another energy than asked for, by up to ")
    assert f"{abs(off):.2f} eV" in doubt.text
    live = played(documents, references).snapshot
    assert kinds(live) == {"energy": pytest.approx(off)}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"max_od": 1e-9}, "all that is thick enough has an optical density above max_od = 1e-09."),
        ({"min_thickness": 50.0}, "nowhere does the thickness exceed five times its σ and min_th"),
    ],
    ids=["max_od", "min_thickness"],
)
def test_a_mask_without_a_pixel_says_what_emptied_it(options, why):
    stack, references = make()
    snapshot = oxidation_map(stack.documents(), references, **options)
    (doubt,) = (d for d in snapshot.doubts if d.kind == "mask")
    assert doubt.text.startswith(f"No pixel shows a fraction: {why}")


def test_nothing_to_doubt():
    stack, references = make()
    snapshot = oxidation_map(stack.documents(), references)
    assert snapshot.doubts == () and snapshot.message == ""


@pytest.mark.parametrize("how", ["nan", "aborted", "missed", "dark", "disturbed", "unknown status"])
def test_energies_without_data(how):
    """A third of the energies is lacking: said with its number, and no longer counted."""
    stack, references = make()
    documents = list(stack.documents())
    ny = 24
    for i in range(8 * ny, 12 * ny):
        name, doc = documents[2 + i]
        k, line = divmod(i, ny)
        if how == "missed":
            documents[2 + i] = stack.line(k, line, missed=True)
        elif how == "nan":
            doc["data"]["transmission"] = [[float("nan")] * 30]
        elif how == "dark":
            doc["data"]["transmission"] = [[0.0] * 30]
        elif how == "disturbed":  # counts are there, but the scanner does not stand by them
            doc["data"]["transmission"] = [[1.0] * 30]
            doc["data"]["line_status"] = [int(LineStatus.DISTURBED)]
        elif how == "unknown status":
            doc["data"]["transmission"] = [[1.0] * 30]
            doc["data"]["line_status"] = [77]
    if how == "aborted":
        documents = [*documents[: 2 + 8 * ny], stack.stop("abort", "Ctrl-C")]
    snapshot = oxidation_map(documents, references)
    assert kinds(snapshot) == {"missing": 4}
    assert "4 of 12 energies have no data" in snapshot.message
    assert "653.455" in snapshot.message and "660 eV" in snapshot.message
    assert "other 8" in snapshot.message
    assert (snapshot.result.n_energies == 8).all()
    assert snapshot.lines_done == 8 * ny
    kept = make()[0]
    kept.counts, kept.energies = kept.counts[:8], kept.energies[:8]
    alone = oxidation_map(kept.documents(), references).result
    for name in ("fraction", "sigma", "chi2"):
        np.testing.assert_allclose(getattr(snapshot.result, name), getattr(alone, name), rtol=1e-9)
    live = played(documents, references)
    assert ("Run ended: abort. Ctrl-C" in live.snapshot.message) == (how == "aborted")
    assert kinds(live.snapshot) == {"missing": 4}


def test_lines_that_are_lacking_are_counted_by_their_kind():
    stack, references = make()
    documents = list(stack.documents())
    documents[2 + 30] = stack.line(1, 6, missed=True)
    documents[2 + 60][1]["data"]["transmission"] = [[0.0] * 30]
    documents[2 + 61][1]["data"]["line_status"] = [77]
    documents[2 + 62][1]["data"]["line_status"] = [int(LineStatus.DISTURBED)]
    snapshot = oxidation_map(documents, references)
    assert kinds(snapshot) == {"lines": 4, "beam": 1}
    for words in (
        "4 lines of 2 images",
        "1 missed",
        "1 disturbed",
        "1 dark",
        "1 of a status not known",
    ):
        assert words in snapshot.message
    assert snapshot.lines_done == 284
    assert (snapshot.result.flags[[6, 12, 13, 14]] & PixelFlag.MISSED).all()
    during = list(stack.documents(lines=100))[:-1]
    during[2 + 30] = documents[2 + 30]
    live = played(during, references, rate=1e6)
    assert kinds(live.snapshot) == {"lines": 1}  # what is still to come is not lacking


def test_references_that_the_energies_left_do_not_tell_apart():
    stack, references = make()
    documents = list(stack.documents(lines=2 * 24))
    snapshot = oxidation_map(documents, references)
    assert snapshot.result.n_mask == 0 and np.isnan(snapshot.result.fraction).all()
    assert kinds(snapshot) == {"missing": 10, "undetermined": 24}
    assert "all lines: the 2 energies" in snapshot.message and "Mn4+, Mn3+" in snapshot.message
    documents = list(stack.documents(lines=288))
    for i in range(288):  # one line has lost all energies that matter
        if i % 24 == 12 and i >= 2 * 24:
            documents[2 + i] = stack.line(*divmod(i, 24), missed=True)
    snapshot = oxidation_map(documents, references)
    assert kinds(snapshot) == {"lines": 10, "undetermined": 1}
    assert "1 line of 24" in snapshot.message
    assert np.isnan(snapshot.result.fraction[12]).all() and snapshot.result.n_mask > 100


def test_a_fit_that_misses_is_said(caplog):
    stack, references = make()
    wrong = References(
        references.names, references.energies, np.roll(references.spectra, 1, 1), "OD", "wrong"
    )
    callback = OxidationMap(wrong)
    with caplog.at_level(logging.WARNING):
        for item in stack.documents():
            callback(*item)
    callback.close()
    found = kinds(callback.snapshot)
    assert found["chi2"] > 4 and found["pixel_chi2"] > 2 and abs(found["residual"]) > 0.01
    assert f"{found['chi2']:.3g}" in callback.snapshot.message
    for doubt in callback.snapshot.doubts:  # at the prompt, each once
        assert caplog.text.count(doubt.text) == 1


def test_high_saturated_and_empty_pixels_are_counted():
    stack, references = make()
    stack.counts[3, 2, 2] = 0.0
    stack.counts[4, 12, 15] = 40.0  # an optical density of 4.6
    stack.counts[5, 3, 3] = 5e3
    stack.configuration = {"transmission_saturation": 4.9e6}
    found = kinds(oxidation_map(stack.documents(), references))
    assert found["non_positive"] == 1 and found["saturated"] == 1 and found["high_od"] == 1


def test_without_a_blank_it_says_where_i0_comes_from():
    stack, references = make()
    stack.counts[:] = np.random.default_rng(0).poisson(1000, stack.counts.shape)
    alone = oxidation_map(stack.documents(), references)
    assert "blank" in kinds(alone)
    for words in ("No blank area", "no monitor either", "no map", "i0=", "blank="):
        assert words in alone.message
    stack, references = make(monitored=True)
    stack.counts[:] = np.random.default_rng(0).poisson(1000, stack.counts.shape)
    with_monitor = oxidation_map(stack.documents(), references)
    for words in ("No blank area", "from the monitor alone", "one ratio", "i0="):
        assert words in with_monitor.message


def test_blank_missed_at_one_energy():
    stack, references = make()
    documents = list(stack.documents())
    blank = np.zeros((24, 30), dtype=bool)
    blank[0] = True
    documents[2 + 3 * 24] = stack.line(3, 0, missed=True)
    snapshot = oxidation_map(documents, references, blank=blank)
    assert kinds(snapshot) == {"lines": 1, "i0": 1}
    assert "I0 is not known at 1 energy" in snapshot.message
    assert (snapshot.result.n_energies == 11).all()


# -- images without a map ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edge", "energies", "words"),
    [
        (None, None, "names no reference spectra"),
        ("Fe L3", None, "names no reference spectra"),
        ("Mn L3", [641.8], "1 energy cannot tell the species of Mn L3 apart"),
        ("Mn L3", [641.8, 643.2], "2 energies cannot"),
    ],
)
def test_images_are_there_without_references(edge, energies, words):
    stack, _ = make()
    if energies is not None:
        stack.energies, stack.counts = np.array(energies), stack.counts[: len(energies)]
    documents = list(stack.documents())
    documents[0][1]["edge"] = edge
    live = OxidationMap(rate=1e6)
    for item in documents[:3]:
        live(*item)
    assert live.wait(60)
    first = live.snapshot  # from the first line on
    np.testing.assert_array_equal(first.frame.counts[0], stack.counts[0, 0])
    assert np.isnan(first.frame.counts[1:]).all()
    for item in documents[3:]:
        live(*item)
    live.close()
    assert live.error is None
    snapshot = live.snapshot
    assert snapshot.names == () and not snapshot.has_map and snapshot.result.n_mask == 0
    assert words in snapshot.message
    frame = snapshot.frame
    assert frame.index == len(stack.energies) - 1 and frame.energy == stack.energies[-1]
    np.testing.assert_array_equal(frame.counts, stack.counts[-1])
    assert not frame.relative
    np.testing.assert_allclose(frame.od, -np.log(stack.counts[-1] / 4e3), atol=0.01)
    batch = oxidation_map(documents)
    np.testing.assert_array_equal(batch.frame.od, frame.od)


def test_images_are_there_where_the_references_do_not_suit(caplog):
    stack, references = make()
    stack.energies = 600.0 + np.arange(12)
    documents = list(stack.documents())
    live = played(documents, references)
    assert "outside" in str(live.error) and "outside" in live.snapshot.message
    assert caplog.text.count("outside") == 1
    assert np.isfinite(live.snapshot.frame.od).all()
    with pytest.raises(ValueError, match="outside"):
        oxidation_map(documents, references)


def test_broken_references_of_a_run_still_show_its_images():
    stack, _ = make()
    documents = list(stack.documents())
    documents[0][1]["references"] = "Toner 2014"
    live = played(documents)
    assert "cannot be read" in str(live.error) and live.snapshot.frame is not None


def test_optical_density_without_i0_is_relative_and_says_so():
    stack, _ = make()
    stack.counts[:] = np.random.default_rng(0).poisson(1000, stack.counts.shape)
    frame = oxidation_map(stack.documents()).frame
    assert frame.relative and abs(np.median(frame.od)) < 0.2


def test_masks_of_a_wrong_shape_are_named():
    stack, references = make()
    for name in ("blank", "area"):
        with pytest.raises(ValueError, match=rf"{name} has shape \(4, 5\), .* \(24, 30\)"):
            oxidation_map(stack.documents(), references, **{name: np.ones((4, 5), bool)})
        live = played(stack.documents(), references, **{name: np.ones((4, 5), bool)})
        assert "(24, 30)" in str(live.error) and not live.snapshot.has_map
        assert np.isfinite(live.snapshot.frame.od).all()  # the images are there all the same
        with pytest.raises(ValueError, match=f"{name} is true nowhere"):
            oxidation_map(stack.documents(), references, **{name: np.zeros((24, 30), bool)})


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"references": "Toner 2014"}, "references = 'Toner 2014'"),
        ({"min_thickness": float("nan")}, "min_thickness = nan"),
        ({"min_thickness": -0.1}, "min_thickness = -0.1 must be at least 0"),
        ({"max_od": 0}, "max_od = 0 must be greater than 0"),
        ({"max_od": True}, "max_od = True must be one number"),
        ({"i0": "guess"}, "i0 is 'guess'"),
    ],
)
def test_options_that_make_no_sense(option, words):
    with pytest.raises(ValueError, match=words):
        OxidationMap(**option)
    with pytest.raises(ValueError, match=words):
        oxidation_map(make()[0].documents(), **option)


def dimmed(stack, by: float, images=(3, 7)):
    """The same with less beam in six lines of some images."""
    for k in images:
        stack.counts[k, 10:16] = np.round(stack.counts[k, 10:16] * by)
        if stack.monitor is not None:
            stack.monitor[k, 10:16] = np.round(stack.monitor[k, 10:16] * by)
    return stack


def doubt_of(snapshot, kind: str):
    (found,) = [doubt for doubt in snapshot.doubts if doubt.kind == kind]
    return found


@pytest.mark.parametrize("percent", [70, 115])
def test_a_beam_that_changed_within_an_image(percent):
    stack, references = make()
    blank = None  # found; but where the beam was brighter, what is blank is not
    if percent > 100:
        blank = np.zeros((24, 30), dtype=bool)
        blank[:3] = True
    documents = dimmed(stack, percent / 100).documents()
    snapshot = oxidation_map(documents, references, blank=blank)
    doubt = doubt_of(snapshot, "beam")
    assert doubt.value == 12
    assert "changed within 2 images (642.545, 651.273 eV): 12 lines differ" in doubt.text
    sign = "−" if percent < 100 else "+"
    assert f"up to {sign}{abs(100 - percent) // 10}" in doubt.text
    assert "left out of the map" in doubt.text
    assert "lines" not in kinds(snapshot)


def test_a_monitor_takes_care_of_the_beam_unless_it_is_nearly_lost():
    for by, lines in ((0.7, 0), (0.2, 12)):
        stack, references = make(monitored=True)
        snapshot = oxidation_map(dimmed(stack, by).documents(), references)
        found = [doubt.value for doubt in snapshot.doubts if doubt.kind == "beam"]
        assert found == ([lines] if lines else [])
    assert "the monitor corrects for it, but σ is larger" in doubt_of(snapshot, "beam").text


def test_a_beam_lost_altogether_within_an_image():
    stack, references = make()
    stack.counts[5, 10:16] = 0
    doubt = doubt_of(oxidation_map(stack.documents(), references), "beam")
    assert doubt.value == 6 and "lost within 1 image (646.909 eV): 6 lines are dark" in doubt.text


def test_a_thicker_support_is_no_change_of_the_beam():
    stack, references = make()
    stack.counts[:, 18:] = np.random.default_rng(2).poisson(stack.counts[:, 18:] * 0.85)
    snapshot = oxidation_map(stack.documents(), references)
    assert "beam" not in kinds(snapshot)


def borrowed(simulated: bool):
    """A stack with the shipped references in its start document."""
    from redoxscope.data import load_references

    stack, _ = make()
    documents = list(stack.documents())
    shipped = load_references("Mn L3")
    documents[0][1].update(edge="Mn L3", references=shipped.at(stack.energies), simulated=simulated)
    return documents, shipped


def test_references_that_were_not_measured_are_borrowed():
    documents, shipped = borrowed(simulated=False)
    snapshot = oxidation_map(documents)
    assert doubt_of(snapshot, "borrowed").value == 2
    assert "multiplet curves" in doubt_of(snapshot, "borrowed").text
    assert snapshot.made_with.borrowed and snapshot.made_with.digest == shipped.digest()
    # The simulated sample is made of them.
    assert "borrowed" not in kinds(oxidation_map(borrowed(simulated=True)[0]))
    own = oxidation_map(documents, make()[1])
    assert "borrowed" not in kinds(own) and not own.made_with.borrowed


def speaking_against(kind: str):
    """Documents of a stack with one thing the matter, and references."""
    stack, references = make()
    documents = list(stack.documents())
    if kind == "chi2":
        spectra = references.spectra.copy()
        spectra[:, 4:7] *= 0.5
        references = References(references.names, references.energies, spectra, "OD", "wrong")
    elif kind == "blank":
        stack.counts[:] = np.random.default_rng(0).poisson(
            stack.counts * np.linspace(0.1, 1, 30) * np.linspace(0.1, 1, 24)[:, None]
        )
        documents = list(stack.documents())
    elif kind == "lines":
        for i in (30, 31):
            documents[2 + i] = stack.line(*divmod(i, 24), missed=True)
    elif kind == "beam":
        documents = list(dimmed(stack, 0.6).documents())
    elif kind == "missing":
        documents = [*documents[: 2 + 8 * 24], stack.stop("abort", "Ctrl-C")]
    elif kind == "borrowed":
        documents, references = borrowed(simulated=False)[0], None
    return documents, references


@pytest.mark.parametrize("kind", ["chi2", "blank", "lines", "beam", "missing", "borrowed"])
def test_it_is_said_at_the_prompt_in_the_summary_and_in_what_is_stored(kind):
    from redoxscope.callbacks.oxidation.analysis import ANALYSIS
    from redoxscope.demo._stack import _map_summary, _Scan

    documents, references = speaking_against(kind)
    said: list[str] = []
    live = OxidationMap(references)
    live.tell = said.append
    for name, doc in documents:
        live(name, doc)
    snapshot = live.snapshot
    live.close()
    doubt = doubt_of(snapshot, kind)
    assert doubt.text in said  # at the prompt
    told = {"kind": kind, "value": doubt.value, "text": doubt.text}
    assert told in _map_summary(snapshot, _Scan({}, lambda: None))["doubts"]  # summary.json
    for result in ANALYSIS.results(snapshot):  # beside the run
        assert told in result.attrs["doubts"]
