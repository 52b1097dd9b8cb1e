"""Files and messages: of a microcalorimeter array, tables, JSON. Read and written, no bluesky."""

from ._cosmic import read_cosmic
from ._cxi import read_cxi, write_cxi
from ._dastard import (
    FILTERED,
    RECORD_HEADER,
    SUMMARY_HEADER,
    decode_frames,
    decode_matrix,
    decode_summaries,
    encode_matrix,
    encode_records,
    encode_summaries,
    summary_dtype,
    summary_photons,
)
from ._errors import FormatError, IncompleteHeader
from ._folder import writable_folder
from ._frame_scan import FrameScan
from ._ljh import LjhFile, LjhWriter, ljh_dtype, read_ljh
from ._nxstxm import NxstxmAxis, NxstxmEntry, NxstxmWriter
from ._off import OffFile, OffTail, channel_of_name, off_dtype, read_off
from ._off_writer import OffWriter
from ._photon_asset import PhotonAsset, photon_data_keys, unannounced_photons
from ._photon_list import POINT_DTYPE, PhotonList, PhotonListWriter, read_photon_list
from ._state import (
    DataDrops,
    ExperimentStates,
    ExternalTriggers,
    ExternalTriggerWriter,
    StateWriter,
    read_data_drops,
    read_experiment_state,
    read_external_triggers,
)
from ._stxm import read_stxm
from ._stxm_i0 import I0Table, read_i0_table
from ._stxm_parts import ImageStack, StxmFile
from ._table import Table, read_table
from ._tes_log import Pass, TesLog, read_tes_log
from ._uri import file_uri, path_of_uri, plain_path
from ._whole import replaced, write_json

__all__ = [
    "FrameScan",
    "read_cosmic",
    "read_cxi",
    "write_cxi",
    "file_uri",
    "path_of_uri",
    "plain_path",
    "PhotonAsset",
    "photon_data_keys",
    "POINT_DTYPE",
    "PhotonList",
    "PhotonListWriter",
    "read_photon_list",
    "read_table",
    "replaced",
    "write_json",
    "DataDrops",
    "ExperimentStates",
    "ExternalTriggerWriter",
    "ExternalTriggers",
    "FILTERED",
    "FormatError",
    "I0Table",
    "ImageStack",
    "IncompleteHeader",
    "LjhFile",
    "LjhWriter",
    "NxstxmAxis",
    "NxstxmEntry",
    "NxstxmWriter",
    "OffFile",
    "OffTail",
    "OffWriter",
    "Pass",
    "RECORD_HEADER",
    "SUMMARY_HEADER",
    "StateWriter",
    "StxmFile",
    "Table",
    "TesLog",
    "channel_of_name",
    "decode_frames",
    "decode_matrix",
    "decode_summaries",
    "encode_matrix",
    "encode_records",
    "encode_summaries",
    "ljh_dtype",
    "off_dtype",
    "read_data_drops",
    "read_experiment_state",
    "read_external_triggers",
    "read_i0_table",
    "read_ljh",
    "read_off",
    "read_stxm",
    "read_tes_log",
    "summary_dtype",
    "summary_photons",
    "unannounced_photons",
    "writable_folder",
]
