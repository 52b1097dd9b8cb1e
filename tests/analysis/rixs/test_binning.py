"""From photons to counts: one rule for all ways, and no photon twice or lost."""

import numpy as np
import pytest

from redoxscope.analysis.rixs import (
    BinnedPhotons,
    Bins,
    PointIndex,
    _fill,
    bin_index,
    bin_photons,
    bin_points,
    energy_loss_map,
    spectrum_of,
)

BINS = Bins(200.0, 1200.0, 0.5)
T0 = 1_700_000_000_000_000_000


def energies(n=20_000, seed=0):
    energy = np.random.default_rng(seed).uniform(150, 1250, n).astype(np.float32)
    energy[::100] = np.nan
    energy[1:9] = [199.99, 200.0, 200.49, 200.5, 1199.99, 1200.0, np.inf, -np.inf]
    return energy


def test_bins_are_those_of_a_histogram():
    energy = energies()
    expected, _ = np.histogram(energy[np.isfinite(energy)], BINS.edges[:-1].tolist() + [1200.0])
    expected[-1] -= (energy == 1200).sum()  # numpy's last bin has its upper edge
    found = spectrum_of(energy, BINS)
    # single precision: a photon on an edge to 1e-4 eV may fall to the other side
    assert np.abs(found - expected).sum() <= 4
    assert found.sum() == expected.sum()


def test_edges_and_what_is_outside():
    index = bin_index([199.99, 200.0, 200.5, 1199.9, 1200.0, np.nan, np.inf, -np.inf], BINS)
    assert index.tolist() == [-1, 0, 1, 1999, -1, -1, -1, -1]
    assert bin_index([], BINS).tolist() == []
    assert spectrum_of([], BINS).sum() == 0


def test_points_and_bins():
    energy = energies()
    point = np.random.default_rng(1).integers(-1, 7, len(energy))
    found = bin_points(energy, point, 6, BINS)
    for p in range(6):
        np.testing.assert_array_equal(found[p], spectrum_of(energy[point == p], BINS))
    with pytest.raises(ValueError, match="columns differ"):
        bin_points(energy, point[1:], 6, BINS)


def test_loss_is_taken_per_photon():
    bins = Bins(-2.0, 10.0, 0.5)
    found = energy_loss_map([529.0, 530.2, 520.9, 525.0], [0, 0, 1, -1], [530.0, 531.0], bins)
    assert found.shape == (2, 24)
    assert found[0, 6] == 1  # loss 1 eV
    assert found[0, 3] == 1  # gain 0.2 eV
    assert found.sum() == 2  # loss 10.1 eV and no point
    with pytest.raises(ValueError, match="photons of point 2, but only 2"):
        energy_loss_map([529.0], [2], [530.0, 531.0], bins)


@pytest.mark.parametrize("order", ["rising", "any"])
def test_points_by_time(order):
    rng = np.random.default_rng(2)
    limits = T0 + np.cumsum(rng.integers(1, 50, 200))
    starts, ends = limits[::2].copy(), limits[1::2].copy()
    starts[40] = ends[39]  # no gap
    numbers = np.arange(100) * 2 + 1
    shuffle = rng.permutation(100)
    index = PointIndex(starts[shuffle], ends[shuffle], numbers[shuffle])
    time = np.concatenate([rng.integers(T0 - 20, limits[-1] + 20, 3000), starts, ends, ends - 1])
    if order == "rising":
        time.sort()
    expected = np.full(len(time), -1)
    for start, end, number in zip(starts, ends, numbers, strict=True):
        expected[(time >= start) & (time < end)] = number
    np.testing.assert_array_equal(index.point(time), expected)


def test_no_points_and_no_photons():
    assert PointIndex([], []).point([5, 6]).tolist() == [-1, -1]
    assert PointIndex([0], [10]).point([]).tolist() == []
    assert PointIndex([0, 5], [5, 9]).point([4, 5, 8, 9, -1]).tolist() == [0, 1, 1, -1, -1]


@pytest.mark.parametrize(
    ("starts", "ends", "says"),
    [
        ([0, 5], [6, 9], "point 1 starts at 5 ns, before point 0 ends at 6 ns"),
        ([3], [3], "point 0 ends at 3 ns, not after 3 ns"),
        ([1, 2], [3], "2 starts, 1 ends"),
    ],
)
def test_windows_that_cannot_be(starts, ends, says):
    with pytest.raises(ValueError, match=says):
        PointIndex(starts, ends)


