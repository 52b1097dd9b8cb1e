"""Before, heating, after: runs that belong together, and go on where they were ended."""

from __future__ import annotations

import json

import bluesky.plans as bp
import pytest
from bluesky import Msg
from bluesky.utils import RunEngineInterrupted

from redoxscope.plans import (
    Lookup,
    before_after,
    ramp_and_soak,
    resume_experiment,
    xes,
)
from redoxscope.storage import DocumentLog, linked_runs
from redoxscope.testing import (
    Documents,
    FakeMono,
    FakePoint,
    FakeShutter,
    FakeSpectrometer,
    PromptHeater,
    make_engine,
    paused_after,
    run_resuming,
)

SOAK = 5 * 3600.0
BY_NAME = [
    {"plan": "xes", "kwargs": {"tes": "tes", "mono": "mono", "energy": 640.0, "time": 1.0,
                               "dwell": 1.0, "windows": ["XES[639:641]"]}},
    {"plan": "count", "args": [["counter"]], "kwargs": {"num": 2}},
]  # fmt: skip
PARTS = [("before", "xes"), ("before", "count"), ("heat", "ramp_and_soak"),
         ("after", "xes"), ("after", "count")]  # fmt: skip


class Beamline:
    """Everything by name, and a log of what was measured."""

    def __init__(self, folder, engine=None):
        self.RE = engine or make_engine()[0]
        self.heater, self.mono = PromptHeater(), FakeMono()
        self.tes = FakeSpectrometer(self.mono)
        self.shutter, self.counter = self.tes.shutter, FakePoint()
        self.folder = folder
        self.connect()

    def connect(self):
        """A client that begins anew; devices keep their state."""
        self.RE.dispatcher.unsubscribe_all()
        self.RE.preprocessors.clear()
        self.log, self.record = DocumentLog(self.folder), Documents()
        self.RE.subscribe(self.log)
        self.RE.subscribe(self.record)
        devices = {one.name: one for one in (self.heater, self.mono, self.tes, self.counter)}

        def count(detectors, num=1):
            return bp.count([*detectors], num=num)

        known = Lookup(
            devices={**devices, "mono": self.mono},
            plans={"xes": xes, "count": count},
            shutter=self.shutter,
            runs=lambda key, uid: linked_runs(self.folder, key, uid),
        )
        self.RE.preprocessors.append(known)

    def plan(self, measure=BY_NAME, **options):
        return before_after(measure, self.heater, 100, rate=2, soak=SOAK, **options)

    def runs(self):
        return linked_runs(self.folder, "experiment", self.uid())

    def uid(self):
        return self.record.named("start")[0]["experiment"]["uid"]

    def safe(self):
        return self.heater.safe and not self.shutter.beam


@pytest.fixture
def beamline(tmp_path):
    return Beamline(tmp_path)


def parts(runs):
    """Parts that ended well, in order."""
    return [
        (start["experiment"]["part"], start["experiment"]["name"])
        for start, stop in runs
        if stop is not None and stop["exit_status"] == "success"
    ]


def test_runs_that_say_what_they_belong_to(beamline):
    beamline.RE(beamline.plan(md={"sample": "LMR 4.6 V"}))
    beamline.record.validate()
    starts = beamline.record.named("start")
    assert parts(beamline.runs()) == PARTS
    assert [start["experiment"]["index"] for start in starts] == [0, 1, 2, 3, 4]
    assert {start["experiment"]["total"] for start in starts} == {5}
    assert len({start["experiment"]["uid"] for start in starts}) == 1
    assert {start["sample"] for start in starts} == {"LMR 4.6 V"}
    assert starts[0]["experiment"]["recipe"]["measure"][0]["kwargs"]["tes"] == "tes"
    assert starts[2]["heating"]["soak_s"] == SOAK
    json.dumps(starts)
    assert beamline.safe() and beamline.heater.position == 25.0
    with_light = [energy for energy, beam in beamline.tes.taken if beam]
    assert with_light == [640.0, 640.0]
    assert beamline.counter.points == 4


def test_functions_and_devices_themselves(beamline):
    def measure():
        return bp.count([beamline.counter], num=2)

    given = [measure, {"plan": xes, "args": [beamline.tes, beamline.mono, 640.0],
                       "kwargs": {"time": 1, "dwell": 1, "windows": ["XES[639:641]"]}}]  # fmt: skip
    beamline.RE(beamline.plan(given))
    names = [start["experiment"]["name"] for start in beamline.record.named("start")]
    assert names == ["measure", "xes", "ramp_and_soak", "measure", "xes"]
    recipe = beamline.record.start["experiment"]["recipe"]
    assert recipe["measure"][0] is None
    assert recipe["measure"][1]["args"] == ["tes", "energy", 640.0] or recipe["measure"][1] is None


