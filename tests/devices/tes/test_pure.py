"""What the TES is made of, without a server: JSON pieces, clock, windows, losses."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.devices.tes._client import pixel_numbers
from redoxscope.devices.tes._clock import ServerClock, parse_rfc3339
from redoxscope.devices.tes._losses import LossCount
from redoxscope.devices.tes._points import PointBook
from redoxscope.devices.tes._rpc import JsonStream
from redoxscope.documents import Bins

SECOND = 10**9


# -- JSON without borders -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_json_comes_in_any_pieces(seed):
    chance = random.Random(seed)
    values = [
        {"id": 1, "result": True, "error": None},
        {"id": 2, "result": {"text": 'a "}{" µ 漢', "list": [1, {"x": "}"}]}, "error": ""},
        {"id": 3, "result": "x" * 20_000, "error": None},
        {},
    ]
    joints = ["", "\n", " \r\n"]
    text = "".join(
        json.dumps(v, ensure_ascii=False) + chance.choice(joints) for v in values
    ).encode()
    stream, found = JsonStream(), []
    while text:
        n = chance.choice([1, 2, 3, 7, 5000])
        found += list(stream.feed(text[:n]))
        text = text[n:]
    assert found == values


@pytest.mark.parametrize("wrong", [b"HTTP/1.1 400 Bad Request}", b"[1, 2]}", b"\xff\xfe{}"])
def test_what_is_no_json_is_refused(wrong):
    with pytest.raises(ValueError):
        list(JsonStream().feed(wrong))


# -- the server's clock -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T00:00:01.000000001Z", SECOND + 1),
        ("1970-01-01T02:00:00.5+02:00", SECOND // 2),
        ("1969-12-31T22:30:00-01:30", 0),
        ("2026-08-21T12:00:00.123456789Z", 1787313600 * SECOND + 123456789),
    ],
)
def test_times_as_go_writes_them(text, ns):
    assert parse_rfc3339(text) == ns


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="yesterday"):
        parse_rfc3339("yesterday")


class FakeTime:
    """Local seconds, and the server's nanoseconds at ``scale`` per local one."""

    def __init__(self, scale=1.0):
        self.now, self.scale, self.base = 100.0, scale, 1_700_000_000 * SECOND

    def __call__(self):
        return self.now

    @property
    def server(self):
        return self.base + round((self.now - 100.0) * self.scale * SECOND)


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_clock_errs_to_the_late_side_only(scale):
    time = FakeTime(scale)
    clock = ServerClock(scale, time)
    assert not clock.known
    with pytest.raises(ValueError, match="time"):
        clock.now_ns()
    chance, errors = random.Random(1), []
    for _ in range(50):
        sent = time.now
        time.now += chance.uniform(1e-4, 5e-3)  # the way there
        stamp = time.server
        time.now += chance.uniform(0.01, 0.1)  # the way back, and what it does meanwhile
        clock.labelled(stamp, sent)
        clock.heard(time.server - round(0.3 * SECOND * scale), time.now)  # an old time stamp
        errors.append((clock.now_ns() - time.server) / scale)
        time.now += 1.0
    assert min(errors) > -1e-3 * SECOND * 0.2  # 200 µs of drift allowed for
    assert max(errors) < 5e-3 * SECOND
    assert errors[-1] < 2e-3 * SECOND  # the best label counts


def test_a_clock_that_was_set_is_believed():
    time = FakeTime()
    clock = ServerClock(1.0, time)
    clock.labelled(time.server, time.now)
    time.now += 10
    time.base += 5 * SECOND  # set forward
    clock.heard(time.server, time.now)
    assert clock.now_ns() >= time.server
    clock.labelled(time.server, time.now)
    time.now += 1
    assert clock.now_ns() == pytest.approx(time.server, abs=1e6)


def test_local_time_is_that_of_this_machine():
    time = FakeTime(10.0)
    clock = ServerClock(10.0, time)
    clock.labelled(time.server, time.now)
    local = clock.local(np.array([time.server, time.server + 20 * SECOND]))
    assert np.diff(local) == pytest.approx(2.0, abs=1e-5)


def test_pixels_have_the_numbers_of_their_names():
    names = ["err1", "chan1", "err2", "chan12043", "other"]
    assert pixel_numbers(names).tolist() == [-1, 1, -1, 12043, -1]


