"""What users may write where a number, a pair, a list or a name is needed: one rule for all.

What is refused is named with its value, limit and unit.
"""

from ._address import proxy_address
from ._names import as_name, check_keys, nearest, suggestion
from ._numbers import (
    as_number,
    as_numbers,
    as_pair,
    as_whole,
    axis_problem,
    is_number,
    plain_number,
)
from ._shown import printable
from ._unmeasured import Unmeasured, known_or, unless_unmeasured

__all__ = [
    "Unmeasured",
    "as_name",
    "as_number",
    "as_numbers",
    "as_pair",
    "as_whole",
    "axis_problem",
    "check_keys",
    "is_number",
    "known_or",
    "nearest",
    "plain_number",
    "printable",
    "proxy_address",
    "suggestion",
    "unless_unmeasured",
]
