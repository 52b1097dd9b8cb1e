"""For tests, a beamline's own included: validators of runs, checks of PVs, detectors that are none.

Nothing here is used at run time.
"""

from ._documents import Documents, make_engine
from ._fake_camera import FakeCamera, FakePath
from ._fake_frames import FakeFrames
from ._fake_heater import FakeHeater
from ._fake_lines import FakeLines, FakeMicroscope
from ._fake_parts import FakeAxis, FakePoint, FakeSetting, FakeShutter
from ._fake_ptycho import FakePtycho
from ._fake_spectrometer import FakeMono, FakeSpectrometer
from ._fake_station import FakeStation
from ._fly_contract import check_fly_contract
from ._fly_run import validate_fly_run
from ._interrupt import paused_after, run_resuming
from ._line_contract import check_line_contract
from ._own_beamline import (
    FakeBeamline,
    beamline_problems,
    fake_beamline,
    simulated_session,
)
from ._prompt_heater import FakeClock, FakeSoaked, PromptHeater
from ._rixs import validate_rixs_run
from ._simulated import made_stxm, simulated_stxm
from ._stack import validate_run

__all__ = [
    "Documents",
    "FakeAxis",
    "FakeBeamline",
    "FakeCamera",
    "FakeClock",
    "FakeFrames",
    "FakeHeater",
    "FakeLines",
    "FakeMicroscope",
    "FakeMono",
    "FakePath",
    "FakePoint",
    "FakePtycho",
    "FakeSetting",
    "FakeShutter",
    "FakeSoaked",
    "FakeSpectrometer",
    "FakeStation",
    "PromptHeater",
    "beamline_problems",
    "check_fly_contract",
    "check_line_contract",
    "fake_beamline",
    "made_stxm",
    "make_engine",
    "paused_after",
    "run_resuming",
    "simulated_session",
    "simulated_stxm",
    "validate_fly_run",
    "validate_rixs_run",
    "validate_run",
]
