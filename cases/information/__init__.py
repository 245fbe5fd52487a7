"""Entropy and divergence: the definitions, their failures, and the torch functions."""

from cases.information import concise, scratch
from harness.case import Break, Case

_OVERFLOW = (
    "exp overflows above ln(max), 88.72 in float32, or a probability underflows, and 0 * -inf is NaN: "
    "from -ln(smallest/2), 103.97 in float32"
)
_HALF_SUM = Break("65,520 ones overflow a sum that is stored in float16", ("float16",))
_OFFSET = (
    "logits - logsumexp(logits) loses digits in the offset: [c, c] has entropy zero from c = 2^p, 16,777,216 "
    "in float32, instead of ln 2"
)
_CERTAIN = (
    "ln p of the dominating class is rounded to about a multiple of u and multiplied by p = 1: a relative error of "
    "u / H, which is 1 / (1 + gap) from a gap of p ln 2, 16.6 in float32"
)
_MASKED = "exp(-inf) * -inf: a class with probability zero gives 0 * -inf = NaN"
_MASKED_GRADIENT = (
    "the clamp to the lowest number avoids the infinity in the value; times a cotangent above one it overflows in the "
    "backward pass, and 0 * inf is NaN"
)
_UNDERFLOWN = (
    "q = exp(log_q) underflows from log_q = ln(smallest/2), -103.97 in float32, and the divergence becomes infinite"
)
_CLAMPED = "probabilities are clamped to [eps, 1 - eps] before the logarithm: ln p stops at ln(eps), -15.94 in float32"
_NORMALISED = "p and q are normalized again, which projects the gradient: q - p for log_q instead of -p"

CASES = [
    Case(
        scratch.entropy,
        "entropy",
        attains=("entropy_not_lost",),
        breaks={
            **dict.fromkeys(
                (
                    "value",
                    "not_negative",
                    "at_most_ln_k",
                    "finite_on_extreme_logits",
                    "shift_invariant",
                    "class_order_invariant",
                    "gradient",
                    "value_on_extreme_numbers",
                    "value_on_long_rows",
                ),
                _OVERFLOW,
            ),
            "impossible_classes_are_ignored": _MASKED,
            "gradient_of_masked_rows": _MASKED,
        },
    ),
    Case(
        concise.entropy,
        "entropy",
        breaks={
            "value": _OFFSET,
            "entropy_not_lost": _OFFSET,
            "at_most_ln_k": _OFFSET,
            "shift_invariant": _OFFSET,
            "gradient": _OFFSET,
            "impossible_classes_are_ignored": _OFFSET,
            "gradient_of_masked_rows": _MASKED_GRADIENT,
            "value_on_extreme_numbers": _OFFSET,
            "value_on_long_rows": _OFFSET,
            "any_layout": Break(_OFFSET, ("float64", "float32")),
        },
    ),
    Case(
        concise.entropy_of_log_softmax,
        "entropy",
        attains=("entropy_not_lost",),
        breaks={
            "digits_not_lost": _CERTAIN,
            "impossible_classes_are_ignored": _MASKED,
            "gradient_of_masked_rows": _MASKED,
            "value_on_extreme_numbers": "a gap that overflows makes ln p = -inf, and 0 * -inf is NaN",
            "value_on_long_rows": Break(
                "ln p is rounded to the format before exp, which causes a relative error of u |ln p|",
                ("float16",),
            ),
        },
    ),
    Case(scratch.accurate_entropy, "entropy", attains=("entropy_not_lost", "digits_not_lost")),
    Case(
        scratch.kl_divergence,
        "kl_divergence",
        breaks=dict.fromkeys(("zero_probability_adds_nothing", "impossible_for_both_adds_nothing"), _MASKED),
    ),
    Case(
        concise.kl_divergence_of_categoricals,
        "kl_divergence",
        breaks={
            "value": _UNDERFLOWN,
            "not_below_gibbs": _CLAMPED,
            "zero_for_equal_distributions": _CLAMPED,
            "class_order_invariant": _UNDERFLOWN,
            "gradient": _NORMALISED,
            "gradient_in_p": _NORMALISED,
            "zero_probability_adds_nothing": _UNDERFLOWN,
            "impossible_for_both_adds_nothing": _CLAMPED,
            "infinite_where_only_q_is_zero": _CLAMPED,
            "gradient_of_impossible_classes": _NORMALISED,
            "value_on_extreme_numbers": _CLAMPED,
            "value_on_long_rows": _CLAMPED,
            "any_layout": Break(_CLAMPED, ("float64", "float32")),
        },
        breaks_at={("value", "unlikely class"): "-ln(sub/2)"},
    ),
    Case(
        concise.kl_divergence,
        "kl_divergence",
        breaks={
            "impossible_for_both_adds_nothing": "xlogy protects p ln p, but p log_q is unprotected: 0 * -inf is NaN",
        },
    ),
    Case(scratch.accurate_kl_divergence, "kl_divergence"),
    Case(scratch.kl_divergence_of_probabilities, "kl_divergence_of_probabilities"),
]
