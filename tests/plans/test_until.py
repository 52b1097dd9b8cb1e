"""``until=``: a stack ends when its map is good enough, and says so."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from scipy import ndimage

from redoxscope.analysis.oxidation import StackFit, Target, as_target, forecast
from redoxscope.callbacks import OxidationMap, oxidation_maps
from redoxscope.callbacks.oxidation import _until
from redoxscope.callbacks.oxidation._reader import MapOptions, StackReader
from redoxscope.callbacks.oxidation._stored import results_of
from redoxscope.data import load_references
from redoxscope.plans import energy_stack, estimate
from redoxscope.plans.stxm import _adaptive
from redoxscope.scan import Role, Scan
from redoxscope.sim.physics.stxm import build_model
from redoxscope.sim.physics.stxm._detector import CountingDetector
from redoxscope.storage.results._derive import derive
from redoxscope.testing import FakeAxis, FakeMicroscope, FakeSetting, make_engine, validate_run

from ..callbacks.scan_runs import play

N = 18
ENERGIES = [636.0 + 0.5 * i for i in range(40)]
UNTIL = {"sigma": 0.05, "share": 0.8}
REFERENCES = load_references("Mn L3")


def sample(seed=1, thickness=0.1, counts=4e3, center=N / 2, radius=N / 3):
    """Counts by energy: a disk of mixed phases on an empty support."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:N, :N]
    inside = np.hypot(x - N / 2, y - center) < radius
    species = len(REFERENCES.names)
    parts = [x / N, *[(1 - x / N) / (species - 1)] * (species - 1)]
    c = np.stack([*(thickness * inside * part for part in parts), 0.1 * inside])
    od = np.einsum("kj,jyx->kyx", REFERENCES.design(ENERGIES), c)
    images = rng.poisson(counts * np.exp(-od)).astype(float)
    return dict(zip(ENERGIES, images, strict=True))


class Bench:
    """A fake microscope that sees the sample, and a RunEngine."""

    def __init__(self, images, n=N, drift=lambda frame: (0, 0)):
        self.n = n
        self.stxm = FakeMicroscope(fields=("transmission",))
        self.engine, self.documents = make_engine()
        collect = self.stxm.scanner.collect_pages

        seen: dict[float, int] = {}

        def pages():
            for page in collect():
                data = page["data"]
                # Where the stage is, not what a line is called: blocks of rows begin anywhere.
                data["transmission"] = []
                for energy, x, y in zip(
                    *(data[key] for key in ("energy", "sample_x", "sample_y")), strict=True
                ):
                    frame = seen.setdefault(energy, len(seen))
                    at = [
                        np.rint(np.asarray(v) * n / 5.0 + (n - 1) / 2).astype(int) for v in (y, x)
                    ]
                    row, column = (
                        np.clip(v - by, 0, n - 1) for v, by in zip(at, drift(frame), strict=True)
                    )
                    data["transmission"].append(images[energy][row, column].tolist())
                yield page

        self.stxm.scanner.collect_pages = pages

    def run(self, **options):
        options = {
            "edge": "Mn L3", "energies": ENERGIES, "dwell": 0.001, "order": "bit-reversed",
            **({} if "regions" in options else {"pixels": self.n}),
        } | options  # fmt: skip
        self.engine(energy_stack(self.stxm, **options))
        return self

    def of(self, name):
        return [doc for kind, doc in self.documents if kind == name]

    @property
    def frames(self):
        """Indices of the images flown, in order."""
        flown = [f for page in self.of("event_page") for f in page["data"]["frame"]]
        return list(dict.fromkeys(flown))

    @property
    def energies(self):
        return [self.scan.frames[i].energy for i in self.frames]

    @property
    def scan(self):
        return Scan.from_start(self.of("start")[0])

    def safe(self):
        assert (
            self.stxm.shutter.get_state() == "closed"
            if hasattr(self.stxm.shutter, "get_state")
            else not self.stxm.shutter.beam
        )
        assert not self.stxm.scanner._flying


