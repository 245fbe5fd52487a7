"""Binary classification: the sigmoid, its logarithm, the softplus, and the cross-entropy of a logit."""

import torch

from cases.binary import concise, scratch
from harness.case import Break, Case

_EXP_OVERFLOWS = "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16"
_NAN_GRADIENT = f"{_EXP_OVERFLOWS}; the backward pass multiplies that infinity by zero"
_ONE_OVER_INFINITY = (
    "1 + exp(-x) is infinite below -ln(max), -88.72 in float32, so its inverse is zero; the exact value is "
    "subnormal down to ln(smallest / 2), -103.97"
)
_SQUARE_UNDERFLOWS = (
    "the backward pass squares the sigmoid, which is subnormal below ln(tiny) / 2, -43.67 in float32, and zero below "
    "ln(smallest / 2) / 2, -51.99"
)
_ROUNDS_TO_ONE = "y (1 - y) is zero once y rounds to one: from p ln 2, 16.64 in float32, 36.74 in float64"
_TAIL = "1 + exp(-|x|) rounds to one from |x| = p ln 2: 16.64 in float32, 36.74 in float64, 7.62 in float16"
_ONE_MINUS_P = "1 - p is zero from x = p ln 2, 16.64 in float32, and 0 * ln 0 is NaN; below that, 1 - p cancels"
_THRESHOLD = Break(
    "returns x above the threshold 20, but exp(-x) = 2.1e-9 still matters there: it does up to x = 33.3 in float64",
    dtypes=("float64",),
)
_SLOPE_ABOVE_THRESHOLD = Break(
    "the gradient is one above the threshold 20, but 1 - sigma(20) = 2.1e-9; it rounds to one from 36.74 in float64",
    dtypes=("float64",),
)
_WIDE = ("float64", "float32", "bfloat16")
_KINK = (
    "at zero, autograd uses the derivative zero for |x|, and one for clamp(min=0) up to torch 2.13, zero from 2.14 on: "
    "the gradient is 1 - y, or -y, instead of 1/2 - y"
)
_CANCELS = "(1 - y) x - logsigmoid(x) cancels for x < 0: the error is u |x| for any loss"
_LOST = (
    "the logarithm loses its digits below ulp(x): the loss of y = 0 is zero below -(p - e) ln 2, e = floor(log2 |x|): "
    "-14.56 in float32, -33.27 in float64, -6.24 in float16, -4.16 in bfloat16"
)

_RIGHT_1, _WRONG_1 = "positive logit of class 1", "negative logit of class 1"
_RIGHT_0, _WRONG_0 = "negative logit of class 0", "positive logit of class 0"
# At a logit of zero, the gradient 1 - y is zero for class 1, and -y is zero for class 0.
_ZERO_AT_KINK = (_RIGHT_1, _WRONG_1) if torch.__version__ < "2.14" else (_RIGHT_0, _WRONG_0)

