"""Engine and documents for tests."""

from __future__ import annotations

import bluesky.plans as bp
import numpy as np
import pytest
from ophyd.sim import SynSignal

from redoxscope.testing import make_engine


def test_documents_by_name_stream_and_number():
    engine, documents = make_engine()
    detector = SynSignal(func=lambda: 1.0, name="det")
    engine(bp.count([detector], num=3))
    assert documents.start["plan_name"] == "count" and documents.stop["exit_status"] == "success"
    assert documents.rows() == {1: {"det": 1.0}, 2: {"det": 1.0}, 3: {"det": 1.0}}
    assert documents.rows("baseline") == {}
    assert [name for name, _ in documents][0] == "start" and len(documents) == 6
    documents.validate()


def test_what_json_cannot_say_is_found():
    engine, documents = make_engine()
    engine(bp.count([SynSignal(func=lambda: np.float32(1.0), name="det")]))
    with pytest.raises(TypeError, match="float32"):
        documents.validate()
