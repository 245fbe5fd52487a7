"""Variance, layer normalization and root-mean-square normalization."""

import torch

from cases.normalization import concise, scratch
from harness.case import Break, Case

_WIDE = ("float64", "float32", "bfloat16")
_EXACT = ("float64", "float32")
_HALF = ("bfloat16", "float16")

_CANCELS = "the error is u mean(x^2): at 1000 +- 0.01 in float32 the variance loses all digits and may be negative"
_ROUNDED_CANCELS = Break("two numbers rounded to 16 bits are subtracted", _HALF)
_WELFORD = Break(
    "updating a running mean causes an error of u mean|x| sqrt(variance); float32 inputs use float64 internally",
    ("float64",),
)
# Torch's kernels without vector instructions do not fold the two products.
_VECTOR = torch.backends.cpu.get_cpu_capability() != "DEFAULT"
_FOLDED = Break("x * rstd - mean * rstd in a fused multiply-add leaves the rounding error of mean * rstd", _HALF)
_DROWNED = Break(
    "the variance about a running mean is zero although two neighbors differ, so the larger is 632 instead of 1 "
    "at 2^24 in float32; bfloat16 returns the rounding error of mean * rstd",
    _WIDE if _VECTOR else _EXACT,
)
_SQUARED = Break(
    "torch's second backward pass squares 1 / sigma in float16: 1e5 if the variance is small against eps = 1e-5",
    ("float16",),
)
_SAVED = Break("the backward pass uses a mean and a reciprocal square root that were rounded to 16 bits", _HALF)
_CUBED = Break(
    "the backward pass cubes the reciprocal square root, which underflows from a root of tiny^(-1/3): 4.4e12 "
    "in float32, 3.6e102 in float64",
    _WIDE,
)
_SQUARES = Break(
    "squares overflow from sqrt(max / d), 1.8e19 / sqrt(d) in float32, 1.3e154 / sqrt(d) in float64", _WIDE
)
_SQUARES_OR_256 = f"{_SQUARES.reason}, 256 / sqrt(d) in float16"
_IN_16_BITS = Break(
    "every step is rounded to 16 bits, and the rounding error of the mean is divided by the spread", _HALF
)
_EACH_STEP = Break("every step is rounded to 16 bits, not only the result", _HALF)
_FROM_256 = Break("squares overflow from 256: everything is divided by infinity", ("float16",))

_EXTREME = ("value_on_extreme_numbers", "extreme size")
_OVERFLOWS_AT = {_EXTREME: "sqrt((max + ulp/2) / k), k = 1 in float16"}
_OVERFLOWS_IN_FLOAT32_AT = {_EXTREME: Break("sqrt((max + ulp/2) / k) in float32", _WIDE)}

CASES = [
    Case(
        scratch.variance_of_squares,
        "variance",
        breaks={
            **dict.fromkeys(("value", "digits_kept_at_an_offset", "not_negative", "shift_invariant"), _CANCELS),
            "value_on_extreme_numbers": _CANCELS,
            "any_layout": Break("the result of the cancellation depends on the order of the sum", _EXACT),
            "doubling_quadruples": Break("squares below 6.1e-5 are subnormal in float16", ("float16",)),
            "constant_rows_vary_by_nothing": Break("squares overflow from 256, and inf - inf is NaN", ("float16",)),
            "gradient": _ROUNDED_CANCELS,
            "value_on_long_rows": _CANCELS,
        },
    ),
    Case(scratch.variance, "variance", attains=("digits_kept_at_an_offset",)),
    Case(
        concise.variance,
        "variance",
        breaks={
            "digits_kept_at_an_offset": _WELFORD,
            "gradient": Break("the backward pass subtracts a mean that is rounded to 16 bits", _HALF),
        },
    ),
    Case(
        scratch.unbiased_variance,
        "variance",
        attains=("digits_kept_at_an_offset",),
        declares={"correction": 1},
    ),
    Case(
        scratch.textbook_layer_norm,
        "layer_norm",
        breaks={
            **dict.fromkeys(("value", "rows_have_mean_zero", "mean_square_at_most_one"), _IN_16_BITS),
            **dict.fromkeys(("shift_invariant", "gradient", "value_on_long_rows"), _IN_16_BITS),
            "drowned_rows_stay_bounded": _IN_16_BITS,
            "doubling_at_most_doubles": _FROM_256,
            "value_on_extreme_numbers": _SQUARES_OR_256,
        },
        breaks_at=_OVERFLOWS_AT,
    ),
    Case(
        scratch.layer_norm,
        "layer_norm",
        breaks={"value_on_extreme_numbers": _SQUARES},
        breaks_at=_OVERFLOWS_IN_FLOAT32_AT,
    ),
    Case(scratch.scaled_layer_norm, "layer_norm", attains=("value_on_extreme_numbers", "gradient_digits_not_lost")),
    Case(
        concise.layer_norm,
        "layer_norm",
        breaks={
            **({"constant_rows_become_zeros": _FOLDED} if _VECTOR else {}),
            "drowned_rows_stay_bounded": _DROWNED,
            "gradient": _SAVED,
            "second_derivative": _SQUARED,
            "value_on_extreme_numbers": _SQUARES,
        },
        # In float32 itself one float earlier: the running variance is rounded before.
        breaks_at={_EXTREME: Break("sqrt((max + ulp/2) / k) in float32", ("float64", "bfloat16"))},
    ),
    Case(
        scratch.textbook_rms_norm,
        "rms_norm",
        breaks={
            **dict.fromkeys(("value", "mean_square_at_most_one", "gradient", "value_on_long_rows"), _EACH_STEP),
            "doubling_at_most_doubles": _FROM_256,
            "value_on_extreme_numbers": _SQUARES_OR_256,
        },
        breaks_at=_OVERFLOWS_AT,
    ),
    Case(
        scratch.rms_norm,
        "rms_norm",
        breaks={"value_on_extreme_numbers": _SQUARES},
        breaks_at=_OVERFLOWS_IN_FLOAT32_AT,
    ),
    Case(scratch.scaled_rms_norm, "rms_norm", attains=("value_on_extreme_numbers", "gradient_digits_not_lost")),
    Case(
        concise.rms_norm,
        "rms_norm",
        breaks={"gradient_digits_not_lost": _CUBED, "value_on_extreme_numbers": _SQUARES},
        breaks_at=_OVERFLOWS_IN_FLOAT32_AT,
    ),
]
