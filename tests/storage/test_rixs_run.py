"""A RIXS run through the catalog: the map it gives is the live one."""

from __future__ import annotations

import bluesky.plan_stubs as bps
import numpy as np
from bluesky import RunEngine
from bluesky.utils import Msg

from redoxscope.callbacks import (
    RixsMap,
    photons_of_run,
    rixs_from_photons,
    rixs_from_run,
)
from redoxscope.callbacks.rixs._stored import results_of
from redoxscope.documents import PHOTON_STREAM
from redoxscope.formats import PhotonAsset, PhotonListWriter
from redoxscope.storage import CatalogWriter, DocumentLog, keep_results
from tests.callbacks.rixs_runs import RixsRun
from tests.callbacks.test_rixs_batch import append_point
from tests.callbacks.test_rixs_map import same, small


class Replayed:
    """Reads out what a made-up run holds, point by point."""

    def __init__(self, name: str, run: RixsRun, keys: list[str], configuration: dict):
        self.name, self.parent, self.run, self.keys = name, None, run, keys
        self.configuration, self.point = configuration, 0

    def read(self):
        data = self.run.data(self.point)
        return {key: {"value": data[key], "timestamp": 1e9 + self.point} for key in self.keys}

    def describe(self):
        keys = {key: self.run.data_key(key) for key in self.keys}
        return {k: {n: v for n, v in key.items() if v is not None} for k, key in keys.items()}

    def read_configuration(self):
        return {k: {"value": v, "timestamp": 0.0} for k, v in self.configuration.items()}

    def describe_configuration(self):
        return {
            k: {
                "source": "test",
                "dtype": {list: "array", str: "string"}.get(type(v), "number"),
                "shape": [len(v)] if isinstance(v, list) else [],
            }
            for k, v in self.configuration.items()
        }  # fmt: skip


class Photons:
    """The photon list, collected after each pass."""

    name, parent = "tes_photons", None

    def __init__(self, asset: PhotonAsset):
        self.describe_collect = asset.describe_collect
        self.collect_asset_docs = asset.collect_asset_docs
        self.get_index = asset.get_index


def test_map_and_photons_from_the_catalog(tmp_path, home, embedded):
    run = small(passes=2)
    writer = PhotonListWriter(home / "data" / "photons" / "rixs.h5")
    photons = Photons(PhotonAsset(writer))
    settings = {
        device: content["data"] for device, content in run.descriptor()[1]["configuration"].items()
    }
    keys = run.data(0)
    devices = [
        Replayed("tes", run, [k for k in keys if k.startswith("tes_")], settings["tes"]),
        Replayed("i0", run, ["i0"], settings["i0"]),
        Replayed("mono", run, ["energy", "ring_current", "point"], {}),
    ]
    start = {k: v for k, v in run.start()[1].items() if k not in ("uid", "time")}
    engine = RunEngine({}, context_managers=[])
    log, live = DocumentLog(tmp_path / "log"), RixsMap()
    emitted: list[tuple[str, dict]] = []

    def keep(name, doc):
        emitted.append((name, doc))

    storing = CatalogWriter(embedded, log, then=[keep_results(live)])
    for callback in (log, live, storing, keep):
        engine.subscribe(callback)

    def plan():
        yield Msg("open_run", **start)
        yield from bps.declare_stream(photons, name=PHOTON_STREAM, collect=True)
        for point in range(2 * run.n):
            yield Msg("checkpoint")
            yield Msg("create", None, name="primary")
            for device in devices:
                device.point = point
                yield Msg("read", device)
            yield Msg("save")
            append_point(writer, run, point)
        yield Msg("collect", photons, name=PHOTON_STREAM, return_payload=False)
        yield Msg("close_run")

    (uid,) = engine(plan())
    assert live.error is None
    stored = rixs_from_run(storing.catalog[uid])
    same(live.snapshot, stored)
    found, last = storing.catalog[uid]["rixs_map"].read(), live.snapshot
    np.testing.assert_array_equal(found["rate"], last.result.rate)
    np.testing.assert_array_equal(found["counts"], last.result.counts)
    np.testing.assert_array_equal(found["energy"], last.energies)
    assert found["rate"].attrs["units"] == "1/s" and found["emission"].attrs["units"] == "eV"
    assert last.yields
    for name, measured in last.yields.items():
        np.testing.assert_array_equal(found[name], measured.value)
        assert found[f"{name}_sigma"].attrs["sigma_of"] == name
    assert found.attrs["photons"] == last.photons and len(found.attrs["windows"]) > 1
    assert stored.photons == run.counts.sum()
    assert (stored.late, stored.lost) == (live.snapshot.late, live.snapshot.lost)
    for source in (embedded[uid], emitted):
        found = photons_of_run(source)
        assert found.path == writer.path
        same(live.snapshot, rixs_from_photons(found, source))
    writer.close()
    live.close()


def test_a_window_may_have_any_name():
    """Also that of one of the map's own arrays."""
    documents = list(small(passes=2).documents())
    windows = ["counts=TFY", "rate=PFY[500:560]", "energy=XES[530:532]", "counts_window=TFY"]
    snapshot = rixs_from_run(documents, windows=windows)
    results = {result.name: result for result in results_of(snapshot)}
    assert results["counts"].array.ndim == 2
    for name, window in (("counts_window", "counts"), ("rate_window", "rate")):
        np.testing.assert_array_equal(results[name].array, snapshot.yields[window].value)
    assert results["energy_window"].dims == ("emission",)
    assert results["counts_window_window_sigma"].sigma_of == "counts_window_window"
