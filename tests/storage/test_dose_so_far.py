"""What a sample has had over several runs, and agglomerates of a stored map, from a catalog."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import draw_agglomerates
from redoxscope.plans import energy_stack, osa_image
from redoxscope.storage import agglomerates, dose_so_far, read_results, store_results
from redoxscope.testing import FakeAxis, FakeMicroscope, FakeSetting, make_engine

from ..analysis.agglomerates.test_agglomerates import PIXEL, electrode
from .test_profiles import Result
from .test_results import put

OPTIONS: dict[str, Any] = {
    "edge": "Mn L3", "energies": [636.0, 640.0, 645.0], "dwell": 0.01, "size": 2.0, "pixels": 4,
}  # fmt: skip


def measured(folder: Path, catalog: Any, sample: Any, flux: float = 1e8, **options: Any) -> Any:
    stxm = FakeMicroscope()
    stxm.flux = FakeSetting("flux", flux)
    engine, documents = make_engine()
    engine(energy_stack(stxm, md={"sample": sample}, **{**OPTIONS, **options}))
    return put(folder, catalog, list(documents))


def test_runs_on_one_place_of_a_sample_add_up(tmp_path: Path, embedded: Any) -> None:
    first = measured(tmp_path, embedded, "electrode 7")
    measured(tmp_path, embedded, {"name": "electrode 7"}, center=(1.0, 0.0))
    measured(tmp_path, embedded, "electrode 7", center=(30.0, 0.0), dwell=0.001)
    measured(tmp_path, embedded, "electrode 8")
    dark = measured(tmp_path, embedded, "electrode 7", flux=0.0)
    one = sum(first.metadata["start"]["exposure"]["gray"])
    bare = measured(
        tmp_path, embedded, "electrode 7", center=(0.5, 0.0), edge=None, energies=[700.0, 701.0]
    )
    ledger = dose_so_far(embedded, "electrode 7")
    assert ledger.gray == pytest.approx(2 * one, rel=1e-4)
    assert len(ledger.entries) == 4 and len(ledger.unknown) == 2
    assert dark.metadata["start"]["uid"][:8] in ledger.unknown[0]
    assert bare.metadata["start"]["uid"][:8] in ledger.unknown[1]
    away = dose_so_far(embedded, "electrode 7", [{"center": (30.0, 0.0), "size": 1.0, "pixels": 9}])
    assert away.gray == pytest.approx(0.1 * one, rel=1e-4)
    assert len(away.unknown) == 1  # the run without a material was not there
    assert dose_so_far(embedded, "electrode 9").gray == 0.0
    # And the plan goes on with it.
    stxm = FakeMicroscope()
    stxm.flux = FakeSetting("flux", 1e8)
    limit: dict[str, Any] = {"limit": 2.5 * one, "before": ledger}
    with pytest.raises(ValueError, match="had more than what is known.*Give the most"):
        energy_stack(stxm, **OPTIONS, dose_limit=limit)
    limit = {"limit": 2.5 * one, "before": ledger.gray}
    engine, documents = make_engine()
    engine(energy_stack(stxm, **OPTIONS, retries=0, dose_limit=limit))
    stop = next(doc for name, doc in documents if name == "stop")
    assert stop["reason"].startswith("dose_limit: ")
    with pytest.raises(ValueError, match="is reached: the sample has had"):
        energy_stack(stxm, **OPTIONS, dose_limit={"limit": 1.9 * one, "before": ledger.gray})


def test_the_outer_half_of_the_outer_pixels_belongs_to_a_region(
    tmp_path: Path, embedded: Any
) -> None:
    """A spot that was exposed, on the rim of a coarse region that is measured next."""
    spot = measured(tmp_path, embedded, "electrode at the rim", center=(30.0, 0.0), size=0.2)
    coarse = {"center": (28.15, 0.0), "size": 4.0, "pixels": 4}  # up to 30.15 µm
    found = dose_so_far(embedded, "electrode at the rim", [coarse])
    gray = sum(spot.metadata["start"]["exposure"]["gray"])
    assert found.gray == pytest.approx(gray, rel=1e-4) and gray > 0
    away = dose_so_far(embedded, "electrode at the rim", [{**coarse, "center": (27.85, 0.0)}])
    assert away.gray == 0.0
    # A scan of the aperture leaves all its light in one spot, which is no unknown.
    stxm = FakeMicroscope()
    stxm.flux, stxm.sample_stage.x.position = FakeSetting("flux", 1e8), 30.0
    stxm.zone_plate = SimpleNamespace(geometry=SimpleNamespace(outer_zone_nm=45.0))
    for name in ("fine_x", "fine_y"):
        setattr(stxm.sample_stage, name, FakeAxis(name))
    engine, documents = make_engine()
    engine(
        osa_image(stxm, energy=640, edge="Mn L3", pixels=2, md={"sample": "electrode at the rim"})
    )
    put(tmp_path, embedded, list(documents))
    ledger, more = dose_so_far(embedded, "electrode at the rim"), documents.start["exposure"]
    assert ledger.gray == pytest.approx(gray + more["spot_gray"], rel=1e-4) and not ledger.unknown


def test_agglomerates_of_a_stored_map(tmp_path: Path, embedded: Any) -> None:
    """The paper's Fig. 4 out of a run: what is stored beside it, and the picture."""
    fraction, sigma, thickness, _ = electrode(np.random.default_rng(3))
    ny, nx = fraction.shape
    how: dict[str, Any] = {
        "coords": {"y": PIXEL * np.arange(ny), "x": PIXEL * np.arange(nx)},
        "units": {"y": "µm", "x": "µm"}, "attrs": {"species": ["Mn4+", "Mn3+"]},
    }  # fmt: skip
    uid = put(tmp_path, embedded).metadata["start"]["uid"]
    made_of = [
        Result("oxidation_map", name, array, ("y", "x"), **more, **how)
        for name, array, more in (
            ("fraction", fraction, {}),
            ("fraction_sigma", sigma, {"sigma_of": "fraction"}),
            ("thickness", thickness, {"unit": "µm"}),
        )
    ]
    store_results(embedded, uid, made_of)
    made = agglomerates(embedded[uid], rim=0.8, gap=0.6, least_diameter=4.0, block=1.0)
    # The reduced species is less inside than outside, and more at the exterior.
    assert made.name == "Mn3+" and made.unit == "µm" and len(made.found.found) == 2
    c = made.comparison
    assert c.at_fixed_thickness.significance < -5 and c.ensemble.significance > 3
    store_results(embedded, uid, made.results)
    back = read_results(embedded[uid], "agglomerates")
    np.testing.assert_allclose(back["exterior"].values, [m.value for m in c.exterior])
    assert int(back["label"].values.max()) == 2
    figure = Figure(figsize=(13, 4.5))
    draw_agglomerates(figure, made)
    assert "standard error" in figure.axes[1].get_ylabel()
    figure.savefig(tmp_path / "agglomerates.png")
