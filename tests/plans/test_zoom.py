"""Map, then zoom: particles of a simulated map, chosen by rule, by function, by hand."""

from __future__ import annotations

import math
import re
import threading

import pytest

from redoxscope.data import phase_absorption
from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack, estimate, map_then_zoom
from redoxscope.plans._readable import duration
from redoxscope.plans.stxm import _mosaic, _zoom
from redoxscope.scan import Scan
from redoxscope.testing import (
    FakeAxis,
    FakeLines,
    FakeMicroscope,
    FakeSetting,
    PromptHeater,
    make_engine,
    run_resuming,
)

DISCS = [(-5.0, 2.0, 2.0, 1.0), (6.0, -3.0, 1.2, 0.4)]
MAP = {"size": 24, "pixels": 48, "tile": 12, "map_dwell": 0.001}
STACK = {"energies": [640, 645], "dwell": 0.001}


@pytest.fixture
def stxm():
    """Two discs: absorbing at 645 eV, and half as much of the first at 635 eV."""
    microscope = FakeMicroscope()
    lines = microscope.scanner
    pages = lines.collect_pages

    def absorbed():
        for page in pages():
            data = page["data"]
            for i, (xs, ys) in enumerate(zip(data["sample_x"], data["sample_y"], strict=True)):
                data["transmission"][i] = [
                    1000 * math.exp(-density(x, y, data["energy"][i]))
                    for x, y in zip(xs, ys, strict=True)
                ]
            yield page

    def density(x, y, energy):
        for number, (cx, cy, r, od) in enumerate(DISCS):
            if math.hypot(x - cx, y - cy) < r:
                return od if energy > 640 else od if number else od / 2
        return 0.0

    lines.collect_pages = absorbed
    return microscope


def run(stxm, **options):
    engine, documents = make_engine()
    engine(
        map_then_zoom(
            stxm, edge="Mn L3", **{"map_energies": 645, "stack": STACK, "zoom_pixels": 4}
            | MAP | options,
        )
    )  # fmt: skip
    return documents.named("start")


def centres(start):
    return [region.center for region in Scan.from_start(start).regions]


def test_the_stack_is_of_the_particles_with_most_material_and_says_which_map(stxm):
    coarse, fine = run(stxm)
    assert coarse["plan_name"] == "tiled_image" and fine["plan_name"] == "stxm_energy_stack"
    assert fine["zoom"]["map"] == coarse["uid"] and fine["zoom"]["found"] == 2
    for found, disc in zip(centres(fine), DISCS, strict=True):
        assert found == pytest.approx(disc[:2], abs=0.3)
    assert fine["zoom"]["particles"][0]["area"] == pytest.approx(math.pi * 4, rel=0.2)
    assert not stxm.shutter.beam


def test_a_rule_and_a_number_and_who_was_chosen_is_said(stxm, caplog):
    caplog.set_level("INFO", "redoxscope.plans")
    _, fine = run(stxm, choose="thinnest", number=1)
    assert "2 particles on the map" in caplog.text
    assert re.search(
        r"particle_1 of the stack: at \(6\.\d+, -3\.\d+\) µm, .* µm thick", caplog.text
    )
    assert "not in the stack: 1 of 2" in caplog.text
    (found,) = centres(fine)
    assert found == pytest.approx(DISCS[1][:2], abs=0.3)


def test_the_dead_time_of_the_counter_is_no_absorption(stxm):
    """5 ns at 1e7 photons/s: the bare membrane loses 5 % of its counts, a particle 2 %."""
    true, dwell, dead = stxm.scanner.collect_pages, 1e-4, 5e-9

    def seen():
        for page in true():
            lines = page["data"]["transmission"]
            lines[:] = [[n / (1 + n * dead / dwell) for n in line] for line in lines]
            yield page

    stxm.scanner.collect_pages = seen
    _, fine = run(stxm, map_dwell=dwell)
    assert [one["density"] for one in fine["zoom"]["particles"]] == pytest.approx([1.0, 0.4], 1e-6)


def test_a_function_of_the_user_chooses(stxm):
    _, fine = run(stxm, choose=lambda found: [i for i, p in enumerate(found) if p.center[0] > 0])
    assert centres(fine)[0] == pytest.approx(DISCS[1][:2], abs=0.3)


@pytest.mark.parametrize("given", [None, 0, "0", {0: True}], ids=repr)
def test_a_function_that_gives_no_indices_is_told_so(stxm, given):
    with pytest.raises(ValueError, match=r"choose gave .*; it must give a list of indices"):
        run(stxm, choose=lambda found: given)


