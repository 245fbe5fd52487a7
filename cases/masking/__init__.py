"""The masked softmax: common implementations and a correct one."""

from cases.masking import concise, scratch
from harness.case import Break, Case

_SHARE = "masked entries contribute to the softmax, and the row is not normalized again"
_ZERO_BY_ZERO = (
    "all kept entries underflow, and 0 / 0 is NaN, once a masked logit is larger by -ln(smallest/2): "
    "103.97 in float32, 17.34 in float16"
)
_NAN = "the mask is multiplied or added, which NaN and infinities survive"
_WIDE = ("float64", "float32", "bfloat16")
_CONSTANT = Break("-1e9 is not -inf: masked entries leak once their logit exceeds the kept ones by 1e9", _WIDE)
_NOTHING = Break("fully masked rows return the softmax of x - 1e9, which is neither NaN nor uniform", _WIDE)

CASES = [
    Case(
        scratch.masked_afterwards,
        "masked_softmax",
        breaks={
            **dict.fromkeys(
                (
                    "value",
                    "rows_sum_to_one",
                    "shift_invariant",
                    "gradient",
                    "second_derivative",
                    "kept_minus_infinity_is_zero",
                    "gradient_beside_a_fully_masked_row",
                    "nan_at_a_kept_entry",
                    "value_on_extreme_numbers",
                    "value_on_long_rows",
                ),
                _SHARE,
            ),
            "masked_values_do_not_matter": _NAN,
            "gradient_ignores_masked_values": _NAN,
            "fully_masked_row": "fully masked rows return 0 * p, which is zero instead of NaN",
        },
        breaks_at={("value", "masked spike"): "0", ("value", "uniform offset"): "0"},
    ),
    Case(
        scratch.renormalised,
        "masked_softmax",
        breaks={
            **dict.fromkeys(
                (
                    "value",
                    "masked_entries_are_zero",
                    "rows_sum_to_one",
                    "finite_on_extreme_logits",
                    "shift_invariant",
                    "gradient",
                    "kept_minus_infinity_is_zero",
                    "gradient_beside_a_fully_masked_row",
                    "nan_at_a_kept_entry",
                    "value_on_extreme_numbers",
                    "value_on_long_rows",
                ),
                _ZERO_BY_ZERO,
            ),
            "masked_values_do_not_matter": _NAN,
            "gradient_ignores_masked_values": _NAN,
        },
        breaks_at={("value", "masked spike"): "-ln(sub/2)"},
    ),
    Case(
        scratch.additive,
        "masked_softmax",
        breaks={
            **dict.fromkeys(
                (
                    "value",
                    "masked_entries_are_zero",
                    "shift_invariant",
                    "gradient",
                    "kept_minus_infinity_is_zero",
                    "gradient_beside_a_fully_masked_row",
                    "nan_at_a_kept_entry",
                    "value_on_extreme_numbers",
                ),
                _CONSTANT,
            ),
            "masked_values_do_not_matter": _NAN,
            "gradient_ignores_masked_values": _NAN,
            "fully_masked_row": _NOTHING,
        },
        breaks_at={
            ("value", "masked spike"): Break("1e9 + ln((k - 1) sub/2)", _WIDE),
            ("value", "uniform offset"): Break("2^(p + 30) (1 + u)", _WIDE),
        },
    ),
    Case(
        concise.filled_with_the_lowest,
        "masked_softmax",
        declares={"fully_masked": "uniform"},
        breaks={
            "value_on_extreme_numbers": "a kept logit at the lowest number ties with masked entries: 1/2 instead of 1",
        },
    ),
    Case(
        scratch.masked_softmax,
        "masked_softmax",
        declares={"fully_masked": "zeros"},
        breaks={"value_on_long_rows": Break("65,520 ones overflow a sum that is stored in float16", ("float16",))},
    ),
    Case(concise.torch_masked, "masked_softmax"),
    Case(concise.masked_softmax, "masked_softmax"),
]