def test_any_plan_of_one_function(beamline):
    beamline.RE(beamline.plan(lambda: bp.count([beamline.counter])))
    assert [part for part, _ in parts(beamline.runs())] == ["before", "heat", "after"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"measure": []}, "measure is empty"),
        ({"measure": "xas"}, "measure = 'xas' must be a function"),
        ({"measure": 3}, "measure = 3 must be a function"),
        ({"measure": [None]}, r"measure\[0\] = None must be a function"),
        ({"measure": [{"kwargs": {}}]}, r"measure\[0\] has no 'plan'"),
        ({"measure": [{"plan": "xes", "kwarg": {}}]}, "key 'kwarg' is not known.*kwargs"),
        ({"measure": [{"plan": "xes", "kwargs": 3}]}, r"measure\[0\]\['kwargs'\] = 3 must be a m"),
        ({"measure": [{"plan": "xes", "args": "tes"}]}, r"measure\[0\]\['args'\] = 'tes' must be"),
        ({"target": 900}, "900 degC is outside 20 to 600 degC"),
        ({"soak": SOAK, "timeout": 60}, "timeout = 60 s is shorter"),
        ({"md": {"experiment": 1}}, "md has the key 'experiment'"),
    ],
    ids=str,
)
def test_bad_input_is_refused_at_the_call(beamline, options, said):
    asked = {"measure": BY_NAME, "heater": beamline.heater, "target": 100} | options
    with pytest.raises(ValueError, match=said):
        before_after(**asked)


def test_a_plan_that_runs_once_is_no_measure(beamline):
    with pytest.raises(ValueError, match="measured once only: give a function that makes it"):
        beamline.plan(bp.count([beamline.counter]))
    with pytest.raises(ValueError, match=r"measure\[1\] is a plan"):
        beamline.plan([lambda: None, iter(ramp_and_soak(beamline.heater, 50))])


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"plan": "xess"}, "no plan 'xess'.*xes"),
        ({"plan": "xes", "kwargs": {"tes": "tess", "mono": "mono", "energy": 640}}, "no device"),
        ({"plan": "xes", "kwargs": {"energy": 640}}, r"measure\[1\]: xes: missing"),
        ({"plan": "xes", "args": ["tes", "mono", -5.0]}, "-5"),
    ],
    ids=str,
)
def test_what_a_plan_refuses_is_refused_before_anything_is_measured(beamline, item, said):
    with pytest.raises(ValueError, match=said):
        beamline.RE(beamline.plan([BY_NAME[1], item]))
    assert not len(beamline.record) and beamline.heater.told == [] and not beamline.counter.points


def test_a_stage_that_is_not_connected(beamline):
    beamline.heater.connected = False
    with pytest.raises(ValueError, match="heater is not connected: nothing is measured or heated"):
        beamline.RE(beamline.plan())
    assert not len(beamline.record)


def test_a_key_that_is_overwritten_ends_it(beamline):
    with pytest.raises(ValueError, match="nobody could resume the experiment"):
        beamline.RE(beamline.plan(), experiment="tuesday")
    assert len(beamline.record.named("stop")) == 1 and beamline.safe()


# -- whatever ends it


class Fault(Exception):  # noqa: N818
    """What a device raises."""


def failing(plan, number, error):
    """A plan whose message of this number fails."""
    count, answer, raised = 0, None, None
    while True:
        try:
            msg = plan.send(answer) if raised is None else plan.throw(raised)
        except StopIteration as end:
            return end.value
        raised = None
        if count == number:
            answer, raised = None, error
        else:
            try:
                answer = yield msg
            except GeneratorExit:
                plan.close()
                raise
            except BaseException as exc:
                answer, raised = None, exc
        count += 1


def messages(RE, folder):
    """All of them, of an experiment that nothing ends."""
    beamline, seen = Beamline(folder, RE), []
    RE.msg_hook = seen.append
    RE(beamline.plan())
    RE.msg_hook = None
    return seen


def ended(beamline, number, how):
    """Have the experiment end at a message."""
    RE = beamline.RE
    plan = iter(beamline.plan())
    if how == "error":
        with pytest.raises(Fault):
            RE(failing(plan, number, Fault("no answer")))
    elif how == "hang":  # a status that its device gives up
        with pytest.raises(TimeoutError):
            RE(failing(plan, number, TimeoutError("not there within 900 s")))
    elif how == "kill":  # the client is gone, with whatever is in its log
        with pytest.raises(RunEngineInterrupted):
            RE(paused_after(plan, number))
        RE.dispatcher.unsubscribe_all()
        beamline.log.close()
        RE.halt()  # and the dead men of stage and shutter
    else:
        with pytest.raises(RunEngineInterrupted):
            RE(paused_after(plan, number))
        getattr(RE, how)(*(["Ctrl-C"] if how == "abort" else []))


EVERY = 29
"""The suite takes every so manieth message, beginning with another for each way."""