def test_somebody_chooses_at_the_prompt(stxm, monkeypatch):
    asked = []
    engine, documents = make_engine()

    async def answered(msg):
        asked.append(msg.kwargs["prompt"])
        return "2"

    engine.register_command("input", answered)
    engine(
        map_then_zoom(
            stxm, edge="Mn L3", map_energies=645, choose="ask", stack=STACK, zoom_pixels=4, **MAP
        )
    )
    _, fine = documents.named("start")
    assert centres(fine)[0] == pytest.approx(DISCS[1][:2], abs=0.3)
    found = (
        r"2: at \(6\.0\d, .*\) µm, 2\.\d+ µm across, density 0\.\d+ ± 0\.\d+, 0\.\d+ ± 0\.\d+ µm "
    )
    assert re.search(found + r"thick, \d+ σ$", asked[0], re.MULTILINE)


def test_a_slip_at_the_prompt_costs_no_map(stxm, caplog):
    answers, asked = ["two", "3", "0", "2, 2"], []
    engine, documents = make_engine()

    async def answered(msg):
        asked.append(msg.kwargs["prompt"])
        return answers[len(asked) - 1]

    engine.register_command("input", answered)
    engine(
        map_then_zoom(
            stxm, edge="Mn L3", map_energies=645, choose="ask", stack=STACK, zoom_pixels=4, **MAP
        )
    )
    _, fine = documents.named("start")
    assert len(centres(fine)) == 1 and len(asked) == 4
    assert asked[2].startswith("'3' is not a list of numbers from 1 to 2; which ones")
    assert caplog.text.count("asked again") == 3


def test_regions_that_overlap_are_said(stxm, caplog):
    run(stxm, zoom_size=4.0)
    assert "overlap" not in caplog.text
    run(stxm, zoom_size=13.0)
    assert "particle_1 and particle_2 overlap" in caplog.text


def test_a_line_that_was_flown_backwards_lies_the_right_way_round(stxm):
    pages = stxm.scanner.collect_pages

    def backwards():
        for page in pages():
            for key in ("sample_x", "transmission"):
                page["data"][key] = [list(values)[::-1] for values in page["data"][key]]
            yield page

    stxm.scanner.collect_pages = backwards
    _, fine = run(stxm)
    for found, disc in zip(centres(fine), DISCS, strict=True):
        assert found == pytest.approx(disc[:2], abs=0.3)


def test_beforehand_it_is_said_that_the_stack_is_not_in_the_time(stxm):
    found = estimate(map_then_zoom(stxm, edge="Mn L3", map_energies=645, stack=STACK, **MAP))
    assert found.runs == 1 and found.live == pytest.approx(48 * 48 * 0.001)

    def fine(number):
        regions = number * [{"center": [0, 0], "size": [5, 5], "pixels": [100, 100]}]
        plan = energy_stack(stxm, edge="Mn L3", regions=regions, **STACK)
        return duration(estimate(plan).total)

    said = "the stack of map_then_zoom, which depends on what is found on the map: "
    (text,) = (text for text in found.unknown if text.startswith(said))
    assert text == f"{said}with 3, the most there will be, {fine(3)} more"
    options = {"map_energies": 645, "stack": {"until": 0.05}}
    unknown = estimate(map_then_zoom(stxm, edge="Mn L3", **MAP | options)).unknown
    assert any(text.startswith("the stack of map_then_zoom: what until will") for text in unknown)
    for choose in ("ask", lambda found: []):
        options = {"choose": choose, "map_energies": 645, "stack": STACK}
        unknown = estimate(map_then_zoom(stxm, edge="Mn L3", **MAP | options)).unknown
        assert f"{said}for each chosen one, {fine(1)} more" in unknown


def test_a_stack_that_could_not_be_taken_anywhere_costs_no_map(stxm):
    engine, documents = make_engine()
    options = {"map_energies": 645, "stack": {"energies": [640, 2000]}}
    with pytest.raises(ValueError, match="the stack of map_then_zoom: .*2000"):
        engine(map_then_zoom(stxm, edge="Mn L3", **MAP | options))
    assert not documents.named("start") and not stxm.energy.targets