def share_of(images, energies, target):
    """The share that a fit of these energies has, apart from the plan."""
    fit = StackFit(
        REFERENCES.design(energies), len(REFERENCES.names), (N, N),
        min_thickness=REFERENCES.min_thickness,
    )  # fmt: skip
    for k, energy in enumerate(energies):
        fit.set_image(k, images[energy])
    return target.reached(fit.solve())


def test_it_ends_when_enough_pixels_are_sure_enough():
    images, target = sample(), Target(**UNTIL)
    bench = Bench(images).run(until=UNTIL)
    taken = bench.energies
    assert 5 < len(taken) < len(ENERGIES)
    assert share_of(images, taken, target) >= 0.8 > share_of(images, taken[:-1], target)
    (stop,) = bench.of("stop")
    assert stop["exit_status"] == "success"
    assert f"after {len(taken)} of 40 energies" in stop["reason"], stop["reason"]
    assert bench.of("start")[0]["until"] == UNTIL
    bench.safe()


def test_what_is_not_reached_measures_all_and_is_said(caplog):
    bench = Bench(sample()).run(until=0.001)
    assert len(bench.energies) == 40
    assert bench.of("stop")[0]["reason"] == ""
    said = (
        r"until: not reached: 0 % of \d+ pixels have σ ≤ 0.001 after 40 of 40 energies, wished 90 %"
    )
    assert re.search(said, caplog.text)
    bench.safe()


def test_however_early_it_ends_dose_checks_have_what_they_are_compared_with():
    first, last = ENERGIES[0], ENERGIES[39]  # which would come last of all
    bench = Bench(sample()).run(until=UNTIL, dose_check=[first, last])
    assert len(bench.energies) < 40
    assert bench.energies[:2] == bench.energies[-2:] == [first, last]
    roles = [str(bench.scan.frames[i].role) for i in bench.frames]
    assert roles.count("dose_check") == 2 and roles[-2:] == ["dose_check"] * 2
    pages = bench.of("event_page")
    assert pages[-1]["data"]["energy"][-1] == last  # it was gone back to


def test_a_dose_check_keeps_its_image_of_the_empty_beam():
    """With the I0 of the first time a ring that decays would look like damage."""
    first, last = ENERGIES[0], ENERGIES[39]
    empty = {"center": (0, 0), "size": 5, "pixels": N, "name": "empty"}
    bench = Bench(sample()).run(until=UNTIL, dose_check=[first, last], i0_region=empty)
    assert bench.of("stop")[0]["reason"].startswith("until: ")
    flown = [bench.scan.frames[i] for i in bench.frames]
    assert [(str(frame.role), frame.energy) for frame in flown[-4:]] == [
        ("dose_check", first), ("i0", first), ("dose_check", last), ("i0", last),
    ]  # fmt: skip
    energies = len({frame.energy for frame in flown})
    assert energies < 40 and len(flown) == 2 * energies + 4


def test_an_energy_whose_i0_is_still_to_come_does_not_stop_the_map():
    """Its lines are there, its level is not."""
    empty = {"center": (9, 9), "size": 1, "pixels": N, "name": "empty"}
    bench = Bench(sample()).run(
        until=0.001, energies=ENERGIES[::4], order="sequential", i0_region=empty
    )
    live = OxidationMap(rate=1e6)
    sample_frames = {i for i, frame in enumerate(bench.scan.frames) if str(frame.role) != "i0"}
    waiting, documents = 0, []
    for name, doc in bench.documents:
        live(name, doc)
        documents.append((name, doc))
        if name == "event_page" and doc["data"]["frame"][-1] in sample_frames:
            waiting += 1
    live.close()
    assert waiting >= 10 and live.snapshot.until.forecast.total == 10
    ended = next(
        i for i, (name, doc) in reversed(list(enumerate(documents)))
        if name == "event_page" and doc["data"]["frame"][-1] in sample_frames
    )  # fmt: skip
    (snapshot,) = oxidation_maps(documents[: ended + 1]).values()  # aborted before the last I0
    assert snapshot.until.forecast.done == 10


def test_the_last_energy_is_judged_before_its_own_dose_check(caplog):
    caplog.set_level(logging.INFO, "redoxscope.plans")
    Bench(sample()).run(
        until=0.001, energies=ENERGIES[::2], order="sequential", dose_check=ENERGIES[38]
    )
    assert "after 20 of 20 energies" in caplog.text


