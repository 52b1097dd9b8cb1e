"""A beam dump in the middle of a stack costs its lines, not the map."""

from __future__ import annotations

import numpy as np

from redoxscope.callbacks import OxidationMap
from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack

ENERGIES = [635, 638, 640, 641.6, 642.4, 643.2, 644.4, 646, 650, 654]


def test_dark_images_do_not_erase_the_map(stxm, RE, fault):
    live = OxidationMap()
    RE.subscribe(live)
    images = 0

    def dump(msg):
        nonlocal images
        if msg.command == "kickoff":
            images += 1
            if images in (4, 5):
                fault("beam_dump" if images == 4 else "beam_back")

    RE.msg_hook = dump
    patience = stxm.scanner.beam_patience.get()
    stxm.scanner.beam_patience.put(0.0)  # lines without beam are flagged, not tried again
    try:
        RE(energy_stack(stxm, edge="Mn L3", energies=ENERGIES, pixels=24, size=6))
    finally:
        stxm.scanner.beam_patience.put(patience)
    (part,) = live._reader.parts.values()
    result = live.result
    taken = np.isin(part.images.status, (LineStatus.OK, LineStatus.RETRIED))
    live.close()
    assert result.n_mask > 200
    assert not taken[3].any()
    # The beam is back within the image after it, sooner or later: its first lines may be dark.
    np.testing.assert_array_equal(result.n_energies, taken.sum(axis=0))
    assert set(result.n_energies) <= {len(ENERGIES) - 1, len(ENERGIES) - 2}
    assert 0.7 < result.mean < 0.9
    assert np.isfinite(result.sigma[result.mask]).all()
