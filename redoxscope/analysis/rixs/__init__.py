"""RIXS with an energy-dispersive detector: photons in, maps and yields with their sigma out."""

from redoxscope.documents import Bins, Window

from ._binning import bin_index, bin_points, spectrum_of
from ._counts import MIN_COUNTS, RixsCounts
from ._damage import (
    DamageSentinel,
    DamageVerdict,
    PassComparison,
    Trend,
    compare_passes,
    trend,
)
from ._feature import FeatureSignificance, feature_significance
from ._fill import BinnedPhotons, bin_photons
from ._loss import energy_loss_map
from ._maximum import SIGNIFICANT, Maximum, find_maximum
from ._places import Places
from ._points import PointIndex
from ._results import EmissionSpectrum, RixsMapResult, Yield

__all__ = [
    "MIN_COUNTS",
    "SIGNIFICANT",
    "BinnedPhotons",
    "Bins",
    "DamageSentinel",
    "DamageVerdict",
    "EmissionSpectrum",
    "FeatureSignificance",
    "Maximum",
    "PassComparison",
    "Places",
    "PointIndex",
    "RixsCounts",
    "RixsMapResult",
    "Trend",
    "Window",
    "Yield",
    "bin_index",
    "bin_photons",
    "bin_points",
    "compare_passes",
    "energy_loss_map",
    "feature_significance",
    "find_maximum",
    "spectrum_of",
    "trend",
]
