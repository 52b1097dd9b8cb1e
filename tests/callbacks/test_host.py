"""Any number of analyses, several runs at once, and nothing on the RunEngine's thread."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import (
    Doubt,
    Host,
    OxidationMap,
    Reader,
    _open_runs,
    _registry,
    analyses,
    analysis,
    oxidation_map,
    rixs_from_run,
)
from redoxscope.callbacks.oxidation.analysis import ANALYSIS as OXIDATION
from redoxscope.callbacks.rixs.analysis import ANALYSIS as RIXS

from .conftest import make
from .mean_spectrum import ANALYSIS as MEAN
from .mean_spectrum import MeanReader, MeanSpectrum
from .rixs_runs import RixsRun
from .test_rixs_map import same as same_rixs
from .test_rixs_map import small


def play(host, documents) -> None:
    for name, doc in documents:
        host(name, doc)


def between(*streams):
    """Documents of several runs, one of each in turn."""
    waiting = [iter(stream) for stream in streams]
    while waiting:
        for stream in list(waiting):
            try:
                yield next(stream)
            except StopIteration:
                waiting.remove(stream)


def options(references):
    return {"oxidation_map": replace(OXIDATION.options(), references=references)}


def test_this_package_finds_its_own_analyses():
    assert {OXIDATION, RIXS} <= set(analyses())


def test_an_analysis_from_an_entry_point_runs_beside_the_others(stack, tmp_path, monkeypatch):
    """All that a package of a user's own needs: nothing else knows of it."""
    installed = tmp_path / "my_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[redoxscope.analyses]\nmean_spectrum = tests.callbacks.mean_spectrum:ANALYSIS\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_registry, "_known", {})
    monkeypatch.setattr(_registry, "_looked", False)
    documents, references = stack
    updates = []
    with Host(options=options(references), on_update=updates.append, rate=1e6) as host:
        assert MEAN in host.analyses and {OXIDATION, RIXS} < set(host.analyses)
        play(host, documents.documents())
        found = host.latest["run", "mean_spectrum", ""]
        np.testing.assert_allclose(found.counts, documents.counts.mean(axis=(1, 2)))
        np.testing.assert_array_equal(found.energies, documents.energies)
        batch = oxidation_map(documents.documents(), references)
        mapped = host.latest["run", "oxidation_map", "region"]
        np.testing.assert_allclose(mapped.result.fraction, batch.result.fraction, rtol=1e-9)
        assert host.errors == {}
        names = {result.analysis for result in host.results("run")}
        assert names == {"oxidation_map", "mean_spectrum"}
    last = [update for update in updates if update.final]
    assert {update.analysis for update in last} == {"oxidation_map", "mean_spectrum"}
    record = analysis(last[-1].analysis)
    figure = Figure()
    record.draw(figure, record.from_wire(*record.to_wire(record.thin(last[-1].snapshot, 512))))
    assert figure.axes


def test_runs_that_go_on_at_once_are_kept_apart():
    one, references = make(uid="one")
    other, _ = make(seed=5, uid="other")
    rixs = small(uid="photons")
    with Host([OXIDATION, RIXS, MEAN], options=options(references)) as host:
        play(host, between(one.documents(), other.documents(page=False), rixs.documents()))
        found = host.latest
        assert set(found) == {
            (stack, *which)
            for stack in ("one", "other")
            for which in (("oxidation_map", "region"), ("mean_spectrum", ""))
        } | {("photons", "rixs_map", "")}
        for stack in (one, other):
            batch = oxidation_map(stack.documents(), references).result
            live = found[stack.uid, "oxidation_map", "region"]
            assert live.finished and live.uid == stack.uid
            np.testing.assert_allclose(live.result.fraction, batch.fraction, rtol=1e-9)
        same_rixs(found["photons", "rixs_map", ""], rixs_from_run(rixs.documents()))


def test_a_map_shows_the_run_that_began_last_and_both_have_results():
    one, references = make(uid="one")
    other, _ = make(seed=5, uid="other")
    with OxidationMap(references) as live:
        play(live, between(one.documents(), other.documents()))
        assert live.snapshot.uid == "other"
        for stack in (one, other):
            stored = {result.name: result for result in live.results(stack.uid)}
            batch = oxidation_map(stack.documents(), references)
            np.testing.assert_allclose(stored["fraction"].array, batch.result.fraction)


