"""The key ``publish`` of a beamline file."""

from __future__ import annotations

import pytest

from redoxscope.beamline import ConfigError, parse_beamline

FILE = """
name: bl7
devices:
  m: {class: ophyd.EpicsMotor, prefix: "X:m1"}
publish: PUBLISH
"""


def test_where_a_session_publishes():
    file = parse_beamline(FILE.replace("PUBLISH", "127.0.0.1:5577"), "bl.yml")
    assert file.publish == "tcp://127.0.0.1:5577"
    assert parse_beamline(FILE.replace("publish: PUBLISH", ""), "bl.yml").publish == ""


@pytest.mark.parametrize("value", ["5577", "true", "[127.0.0.1, 5577]", '"*:5577"', "0.0.0.0:5577"])
def test_what_is_no_address_is_named(value):
    with pytest.raises(ConfigError, match=r"bl.yml:5: publish = .* (0MQ proxy|names no machine)"):
        parse_beamline(FILE.replace("PUBLISH", value), "bl.yml")
