"""``python -m redoxscope.sim``: the IOC process of the simulated beamline."""

import sys

from .ioc.main import main

if __name__ == "__main__":
    sys.exit(main())
