"""What the simulated beamline knows of nature: pure numpy, told the time, with its own generator.

One package per experiment: `stxm` (sample, beam, zone plate, counters), `rixs` (what a sample
emits) and `tes` (what an array of microcalorimeters makes of it).
"""
