"""The session's baseline, alone and together with a plan's own."""

from __future__ import annotations

from types import SimpleNamespace
from weakref import WeakSet

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import pytest
from bluesky import Msg
from ophyd.sim import SynAxis

from redoxscope.plans import with_beam, with_photons
from redoxscope.session._baseline import Baseline
from redoxscope.testing import Documents, PromptHeater, validate_fly_run


@pytest.fixture
def axes():
    return [SynAxis(name=name) for name in ("a", "b", "c")]


@pytest.fixture
def run(RE, docs, axes):
    """Run a plan with a and b as the session's baseline; keys of the two events."""
    RE.preprocessors.append(Baseline(baseline=axes[:2]))

    def start(plan):
        RE(plan)
        streams = {d["uid"]: d["name"] for d in docs["descriptor"]}
        assert list(streams.values()).count("baseline") == 1
        events = [d for d in docs["event"] if streams[d["descriptor"]] == "baseline"]
        assert len(events) == 2
        return [set(event["data"]) for event in events]

    return start


OWN = {"a", "a_setpoint", "b", "b_setpoint"}
THIRD = {"c", "c_setpoint"}


def test_alone(run, axes):
    assert run(bp.count([axes[2]])) == [OWN, OWN]


def test_with_the_plans_own(run, axes):
    assert run(bpp.baseline_wrapper(bp.count([]), [axes[2]])) == [OWN | THIRD] * 2


def test_with_the_same_device_in_the_plans_own(run, axes):
    assert run(bpp.baseline_wrapper(bp.count([]), [axes[0], axes[2]])) == [OWN | THIRD] * 2


def test_with_a_monitor_in_between(run, axes):
    plan = bpp.baseline_wrapper(bp.count([]), [axes[2]])
    assert run(bpp.monitor_during_wrapper(plan, [axes[1].readback])) == [OWN | THIRD] * 2


def test_a_run_without_anything(run):
    def empty():
        yield from bps.open_run()
        yield from bps.close_run()

    assert run(empty()) == [OWN, OWN]


def test_a_plan_that_fails_is_told_by_its_own_error(RE, docs, axes, caplog):
    RE.preprocessors.append(Baseline(baseline=axes[:1]))
    detector = SynAxis(name="det")

    def broken(*_):
        raise OSError("the IOC is gone")

    def dies():
        axes[0].read = broken
        raise RuntimeError("the scanner failed")

    detector.trigger = dies
    with pytest.raises(RuntimeError, match="the scanner failed"):
        RE(bp.count([detector]))
    (stop,) = docs["stop"]
    assert (stop["exit_status"], stop["reason"]) == ("fail", "the scanner failed")
    assert "no baseline at the end of the run: the IOC is gone" in caplog.text


def lines_run(detector):
    md = {"plan_name": "stxm_energy_stack", "scan": {"kind": "lines"}}
    return bp.count([detector], md=md)


def test_a_run_of_images_has_none(RE, docs, axes):
    RE.preprocessors.append(Baseline(baseline=axes[:2], carried=axes[:2]))
    RE(lines_run(axes[2]))
    assert [d["name"] for d in docs["descriptor"]] == ["primary"]
    RE(bp.count([axes[2]]))  # the next run has one again
    assert [d["name"] for d in docs["descriptor"]] == ["primary", "baseline", "primary"]


def test_a_run_of_images_has_what_the_user_adds(RE, docs, axes):
    sd = Baseline(baseline=axes[:1], carried=axes[:1])
    RE.preprocessors.append(sd)
    sd.baseline.append(axes[1])
    RE(lines_run(axes[2]))
    keys = {d["name"]: set(d["data_keys"]) for d in docs["descriptor"]}
    assert keys == {"baseline": {"b", "b_setpoint"}, "primary": {"c", "c_setpoint"}}
    sd.baseline.remove(axes[1])
    docs.clear()
    RE(lines_run(axes[2]))
    assert [d["name"] for d in docs["descriptor"]] == ["primary"]


def test_it_is_blueskys(axes):
    sd = Baseline(baseline=axes[:1], carried=axes[:1])
    assert isinstance(sd, bpp.SupplementalData)
    assert "carried" not in repr(sd) and repr(sd).startswith("SupplementalData(baseline=[")


def test_monitors_that_the_user_adds(RE, docs, axes):
    sd = Baseline()
    RE.preprocessors.append(sd)
    sd.monitors.append(axes[0].readback)
    RE(bp.count([axes[2]]))
    assert {d["name"] for d in docs["descriptor"]} == {"a_monitor", "primary"}


