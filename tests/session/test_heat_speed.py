"""A session on a simulated beamline whose heat has a speed of its own."""

from __future__ import annotations

import pytest

from redoxscope.beamline import parse_beamline
from redoxscope.session.support import at_heat_speed

TEXT = """
name: hot
devices:
  oven: {class: linkam_t96, prefix: "Linkam:", low: 20, high: 600}
  cryostat: {class: lakeshore336, prefix: "Heater:", low: 20, high: 600, range: high}
  ring: {class: ring_current, prefix: "Ring:"}
"""


class Simulated:
    heat_speed = 600.0


def test_every_heating_stage_is_told():
    file = parse_beamline(TEXT, "hot.yml")
    assert file.heaters == ["oven", "cryostat"]
    told = at_heat_speed(file, Simulated())
    assert [told.devices[name].options.time_scale for name in told.heaters] == [600.0, 600.0]
    assert told.devices["ring"] == file.devices["ring"]
    assert file.devices["oven"].options.time_scale == pytest.approx(1.0)  # a copy was changed
