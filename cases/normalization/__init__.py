"""Variance, layer normalisation and normalisation by the root mean square."""

from cases.normalization import concise, scratch
from harness.case import Break, Case

_WIDE = ("float64", "float32", "bfloat16")
_HALF = ("bfloat16", "float16")

_CANCELS = "the error is u mean(x^2): 1000 +- 0.01 has variance 0 or less in float32"
_WELFORD = Break(
    "updating about a running mean errs by u mean|x| sqrt(variance); float32 and narrower dtypes accumulate in float64",
    dtypes=("float64",),
)
_SQUARES = Break(
    "squares overflow from sqrt(max / d), 1.8e19 / sqrt(d) in float32, 1.3e154 / sqrt(d) in float64", _WIDE
)
_IN_16_BITS = "each step is rounded to 16 bits, and the mean with them: its rounding is divided by the spread"
_IN_BFLOAT16 = Break("each step is rounded to 8 bits", dtypes=("bfloat16",))
_IN_FLOAT16 = "float16's squares overflow from 256, and underflow below 2.4e-4 where eps is itself a subnormal"

CASES = [
    Case(scratch.variance_of_squares, "variance"),
    Case(scratch.variance, "variance"),
    Case(
        concise.variance,
        "variance",
        breaks={
            "digits_kept_at_an_offset": _WELFORD,
            "gradient": Break("the backward pass takes off a mean that is rounded to 16 bits", _HALF),
        },
    ),
    Case(scratch.unbiased_variance, "variance", declares={"correction": 1}),
    Case(scratch.textbook_layer_norm, "layer_norm", breaks={"value_on_extreme_numbers": _SQUARES}),
    Case(scratch.layer_norm, "layer_norm", breaks={"value_on_extreme_numbers": _SQUARES}),
    Case(
        concise.layer_norm,
        "layer_norm",
        breaks={
            "constant_rows_become_zeros": Break(
                "x * rstd - mean * rstd in a fused multiply-add: the rounding of mean * rstd is left", _HALF
            ),
            "drowned_rows_stay_bounded": Break(
                "the variance about a running mean is zero where neighbours differ: 632 for 1 at 2^25, float32", _WIDE
            ),
            "gradient": Break("the backward pass reads a mean and a reciprocal root rounded to 16 bits", _HALF),
            "value_on_extreme_numbers": _SQUARES,
        },
    ),
    Case(scratch.textbook_rms_norm, "rms_norm", breaks={"value_on_extreme_numbers": _SQUARES}),
    Case(scratch.rms_norm, "rms_norm", breaks={"value_on_extreme_numbers": _SQUARES}),
    Case(
        concise.rms_norm,
        "rms_norm",
        breaks={
            "gradient": Break(
                "the backward pass cubes the reciprocal root, which underflows from a root of tiny^(-1/3): "
                "4.4e12 in float32, 3.6e102 in float64",
                _WIDE,
            ),
            "value_on_extreme_numbers": _SQUARES,
        },
    ),
]