def test_all_regions_have_to_reach_it():
    regions = [
        {"name": name, "center": (0, 0), "size": 5, "pixels": N} for name in ("one", "other")
    ]
    alone = Bench(sample(counts=1.6e4)).run(until=UNTIL)
    both = Bench(sample(counts=1.6e4)).run(until=UNTIL, regions=regions)
    assert len(both.frames) == 2 * len(alone.frames)
    of_one, of_other = both.of("stop")[0]["reason"].split("; ")
    assert "pixels of one have σ ≤ 0.05" in of_one
    assert "pixels of other have σ ≤ 0.05" in of_other


def test_after_each_energy_it_is_told_how_long_it_takes(caplog):
    caplog.set_level(logging.INFO, "redoxscope.plans")
    bench = Bench(sample()).run(until=UNTIL)
    ended = len(bench.frames)
    line = re.compile(
        r"until: (\d+) % of \d+ pixels have σ ≤ 0.05 after (\d+) of 40 energies, wished 80 %: "
        r"(?:about |between \d+ and )?(\d+) more(?: at the earliest, at the latest never)?, .* left"
    )
    said = [found for r in caplog.records if (found := line.fullmatch(r.getMessage()))]
    assert len(said) >= ended / 2
    for done, found in enumerate(said, start=ended - len(said)):
        assert int(found[2]) == done and int(found[1]) < 80 and 0 < int(found[3]) <= 40 - done
    assert int(said[-1][3]) == 1  # and then it was reached


def test_the_live_map_says_how_far_it_is_and_the_final_one_what_was_reached():
    bench = Bench(sample()).run(until=UNTIL)
    ended = len(bench.frames)
    cut = [
        (name, doc)
        for name, doc in bench.documents
        if name != "stop" and (name != "event_page" or max(doc["data"]["frame"]) < ended - 2)
    ]
    reader = StackReader(bench.of("start")[0], MapOptions())
    for name, doc in cut:
        if name == "descriptor":
            reader.describe(doc)
        elif name == "event_page":
            reader.take(name, doc)
    snapshot = reader.part.snapshot(final=False, full=True, message="", doubts=(), lines={})
    found = snapshot.until
    assert found.forecast.done == ended - 2 < found.forecast.needed
    assert found.seconds_left > 0
    wished = rf"\d+ % of \d+ pixels have σ ≤ 0.05 after {ended - 2} of 40 energies, wished 80 %"
    assert re.match(wished + r": (about|between) .*\d+ more, \d+ s( to \d+ s)? left$", found.words)
    assert found.words in repr(snapshot)
    (snapshot,) = oxidation_maps(bench.documents).values()
    assert f"after {ended} of 40 energies, wished 80 %" in snapshot.until.words
    assert snapshot.until.forecast.share == pytest.approx(0.85, abs=0.05)
    (chosen,) = (doubt for doubt in snapshot.doubts if doubt.kind == "chosen")
    assert chosen.text.endswith(f" {snapshot.until.words}.")
    attrs = next(iter(results_of(snapshot))).attrs
    assert attrs["until"] == snapshot.until.words


@pytest.mark.parametrize("error", [ZeroDivisionError, np.linalg.LinAlgError, StopIteration])
def test_an_error_while_judging_costs_the_target_and_not_the_stack(monkeypatch, caplog, error):
    def broken(*_):
        raise error("no")

    monkeypatch.setattr(_adaptive, "forecast", broken)
    bench = Bench(sample()).run(until=UNTIL)
    assert bench.of("stop")[0]["exit_status"] == "success" and len(bench.frames) == 40
    assert caplog.text.count("could not be judged") == 1 and error.__name__ in caplog.text
    bench.safe()


