"""Floating-point numbers: the formats, arithmetic beyond them, oracles, and deviations in ulp."""

from harness.floats import double_double
from harness.floats.double_double import Array as Array
from harness.floats.double_double import DoubleDouble as DoubleDouble
from harness.floats.double_double import lift as lift
from harness.floats.format import FORMATS as FORMATS
from harness.floats.format import Format as Format
from harness.floats.format import Measurement as Measurement
from harness.floats.format import compare as compare
from harness.floats.format import compare_absolute as compare_absolute
from harness.floats.format import compare_runs as compare_runs
from harness.floats.format import convert_to_ulp as convert_to_ulp
from harness.floats.format import deviation as deviation
from harness.floats.format import format_of as format_of
from harness.floats.format import from_ordinal as from_ordinal
from harness.floats.format import round_to as round_to
from harness.floats.format import to_array as to_array
from harness.floats.format import to_ordinal as to_ordinal
from harness.floats.format import ulp as ulp
from harness.floats.format import view_bits as view_bits
from harness.floats.format import worse as worse
from harness.floats.oracle import Oracle as Oracle
from harness.floats.oracle import UndecidedError as UndecidedError
from harness.floats.oracle import confirming as confirming
from harness.floats.oracle import exact_sum as exact_sum
from harness.floats.oracle import remembering as remembering
from harness.floats.oracle import reuse_results as reuse_results
from harness.floats.oracle import to_arb as to_arb

dd = double_double
