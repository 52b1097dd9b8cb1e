"""The one form in which snapshots travel: a JSON header and arrays, no pickle.

See ``docs/reference/wire.md``.
"""

from ._dataclasses import pack, unpack
from ._message import VERSION, WireError, decode, encode, read, write

__all__ = ["VERSION", "WireError", "decode", "encode", "pack", "read", "unpack", "write"]
