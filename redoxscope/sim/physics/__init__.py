"""What the simulated beamline knows of nature: pure numpy, told the time, with its own generator.

One package per experiment: `stxm` (sample, beam, zone plate, counters),
`ptycho` (its complex wave, the probe, the camera), `rixs` (what a sample
emits), `tes` (what an array of microcalorimeters makes of it), `thermal` (stages, their guards and
the vacuum around them) and `heated` (what temperature makes of an electrode, and what its surface
and its bulk show of it).
"""