def test_after_an_error_all_rows_are_flown(monkeypatch):
    chosen = _adaptive.rows_that_matter
    calls = []

    def broken(*args):
        calls.append(args)
        if len(calls) == 10:
            raise np.linalg.LinAlgError("no")
        return chosen(*args)

    monkeypatch.setattr(_adaptive, "rows_that_matter", broken)
    bench = Bench(narrow()).run(rows="informative", energies=ENERGIES[::2], order="informative")
    lines = [len(flown) for flown in rows_flown(bench).values()]
    assert len(lines) == 20 and len(calls) == 10
    assert lines[9] < N and lines[10:] == [N] * 10


def test_without_the_map_of_anybody_it_judges_by_documents_that_come_again():
    """A line that comes again replaces what was there."""
    bench = Bench(sample()).run(until=UNTIL)
    until = _adaptive.Adaptive(
        bench.scan, REFERENCES, ["transmission"], np.ones(len(bench.scan.frames)),
        target=Target(**UNTIL),
    )  # fmt: skip
    for name, doc in bench.documents:
        until(name, doc)
        until(name, doc)
    until._judge((), bench.frames[-1])
    assert until.forecasts[-1].enough


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"until": True}, "until = True must be a σ"),
        ({"until": 0}, "until sigma = 0 must be greater than 0"),
        ({"until": float("nan")}, "until sigma"),
        ({"until": 1.5}, "until sigma = 1.5 must be greater than 0 and at most 1"),
        ({"until": {"sigma": 0.1, "share": 0}}, "until share = 0 must be greater than 0"),
        ({"until": {"sigm": 0.1}}, "did you mean 'sigma'"),
        ({"until": "good"}, "until = 'good' must be a σ"),
        ({"until": 0.1, "edge": None}, "until needs reference spectra"),
        ({"until": 0.1, "edge": "Fe L3"}, "none are shipped for Fe L3: give references=…"),
        ({"until": 0.1, "md": {"until": 3}}, "md has the key 'until'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(options, said):
    options = {"edge": "Mn L3", "energies": ENERGIES, "pixels": N} | options
    with pytest.raises(ValueError, match=said):
        energy_stack(FakeMicroscope(), **options)


@pytest.mark.parametrize(
    "value", [np.float32(0.25), np.array([0.25]), Target(0.25), {"sigma": 0.25}]
)
def test_a_target_may_be_said_in_several_ways(value):
    assert as_target(value) == Target(0.25, 0.9)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"until": 0.05}, "until"),
        ({"rows": "informative"}, "rows"),
        ({"until": 0.05, "rows": "informative"}, "until and rows"),
    ],
    ids=["until", "rows", "both"],
)
def test_beforehand_it_is_said_that_something_may_be_left_out(options, names):
    whole = estimate(energy_stack(FakeMicroscope(), edge="Mn L3", pixels=N))
    found = estimate(energy_stack(FakeMicroscope(), edge="Mn L3", pixels=N, **options))
    (said,) = set(found.unknown) - set(whole.unknown)
    assert said == f"what {names} will leave out: time and dose are those of the whole"


# -- rows ---------------------------------------------------------------------------------------


def rows_flown(bench):
    """Lines of each image, in the order in which they came."""
    found: dict[int, list[int]] = {}
    for page in bench.of("event_page"):
        for frame, line in zip(page["data"]["frame"], page["data"]["line"], strict=True):
            found.setdefault(frame, []).append(line)
    return found


def narrow():
    """The sample in the upper third of the rows."""
    return sample(counts=2e4, center=3, radius=4)


def test_only_rows_with_sample_are_flown_at_most_energies():
    bench = Bench(narrow()).run(rows="informative", energies=ENERGIES[::2], order="informative")
    validate_run(bench.documents)
    flown = rows_flown(bench)
    whole = [frame for frame, lines in flown.items() if lines == list(range(N))]
    assert len(flown) == 20 and 5 <= len(whole) <= 7 and whole == list(range(len(whole)))
    for frame, lines in flown.items():
        assert lines == sorted(set(lines)) and set(range(6)) <= set(lines)
        if frame not in whole:
            assert len(lines) < 14
    for page in bench.of("event_page"):  # each line lies where it says
        for y, line in zip(page["data"]["sample_y"], page["data"]["line"], strict=True):
            assert y[0] == pytest.approx((line - (N - 1) / 2) * 5.0 / N)
    assert bench.of("start")[0]["rows"] == "informative"
    assert bench.of("stop")[0]["exit_status"] == "success"
    bench.safe()