def test_a_failing_analysis_hurts_no_other(stack, caplog):
    class Broken(MeanReader):
        def take(self, name, doc):
            if doc["data"]["frame"][0] == 1:
                raise RuntimeError("no idea")
            return super().take(name, doc)

    updates = []
    broken = replace(MEAN, name="broken", title="broken one", reader=Broken)
    with Host([broken, MEAN], on_update=updates.append, rate=1e6) as host:
        play(host, stack[0].documents())
        assert str(host.errors["run", "broken"]) == "no idea" and len(host.errors) == 1
        counts = host.latest["run", "mean_spectrum", ""].counts
        np.testing.assert_allclose(counts, stack[0].counts.mean(axis=(1, 2)))
        assert [result.analysis for result in host.results("run")] == ["mean_spectrum"]
    assert "broken one stopped: no idea" in caplog.text
    said = [u.snapshot.message for u in updates if u.analysis == "broken"]
    assert not said or said[-1] == "Broken one stopped: no idea"


def test_one_that_cannot_say_whether_it_wants_a_run_hurts_no_other(stack, caplog):
    def odd(start):
        return start["of an older release"]

    with Host([replace(MEAN, name="odd", title="odd one", accepts=odd), MEAN]) as host:
        play(host, stack[0].documents())
        assert list(host.latest) == [("run", "mean_spectrum", "")]
    assert "odd one does not know whether it wants run run" in caplog.text


def test_results_wait_for_the_run_and_are_those_of_its_end(stack):
    busy, release = threading.Event(), threading.Event()

    def block(_):
        busy.set()
        release.wait(60)

    with Host([MEAN], on_update=block) as host:
        play(host, stack[0].documents())
        assert busy.wait(60)
        with pytest.raises(LookupError, match="no final mean spectrum of run run here"):
            host.results("run", timeout=0.0)
        threading.Timer(0.05, release.set).start()
        (result,) = host.results("run")
        np.testing.assert_allclose(result.array, stack[0].counts.mean(axis=(1, 2)))
        for uid in "abc":
            play(host, make(uid=uid)[0].documents())
        assert host.results("c") and host.results("a")
        with pytest.raises(LookupError, match="3 others have ended since"):
            host.results("run")


def test_an_aborted_run_has_results_and_one_without_data_has_none(stack):
    with Host([MEAN]) as host:
        play(host, [*list(stack[0].documents(lines=30))[:-1], stack[0].stop("abort", "user")])
        assert host.latest["run", "mean_spectrum", ""].message == "Run ended: abort. user"
        (result,) = host.results("run")
        assert np.isfinite(result.array).sum() == 2
        empty, _ = make(uid="empty")
        play(host, [empty.start(), empty.stop("fail")])
        with pytest.raises(LookupError):
            host.results("empty")


def test_it_may_listen_from_the_middle_of_a_run_on(stack, caplog):
    late, _ = make(uid="late")
    with Host([MEAN]) as host, caplog.at_level(logging.WARNING):
        play(host, list(late.documents())[1:])
        play(host, stack[0].documents())
        assert list(host.latest) == [("run", "mean_spectrum", "")]
        host("stream_datum", {"uid": "x/0", "stream_resource": "x", "descriptor": "late-d"})
        host("stream_resource", {"uid": "x", "run_start": "late"})
        assert host.wait(60)
    assert caplog.text == ""


def test_what_is_no_document_is_said_and_hurts_nothing(stack, caplog):
    with Host([MEAN]) as host:
        host("start", {"plan_name": "stxm_energy_stack"})
        host("event_page", {})
        play(host, stack[0].documents())
        assert ("run", "mean_spectrum", "") in host.latest
    assert "a start could not be read" in caplog.text


def test_runs_without_an_end_do_not_pile_up(monkeypatch, caplog):
    """A session that was killed sends no stop document; another may follow on the same line."""
    monkeypatch.setattr(_open_runs, "MOST_OPEN", 2)
    with Host([MEAN]) as host:
        for uid in "abc":
            play(host, list(make(uid=uid)[0].documents(lines=30))[:-1])
        found = host.wait(60) and host.latest
        assert "no stop document came" in found["a", "mean_spectrum", ""].message
        assert found["b", "mean_spectrum", ""].message == ""
    assert "run a has no stop document: taken for ended" in caplog.text


def test_only_the_last_of_the_runs_that_ended_is_kept(stack):
    with Host([MEAN]) as host:
        for uid in "ab":
            play(host, make(uid=uid)[0].documents())
        assert [run.uid for run in host.runs] == ["b"]


def test_streams_of_files_reach_the_reader():
    seen = []

    class Frames(Reader):
        def describe(self, descriptor):
            return descriptor["name"] == "camera"

        def take(self, name, doc):
            seen.append((name, doc["uid"]))
            return ()

        def snapshot(self, **how):
            return {}

    record = replace(MEAN, name="frames", accepts=bool, reader=lambda start, options: Frames())
    with Host([record]) as host:
        host("start", {"uid": "r"})
        host("descriptor", {"uid": "c", "run_start": "r", "name": "camera"})
        host("descriptor", {"uid": "o", "run_start": "r", "name": "other"})
        host("stream_resource", {"uid": "of other", "run_start": "r"})
        host("stream_resource", {"uid": "file", "run_start": "r"})
        for uid, resource, descriptor in (
            ("of other/0", "of other", "o"), ("file/0", "file", "c"), ("file/1", "file", "c")
        ):  # fmt: skip
            host(
                "stream_datum", {"uid": uid, "stream_resource": resource, "descriptor": descriptor}
            )
        host("stop", {"uid": "s", "run_start": "r"})
        assert host.wait(60) and host.errors == {} and host.latest == {}
    assert seen == [
        ("stream_resource", "file"), ("stream_datum", "file/0"), ("stream_datum", "file/1")
    ]  # fmt: skip


