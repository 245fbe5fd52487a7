"""Softmax regression: the chapter's code, its failures, and the torch functions."""

from cases.softmax_regression import concise, scratch
from harness.case import Break, Case

_OVERFLOW = "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16"
_CLIP = "all logits beyond +-50 are treated as equal"
_CLIP_HALF = Break("exp(50) overflows float16 itself, from 11.09", dtypes=("float16",))
_UNDERFLOW = "the probability underflows: -inf from a gap of -ln(smallest/2), 103.97 in float32, 17.34 in float16"
_LOST = "1 + exp(-gap) rounds to one from a gap of p ln 2: 16.6 in float32, 36.7 in float64"
_CLIP_MASK = "-inf is treated as -50"
_HALF_NAN = "inf / inf is NaN at +inf and x / inf is zero elsewhere, which matches neither policy"
_HALF_MEAN = Break(
    "torch stores the sum of the losses and the number of rows in float16: both overflow at 65,520, giving 0 or NaN",
    ("float16",),
)
_HALF_SUM = Break("the sum of exponentials is stored in float16 and becomes infinite at 65,520 ones", ("float16",))
_STOPS = "the loss stops at -ln(1e-12) = 27.63; in float16, 1e-12 is zero and the loss is inf from a gap of 17.34"

_OFFSET = "ln(sum) is added to the largest logit and absorbed: the result has no more digits than the logits"

_TURNS = "the last digit of the sum depends on its order and decides how ln(sum) rounds when it is added to the offset"

_EXP_OVERFLOWS, _SUM_OVERFLOWS, _ALL_UNDERFLOW = "ln(max + ulp/2)", "ln((max + ulp/2) / k)", "-ln(sub/2)"
_ROUNDS_AWAY, _CLAMP_BEGINS = "p ln 2", "ln(1/c - 1), c = 1e-12 - ulp/2"
_WIDE = ("float64", "float32", "bfloat16")
_LOST_AT = {
    ("dominating_class_not_lost", "two-point gap"): _ROUNDS_AWAY,
    ("dominating_class_not_lost", "reversed gap"): _ROUNDS_AWAY,
}