def test_the_truth_of_the_simulated_beamline_is_inside_one_sigma():
    """Its own sample, optics, beam and counter (without dead time), the plan, and the live map."""
    n, energies = 40, ENERGIES[4:28:2]
    model = build_model("lmr", seed=3, field_um=6.0, transmission=CountingDetector(dead_time_s=0.0))
    at = (np.arange(n) - (n - 1) / 2) * 7.5 / n  # µm; beyond 3 it is empty
    images = {
        e: np.stack([model.line(e, None, at, y, 1e-3, 0.0)["transmission"] for y in at])
        for e in energies
    }
    truth = model.truth(energies, at, at, REFERENCES)["fraction"]
    bench = Bench(images, n).run(rows="informative", energies=energies, order="informative")
    lines = sum(map(len, rows_flown(bench).values()))
    assert lines < 0.95 * n * len(energies)
    (snapshot,) = oxidation_maps(bench.documents).values()
    result = snapshot.result
    z = ((result.fraction - truth) / result.sigma)[result.mask]
    assert z.size > 400
    assert 0.63 < (np.abs(z) < 1).mean() < 0.73, ((np.abs(z) < 1).mean(), z.mean(), z.std())


def test_the_live_map_is_judged_once_for_each_energy_and_of_few_pixels(monkeypatch):
    asked = []

    def counted(*args):
        asked.append(args)
        return forecast(*args)

    monkeypatch.setattr(_until, "forecast", counted)
    bench = Bench(sample()).run(until={"sigma": 0.001}, energies=ENERGIES[::5])
    reader = StackReader(bench.of("start")[0], MapOptions())
    for name, doc in bench.documents:
        if name == "descriptor":
            reader.describe(doc)
        elif name == "event_page":
            reader.take(name, doc)
            reader.snapshot()
    fit = reader.part.fit
    assert len(asked) <= 1 + len(bench.frames) < N
    reader.snapshot(final=True)
    reader.snapshot(final=True)
    assert reader.part.snapshot(
        final=True, full=True, message="", doubts=(), lines={}
    ).until.forecast.done == len(bench.frames)
    pixels = np.array([3, 9, 9]), np.array([4, 0, 17])
    of_lines = [fit.logarithm(k, np.arange(N))[1][pixels] for k in range(8)]
    np.testing.assert_array_equal(fit.variance_at(np.arange(8), pixels), of_lines)


def test_the_map_of_chosen_rows_says_what_was_left_out_and_lacks_nothing():
    images = narrow()
    bench = Bench(images).run(rows="informative", energies=ENERGIES[::2], order="informative")
    (snapshot,) = oxidation_maps(bench.documents).values()
    kinds = {doubt.kind: doubt for doubt in snapshot.doubts}
    assert "lines" not in kinds and "missing" not in kinds
    lines = sum(map(len, rows_flown(bench).values()))
    assert f"{lines} of {20 * N} lines were flown, at 20 of 20 energies" in kinds["chosen"].text
    assert snapshot.result.mask[:7].sum() == snapshot.result.mask.sum() > 20


def test_what_an_aborted_run_lacks_was_not_left_out_on_purpose():
    bench = Bench(narrow()).run(rows="informative", energies=ENERGIES[::2], order="informative")
    (stop,) = bench.of("stop")
    stop = {**stop, "exit_status": "abort", "reason": "as it happens"}
    documents = [
        (name, stop if name == "stop" else doc)
        for name, doc in bench.documents
        if name != "event_page" or max(doc["data"]["frame"]) < 10
    ]
    live = OxidationMap(rate=1e6)
    play(live, documents)
    (batch,) = oxidation_maps(documents).values()
    (cut,) = oxidation_maps(documents[:-1]).values()  # nor did one without an end end well
    for snapshot in (live.snapshot, batch, cut):
        kinds = {doubt.kind: doubt for doubt in snapshot.doubts}
        assert "chosen" not in kinds
        assert "10 of 20 energies have no data" in kinds["missing"].text
        assert "never flown" in kinds["lines"].text
    # Nor of what is made of its documents afterwards, for the catalog.
    ends = {"Run ended: abort. as it happens ": documents, "Run broken off: ": documents[:-1]}
    for end, told in ends.items():
        results, problems = derive(told)
        (said,) = {one.attrs["message"] for one in results if one.analysis == "oxidation_map"}
        assert not problems and said.startswith(end)
        assert "10 of 20 energies have no data" in said and "never flown" in said
        assert "does not need" not in said


