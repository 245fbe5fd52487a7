"""Floating-point numbers: the formats, arithmetic beyond them, oracles, and deviations in ulp."""

from harness.floats import double_double
from harness.floats.double_double import Array, DoubleDouble, lift
from harness.floats.format import (
    FORMATS,
    Format,
    Measurement,
    compare,
    compare_absolute,
    compare_runs,
    convert_to_ulp,
    deviation,
    format_of,
    from_ordinal,
    round_to,
    to_array,
    to_ordinal,
    ulp,
    view_bits,
    worse,
)
from harness.floats.oracle import Oracle, UndecidedError, confirming, exact_sum, remembering, reuse_results, to_arb

dd = double_double