def test_a_limit_of_the_dose_holds_for_map_and_stack_together(stxm):
    """What the map has left is taken from it, lines that were flown again included."""
    stxm.flux = FakeSetting("flux", 1e8)
    options = {"edge": "Mn L3", "map_energies": 645, "zoom_size": 12, "zoom_pixels": 24, **MAP}
    energies = {"stack": {"energies": [640, 641, 642, 643], "retries": 0}}
    engine, documents = make_engine()
    engine(map_then_zoom(stxm, **options, **energies, dose_limit=1e12))
    coarse, fine = documents.named("start")
    of_map, each = coarse["exposure"]["gray"], fine["exposure"]["gray"]
    assert fine["dose_limit"] == pytest.approx({"limit": 1e12, "before": of_map}, rel=1e-4)
    with pytest.raises(ValueError, match="dose_limit.* is reached: .*the map of map_then_zoom inc"):
        map_then_zoom(stxm, **options, **energies, dose_limit=0.9 * of_map)
    limit = 2 * of_map + sum(each[:2]) + 0.5 * each[2]  # the map may need one retry of each line
    told = estimate(map_then_zoom(stxm, **options, **energies, dose_limit=limit))
    assert any("dose_limit ends it after" in text for text in told.unknown)
    pages = stxm.scanner.collect_pages

    def again():
        for page in pages():
            if page["data"]["energy"][0] == 645:
                page["data"]["line_status"] = [int(LineStatus.RETRIED)] * len(
                    page["data"]["energy"]
                )
            yield page

    stxm.scanner.collect_pages = again
    engine, documents = make_engine()
    engine(map_then_zoom(stxm, **options, **energies, number=1, dose_limit=limit))
    _, fine = documents.named("start")
    assert fine["dose_limit"]["before"] == pytest.approx(2 * of_map, rel=1e-4)
    frames = {f for p in documents.named("event_page") for f in p["data"]["frame"]}
    stops = documents.named("stop")
    assert (
        stops[1]["reason"].startswith("dose_limit: ") and "2 of 4 images were" in stops[1]["reason"]
    )
    assert frames and not stxm.shutter.beam


def test_the_dose_of_the_map_is_that_of_the_user_s_own_references(stxm):
    """Where an edge has none of its own, and where it has: map and stack are counted alike."""
    stxm.flux = FakeSetting("flux", 1e8)
    own = {"energies": [600.0, 640.0, 641.0, 642.0, 643.0, 800.0], "names": ["one", "other"],
           "spectra": [[9, 9, 25, 9, 9, 9], [30, 30, 30, 36, 30, 30]], "unit": "1/µm"}  # fmt: skip
    limit = {"limit": 1e12, "density": 4.5}
    for edge in ("Mn L3", "Fe L3"):
        stack = {"energies": [640, 641, 642], "references": own}
        engine, documents = make_engine()
        options = {"map_energies": 645, "stack": stack, "dose_limit": limit, **MAP}
        engine(map_then_zoom(stxm, edge=edge, zoom_pixels=4, **options))
        coarse, fine = (doc["exposure"] for doc in documents.named("start"))
        area = (MAP["size"] / MAP["pixels"]) ** 2
        joule = coarse["photons"] * 645 * 1.602177e-19
        assert coarse["gray"] == pytest.approx(joule * 30 / (4.5e-15 * area), 1e-4)
        assert fine["gray"] and not stxm.shutter.beam


def test_a_microscope_that_says_no_times_is_used_all_the_same(stxm, monkeypatch):
    monkeypatch.delattr(FakeAxis, "time_to")
    monkeypatch.delattr(FakeLines, "frame_time")
    coarse, fine = run(stxm)
    assert fine["zoom"]["map"] == coarse["uid"]
    found = estimate(map_then_zoom(stxm, edge="Mn L3", map_energies=645, stack=STACK, **MAP))
    assert found.ok and any("does not say how long" in text for text in found.unknown)


def test_the_stack_is_taken_at_each_temperature_and_the_map_once(stxm):
    heater = PromptHeater()
    coarse, fine = run(stxm, outer={"temperature": [25, 300]}, axes={"temperature": heater})
    assert [frame.outer for frame in Scan.from_start(fine).frames] == 4 * [(25,)] + 4 * [(300,)]
    assert not Scan.from_start(coarse).outer
    assert heater.told == [("set", 25), ("set", 300), ("safe",)]


def test_particles_are_as_thick_as_their_absorption_says(stxm):
    _, fine = run(stxm, map_energies=[635, 645])
    (one,) = fine["zoom"]["particles"]
    low, high = phase_absorption("Mn L3", [635, 645]).T
    least, most = sorted(high - low)
    assert one["density"] / most < one["thickness"] < one["density"] / least
    assert one["thickness_sigma"] > (one["density"] / least - one["density"] / most) / 4


