"""Spectra of a run in the catalog are those of its documents."""

from __future__ import annotations

import numpy as np

from redoxscope.callbacks import xas_from_run
from redoxscope.plans import xas
from redoxscope.storage import DocumentLog, ingest
from redoxscope.testing import FakeStation


def test_spectra_from_the_catalog_are_those_of_the_documents(tmp_path, embedded, RE):  # noqa: N803
    documents = []
    energies = np.arange(630.0, 660.0, 1.0).tolist()
    plan = xas(
        FakeStation(current=lambda channel, energy: 1e-9 if channel == "i0" else 1e-12 * energy),
        energies=energies, repeats=2, dwell=0.1,
    )  # fmt: skip
    RE(plan, lambda name, doc: documents.append((name, doc)))
    log = DocumentLog(tmp_path)
    for name, doc in documents:
        log(name, doc)
    log.close()
    uid = documents[0][1]["uid"]
    ingest(log.path(uid), embedded)
    stored, emitted = xas_from_run(embedded[uid]), xas_from_run(documents)
    assert stored.points_done == emitted.points_done == 60
    for mode, mean in emitted.means.items():
        np.testing.assert_array_equal(stored.means[mode].value, mean.value)
        np.testing.assert_array_equal(stored.means[mode].sigma, mean.sigma)
        assert np.isfinite(mean.value).all()