# -- windows in photon time ---------------------------------------------------------------


def assign(book, *times, latest=None):
    point, late = book.assign(np.array(times, np.int64), latest)
    return point.tolist(), late.tolist()


def test_a_point_is_closed_by_the_stream():
    book = PointBook()
    assert book.open(1000, 500) == 0
    assert assign(book, 999, 1000, 1499, 1500) == ([-1, 0, 0, -1], [False] * 4)
    assert book.advance(1499) is None
    assert book.advance(1500) == 0
    assert book.closed(0) and book.open_point is None
    assert book.advance(2000) is None
    assert assign(book, 1200, 1700) == ([0, -1], [True, False])


def test_an_abandoned_point_keeps_what_it_had_and_gets_no_more():
    book = PointBook()
    book.open(1000, 500)
    assert assign(book, 1100)[0] == [0]
    assert book.open(1200, 500) == 1
    assert book.window(0) == (1000, 1200)
    assert book.window(1) == (1200, 1700)
    point, late = assign(book, 1150, 1300, 1450)
    assert point == [0, 1, 1]
    assert late == [False, False, False]  # nobody waits for those of an abandoned point
    assert book.advance(1700) == 1


def test_no_window_begins_before_a_photon_that_was_assigned():
    book = PointBook()
    book.open(1000, 100)
    assert assign(book, 1099, 1105)[0] == [0, -1]
    book.advance(1100)
    book.open(1050, 100)  # a clock that is behind
    start, _ = book.window(1)
    assert start == 1106
    assert assign(book, 1105)[0] == [-1]


def test_a_time_that_cannot_be_says_nothing():
    book = PointBook()
    book.open(1000, 100)
    assert assign(book, 1050, 10**15, latest=2000)[0] == [0, -1]
    assert book.newest == 1050


@pytest.mark.parametrize("seed", range(20))
def test_no_photon_belongs_to_two_points_whatever_happens(seed):
    """Random openings, abandonments, delays: each photon once, as the windows say in the end."""
    chance = np.random.default_rng(seed)
    book, now = PointBook(), 1000
    photons, given = [], []
    pending = []
    for _ in range(1000):
        now += int(chance.integers(1, 40))
        for _ in range(int(chance.poisson(3))):
            delay = int(chance.integers(0, 30)) + (200 if chance.random() < 0.15 else 0)
            pending.append((now + delay, now - int(chance.integers(0, 20))))
        due = [t for when, t in pending if when <= now]
        pending = [(when, t) for when, t in pending if when > now]
        point, late = book.assign(np.array(due, np.int64))
        photons += due
        given += list(zip(point.tolist(), late.tolist(), strict=True))
        action = chance.random()
        if action < 0.1:
            book.open(now, int(chance.integers(20, 200)))
        elif action < 0.13:
            book.abandon(now)
        book.advance(now - 50)
    windows = [book.window(i) for i in range(len(book))]
    assert all(a[1] <= b[0] for a, b in zip(windows, windows[1:], strict=False))
    assert sum(late for _, late in given) > 0
    for t, (point, _) in zip(photons, given, strict=True):
        holders = [i for i, (start, end) in enumerate(windows) if start <= t < end]
        assert holders == ([point] if point >= 0 else [])
    assert len(book) > 64  # the tables have grown


# -- losses -------------------------------------------------------------------------------


def photons_of(chance, start, end, n, channels):
    times = np.sort(chance.integers(start, end, n))
    return chance.integers(0, channels, n).astype(np.uint16), times


@pytest.mark.parametrize("dropped", [0.0, 0.1])
def test_losses_are_what_was_dropped(dropped):
    chance = np.random.default_rng(2)
    losses, lost = LossCount(8, 0), 0
    for k in range(20):
        start, end = k * 1000, (k + 1) * 1000
        index, times = photons_of(chance, start, end, 300, 8)
        kept = chance.random(300) >= dropped
        lost += int((~kept).sum())
        losses.came(index[kept], times[kept])
        losses.seen(start, end, np.bincount(index, minlength=8))
        losses.settle(end - 100)
    losses.settle(20_000)
    assert losses.lost == lost
    assert losses.covered == 20_000