def test_doubts_are_told_at_the_end_but_not_twice(stack):
    class Doubtful(MeanReader):
        def remarks(self):
            return [Doubt("early", 1, "It is early.")]

    doubts = [Doubt("early", 1, "It is early."), Doubt("late", 2, "It is late.")]
    record = replace(MEAN, reader=Doubtful, doubts=lambda snapshot: doubts)
    with Host([record]) as host:
        told = []
        host.tell = told.append
        play(host, list(stack[0].documents())[:5])
        assert host.wait(60) and told == ["It is early."]
        host(*stack[0].stop())
        assert host.wait(60) and told == ["It is early.", "It is late."]


def test_photons_are_those_of_their_run():
    """Two sessions may be heard at once."""
    first, second = RixsRun("O K", uid="first"), RixsRun("O K", uid="second")
    with Host([RIXS]) as host:
        for run in (first, second):
            play(host, [run.start(), run.descriptor(), run.event(0)])
        host.send("photons", first.batch(1, 30), run="first")
        assert host.wait(30)
        shown = {uid: snapshot.under_way for (uid, _, _), snapshot in host.latest.items()}
        assert shown["first"].photons == 30 and shown["second"] is None


def test_what_is_no_document_reaches_the_readers(stack):
    class Scaled(MeanReader):
        factor = 1.0

        def told(self, kind, content):
            if kind != "factor":
                return None
            self.factor = content
            return ()

        def snapshot(self, **how):
            found = super().snapshot(**how)[""]
            return {"": replace(found, counts=self.factor * found.counts)}

    with Host([replace(MEAN, reader=Scaled)]) as host:
        play(host, stack[0].documents())
        before = host.latest["run", "mean_spectrum", ""].counts
        host.send("nothing", 2.0, at_once=True)
        assert host.latest["run", "mean_spectrum", ""].counts is before
        host.send("factor", 2.0, at_once=True)
        np.testing.assert_allclose(host.latest["run", "mean_spectrum", ""].counts, 2.0 * before)


def test_wrong_hosts_are_refused():
    with pytest.raises(ValueError, match="two analyses are called 'mean_spectrum'"):
        Host([MEAN, MEAN])
    with pytest.raises(ValueError, match="options are given for 'mean'; there are mean_spectrum"):
        Host([MEAN], options={"mean": {}})
    with pytest.raises(ValueError, match="rate = 0"):
        Host([MEAN], rate=0)
    with pytest.raises(ValueError, match=r"timeout = inf"):
        Host([MEAN], timeout=float("inf"))


@pytest.mark.parametrize("version", [3, "2.1"])
def test_documents_of_a_newer_contract_are_refused_in_words(version):
    stack, references = make(uid="stack")
    rixs = small(uid="rixs")
    words = f"has contract_version = {version!r}; this redoxscope reads versions up to 2"

    def newer(documents):
        return [
            (name, doc | {"contract_version": version} if name == "start" else doc)
            for name, doc in documents
        ]

    with Host([OXIDATION, RIXS], options=options(references)) as host:
        play(host, between(newer(stack.documents(lines=30)), newer(rixs.documents(points=3))))
        assert {run for run, _ in host.errors} == {"stack", "rixs"} and host.latest == {}
        assert all(words in str(error) for error in host.errors.values())
    with pytest.raises(ValueError, match=words):
        oxidation_map(newer(stack.documents()), references)
    with pytest.raises(ValueError, match=words):
        rixs_from_run(newer(rixs.documents()))


def test_photons_go_to_the_run_that_they_are_of():
    """Two beamlines may publish over one proxy."""
    one, other = small(uid="one"), small(uid="other")
    with Host([RIXS]) as host:
        for run in (one, other):
            play(host, [run.start(), run.descriptor(), run.event(0)])
        host.send("photons", one.batch(1, 40), run="one")
        assert host.wait(60)
        found = {uid: snapshot for (uid, _, _), snapshot in host.latest.items()}
        assert found["one"].under_way.photons == 40 and found["other"].under_way is None
        host.send("photons", other.batch(1, 7))
        assert host.wait(60)
        assert all(snapshot.under_way is not None for snapshot in host.latest.values())


