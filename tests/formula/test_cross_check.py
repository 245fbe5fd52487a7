"""Bounds derived from formulas nearly agree with bounds that were derived by hand."""

import numpy as np
import pytest

from harness.case import Case
from harness.contracts import contract_named
from harness.floats import FORMATS, convert_to_ulp, round_to, to_array
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.spelling import spelling
from harness.laws import Subject
from harness.verdict.draw import draw_examples

FORMULAS = {
    "softmax": "formula(logits): exp(logits) / sum(exp(logits)) | softmax(logits)",
    "log_softmax": "formula(logits): logits - log(sum(exp(logits))) | log_softmax(logits)",
    "logsumexp": "formula(logits): log(sum(exp(logits))) | logsumexp(logits)",
    "softplus": "formula(x): log(1 + exp(x)) | softplus(x)",
    "logsigmoid": "formula(x): -log(1 + exp(-x)) | -softplus(-x)",
    "sigmoid": "formula(x): 1 / (1 + exp(-x))",
    "logaddexp": "formula(a, b): log(exp(a) + exp(b)) | max(a, b) + log1p(exp(-abs(a - b)))",
    "rms_norm": "formula(x): x / sqrt(mean(x * x) + 0.00001)",
    "layer_norm": "formula(x): (x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 0.00001)",
    "variance": "formula(x): mean((x - mean(x)) ** 2)",
    "entropy": "formula(logits): l = log_softmax(logits); -sum(exp(l) * l)",
}
"""Hand-written contracts as formulas, with the forms of their derivations."""

ABOUT = {"softmax": "digits_not_lost", "logaddexp": "digits_not_lost", "variance": "digits_kept_at_an_offset"}
"""Laws about the form alone, for contracts whose bound of the value also covers a second algorithm.

The second algorithms are the exponential of the log-softmax, ``log(1 + exp(-d))``, and Welford's updates. The bounds of
the formulas are 0.76, 0.75 and 0.70 times these bounds.
"""

DECLARED = {"rms_norm": {"eps": 1e-5}, "layer_norm": {"eps": 1e-5}}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_bound_as_written_is_nearly_the_one_by_hand(name: str) -> None:
    """In float32 the median ratio is between 0.8 and 3.

    The oracles agree within the resolution of the hand-written bound.
    """
    contract, format_ = contract_named(name), FORMATS["float32"]
    model = Model(parse(spelling(FORMULAS[name])))
    value = next(law for law in contract.laws if law.name == ABOUT.get(name, "value"))
    case = Case(lambda *given: round_to(model.value.oracle(*given), format_), name, declares=DECLARED.get(name, {}))
    subject, ratios = Subject(case, contract, format_), []
    for example, _ in draw_examples(value.inputs or contract.inputs, format_, examples=4, seed=3):
        given = [example[one] for one in value.reads]
        by_hand = value.measure(subject, **dict(zip(value.reads, given, strict=True)))
        assert not by_hand.broken
        exact = model.value.oracle(*given)
        written = convert_to_ulp(model.value.written([to_array(x) for x in given], format_), exact, format_)
        usual = np.isfinite(written) & (by_hand.bound > 0.0) & (np.abs(exact.hi) >= format_.tiny)
        ratios.append((written / np.where(usual, by_hand.bound, 1.0))[usual])
    assert 0.8 <= np.median(np.concatenate(ratios)) <= 3.0


@pytest.mark.parametrize(("name", "columns"), [("softmax", 8), ("softmax", 64), ("layer_norm", 8), ("layer_norm", 64)])
def test_the_attainable_error_does_not_depend_on_a_shift(name: str, columns: int) -> None:
    """A shift of the row changes the attainable error at most by a factor of 4.

    This holds for a full Jacobian and for an approximation by random signs.
    """
    of, format_ = Model(parse(spelling(FORMULAS[name]))).value, FORMATS["float32"]
    rows = np.round(np.random.default_rng(0).standard_normal((20, columns)) * 64.0) / 64.0
    near, far = (of.attainable([rows + shift], format_) for shift in (0.0, 2.0**20))
    assert (far <= 4.0 * near).all()