CASES = [
    Case(
        scratch.softmax,
        "softmax",
        breaks=dict.fromkeys(
            (
                "value",
                "digits_not_lost",
                "rows_sum_to_one",
                "non_negative",
                "finite_on_extreme_logits",
                "shift_invariant",
                "order_preserving",
                "gradient",
                "masked_entries",
                "gradient_of_masked_rows",
                "value_on_extreme_numbers",
                "value_on_long_rows",
                "gradient_on_long_rows",
            ),
            _OVERFLOW,
        )
        | {"infinite_logit": _HALF_NAN},
        breaks_at={
            ("value", "spike"): _EXP_OVERFLOWS,
            ("value", "symmetric pair"): _EXP_OVERFLOWS,
            ("value", "uniform offset"): _SUM_OVERFLOWS,
            ("value", "negative offset"): _ALL_UNDERFLOW,
            ("value", "length"): Break("max + ulp/2", ("float16",)),
            ("finite_on_extreme_logits", "spike"): _EXP_OVERFLOWS,
            ("finite_on_extreme_logits", "uniform offset"): _EXP_OVERFLOWS,
            ("finite_on_extreme_logits", "negative offset"): _ALL_UNDERFLOW,
            ("gradient", "spike"): _EXP_OVERFLOWS,
            ("gradient", "uniform offset"): _SUM_OVERFLOWS,
        },
    ),
    Case(
        scratch.clamped_softmax,
        "softmax",
        breaks={
            "value": _CLIP,
            "digits_not_lost": _CLIP,
            "shift_invariant": _CLIP,
            "gradient": _CLIP,
            "rows_sum_to_one": _CLIP_HALF,
            "non_negative": _CLIP_HALF,
            "finite_on_extreme_logits": _CLIP_HALF,
            "order_preserving": _CLIP_HALF,
            "masked_entries": _CLIP_MASK,
            "gradient_of_masked_rows": _CLIP,
            "fully_masked_row": Break(_CLIP_MASK, ("float64", "float32", "bfloat16")),
            "infinite_logit": "+inf is treated as 50, and in float16 as inf in a single place",
            "value_on_extreme_numbers": _CLIP,
            "value_on_long_rows": _CLIP,
            "gradient_on_long_rows": _CLIP,
        },
        breaks_at={("value", "uniform offset"): Break(_SUM_OVERFLOWS, ("float16",))},
    ),
    Case(
        scratch.shifted_softmax,
        "softmax",
        attains=("digits_not_lost",),
        breaks={"value_on_long_rows": _HALF_SUM},
        breaks_at={("value", "length"): Break("max + ulp/2", ("float16",))},
    ),
    Case(concise.softmax, "softmax", attains=("digits_not_lost",)),
    Case(
        scratch.log_of_softmax,
        "log_softmax",
        breaks={
            "value": _UNDERFLOW,
            "finite_on_extreme_logits": _UNDERFLOW,
            "dominating_class_not_lost": _LOST,
            "gradient": _UNDERFLOW,
            "masked_entries": _UNDERFLOW,
            "gradient_of_masked_rows": "the backward pass of the logarithm at a masked entry is 1 / 0, times 0: NaN",
            "value_on_extreme_numbers": _UNDERFLOW,
            "value_on_long_rows": _UNDERFLOW,
            "gradient_on_long_rows": _UNDERFLOW,
        },
        breaks_at={
            **_LOST_AT,
            ("finite_on_extreme_logits", "spike"): _ALL_UNDERFLOW,
            ("finite_on_extreme_logits", "two-point gap"): _ALL_UNDERFLOW,
            # In between the value is finite, and its gradient is not.
            ("gradient", "reversed gap"): _EXP_OVERFLOWS,
        },
    ),
    Case(
        scratch.log_softmax,
        "log_softmax",
        breaks={"dominating_class_not_lost": _LOST, "value_on_long_rows": _HALF_SUM},
        breaks_at=_LOST_AT,
    ),
    Case(
        scratch.logits_minus_logsumexp,
        "log_softmax",
        breaks=dict.fromkeys(
            (
                "value",
                "dominating_class_not_lost",
                "exponentials_sum_to_one",
                "shift_invariant",
                "gradient",
                "masked_entries",
                "gradient_of_masked_rows",
                "value_on_extreme_numbers",
                "value_on_long_rows",
            ),
            _OFFSET,
        )
        | {
            "columns_in_any_order": Break(_TURNS, ("float64", "float32")),
            "any_layout": Break(_TURNS, ("float64", "float32")),
            "infinite_logit": "the difference of two infinities is NaN at the logit of +inf, -inf elsewhere",
        },
        breaks_at={**_LOST_AT, ("dominating_class_not_lost", "uniform offset"): "2^(p + 2)"},
    ),
    Case(scratch.accurate_log_softmax, "log_softmax", attains=("dominating_class_not_lost",)),
    Case(
        concise.log_softmax,
        "log_softmax",
        breaks={"dominating_class_not_lost": _LOST, "value_on_long_rows": _HALF_SUM},
        breaks_at=_LOST_AT,
    ),
    Case(scratch.one_hot, "one_hot"),
    Case(concise.one_hot, "one_hot"),
    Case(scratch.accuracy, "accuracy"),
    Case(scratch.nll_of_probabilities, "nll_of_probabilities"),
    Case(concise.nll_of_probabilities, "nll_of_probabilities"),
    Case(
        scratch.cross_entropy,
        "cross_entropy",
        breaks={
            "value": _OVERFLOW,
            "finite_on_extreme_logits": _OVERFLOW,
            "not_negative": _OVERFLOW,
            "loss_not_lost": _LOST,
            "differs_by_the_logits": _OVERFLOW,
            "shift_invariant": _OVERFLOW,
            "columns_in_any_order": _OVERFLOW,
            "gradient": _OVERFLOW,
            "masked_classes_ignored": _OVERFLOW,
            "gradient_of_masked_rows": _OVERFLOW,
            "impossible_label": "another row whose exp overflows makes the mean NaN, but the exact mean is +inf",
            "infinite_logit": _HALF_NAN,
            "value_on_extreme_numbers": _OVERFLOW,
            "value_on_long_rows": _OVERFLOW,
        },
        breaks_at={
            ("finite_on_extreme_logits", "spike"): _EXP_OVERFLOWS,
            ("finite_on_extreme_logits", "uniform offset"): _SUM_OVERFLOWS,
            ("finite_on_extreme_logits", "reversed gap"): _ALL_UNDERFLOW,
            ("loss_not_lost", "two-point gap"): _ROUNDS_AWAY,
            # In between the value is finite, and its gradient is not.
            ("gradient", "reversed gap"): _EXP_OVERFLOWS,
        },
    ),
    Case(
        scratch.clamped_cross_entropy,
        "cross_entropy",
        breaks={
            "value": _STOPS,
            "loss_not_lost": _LOST,
            "gradient": "the clamp has a zero gradient from a gap of 27.63; the exact gradient is one",
            "finite_on_extreme_logits": Break("1e-12 rounds to zero in float16, so nothing is clamped", ("float16",)),
            "differs_by_the_logits": _STOPS,
            "masked_classes_ignored": _STOPS,
            "gradient_of_masked_rows": "the clamp has a zero gradient from a gap of 27.63; the exact gradient is one",
            "impossible_label": Break(_STOPS, ("float64", "float32", "bfloat16")),
            "value_on_extreme_numbers": _STOPS,
            "value_on_long_rows": _STOPS,
        },
        breaks_at={
            ("loss_not_lost", "two-point gap"): _ROUNDS_AWAY,
            ("gradient", "reversed gap"): Break(_CLAMP_BEGINS, _WIDE),
        },
    ),
    Case(
        scratch.cross_entropy_of_log_softmax,
        "cross_entropy",
        breaks={"loss_not_lost": _LOST, "value_on_long_rows": _HALF_SUM},
        breaks_at={("loss_not_lost", "two-point gap"): _ROUNDS_AWAY},
    ),
    Case(scratch.accurate_cross_entropy, "cross_entropy", attains=("loss_not_lost",)),
    Case(
        concise.cross_entropy,
        "cross_entropy",
        breaks={"loss_not_lost": _LOST, "value_on_long_rows": _HALF_SUM, "value_on_many_rows": _HALF_MEAN},
        breaks_at={("loss_not_lost", "two-point gap"): _ROUNDS_AWAY},
    ),
    *(
        Case(step, "softmax_regression_step", dtypes=("float64", "float32"))
        for step in (
            *(scratch.training_step, scratch.closed_form_step, concise.training_step),
            *(concise.fused_step, concise.foreach_step),
        )
    ),
    # Compiling takes as long as all the other steps together, a dtype.
    Case(concise.compiled_step, "softmax_regression_step", dtypes=("float32",)),
    Case(scratch.train, "softmax_regression", dtypes=("float64", "float32")),
    Case(concise.train, "softmax_regression", dtypes=("float64", "float32")),
]
