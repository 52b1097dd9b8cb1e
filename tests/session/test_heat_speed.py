"""A session on a simulated beamline whose heat has a speed of its own."""

from __future__ import annotations

import pytest

from redoxscope.beamline import parse_beamline, simulated_text
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


@pytest.mark.parametrize("port", [None, 5500])
def test_a_file_written_for_it(port):
    """Without a spectrometer, only what is the spectrometer's is left out."""
    text = simulated_text("SIM:", port=port, speed=3, heat_speed=600)
    file = parse_beamline(text, "sim.yml")
    assert file.prefix == "SIM:" and {"holder", "chamber", "rga"} <= set(file.devices)
    assert ("tes" in file.devices) == ("tes" in file.instruments) == (port is not None)
    assert "stxm" in file.instruments
    assert {file.devices[name].options.time_scale for name in file.heaters} <= {600.0}
    if port is not None:
        assert file.devices["tes"].options.time_scale == 3.0
