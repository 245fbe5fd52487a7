"""Sums in the log domain: the definitions, stable forms, and the torch functions."""

from cases.log_domain import concise, scratch
from harness.case import Break, Case

_OVERFLOW = "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16"
_THERE_AND_BACK = "ln(exp(x)) is not x: the exponential rounds and loses all digits if |x| < u"
_LOST = "1 + exp(-gap) rounds to one from a gap of p ln 2: 16.6 in float32, 36.7 in float64"
_HALF_SUM = Break("the sum of exponentials is stored in float16 and becomes infinite at 65,520 ones", ("float16",))
_BACKWARD = (
    "the backward pass is exp(x - y), but y has lost its digits below u |y|: "
    "k equal logits from 2^p on have a gradient of one instead of 1 / k"
)
_EARLY_ZERO = "the backward pass is 1 / (1 + exp(d)): zero from d = ln(max), but the exact value is a subnormal number"

CASES = [
    Case(
        scratch.logsumexp,
        "logsumexp",
        breaks={
            "value": _OVERFLOW,
            "finite_on_extreme_logits": _OVERFLOW,
            "at_least_the_maximum": _THERE_AND_BACK,
            "excess_not_lost": _LOST,
            "splits_into_halves": "near ln(max) only the whole sum overflows; near ln(tiny) the sum has few digits",
            "shift_equivariant": _OVERFLOW,
            "gradient": _OVERFLOW,
            "one_column": _THERE_AND_BACK,
            "masked_entries_ignored": _OVERFLOW,
            "gradient_of_masked_rows": _OVERFLOW,
            "value_on_extreme_numbers": _OVERFLOW,
            "value_on_long_rows": _OVERFLOW,
        },
    ),
    Case(scratch.shifted_logsumexp, "logsumexp", breaks={"excess_not_lost": _LOST, "value_on_long_rows": _HALF_SUM}),
    Case(scratch.accurate_logsumexp, "logsumexp", attains=("excess_not_lost",)),
    Case(
        concise.logsumexp,
        "logsumexp",
        breaks={
            "excess_not_lost": _LOST,
            "gradient": _BACKWARD,
            "gradient_of_masked_rows": _BACKWARD,
            "value_on_long_rows": _HALF_SUM,
        },
    ),
    Case(
        scratch.logaddexp,
        "logaddexp",
        breaks={
            "value": _OVERFLOW,
            "finite_on_extreme_terms": _OVERFLOW,
            "at_least_the_maximum": _THERE_AND_BACK,
            "shift_equivariant": _OVERFLOW,
            "gradient": _OVERFLOW,
            "nothing_added": _THERE_AND_BACK,
            "gradient_of_masked_pairs": _OVERFLOW,
            "value_on_extreme_numbers": _OVERFLOW,
        },
    ),
    Case(scratch.stable_logaddexp, "logaddexp", attains=("digits_not_lost",)),
    Case(
        concise.logaddexp,
        "logaddexp",
        attains=("digits_not_lost",),
        breaks={"gradient": _EARLY_ZERO},
    ),
]
