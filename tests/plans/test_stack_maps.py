"""A stack of regions, zones, I0 and dose checks on the simulated beamline: its maps."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.callbacks import OxidationMap, oxidation_maps
from redoxscope.plans import energy_stack, execute
from redoxscope.scan import Frame, Region, Role, Scan
from redoxscope.testing import validate_run

from ..callbacks.test_regions import same
from .fake_microscope import fake_microscope

REGIONS = [Region((0, 0), (3, 2), (12, 8), "middle"), Region((0.5, 0.5), 2, 6, "part")]
EMPTY = Region((-9, -9), (2, 1), (8, 4), "empty")
ZONES = [(638, 641, 1.0), (641, 645, 0.5, 0.004), (645, 655, 2.0)]


def test_maps_of_a_stack_as_the_plan_takes_it(stxm, RE):  # noqa: N803
    documents = []
    live = OxidationMap()
    RE.subscribe(live)
    RE.subscribe(lambda name, doc: documents.append((name, doc)))
    RE(
        energy_stack(
            stxm, edge="Mn L3", zones=ZONES, regions=REGIONS, i0_region=EMPTY, dwell=0.001,
            dose_check=642.0,
        )
    )  # fmt: skip
    live.close()
    validate_run(documents)
    assert live.error is None
    batch = oxidation_maps(documents)
    assert list(batch) == list(live.snapshots) == ["middle", "part"]
    for name, snapshot in live.snapshots.items():
        same(snapshot.result, batch[name].result)
        assert snapshot.result.blank is None  # I0 of the empty beam
        assert np.isfinite(snapshot.result.ln_i0).all()
        assert snapshot.lines_done == snapshot.lines_total
        (change,) = snapshot.dose
        assert change.energy == pytest.approx(642.0) and change.reason == ""
        assert abs(change.significance) < 5  # the simulated sample takes no damage
        assert len(snapshot.energies) == len(batch[name].energies) == 17
    assert sum(live.lines.values()) == sum(
        len(doc["seq_num"]) for name, doc in documents if name == "event_page"
    )


def test_dark_images_are_refused_at_the_call():
    """The shutter follows the scanner: there would be light in them."""
    scan = Scan(regions=(EMPTY,), frames=(Frame(640.0, 1e-3), Frame(640.0, 1e-3, 0, Role.DARK)))
    with pytest.raises(ValueError, match=r"frames\[1\] has the role 'dark': the shutter follows"):
        execute(fake_microscope(), scan)


def test_chosen_rows_lie_where_they_belong(stxm, RE):  # noqa: N803
    """Blocks of rows are flown as images of their own, and each line names its row."""
    documents = []
    RE.subscribe(lambda name, doc: documents.append((name, doc)))
    n, size = 16, 8.0
    energies = [636.0, 638.0, 639.0, 640.0, 640.5, 641.0, 641.5, 642.0, 643.0, 644.0]
    RE(
        energy_stack(
            stxm, edge="Mn L3", energies=energies, size=size, pixels=n, center=(2, 2),
            dwell=0.002, order="informative", rows="informative",
        )
    )  # fmt: skip
    validate_run(documents)
    rows = {}
    for name, page in documents:
        if name == "event_page":
            for frame, line, y in zip(
                *(page["data"][key] for key in ("frame", "line", "sample_y")), strict=True
            ):
                rows.setdefault(frame, []).append(line)
                asked = 2 + (line - (n - 1) / 2) * size / n
                assert np.mean(y) == pytest.approx(asked, abs=0.2 * size / n)
    assert list(rows) == list(range(10)) and rows[0] == list(range(n))
    assert all(lines == sorted(set(lines)) for lines in rows.values())
    stop = documents[-1][1]
    assert stop["exit_status"] == "success"
