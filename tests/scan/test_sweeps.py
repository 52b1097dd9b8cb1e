"""Which points of a scan can be flown in one go."""

from redoxscope.scan import Point, points_scan, sweeps_of


def test_zones_are_lines_and_no_point_is_lost():
    scan = points_scan(zones=[(630, 634, 1.0), (634, 635, 0.25, 0.2)], dwell=0.1, passes=2)
    lines = sweeps_of(scan.points, 100.0, 1000)
    assert [i for line in lines for i in line] == list(range(len(scan.points)))
    assert [len(line) for line in lines] == [4, 5, 4, 5]


def test_a_line_is_no_longer_than_it_may_be():
    points = [Point(640 + 0.5 * i, 0.5) for i in range(10)]
    assert [len(line) for line in sweeps_of(points, 2.0, 1000)] == [4, 4, 2]
    assert [len(line) for line in sweeps_of(points, 100.0, 3)] == [3, 3, 3, 1]
    assert [len(line) for line in sweeps_of(points, 0.1, 3)] == [1] * 10


def test_what_turns_round_or_stands_still_is_another_line():
    points = [Point(energy, 0.1) for energy in (640, 641, 642, 641, 640, 640)]
    assert [list(line) for line in sweeps_of(points, 100.0, 100)] == [[0, 1, 2], [3, 4], [5]]
