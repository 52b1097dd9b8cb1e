"""Joining what several sources say about a line."""

from __future__ import annotations

import time

import pytest
from ophyd import Signal

from redoxscope.devices._lines import LineJoiner


class Source:
    def __init__(self, name):
        self.index = Signal(name=f"{name}_index", value=10)
        self.line = Signal(name=f"{name}_line", value=None)

    def publish(self, stamp, values, *, lost=False, by=1):
        if not lost:
            self.line.put(values, timestamp=stamp)
        self.index.put(self.index.get() + by, timestamp=stamp)


@pytest.fixture
def world():
    class World:
        a, b = Source("a"), Source("b")
        lines, errors, lost = [], [], []

        def __init__(self):
            self.joiner = LineJoiner(
                {
                    "a": (self.a.index, {"line": self.a.line}),
                    "b": (self.b.index, {"line": self.b.line}),
                },
                lambda *line: self.lines.append(line),
                self.errors.append,
                self.lost.append,
            )
            self.start(0)

        def start(self, line, flight=1):
            self.joiner.start(flight, line, self.joiner.origin(ask=False))

    return World()


def test_a_line_is_whole_when_all_have_it(world):
    world.a.publish(1.0, [1])
    assert world.lines == []
    world.b.publish(1.1, [2])
    assert world.lines == [(1, 0, {"a": {"line": [1]}, "b": {"line": [2]}}, 1.0)]


def test_one_source_may_be_ahead(world):
    for k in range(3):
        world.a.publish(k + 1.0, [k])
    for k in range(3):
        world.b.publish(k + 1.0, [10 + k])
        assert len(world.lines) == k + 1
    assert [(line, parts["a"], parts["b"]) for _, line, parts, _ in world.lines] == [
        (k, {"line": [k]}, {"line": [10 + k]}) for k in range(3)
    ]


def test_a_stale_array_is_a_lost_line(world):
    world.a.publish(1.0, [1])
    world.b.publish(1.0, [2])
    world.a.publish(2.0, [3])
    world.b.publish(2.0, [4], lost=True)
    assert [parts is None for _, _, parts, _ in world.lines] == [False, True]
    assert world.lines[1][3] == 2.0


def test_a_skipped_index_is_a_lost_line_with_a_time(world):
    world.b.publish(1.0, [2])
    world.b.publish(2.0, [4])
    world.a.publish(2.0, [3], by=2)
    (_, line, parts, when), second = world.lines
    assert (line, parts) == (0, None) and abs(when - time.time()) < 10  # once it was 1970
    assert second[1] == 1 and second[3] == 2.0


def test_what_was_before_the_start_does_not_count(world):
    world.a.publish(1.0, [1])
    world.start(5, flight=2)
    world.b.publish(1.0, [2])
    world.a.publish(2.0, [1])
    assert [(flight, line) for flight, line, _, _ in world.lines] == [(2, 5)]


def test_an_error_in_a_callback_is_not_lost(world):
    world.a.publish(1.0, [1])
    world.joiner._on_line = lambda *_: 1 / 0
    world.b.publish(1.0, [2])
    assert isinstance(world.errors[0], ZeroDivisionError)
