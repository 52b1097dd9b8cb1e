"""The residual gas analyser: what is read, under which names, and what silence becomes."""

from __future__ import annotations

import math

import pytest
from ophyd.sim import make_fake_device

from redoxscope.devices import PressureGauge, ResidualGasAnalyser, Thermometer, suffixes

GASES = ["H2", "CH4", "H2O", "N2"]


@pytest.fixture
def rga():
    device = make_fake_device(ResidualGasAnalyser)("RGA:", name="rga", gases=GASES)
    for number in range(1, 10):
        getattr(device, f"mid{number}").sim_put(number * 1e-9)
        getattr(device, f"detector{number}").sim_put(0)
    return device


def values(device):
    return {key: reading["value"] for key, reading in device.read().items()}


def test_what_it_reads_are_the_gases_by_name(rga):
    assert values(rga) == {
        "rga_H2": 1e-9, "rga_CH4": 2e-9, "rga_H2O": pytest.approx(3e-9), "rga_N2": 4e-9,
        "rga_status": 0,
    }  # fmt: skip
    keys = rga.describe()
    assert set(keys) == set(values(rga))
    assert {keys[f"rga_{gas}"]["units"] for gas in GASES} == {"mbar"}
    assert keys["rga_H2"]["precision"] == 10
    assert rga.hints["fields"] == [f"rga_{gas}" for gas in GASES]
    assert rga.pressure("H2O").get() == pytest.approx(3e-9)
    assert len(rga.read_configuration()) == len(GASES)


def test_by_default_all_nine_are_read():
    device = make_fake_device(ResidualGasAnalyser)("RGA:", name="rga")
    assert device.gases == tuple(f"mid{n}" for n in range(1, 10))


def test_there_is_nothing_with_which_to_start_or_stop_it():
    """It is shared: the commands of the contract are not even connected."""
    assert not [suffix for suffix in suffixes(ResidualGasAnalyser) if "Cmd" in suffix]
    assert not any(hasattr(ResidualGasAnalyser, verb) for verb in ("set", "kickoff"))
    writable = [
        name
        for name in ResidualGasAnalyser.component_names
        if hasattr(getattr(ResidualGasAnalyser, name).cls, "set")
        and not getattr(ResidualGasAnalyser, name).cls.__name__.endswith("RO")
    ]
    assert not writable


def test_what_does_not_answer_is_no_number_and_told_once(rga, caplog):
    lost = rga.mid2

    def silent():
        raise TimeoutError("no answer")

    lost.read = silent
    for _ in range(3):
        found = values(rga)
        assert math.isnan(found["rga_CH4"]) and found["rga_H2"] == 1e-9
        assert found["rga_status"] == 1
    assert caplog.text.count("rga does not answer (RGA:P:MID2-I): NaN is written") == 1
    del lost.read
    assert values(rga)["rga_status"] == 0


@pytest.mark.parametrize(
    "gases, says",
    [
        ([], "gases has 0 names"),
        (["a"] * 10, "gases has 10 names; the analyser's list has 9 masses"),
        (["H2", "H2"], "gases has 'H2' twice"),
        (["H2", 18], "gases = 18 must be a name in quotes"),
        (["H2", ""], "gases = '' must be a name"),
    ],
)
def test_names_that_make_no_sense_are_refused(gases, says):
    with pytest.raises(ValueError, match=says):
        ResidualGasAnalyser("RGA:", name="rga", gases=gases)


def test_an_unknown_gas_is_refused_with_what_may_be_meant(rga):
    with pytest.raises(ValueError, match="rga has no gas 'ch4'; did you mean 'CH4'"):
        rga.pressure("ch4")


@pytest.mark.parametrize(
    "cls, attribute", [(PressureGauge, "pressure"), (Thermometer, "temperature")]
)
def test_a_gauge_is_recorded_under_its_own_name(cls, attribute):
    device = make_fake_device(cls)("Somewhere:", name="mine")
    assert getattr(device, attribute).name == "mine"
    assert device.hints["fields"] == ["mine"]