@pytest.mark.filterwarnings("ignore:.*was never iterated:RuntimeWarning")
@pytest.mark.parametrize("how", ["error", "hang", "abort", "stop", "halt", "kill"])
def test_whatever_ends_it_leaves_it_safe_and_it_goes_on(RE, tmp_path, how, all_messages):
    total = len(messages(RE, tmp_path / "whole"))
    ways = ["error", "hang", "abort", "stop", "halt", "kill"]
    step = 1 if all_messages else EVERY
    for number in range(0 if all_messages else 3 * ways.index(how), total - 1, step):
        beamline = Beamline(tmp_path / f"{number}", RE)
        ended(beamline, number, how)
        assert beamline.safe(), number
        if not beamline.record.named("start"):
            continue
        uid = beamline.uid()
        before = beamline.runs()
        if how != "kill":
            assert all(stop is not None for _, stop in before)
        if how in ("error", "hang") and before[-1][1]["exit_status"] != "success":
            assert before[-1][1]["exit_status"] == "fail" and before[-1][1]["reason"], number
        told = len(beamline.heater.told)
        beamline.connect()
        beamline.RE(resume_experiment(uid[:8]))
        runs = linked_runs(beamline.folder, "experiment", uid)
        whole = parts(runs)
        assert sorted(set(whole), key=whole.index) == PARTS, number
        attempts = {start["experiment"]["attempt"] for start, _ in runs}
        assert attempts <= {0, 1}
        # What was finished is not done again.
        again = [start["experiment"]["index"] for start, _ in runs
                 if start["experiment"]["attempt"] == 1]  # fmt: skip
        finished = [start["experiment"]["index"] for start, stop in before
                    if stop is not None and stop["exit_status"] == "success"]  # fmt: skip
        assert not set(again) & set(finished) or how in ("stop",), number
        assert beamline.safe()
        if 2 in finished and how != "stop":
            assert ("set", 100.0) not in beamline.heater.told[told:]


def test_a_pause_anywhere_changes_nothing(RE, tmp_path, all_messages):
    seen = messages(RE, tmp_path / "whole")
    for number in range(0, len(seen) - 1, 1 if all_messages else EVERY):
        if seen[number].command == "close_run":  # bluesky's own count cannot be resumed there
            continue
        beamline = Beamline(tmp_path / f"{number}", RE)
        run_resuming(beamline.RE, paused_after(iter(beamline.plan()), number))
        assert parts(beamline.runs()) == PARTS, number
        assert beamline.safe()


# -- resuming


def test_there_is_nothing_to_resume(beamline, caplog):
    with pytest.raises(ValueError, match="no run of an experiment 'abc'"):
        beamline.RE(resume_experiment("abc"))
    with pytest.raises(ValueError, match="uid"):
        resume_experiment("")
    beamline.RE(beamline.plan())
    before = len(beamline.record)
    beamline.RE(resume_experiment(beamline.uid()))
    assert "is finished: nothing is left to do" in caplog.text and len(beamline.record) == before
    RE, _ = make_engine()
    with pytest.raises(ValueError, match="earlier runs are not known here"):
        RE(resume_experiment("abc"))


def test_what_a_function_measured_has_to_be_given_again(beamline, caplog):
    beamline.heater.trouble["soak"] = Fault("the sensor failed")
    with pytest.raises(Fault):
        beamline.RE(beamline.plan(lambda: bp.count([beamline.counter])))
    uid = beamline.uid()
    beamline.connect()
    with pytest.raises(ValueError, match=r"resume_experiment\(uid, measure=…\)"):
        beamline.RE(resume_experiment(uid))
    with pytest.raises(ValueError, match="measure has 2 plans; the experiment has 1"):
        beamline.RE(resume_experiment(uid, measure=BY_NAME))
    with pytest.raises(ValueError, match="soak = -5 s"):
        resume_experiment(uid, soak=-5)
    told = len(beamline.heater.told)
    beamline.RE(resume_experiment(uid, measure=lambda: bp.count([beamline.counter]), soak=SOAK / 2))
    assert "the heating was interrupted and is done again, in band for 9000 s" in caplog.text
    assert beamline.heater.told[told:] == [
        ("set", 100.0), ("soak", SOAK / 2), ("safe",), ("safe",),
    ]  # fmt: skip
    assert beamline.record.start["experiment"]["interrupted"]
    assert parts(linked_runs(beamline.folder, "experiment", uid)) == [
        ("before", "lambda"), ("heat", "ramp_and_soak"), ("after", "lambda"),
    ]  # fmt: skip


def test_one_that_is_being_measured_is_not_taken_over(beamline):
    with pytest.raises(RunEngineInterrupted):
        beamline.RE(paused_after(iter(beamline.plan()), 45))
    other = Beamline(beamline.folder)
    with pytest.raises(ValueError, match="is being measured by another process"):
        other.RE(resume_experiment(beamline.uid()))
    beamline.RE.abort()


def test_a_shutter_that_was_left_open_is_closed(beamline):
    """By a measurement of the user's own that fails."""

    def careless():
        yield Msg("set", beamline.shutter, "hold")
        raise Fault("an own plan")

    with pytest.raises(Fault):
        beamline.RE(beamline.plan(careless))
    assert beamline.shutter.told.count("closed") >= 1 and beamline.safe()
    assert isinstance(beamline.shutter, FakeShutter)
