"""The sample holder, against the simulated beamline."""

from __future__ import annotations

import pytest

from redoxscope.beamline import connect
from redoxscope.devices import DeviceError, SampleHolder


@pytest.fixture
def holder(simulation):
    device = SampleHolder(f"{simulation.prefix}Holder:", name="holder")
    connect(device)
    yield device
    device.destroy()


def test_it_goes_where_it_is_told(holder):
    assert "reference" in holder.samples
    for sample in ("reference", holder.samples[0]):
        holder.set(sample).wait(timeout=60)
        assert holder.position == sample
        assert holder.read()["holder"]["value"] == sample
    assert holder.describe()["holder"]["dtype"] == "string"


def test_a_sample_that_it_does_not_have_is_refused(holder):
    with pytest.raises(ValueError, match="no sample 'gold'; it has .*reference"):
        holder.set("gold")
    with pytest.raises(ValueError, match="Holder:Sample"):
        holder.check_value("gold")


def test_a_holder_that_does_not_answer_fails_the_move(holder):
    holder.time_limit.put(1e-3)
    with pytest.raises(DeviceError, match="Holder:Sample"):
        holder.set("reference").wait(timeout=60)
    holder.time_limit.put(60.0)
    holder.set(holder.samples[0]).wait(timeout=60)
