"""Callbacks: documents in, maps out."""

from ._analysis import Analysis, Reader, Update
from ._documents import how_it_ended
from ._doubt import Doubt
from ._host import Host
from ._registry import analyses, analysis, register
from ._results import NotDoneError, Result
from .dose import DoseSnapshot, dose_of_run, draw_dose
from .oxidation import (
    Frame,
    MapAgglomerates,
    OxidationMap,
    OxidationSnapshot,
    agglomerates_of,
    draw_agglomerates,
    draw_drift,
    draw_oxidation,
    i0_of_run,
    oxidation_map,
    oxidation_maps,
)
from .ptychography import (
    CosmicPublisher,
    MapProfiles,
    Pace,
    PtychoMap,
    PtychoOptions,
    PtychoSnapshot,
    draw_profiles,
    draw_ptychography,
    profiles_of,
    ptychography_from_run,
)
from .remote import ApartHost, DocumentPublisher, HostProcess
from .rixs import (
    PixelHealth,
    PixelState,
    RixsMap,
    RixsSnapshot,
    draw_rixs,
    photons_of_run,
    rixs_from_photons,
    rixs_from_run,
    rixs_snapshot,
)
from .scans import ScanSnapshot, draw_scan, scans_from_run
from .view import MapView
from .xas import ModeSpectrum, XasOptions, XasSnapshot, draw_xas, xas_from_run

__all__ = [
    "Analysis",
    "ApartHost",
    "Reader",
    "Result",
    "Update",
    "analyses",
    "analysis",
    "how_it_ended",
    "register",
    "CosmicPublisher",
    "DoseSnapshot",
    "DocumentPublisher",
    "Doubt",
    "Frame",
    "Host",
    "HostProcess",
    "MapAgglomerates",
    "MapProfiles",
    "MapView",
    "ModeSpectrum",
    "NotDoneError",
    "OxidationMap",
    "OxidationSnapshot",
    "Pace",
    "PixelHealth",
    "PixelState",
    "PtychoMap",
    "PtychoOptions",
    "PtychoSnapshot",
    "RixsMap",
    "RixsSnapshot",
    "ScanSnapshot",
    "XasOptions",
    "XasSnapshot",
    "agglomerates_of",
    "dose_of_run",
    "draw_agglomerates",
    "draw_dose",
    "draw_drift",
    "draw_oxidation",
    "draw_profiles",
    "draw_ptychography",
    "draw_rixs",
    "draw_scan",
    "draw_xas",
    "i0_of_run",
    "oxidation_map",
    "oxidation_maps",
    "photons_of_run",
    "profiles_of",
    "ptychography_from_run",
    "rixs_from_photons",
    "rixs_from_run",
    "rixs_snapshot",
    "scans_from_run",
    "xas_from_run",
]
