"""The seam of the dry run in a plan."""

import pytest
from bluesky import Msg, RunEngine
from bluesky.run_engine import RunEngineResult

from redoxscope.plans._foretold import foretold

SCAN = object()


def seen_by(engine_answer):
    plan = foretold("stxm", SCAN)
    msg = next(plan)
    assert (msg.command, msg.obj, msg.kwargs) == ("null", "stxm", {"scan": SCAN})
    with pytest.raises(StopIteration) as ended:
        plan.send(engine_answer)
    return ended.value.value


def test_an_account_takes_the_place_of_the_measurement():
    assert seen_by({"live_s": 3.0}) is True


def test_a_plan_that_is_only_listed_measures():
    assert seen_by(None) is False


def test_a_real_engine_knows_nothing():
    engine = RunEngine({}, context_managers=[], call_returns_result=True)
    result = engine(foretold("stxm", SCAN))
    assert isinstance(result, RunEngineResult)
    assert result.plan_result is False


def test_the_message_is_one_that_any_engine_knows():
    assert next(foretold("stxm", SCAN)) == Msg("null", "stxm", scan=SCAN)
