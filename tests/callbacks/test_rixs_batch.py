from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from redoxscope.callbacks import (
    RixsMap,
    photons_of_run,
    rixs_from_photons,
    rixs_from_run,
    rixs_snapshot,
)
from redoxscope.documents import PHOTON_KEYS
from redoxscope.formats import PhotonListWriter, read_photon_list
from redoxscope.photons import Photons

from .rixs_runs import DEAD_TIME, RixsRun
from .test_rixs_map import SMALL, same, small

GAIN = 2.5


class Gain:
    """A calibration that turns pulse heights into energies by one factor."""

    def __init__(self, factor: float = 1 / GAIN):
        self.factor = factor

    def energy(self, pixel, filtered, pretrigger):
        energy = (filtered * np.float32(self.factor)).astype(np.float32)
        return np.where(pixel == 240, np.float32(np.nan), energy)


def append_point(writer: PhotonListWriter, run: RixsRun, i: int, calibrated: bool = True) -> int:
    """Write the photons of a point, then some that its event does not have; how many were late."""
    rng = np.random.default_rng(i)
    bins = run.bins
    where = np.repeat(np.arange(len(bins)), run.counts.reshape(-1, len(bins))[i])
    energy = bins.low + (where + rng.uniform(0.02, 0.98, len(where))) * bins.step
    start = run.point_start(i)
    late = 3 if i % 10 == 5 else 1

    def append(energy, time, point, is_late) -> None:
        filtered = (GAIN * energy).astype(np.float32)
        pixel = 1 + np.arange(len(energy)) % 239
        known = Gain().energy(pixel, filtered, 0) if calibrated else np.full(len(energy), np.nan)
        photons = Photons.of(pixel, time, filtered, np.zeros(len(energy)), known)
        writer.append(photons, point, is_late)

    time = np.sort(start + rng.integers(0, int(1.2e9), len(where)))
    append(rng.permutation(energy), time, np.full(len(where), i), np.zeros(len(where)))
    after = np.full(late + 1, start + int(1.5e9))
    append(np.full(late + 1, 525.0), after, [i] * late + [-1], [1] * late + [0])
    return late


class Listed:
    """A run with its photon list."""

    def __init__(self, folder: Path, calibrated: bool = True):
        self.run = small(passes=2)
        self.path = folder / "photons.h5"
        with PhotonListWriter(self.path) as writer:
            self.late = sum(
                append_point(writer, self.run, i, calibrated) for i in range(2 * self.run.n)
            )
            # A pixel that does not count, in the window of the first point.
            none = Photons.of([240] * 5, [self.run.point_start(0) + 5] * 5, [2000.0] * 5, [0.0] * 5)
            writer.append(none, [0] * 5, [False] * 5)

    @property
    def photons(self):
        return read_photon_list(self.path)

    def announced(self):
        start, descriptor, *rest = self.run.documents()
        resource = {
            "uid": "r", "data_key": next(iter(PHOTON_KEYS)), "mimetype": "application/x-hdf5",
            "uri": self.path.as_uri().replace("file://", "file://localhost"), "parameters": {},
            "run_start": self.run.uid,
        }  # fmt: skip
        return [start, descriptor, ("stream_resource", resource), *rest]