def test_a_signal_that_does_not_answer_costs_its_stream_and_no_run(RE, docs, axes, caplog):
    def silent(*args, **kwargs):
        raise TimeoutError("Heater:IN1 does not answer")

    gone = PromptHeater().temperature
    gone.describe = silent
    RE.preprocessors.append(Baseline(monitors=[gone, axes[0].readback]))
    RE(bp.count([axes[2]]))
    assert {d["name"] for d in docs["descriptor"]} == {"a_monitor", "primary"}
    assert "heater is not recorded with this run: Heater:IN1 does not answer" in caplog.text


@pytest.mark.parametrize("heats", [True, False])
def test_a_run_of_images_has_the_stream_of_a_heater_that_heats(RE, docs, axes, heats):
    heater = PromptHeater()
    heater.temperature.parent = SimpleNamespace(heats=heats)
    RE.preprocessors.append(Baseline(monitors=[heater.temperature]))
    RE(lines_run(axes[2]))
    names = {d["name"] for d in docs["descriptor"]}
    assert names == ({"heater_monitor", "primary"} if heats else {"primary"})
    docs.clear()
    RE(bp.count([axes[2]]))  # any other run has it
    assert {d["name"] for d in docs["descriptor"]} == {"heater_monitor", "primary"}


def test_a_heater_that_is_away_costs_no_run_of_images(RE, docs, axes, caplog):
    class Away:
        @property
        def heats(self):
            raise TimeoutError("Heater:HTR1:Range_RBV does not answer")

    heater = PromptHeater()
    heater.temperature.parent = Away()
    RE.preprocessors.append(Baseline(monitors=[heater.temperature]))
    RE(lines_run(axes[2]))
    assert docs["stop"][0]["exit_status"] == "success"
    assert "heater is not recorded with this run: Heater:HTR1:Range_RBV does not" in caplog.text


def test_a_run_of_images_keeps_the_baseline_of_its_plan(run, axes, RE):
    (sd,) = RE.preprocessors
    sd._carried = tuple(axes[:2])
    assert run(bpp.baseline_wrapper(lines_run(axes[2]), [axes[0]])) == [{"a", "a_setpoint"}] * 2


@pytest.mark.slow
def test_around_a_stack_of_a_session(tmp_path):
    from redoxscope import start_session
    from redoxscope.plans import energy_stack

    documents = Documents()
    with start_session(speed=50, data=tmp_path) as s:
        token = s.RE.subscribe(documents)
        s.RE(energy_stack(s.stxm, energies=[640, 641], pixels=4, size=1.0))
        s.RE.unsubscribe(token)
        validate_fly_run(documents)  # other people's viewers take a run of a session
        assert "baseline" not in s.cat[-1]
        said = s.cat[-1]["primary"].metadata["configuration"]["stxm_scanner"]["data"]
        assert {"stxm_zone_plate_z", "stxm_osa_x", "stxm_sample_stage_x"} <= set(said)
        plan = energy_stack(s.stxm, energies=[640, 641], pixels=4, size=1.0)
        s.RE(bpp.baseline_wrapper(plan, [s.stxm.ring]))
        assert s.cat[-1]["baseline"].read()["ring_current"].shape == (2,)


def test_a_run_that_cannot_be_opened_is_told_by_its_own_error(RE, axes):
    """As on a full disk: what the plan does on its way out is no run's baseline."""
    RE.preprocessors.append(Baseline(baseline=axes[:1]))

    def full(md):
        raise OSError("No space left on device")

    def plan():
        def run():
            yield from bps.open_run()

        yield from bpp.finalize_wrapper(run(), lambda: bps.mv(axes[2], 1))

    numbers, RE.scan_id_source = RE.scan_id_source, full
    with pytest.raises(OSError, match="No space left"):
        RE(plan())
    assert axes[2].readback.get() == 1
    RE.scan_id_source = numbers
    RE(bp.count([axes[2]]))


@pytest.mark.parametrize("what", ["baseline", "beam", "photons"])
def test_messages_are_not_kept_until_the_end_of_the_plan(what):
    """A night of lines is millions of messages, each in every wrapper."""
    stand_in = SimpleNamespace(
        name="device", parent=None, set=None, dead_man=None, status=None, photons=None, totals=None,
        read=None, describe=lambda: {},
    )  # fmt: skip
    left, most = WeakSet(), 0

    class Token:
        pass

    def plan():
        nonlocal most
        yield Msg("open_run")
        for _ in range(100):
            token = Token()
            left.add(token)
            yield Msg("null", None, token=token)
            del token
            most = max(most, len(left))
        yield Msg("close_run")

    wrapped = {
        "baseline": lambda: Baseline(baseline=[stand_in])(plan()),
        "beam": lambda: with_beam(plan(), stand_in),
        "photons": lambda: with_photons(plan(), stand_in),
    }[what]()
    for message in wrapped:
        del message
    assert 0 < most < 5