def test_a_document_while_it_is_being_closed_is_read_after_the_others(stack):
    busy, release, inside, most = threading.Event(), threading.Event(), [], []

    class Slow(MeanReader):
        def take(self, name, doc):
            inside.append(name)
            most.append(len(inside))
            busy.set()
            release.wait(60)
            inside.pop()
            return super().take(name, doc)

    host = Host([replace(MEAN, reader=Slow)])
    documents = list(stack[0].documents(lines=2))
    play(host, documents[:3])
    assert busy.wait(60)
    closing = threading.Thread(target=host.close)
    closing.start()
    while host._worker is not None:
        busy.wait(0.01)
    play(host, documents[3:])
    release.set()
    closing.join(60)
    assert host.wait(60) and host.results("run") and host.errors == {}
    assert most == [1, 1]
    host.close()


def test_a_look_from_its_own_thread_does_not_wait_for_itself_when_it_is_closed(stack, caplog):
    """As a pause for damage does, which is found at the end of a run."""
    busy, release, looks = threading.Event(), threading.Event(), []

    def look(update):
        busy.set()
        release.wait(60)
        host.wait()
        looks.append(host.latest[update.run, update.analysis, update.part] is update.snapshot)

    host = Host([MEAN], on_update=look, rate=1e6, timeout=60)
    play(host, stack[0].documents(lines=2))
    assert busy.wait(60)
    closing = threading.Thread(target=host.close)
    closing.start()
    while host._worker is not None:
        busy.wait(0.01)
    release.set()
    closing.join(30)
    assert looks and all(looks) and "is not done after" not in caplog.text


class Piecewise(Reader):
    """Has so many pieces of work for each event; notes in which order things come."""

    seen: list[str] = []

    def __init__(self, start, options):
        self.left = 0

    def describe(self, descriptor):
        return True

    def take(self, name, doc):
        self.seen.append("take")
        self.left += 3
        return ()

    @property
    def busy(self):
        return self.left > 0

    def work(self):
        self.left -= 1
        self.seen.append("work")

    def snapshot(self, *, final=False, **how):
        done = self.left if not final else 0
        return {"": MeanSpectrum(np.array([float(done)]), np.zeros(1))}


def test_what_is_left_is_done_while_nothing_comes_and_waited_for():
    record = replace(MEAN, name="pieces", accepts=bool, reader=Piecewise)
    Piecewise.seen = []
    with Host([record]) as host:
        host("start", {"uid": "r"})
        host("descriptor", {"uid": "d", "run_start": "r", "name": "primary"})
        for k in range(2):
            host(*an_event("d", k))
            assert host.wait(30)
            assert host.latest["r", "pieces", ""].energies[0] == 0
        host("stop", {"uid": "s", "run_start": "r"})
        assert host.wait(30) and host.errors == {}
    assert Piecewise.seen == ["take", "work", "work", "work"] * 2


def test_a_document_comes_before_what_is_left():
    record = replace(MEAN, name="pieces", accepts=bool, reader=Piecewise)
    Piecewise.seen = []
    with Host([record]) as host:
        host("start", {"uid": "r"})
        held = threading.Event()
        hold, Piecewise.told = Piecewise.told, lambda self, *_: held.wait(30) and None
        try:
            host.send("hold", None)
            host("descriptor", {"uid": "d", "run_start": "r", "name": "primary"})
            for k in range(3):
                host(*an_event("d", k))
            held.set()
            assert host.wait(30)
        finally:
            Piecewise.told = hold
    assert Piecewise.seen == ["take"] * 3 + ["work"] * 9


def test_a_piece_of_work_that_fails_ends_that_analysis_only(stack, caplog):
    class Failing(Piecewise):
        def work(self):
            raise RuntimeError("a piece fails")

    class Doubtful(Piecewise):
        @property
        def busy(self):
            raise RuntimeError("who knows")

    bad = replace(MEAN, name="failing", accepts=bool, reader=Failing)
    odd = replace(MEAN, name="doubtful", accepts=bool, reader=Doubtful)
    good = replace(MEAN, name="pieces", accepts=bool, reader=Piecewise)
    with Host([bad, odd, good]) as host:
        host("start", {"uid": "r"})
        host("descriptor", {"uid": "d", "run_start": "r", "name": "primary"})
        host(*an_event("d", 0))
        assert host.wait(30)
        found = {name: str(error) for (_, name), error in host.errors.items()}
        assert found == {"failing": "a piece fails", "doubtful": "who knows"}
        assert host.latest["r", "pieces", ""].energies[0] == 0


def an_event(descriptor, number):
    return "event", {
        "uid": f"{descriptor}/{number}", "descriptor": descriptor, "seq_num": number + 1,
        "time": 0.0, "data": {}, "timestamps": {}, "filled": {},
    }  # fmt: skip
