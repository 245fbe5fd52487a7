"""Reasons why no sound implementation comes near some bounds. They are about the laws, not about the controls."""

LOW = 0.1
"""If neither control reaches this share of a bound, its law needs a reason."""

WHY = {
    "runs": "two calls are compared, which sound implementations answer alike; that twice the bound of one is "
    "admitted, and no more, is tested on the comparison itself",
    "side": "a limit from one side, which rounding seldom crosses, and then by less than its error",
    "order": "terms may be added in any order: torch adds in many lanes, tests/contracts/test_bounds.py in the worst",
    "format": "the exact answer is a number of the format, and sound implementations return it",
    "quotient": "the error of a difference quotient, at the best step: a smooth operation is far below",
    "mean": "the mean of thousands of roundings is nearly nothing; half of what truncation does is admitted",
    "whole": "the inputs are whole numbers, which are added without a rounding; the bound is that of any numbers",
    "signs": "the errors of several terms are admitted all with one sign, and roundings have either",
}
"""The reasons, by their word in the record."""

_BY_WORD = {
    "runs": "any_position any_layout any_rank any_mode row_alone nan_stays_in_its_row shift_invariant "
    "columns_in_any_order class_order_invariant commutes symmetric odd classes_exchange scales_by_powers_of_two "
    "homogeneous",
    "side": "not_negative not_positive monotone order_preserving at_least_relu at_most_argument at_most_ln_k "
    "not_below_gibbs doubling_at_most_doubles",
    "order": "value_on_many_rows value_on_long_rows gradient_on_long_rows infinite_features infinite_errors "
    "doubling_quadruples",
    "format": "fully_masked_row infinite_logit certain_and_right infinite_where_only_q_is_zero "
    "zero_for_equal_distributions gradient_of_masked_pairs gradient_at_zero",
    "quotient": "second_derivative",
    "mean": "no_drift",
    "whole": "column_of_predictions",
    "signs": "any_cotangent value gradient impossible_classes_are_ignored value_on_extreme_numbers "
    "gradient_of_masked_rows gradient_ignores_masked_values gradient_beside_a_fully_masked_row "
    "gradient_digits_not_lost rows_sum_to_one",
}

LAWS = {law: word for word, laws in _BY_WORD.items() for law in laws.split()}
"""The word for each law with a reason."""