def test_intervals_that_began_before_or_came_twice_do_not_count():
    losses = LossCount(2, begin_ns=500)
    losses.seen(0, 1000, np.array([5, 5]))
    losses.seen(1000, 2000, np.array([1, 0]))
    losses.seen(1000, 2000, np.array([1, 0]))
    losses.settle(5000)
    assert losses.lost == 1


def test_a_photon_on_the_border_is_no_loss():
    losses = LossCount(1, 0)
    losses.came(np.array([0, 0], np.uint16), np.array([500, 1000]))
    losses.seen(0, 1000, np.array([2]))  # the server counts 1000 before the border
    losses.seen(1000, 2000, np.array([0]))
    losses.settle(2000)
    assert losses.lost == 0


def test_what_comes_late_is_not_lost():
    losses = LossCount(1, 0)
    losses.seen(0, 1000, np.array([3]))
    losses.came(np.array([0], np.uint16), np.array([100]))
    losses.settle(1000)
    assert losses.lost == losses.reported == 2
    losses.came(np.array([0], np.uint16), np.array([200]))
    assert losses.lost == 1
    assert losses.reported == 2


def test_photons_of_an_interval_that_nobody_told_do_not_count():
    losses = LossCount(1, 0)
    losses.came(np.zeros(3, np.uint16), np.array([500, 1500, 2500]))
    losses.seen(0, 1000, np.array([2]))
    losses.seen(2000, 3000, np.array([1]))  # the message between them was lost
    losses.settle(3000)
    losses.came(np.zeros(1, np.uint16), np.array([1600]))
    assert losses.lost == 1


# -- what the server says -----------------------------------------------------------------


def rate(seconds):
    return {"HiTime": f"1970-01-01T00:01:{seconds:02d}Z", "Duration": SECOND, "CountsSeen": [0]}


@pytest.mark.parametrize(("scale", "wrong"), [(1.0, False), (2.0, True)])
def test_the_speed_of_the_clock_is_judged_without_repeated_messages(scale, wrong):
    from redoxscope.devices.tes import DastardError
    from redoxscope.devices.tes._receiver import Receiver

    receiver = Receiver("tes", "tes (Dastard host:1)")
    receiver.clock.scale = scale
    receiver.status("TRIGGERRATE", rate(0), 100.9)  # an old one, asked for again
    for k in range(1, 9):  # one that came a second late could be taken for it before
        receiver.status("TRIGGERRATE", rate(k), 100.0 + k)
    receiver.status("TRIGGERRATE", rate(8), 108.9)
    if not wrong:
        receiver.check_speed()
        return
    with pytest.raises(DastardError, match="host:1.*clock runs 1 s per second here"):
        receiver.check_speed()


def test_lost_data_are_told_once_though_the_server_repeats_it(caplog):
    from redoxscope.devices.tes._receiver import Receiver

    receiver = Receiver("tes", "tes (Dastard host:1)")
    for total in (0, 1, 1, 2):
        receiver.status("DATADROP", {"TotalObserved": total}, 0.0)
    assert [r.args[1]["TotalObserved"] for r in caplog.records] == [1, 2]


def test_the_count_rate_is_that_of_an_open_point_and_of_nothing_else():
    """Of 3 channels one is an error channel; a point of 3 s is open from 00:01:01 on."""
    from redoxscope.devices.tes._acquisition import Acquisition, Setup
    from redoxscope.devices.tes._clock import ServerClock
    from redoxscope.devices.tes._receiver import Receiver

    told = []
    receiver = Receiver("tes", "tes", told.append)
    numbers = np.array([1, 2, -1], np.int32)
    setup = Setup("tes", numbers, None, Bins(200, 1200, 1.0), 0, 0.0, 0)
    run = Acquisition(setup, ServerClock(), SimpleNamespace(), lambda _: None)
    receiver.hand_to(run, SimpleNamespace(now=str, changed=lambda *_: ""))

    def second(end, counts=(30, 12, 99)):
        content = {**rate(end), "CountsSeen": list(counts)}
        receiver.status("TRIGGERRATE", content, 100.0 + end)
        return told.pop()

    assert np.isnan(second(0))
    run._book.open(61 * SECOND, 3 * SECOND)
    assert np.isnan(second(1))  # it had begun before
    assert second(2) == 42.0
    assert second(3, (0, 0, 5)) == 0.0
    run._book.abandon(63 * SECOND + 1)
    assert np.isnan(second(4))