def test_rows_that_reached_the_target_are_left_out_and_all_of_it_ends():
    some = Bench(narrow()).run(rows="informative", until={"sigma": 0.03, "share": 0.8})
    every = Bench(narrow()).run(until={"sigma": 0.03, "share": 0.8})
    validate_run(some.documents)
    assert some.of("stop")[0]["reason"].startswith("until: ")
    lines = [sum(map(len, rows_flown(bench).values())) for bench in (some, every)]
    assert lines[0] < 0.8 * lines[1]


def test_the_time_left_is_that_of_the_rows_that_are_flown():
    """Of a scan whose lines all take 1.3 times as long as was planned."""
    until = {"sigma": 0.03, "share": 0.8}
    bench = Bench(narrow()).run(rows="informative", until=until)
    now, asked = [0.0], 0
    watch = _adaptive.Adaptive(
        bench.scan, REFERENCES, ["transmission"], np.full(len(bench.scan.frames), 2.0 * N),
        target=Target(**until), rows=True, clock=lambda: now[0],
    )  # fmt: skip
    pages = [doc for name, doc in bench.documents if name == "event_page"]
    for doc in bench.of("descriptor"):
        watch("descriptor", doc)
    for frame, lines in rows_flown(bench).items():
        for page in pages:
            if page["data"]["frame"][0] == frame:
                watch("event_page", page)
        now[0] += 1.3 * 2.0 * len(lines)
        watch._judge((), frame)
        foretold = watch.forecasts[-1]
        blocks = watch.blocks(bench.scan.frames[frame])
        if foretold.enough or blocks is None:
            continue
        asked += 1
        more = (foretold.needed or foretold.total) - (frame + 1)
        assert sum(map(len, blocks)) < N
        assert watch.seconds_left == pytest.approx(1.3 * 2.0 * sum(map(len, blocks)) * more)
    assert asked


class Replay:
    """The lines of a run, judged again by a clock of its own: images take 1.3 times the planned."""

    def __init__(self, bench, **options):
        self.now, self._scan = 0.0, bench.scan
        seconds = np.full(len(bench.scan.frames), 2.0)
        self.watch = _adaptive.Adaptive(
            bench.scan, REFERENCES, ["transmission"], seconds, clock=lambda: self.now, **options
        )
        self._pages = [page for page in bench.of("event_page") if "frame" in page["data"]]
        for doc in bench.of("descriptor"):
            self.watch("descriptor", doc)

    def take(self, frame, seconds=2.6):
        for page in self._pages:
            if page["data"]["frame"][0] == frame:
                self.watch("event_page", page)
        self.now += seconds

    def judged(self, frame):
        self.watch._judge(self._scan.frames[frame].outer, frame)
        return self.watch.told()


def test_the_time_left_is_that_of_all_turns_and_of_the_dose_checks(monkeypatch):
    loops = {"outer": {"T": [25.0, 100.0]}, "axes": {"T": FakeAxis("T")}}
    bench = Bench(sample()).run(until=UNTIL, dose_check=ENERGIES[0], **loops)
    replay, reached = Replay(bench, target=Target(**UNTIL)), []
    frames = bench.scan.frames
    for i in bench.frames:
        replay.take(i)
        if frames[i].role is not Role.SAMPLE:
            continue
        left, words = replay.judged(i)
        turn = i // 41
        found = replay.watch.forecasts[-1]
        wanted = found.needed or found.total
        if found.enough:
            reached.append(i)
            done = i - 41 * turn + 1
            images = 1 + (done + 1 if turn == 0 else 0)  # its dose check, and the other turn
        else:
            images = wanted - (i - 41 * turn + 1) + 1 + (wanted + 1 if turn == 0 else 0)
        assert left == pytest.approx(2.6 * images, rel=0.1), (i, words)
    assert len(reached) == 2 and frames[bench.frames[-1]].role is Role.DOSE_CHECK

    def broken(*_):
        raise ZeroDivisionError

    replay = Replay(bench, target=Target(**UNTIL))
    for i in (0, 1):
        replay.take(i)
        assert replay.judged(i)[1]
    monkeypatch.setattr(_adaptive, "forecast", broken)
    left, words = replay.judged(2)
    assert np.isnan(left) and words == ""  # all of it is flown


