"""Floating-point numbers: the formats, arithmetic beyond them, oracles, and deviations in ulp."""

from harness.floats.double_double import Array, DoubleDouble, lift
from harness.floats.format import (
    FORMATS,
    Format,
    as_integers,
    deviation,
    format_of,
    from_ordinal,
    round_to,
    to_array,
    to_ordinal,
    ulp,
)
from harness.floats.measurement import Measurement, compare, compare_absolute, compare_runs, in_ulp, worse
from harness.floats.oracle import (
    Oracle,
    UndecidedError,
    confirming,
    elementwise,
    exact_sum,
    recalling,
    remembering,
    to_arb,
)

__all__ = [
    "FORMATS",
    "Array",
    "DoubleDouble",
    "Format",
    "Measurement",
    "Oracle",
    "UndecidedError",
    "as_integers",
    "compare",
    "compare_absolute",
    "compare_runs",
    "confirming",
    "deviation",
    "elementwise",
    "exact_sum",
    "format_of",
    "from_ordinal",
    "in_ulp",
    "lift",
    "recalling",
    "remembering",
    "round_to",
    "to_arb",
    "to_array",
    "to_ordinal",
    "ulp",
    "worse",
]