@pytest.fixture
def listed(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    return Listed(folder)


def test_rebuilt_map_equals_the_live_one(listed):
    live = RixsMap()
    for name, doc in listed.run.documents():
        live(name, doc)
    rebuilt = rixs_from_photons(listed.photons, listed.run.documents())
    assert rebuilt.message == ""
    same(live.snapshot, rebuilt)
    assert rebuilt.photons == live.snapshot.photons
    again = rixs_from_photons(listed.photons, listed.run.documents(), Gain())
    same(live.snapshot, again)
    live.close()


def test_late_photons_are_counted_when_asked_for(listed):
    documents = list(listed.run.documents())
    without = rixs_from_photons(listed.photons, documents)
    with_late = rixs_from_photons(listed.photons, documents, include_late=True)
    assert with_late.photons == without.photons + listed.late
    assert with_late.result.counts.sum() == without.result.counts.sum() + listed.late


def test_another_calibration_moves_the_lines(listed):
    documents = list(listed.run.documents())
    factor = 1.01 / GAIN
    moved = rixs_from_photons(listed.photons, documents, Gain(factor))
    old = rixs_from_run(documents)
    centers = listed.run.bins.centers
    near = (centers > 505) & (centers < 529)

    def mean(snapshot, shift):
        spectrum = snapshot.result.counts.sum(axis=0)
        inside = (centers > 515 * shift) & (centers < 529 * shift)
        return (spectrum * centers)[inside].sum() / spectrum[inside].sum()

    assert mean(moved, 1.01) == pytest.approx(1.01 * mean(old, 1.0), abs=0.1)
    assert (moved.result.counts[:, near] != old.result.counts[:, near]).any()
    assert moved.photons == old.photons  # all of them, wherever they are


def test_run_without_a_calibration(tmp_path):
    listed = Listed(tmp_path, calibrated=False)
    with pytest.raises(ValueError, match="has no energies: give a calibration"):
        rixs_from_photons(listed.photons, listed.run.documents())
    documents = list(listed.run.documents())
    name, doc = documents[2]  # without a calibration every pixel counts
    documents[2] = name, doc | {"data": doc["data"] | {"tes_counts": doc["data"]["tes_counts"] + 5}}
    made = rixs_from_photons(listed.photons, documents, Gain())
    assert made.message == ""
    np.testing.assert_array_equal(
        made.result.counts, rixs_from_run(listed.run.documents()).result.counts
    )


def test_point_that_lost_photons_is_left_out(listed):
    """A list that a crash cut off."""
    whole = listed.photons
    cut = read_photon_list(listed.path, 0, len(whole) - 2000)
    made = rixs_from_photons(cut, listed.run.documents())
    lacking = sorted(set(whole.point[-2000:][~whole.late[-2000:]].tolist()) - {-1, 0})
    assert f"{len(lacking)} points are left out: photons.h5" in made.message
    assert made.points_done == 2 * listed.run.n - len(lacking)
    last = lacking[-1] - listed.run.n
    assert made.result.coverage[last].max() == 0.5


def test_list_of_another_run_is_refused(listed):
    other = small(passes=2, seed=99)
    with pytest.raises(ValueError, match="is not the photon list of this run: point 9"):
        rixs_from_photons(listed.photons, other.documents())


def test_list_is_found_through_the_documents(listed):
    assert photons_of_run(listed.announced()).path == listed.path
    with pytest.raises(ValueError, match="announces no photon list"):
        photons_of_run(listed.run.documents())


@pytest.mark.parametrize("documents", [[], [("start", {"plan_name": "energy_stack"})]])
def test_no_rixs_run(documents):
    with pytest.raises(ValueError, match="no RIXS run in these documents"):
        rixs_from_run(documents)


def test_snapshot_from_counts(listed):
    from redoxscope.analysis.rixs import RixsCounts

    run = listed.run
    counts = RixsCounts(SMALL, run.bins, 2)
    for i in range(2 * run.n):
        p, k = divmod(i, run.n)
        true = run.i0[p, k] / (1 - run.i0[p, k] * DEAD_TIME / run.dwell)
        counts.set_point(
            p, k, spectrum=run.counts[p, k], seconds=run.dwell, live=run.live, i0=true,
            i0_sigma=true / np.sqrt(run.i0[p, k]),
        )  # fmt: skip
    made = rixs_snapshot(counts, ["TFY", "PFY[505:535]", "sPFY[522.5:525]"], title="files", lost=3)
    whole = rixs_from_run(run.documents(), ["TFY", "PFY[505:535]", "sPFY[522.5:525]"])
    np.testing.assert_allclose(made.result.rate, whole.result.rate, rtol=1e-12)
    assert list(made.yields) == ["TFY", "PFY", "sPFY"]
    assert (made.title, made.lost, made.points_done, made.finished) == ("files", 3, 2 * run.n, True)
    assert made.photons == run.counts.sum()
    with pytest.raises(ValueError, match="beyond the spectrum"):
        rixs_snapshot(counts, ["PFY[100:300]"])