def test_the_rest_of_an_image_that_is_resumed_is_no_pace():
    bench = Bench(sample()).run(until=UNTIL)
    replay = Replay(bench, target=Target(**UNTIL))
    for i in range(4):
        replay.take(i)
    replay.watch._catch_up(3)  # in the middle of that image
    assert replay.watch._paces == []
    replay.now += 0.1
    replay.judged(3)
    assert replay.watch._paces == []
    replay.take(4)
    replay.judged(4)
    assert replay.watch._paces == [pytest.approx(1.3)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": "some"}, "rows = 'some' is unknown"),
        ({"rows": "informativ"}, "did you mean 'informative'"),
        ({"rows": "informative", "edge": None}, "rows = 'informative' needs reference spectra"),
        ({"md": {"rows": "all"}}, "md has the key 'rows'"),
    ],
)
def test_rows_that_make_no_sense_are_refused_at_the_call(options, said):
    options = {"edge": "Mn L3", "energies": ENERGIES, "pixels": N} | options
    with pytest.raises(ValueError, match=said):
        energy_stack(FakeMicroscope(), **options)


def test_chosen_rows_are_followed_where_the_sample_drifts():
    """By two pixels along y and three along x, from the ninth image on."""
    n, moved = 32, (2, 3)
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:n, :n]
    texture = ndimage.gaussian_filter(rng.standard_normal((n, n)), 1.5)
    inside = np.hypot(x - 15, (y - 12) * 1.5) < 10
    thick = np.where(inside, 0.1 + 0.3 * np.clip(texture, -0.2, 0.5), 0.0)
    species = len(REFERENCES.names)
    parts = [x / n, *[(1 - x / n) / (species - 1)] * (species - 1)]
    c = np.stack([*(thick * part for part in parts), 0.1 * inside])
    od = np.einsum("kj,jyx->kyx", REFERENCES.design(ENERGIES), c)
    images = dict(zip(ENERGIES, rng.poisson(2e4 * np.exp(-od)).astype(float), strict=True))
    bench = Bench(images, n, lambda frame: moved if frame >= 8 else (0, 0)).run(
        rows="informative", energies=ENERGIES[::2], order="informative", follow_drift=1.0
    )
    validate_run(bench.documents)
    assert bench.of("stop")[0]["exit_status"] == "success"
    flown = rows_flown(bench)
    assert len(flown) == 20 and all(len(flown[i]) < n for i in range(8, 20))
    last = bench.of("event_page")[-1]["data"]
    pixel = 5.0 / n
    assert last["followed_y"][-1] == pytest.approx(moved[0] * pixel, abs=0.3 * pixel)
    assert last["followed_x"][-1] == pytest.approx(moved[1] * pixel, abs=0.3 * pixel)
    bench.safe()


def test_rows_and_a_limit_of_the_dose():
    """Rows with sample are in every image, so the limit ends it where it would without choice."""

    def run(limit):
        bench = Bench(narrow())
        bench.stxm.flux = FakeSetting("flux", 1e8)
        return bench.run(
            rows="informative", energies=ENERGIES[::2], order="informative", retries=0,
            dose_limit=limit,
        )  # fmt: skip

    gray = run(1e15).of("start")[0]["exposure"]["gray"]
    bench = run(sum(gray[:12]) + 0.5 * gray[12])
    assert bench.frames == list(range(12))
    assert bench.of("stop")[0]["reason"].startswith("dose_limit: ")
    assert len(rows_flown(bench)[11]) < 14
    bench.safe()