CASES = [
    Case(
        scratch.sigmoid,
        "sigmoid",
        attains=("tail_not_lost",),
        breaks={
            "value": _ONE_OVER_INFINITY,
            "gradient": _NAN_GRADIENT,
            "gradient_at_infinity": _NAN_GRADIENT,
            "gradient_not_lost": _SQUARE_UNDERFLOWS,
        },
        breaks_at={
            ("value", "negative"): "ln(max + ulp/2)",
            ("gradient_not_lost", "negative"): Break("-ln(sub/2) / 2", _WIDE),
        },
    ),
    Case(scratch.stable_sigmoid, "sigmoid", attains=("tail_not_lost", "gradient_not_lost")),
    Case(
        concise.sigmoid,
        "sigmoid",
        attains=("tail_not_lost",),
        breaks={
            "value": Break(_ONE_OVER_INFINITY, _WIDE),
            "gradient": Break(f"{_ONE_OVER_INFINITY}; the gradient is computed from the value", _WIDE),
            "gradient_not_lost": _ROUNDS_TO_ONE,
        },
        breaks_at={
            **{(law, "negative"): Break("ln(max + ulp/2)", _WIDE) for law in ("value", "gradient")},
            ("gradient_not_lost", "positive"): Break("p ln 2", ("float64", "float32")),
        },
    ),
    Case(
        scratch.softplus,
        "softplus",
        breaks={
            "value": _EXP_OVERFLOWS,
            "tail_not_lost": _TAIL,
            "finite_on_extreme_inputs": _EXP_OVERFLOWS,
            "difference_is_argument": _EXP_OVERFLOWS,
            "gradient": _NAN_GRADIENT,
            "gradient_at_infinity": _NAN_GRADIENT,
            "value_on_extreme_numbers": _EXP_OVERFLOWS,
        },
        breaks_at={
            **{(law, "positive"): "ln(max + ulp/2)" for law in ("value", "finite_on_extreme_inputs", "gradient")},
            ("tail_not_lost", "negative"): "p ln 2",
        },
    ),
    Case(scratch.stable_softplus, "softplus", attains=("tail_not_lost",)),
    Case(
        concise.softplus,
        "softplus",
        attains=("tail_not_lost",),
        breaks={"value": _THRESHOLD, "difference_is_argument": _THRESHOLD, "gradient": _SLOPE_ABOVE_THRESHOLD},
        breaks_at={(law, "positive"): Break("20 (1 + u)", ("float64",)) for law in ("value", "gradient")},
    ),
    Case(
        scratch.logsigmoid,
        "logsigmoid",
        breaks={
            "value": _EXP_OVERFLOWS,
            "tail_not_lost": _TAIL,
            "finite_on_extreme_inputs": _EXP_OVERFLOWS,
            "difference_is_argument": _EXP_OVERFLOWS,
            "gradient": _NAN_GRADIENT,
            "gradient_at_infinity": _NAN_GRADIENT,
            "value_on_extreme_numbers": _EXP_OVERFLOWS,
        },
        breaks_at={
            **{(law, "negative"): "ln(max + ulp/2)" for law in ("value", "finite_on_extreme_inputs")},
            ("tail_not_lost", "positive"): "p ln 2",
        },
    ),
    Case(scratch.stable_logsigmoid, "logsigmoid", attains=("tail_not_lost",)),
    Case(concise.logsigmoid, "logsigmoid", attains=("tail_not_lost",)),
    Case(
        scratch.binary_cross_entropy,
        "binary_cross_entropy_with_logits",
        breaks={
            "value": _ONE_MINUS_P,
            "digits_not_lost": _ONE_MINUS_P,
            "loss_not_lost": "1 - p rounds to one below -(p + 1) ln 2, -17.33 in float32, and its logarithm is zero",
            "finite_on_extreme_logits": _ONE_MINUS_P,
            "not_negative": _ONE_MINUS_P,
            "classes_exchange": f"{_ONE_MINUS_P}; ln p does not cancel",
            "gradient": _SQUARE_UNDERFLOWS,
            "gradient_digits_not_lost": _SQUARE_UNDERFLOWS,
            "gradient_not_lost": _SQUARE_UNDERFLOWS,
            "value_on_extreme_numbers": _ONE_MINUS_P,
            "value_on_long_rows": _ONE_MINUS_P,
        },
        breaks_at={
            ("value", _RIGHT_1): "p ln 2",
            ("value", _WRONG_1): "ln(max + ulp/2)",
            ("value", _RIGHT_0): "ln(max + ulp/2)",
            ("digits_not_lost", _WRONG_1): "ln(max + ulp/2)",
            ("loss_not_lost", _RIGHT_0): "(p + 1) ln 2",
            **{("finite_on_extreme_logits", ray): "p ln 2" for ray in (_RIGHT_1, _WRONG_0)},
            **{("finite_on_extreme_logits", ray): "ln(max + ulp/2)" for ray in (_WRONG_1, _RIGHT_0)},
            ("gradient", _RIGHT_1): "p ln 2",
            **{("gradient_not_lost", ray): Break("-ln(sub/2) / 2", _WIDE) for ray in (_WRONG_1, _RIGHT_0)},
        },
    ),
    Case(
        scratch.cross_entropy_of_max,
        "binary_cross_entropy_with_logits",
        attains=("loss_not_lost",),
        breaks={
            "digits_not_lost": "max(x, 0) - x y cancels for x > 0 and y near one: the error is u |x|",
            "gradient": _KINK,
            "gradient_digits_not_lost": _KINK,
            "gradient_at_zero": _KINK,
            "gradient_not_lost": (
                "at zero the gradient is zero instead of -1/2 or 1/2: for y = 1 up to torch 2.13, for y = 0 from 2.14"
            ),
            "certain_and_wrong": "inf - inf for x = inf and y = 0: 0 * inf is NaN",
        },
        breaks_at={
            **{("gradient", ray): "0" for ray in (_RIGHT_1, _WRONG_1, _RIGHT_0, _WRONG_0)},
            **{("gradient_not_lost", ray): "0" for ray in _ZERO_AT_KINK},
        },
    ),
    Case(
        scratch.accurate_binary_cross_entropy,
        "binary_cross_entropy_with_logits",
        attains=("digits_not_lost", "loss_not_lost", "gradient_not_lost", "gradient_digits_not_lost"),
    ),
    Case(
        concise.binary_cross_entropy_with_logits,
        "binary_cross_entropy_with_logits",
        breaks={
            "digits_not_lost": _CANCELS,
            "loss_not_lost": _LOST,
            "gradient_digits_not_lost": Break(_ONE_OVER_INFINITY, _WIDE),
            "gradient_not_lost": "sigmoid(x) - 1 is zero once the sigmoid rounds to one: from p ln 2 for y = 1",
            "certain_and_wrong": "0 * inf and inf - inf at x = -inf, but the exact loss for y = 1 is infinite",
        },
        breaks_at={
            ("loss_not_lost", _RIGHT_0): "-ln(exp(2^(e - p)) - 1), e = floor(log2 t)",
            ("gradient_not_lost", _RIGHT_1): Break("p ln 2", ("float64", "float32")),
        },
    ),
]