def test_references_of_optical_density_tell_no_thickness(stxm):
    spectra = {"names": ["a", "b"], "energies": [600, 640, 643, 645, 700], "unit": "OD",
               "spectra": [[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]}  # fmt: skip
    stack = {"energies": [640, 643, 645], "references": spectra}
    _, fine = run(stxm, stack=stack, number=1)
    assert [one["thickness"] for one in fine["zoom"]["particles"]] == [None]


def test_on_two_energies_only_the_element_counts(stxm):
    _, fine = run(stxm, map_energies=[635, 645])
    (found,) = centres(fine)
    assert found == pytest.approx(DISCS[0][:2], abs=0.3)


def test_where_nothing_is_found_there_is_a_map_and_no_stack(stxm):
    starts = run(stxm, smallest=10.0)
    assert [start["plan_name"] for start in starts] == ["tiled_image"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choose": "bigest"}, "choose = 'bigest' is none of"),
        ({"choose": 3}, "choose = 3 must be"),
        ({"zoom_size": -1}, "zoom_size"),
        ({"stack": {"pixels": 3}}, "stack has 'pixels'"),
        ({"stack": {"outer": {}}}, "stack has 'outer'"),
        ({"outer": {"temperature": [25]}}, "no axis is given for it"),
        ({"stack": {"energies": [-1]}}, "energies"),
        ({"number": 0}, "number"),
        ({"number": 1_000_000}, "number = 1000000 must be .* <= 100"),
        ({"stack": 3}, "stack = 3 must be further parameters of energy_stack"),
        ({"stack": [1]}, r"stack = \[1\] must be further parameters of energy_stack"),
        ({"stack": 0}, "stack = 0 must be"),
        ({"map_energies": []}, "energies is empty"),
        ({"tile": -1}, "tile"),
        ({"pixels": 1, "size": 5}, "pixels = 1 x 1: .* at least"),
        ({"pixels": (3, 1), "size": 5}, "pixels = 3 x 1: .* at least"),
        ({"smallest": 300}, r"smallest = 300 µm is more than 27\.08 µm"),
        ({"smallest": None}, "smallest = None"),
        ({"gap": math.nan}, "gap = nan"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_map(stxm, options, message):
    with pytest.raises(ValueError, match=message):
        map_then_zoom(stxm, edge="Mn L3", **{"map_energies": 645, "stack": STACK} | MAP | options)


def test_where_the_map_is_refused_no_stack_is_made_that_would_warn_of_itself(stxm, monkeypatch):
    made = []

    def refused(*args):
        raise ValueError("no such map")

    monkeypatch.setattr(_zoom, "tiles_of", refused)
    monkeypatch.setattr(_zoom, "energy_stack", lambda *args, **options: made.append(options))
    with pytest.raises(ValueError, match="no such map"):
        map_then_zoom(stxm, edge="Mn L3", **{"map_energies": 645, "stack": STACK} | MAP)
    assert made == []


def test_a_map_without_counts_fails_and_is_not_taken_for_an_empty_one(stxm):
    pages = stxm.scanner.collect_pages

    def dark():
        for page in pages():
            rows = page["data"]["transmission"]
            page["data"]["transmission"] = [[0.0] * len(row) for row in rows]
            yield page

    stxm.scanner.collect_pages = dark
    with pytest.raises(ValueError, match="fewer than 4 pixels with counts"):
        run(stxm)


def test_a_map_that_lacks_an_energy_is_not_taken_for_a_map_at_the_other(stxm):
    pages = stxm.scanner.collect_pages

    def missed():
        for page in pages():
            data = page["data"]
            data["line_status"] = [2 if energy == 635 else 0 for energy in data["energy"]]
            yield page

    stxm.scanner.collect_pages = missed
    with pytest.raises(ValueError, match="nothing was counted on the map at 635 eV"):
        run(stxm, map_energies=[635, 645])


def test_a_pause_while_particles_are_looked_for_finds_each_once(stxm, monkeypatch):
    engine, documents = make_engine()
    looks, go, look = [], threading.Event(), _mosaic.find_particles

    def slow(*args, **options):
        looks.append(args)
        threading.Thread(target=engine.request_pause).start()
        assert go.wait(60)  # until it is paused
        return look(*args, **options)

    monkeypatch.setattr(_mosaic, "find_particles", slow)
    plan = map_then_zoom(
        stxm, edge="Mn L3", map_energies=645, stack=STACK, zoom_pixels=4, **MAP
    )  # fmt: skip
    assert run_resuming(engine, plan, go.set) == 1
    _, fine = documents.named("start")
    assert len(looks) == 1 and fine["zoom"]["found"] == 2
    assert len(centres(fine)) == 2
