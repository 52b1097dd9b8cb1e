"""A heater, a shutter and an engine that are only remembered."""

from __future__ import annotations

import os

import pytest

from redoxscope.testing import FakeShutter, PromptHeater, make_engine


@pytest.fixture
def heater():
    return PromptHeater()


@pytest.fixture
def shutter():
    return FakeShutter()


@pytest.fixture
def engine():
    return make_engine()


@pytest.fixture
def RE(engine):  # noqa: N802
    return engine[0]


@pytest.fixture
def record(engine):
    return engine[1]


@pytest.fixture
def all_messages():
    """Whether each message is tried (``make faults``), not one of some."""
    return "REDOXSCOPE_ALL_MESSAGES" in os.environ
