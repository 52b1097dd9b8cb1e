"""What *reached*, a failed sensor and a soak are: pure functions of readings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from redoxscope.devices.thermal._settled import Band, Ramp, SensorWatch, Settled
from redoxscope.devices.thermal._soak import SoakClock

BAND = Band(target=100.0, tolerance=1.0, settle_s=60.0, slope_limit=0.5)


def reached(readings, band=BAND):
    """Time at which the readings make it; None where they do not."""
    settled = Settled(band)
    return next((time for time, value in readings if settled.feed(time, value)), None)


def test_the_first_reading_in_band_is_none():
    assert reached([(0.0, 100.0)]) is None
    assert reached([(float(t), 100.0) for t in range(0, 60, 5)]) is None
    assert reached([(float(t), 100.0) for t in range(0, 100, 5)]) == 60.0


def test_a_ramp_through_the_band_is_not_there():
    slow = [(float(t), 99.0 + 2.0 * t / 120) for t in range(0, 120, 2)]  # 1 degC/min, 2 min in band
    assert reached(slow) is None
    still = [(float(t), 99.0 + 0.4 * t / 60) for t in range(0, 120, 2)]  # 0.4 degC/min
    assert reached(still) == 60.0


def test_overshooting_begins_anew():
    readings = [(float(t), 100.0) for t in range(0, 40, 2)]
    readings += [(40.0, 101.5)] + [(float(t), 100.5) for t in range(42, 200, 2)]
    assert reached(readings) == 102.0


def test_noise_does_not_hinder_it():
    rng = np.random.default_rng(1)
    noisy = [(float(t), 100.0 + float(rng.normal(0, 0.1))) for t in range(300)]
    assert reached(noisy) == 60.0


def test_of_a_gap_nobody_knows():
    readings = [(0.0, 100.0), (5.0, 100.0), (58.0, 100.0), (63.0, 100.0)]
    assert reached(readings) is None


def test_without_a_temperature_it_is_not_in_band():
    settled = Settled(BAND)
    settled.feed(0.0, 100.0)
    assert settled.in_band
    settled.feed(1.0, math.nan)
    assert not settled.in_band
    assert settled.in_band_s == 0.0
    assert settled.slope == math.inf


def test_time_does_not_go_back():
    settled, clock = Settled(BAND), SoakClock(100.0, 1.0, 10.0)
    settled.feed(5.0, 100.0), clock.feed(5.0, 100.0)
    with pytest.raises(ValueError, match="time = 4 s comes after 5 s"):
        settled.feed(4.0, 100.0)
    with pytest.raises(ValueError, match="time = 4 s comes after 5 s"):
        clock.feed(4.0, 100.0)
    with pytest.raises(ValueError, match="time = nan s"):
        clock.feed(math.nan, 100.0)


@pytest.mark.parametrize(("start", "target", "at_60"), [(20.0, 100.0, 22.0), (100.0, 20.0, 98.0)])
def test_a_ramp_says_where_it_should_be(start, target, at_60):
    ramp = Ramp(start, target, 2.0, begun=10.0)
    assert ramp.seconds == 2400.0
    assert ramp.at(0.0) == start
    assert ramp.at(70.0) == at_60
    assert ramp.at(1e9) == target


def troubles(readings, **options):
    watch = SensorWatch(patience_s=10.0, **options)
    return next((text for reading in readings if (text := watch.feed(*reading))), "")


def test_a_sensor_that_gives_nothing_has_failed_after_a_while():
    once = [(0.0, 25.0, 25.0), (5.0, math.nan, 25.0), (6.0, 25.1, 25.0), (20.0, math.nan, 25.0)]
    assert troubles(once) == ""
    assert "has failed: it has read nothing for 10 s" in troubles(
        [(float(t), math.nan, 25.0) for t in range(20)]
    )
    assert "3277 degC" in troubles([(float(t), 3276.7, 25.0) for t in range(20)])


def test_a_sensor_is_stuck_when_the_ramp_leaves_it_behind():
    stuck = [(float(t), 30.0, 30.0 + t / 30) for t in range(0, 300, 5)]
    assert "is stuck: it has read exactly 30 degC for 150 s, in which the ramp went 5 degC" in (
        troubles(stuck)
    )
    coarse = [(float(t), 30.0 + 0.1 * (t // 3), 30.0 + t / 30) for t in range(0, 300, 5)]
    assert troubles(coarse) == ""
    at_rest = [(float(t), 30.0, 30.0, 12.0) for t in range(0, 10_000, 5)]
    assert troubles(at_rest) == ""


def test_a_sensor_is_stuck_when_the_controller_gave_up():
    """At rest it reads the same; but then the output is somewhere between its ends."""
    full = [(float(t), 99.9, 100.0, 100.0) for t in range(0, 300, 5)]
    assert "with the output at 100 %" in troubles(full)
    none = [(float(t), 100.4, 100.0, 0.0) for t in range(0, 300, 5)]
    assert "with the output at 0 %" in troubles(none)


def soaked(readings, sign=1.0, overshoot=0.0):
    clock = SoakClock(100.0, 1.0, 10.0, sign=sign, overshoot_c=overshoot)
    for time, value in readings:
        clock.feed(time, value)
    return clock.record


def test_only_time_in_band_counts():
    values = [100.0] * 10 + [102.0] * 5 + [100.0] * 10 + [98.0] * 2 + [100.0] * 4
    record = soaked([(float(t), value) for t, value in enumerate(values)])
    assert record.in_band_s + record.left_out_s == len(values) - 1
    # From the last reading in band to the next one that is nobody knows: it is left out.
    assert record.left_out_s == 6 + 3
    assert record.longest_gap_s == 6
    assert (record.min_c, record.max_c, record.overshoot_c) == (98.0, 102.0, 2.0)
    assert "9 s left out (at once 6 s)" in str(record)


def test_a_silence_and_a_failed_sensor_are_left_out():
    record = soaked([(0.0, 100.0), (5.0, 100.0), (105.0, 100.0), (110.0, 100.0)])
    assert (record.in_band_s, record.left_out_s, record.longest_gap_s) == (10.0, 100.0, 100.0)
    record = soaked([(0.0, 100.0), (5.0, math.nan), (10.0, 100.0), (15.0, 100.0)])
    assert (record.in_band_s, record.left_out_s) == (5.0, 10.0)
    assert (record.min_c, record.max_c) == (100.0, 100.0)


def test_nothing_read_is_no_zero():
    record = soaked([(0.0, math.nan)])
    assert math.isnan(record.min_c) and math.isnan(record.max_c)
    assert record.in_band_s == 0.0


def test_overshoot_is_beyond_the_target_whichever_way():
    assert soaked([(0.0, 100.7), (1.0, 99.2)]).overshoot_c == pytest.approx(0.7)
    assert soaked([(0.0, 100.7), (1.0, 99.2)], sign=-1.0).overshoot_c == pytest.approx(0.8)
    assert soaked([(0.0, 99.9)], overshoot=0.4).overshoot_c == 0.4