class Scale:
    """0.1 eV per unit, channel 5 unusable."""

    def energy(self, pixel, filtered, pretrigger, *, out=None):
        energy = np.asarray(filtered * 0.1 + (pretrigger - 1000), np.float32)
        energy[pixel == 5] = np.nan
        if out is None:
            return energy
        out[:] = energy
        return out


def messages(n=30_000, seed=3):
    rng = np.random.default_rng(seed)
    record = np.zeros(
        n, [("chan_index", "<u2"), ("ptm", "<f4"), ("t_ns", "<i8"), ("coefs", "<f8", (5,))]
    )
    record["chan_index"] = rng.integers(0, 4, n)
    record["ptm"] = rng.normal(1000, 1, n)
    record["t_ns"] = T0 + np.sort(rng.integers(0, 100_000, n))
    record["coefs"][:, 2] = rng.uniform(1900, 12_100, n)
    return record


def columns(record):
    return record["chan_index"], record["t_ns"], record["coefs"][:, 2], record["ptm"]


CHANNELS = np.array([1, 3, 5, 7], np.uint16)
STARTS = T0 + np.arange(20) * 5000
POINTS = PointIndex(STARTS, STARTS + 4000)


def slowly(record, rows, n_rows):
    pixel = CHANNELS[record["chan_index"]]
    energy = Scale().energy(pixel, record["coefs"][:, 2].astype(np.float32), record["ptm"])
    point = POINTS.point(record["t_ns"])
    row = np.where(point < 0, -1, np.asarray(rows)[point])
    return bin_points(energy, row, n_rows, BINS), energy, row


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", ["rising", "any"])
def test_the_fast_way_counts_as_the_slow_one(monkeypatch, threads, order):
    monkeypatch.setattr(_fill, "CHUNK", 1 << 10)
    monkeypatch.setattr(_fill, "LEAST", 1 << 10)
    monkeypatch.setattr(_fill, "PIECE", 300)
    record = messages()
    if order == "any":
        record = np.random.default_rng(0).permutation(record)
    rows = np.arange(20) % 6  # points of several passes share a row
    rows[7] = -1
    expected, energy, row = slowly(record, rows, 8)
    found = bin_photons(
        *columns(record), calibration=Scale(), points=POINTS, bins=BINS, rows=rows, n_rows=8,
        channels=CHANNELS, threads=threads,
    )  # fmt: skip
    np.testing.assert_array_equal(found.counts, expected)
    assert found.photons == len(record)
    assert found.outside == (row < 0).sum()
    assert found.unusable == (np.isnan(energy) & (row >= 0)).sum()
    assert found.photons == (
        found.outside + found.unusable + found.out_of_band + found.counts.sum()
    )
    assert min(found.outside, found.unusable, found.out_of_band) > 0


def test_batches_add_up():
    record = messages()
    options = {"calibration": Scale(), "points": POINTS, "bins": BINS, "channels": CHANNELS}
    whole = bin_photons(*columns(record), **options)
    parts = bin_photons(*columns(record[:11]), **options)
    for part in (record[11:11], record[11:20_000], record[20_000:]):
        assert bin_photons(*columns(part), **options, out=parts) is parts
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert (whole.photons, whole.outside) == (parts.photons, parts.outside)


def test_photons_within_no_window_are_counted_as_such():
    record = messages(100)
    found = bin_photons(
        *columns(record), calibration=Scale(), points=PointIndex([0], [1]), bins=BINS,
        channels=CHANNELS,
    )  # fmt: skip
    assert (found.photons, found.outside, found.counts.sum()) == (100, 100, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": CHANNELS[:3]}, "only 3 channels"),
        ({"rows": np.arange(5)}, "rows has 5 entries"),
        ({"n_rows": 5}, "row 19 of a point, but the map has 5 rows"),
        ({"out": BinnedPhotons.empty(2, BINS)}, "out has 2 rows"),
    ],
)
def test_what_does_not_fit(change, says):
    options = {"calibration": Scale(), "points": POINTS, "bins": BINS, "channels": CHANNELS}
    with pytest.raises(ValueError, match=says):
        bin_photons(*columns(messages(50)), **{**options, **change})
