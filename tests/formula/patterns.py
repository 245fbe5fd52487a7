"""Wrong implementations that a formula alone must detect, and sound ones that it must not flag.

The patterns are defects from the bug trackers of real projects that use the operations of the chapter. The mutants are
those in ``tests/corpus``. The sound implementations are the careful forms and both controls for each contract.
"""

from collections.abc import Callable, Iterator

import torch
from controls.catalogue import CONTROLS
from corpus.careful import DEFECTS
from corpus.catalogue import MUTANTS, of
from formula.judging import Trial
from formula.spelled import Spelled, formula_of
from torch import Tensor

from harness.contracts import contract_named

FLOATS = ("float64", "float32", "bfloat16", "float16")


def _update_lost(p: Tensor, g: Tensor) -> Tensor:
    for column in g.T:
        p = p - 0.001 * column
    return p


STEPS = Spelled("p - 0.001 * sum(g)", inputs={"p": "per_row", "g": ""})
TAIL = Spelled("p - 0.5 * mean(g)", inputs={"p": "per_row", "g": ""})

UNIT_ENTROPY = Spelled("-sum(p * log(p))", inputs={"p": "0..1"})
SHARES = Spelled("-sum(where(p > 0, p * log(p), 0))", inputs={"p": "distribution"})
CERTAIN = Spelled("-(y * log(p) + (1 - y) * log(1 - p))", inputs={"p": "0..1", "y": "0..1 constant"})
POSITIVE = Spelled("log(x)", inputs={"x": "positive"})
SCALED = Spelled("x / sqrt(sum(x ** 2))", inputs={"x": "positive"})

OWN: tuple[tuple[str, Spelled, str, Callable[..., Tensor]], ...] = (
    ("sgd whose updates are lost", STEPS, "bfloat16", _update_lost),
    ("entropy whose logarithm has a floor", UNIT_ENTROPY, "float32", lambda p: -(p * p.clamp(min=1e-5).log()).sum(-1)),
    ("entropy of shares with a floor", SHARES, "float32", lambda p: -(p * p.clamp(min=1e-6).log()).sum(-1)),
    (
        "bce whose probabilities have a floor",
        CERTAIN,
        "float32",
        lambda p, y: -(y * p.clamp(min=1e-7).log() + (1 - y) * torch.log1p(-p)),
    ),
    ("logarithm with a floor", POSITIVE, "float32", lambda x: x.clamp(min=1e-5).log()),
    ("logarithm with a low floor", POSITIVE, "float64", lambda x: x.clamp(min=1e-20).log()),
    ("norm with a floor", SCALED, "float32", lambda x: x / (x * x).sum(-1, keepdim=True).sqrt().clamp(min=1e-5)),
    ("sgd whose tail batch is divided by the nominal size", TAIL, "float32", lambda p, g: p - 0.5 * g.sum(-1) / 10),
)
"""Patterns without a contract: name, formula, dtype and implementation."""

WITHOUT_FLOOR: tuple[tuple[str, Spelled, Callable[..., Tensor]], ...] = (
    ("entropy", UNIT_ENTROPY, lambda p: torch.special.entr(p).sum(-1)),
    ("entropy of shares", SHARES, lambda p: -torch.xlogy(p, p).sum(-1)),
    ("bce of probabilities", CERTAIN, lambda p, y: -(y * p.log() + (1 - y) * torch.log1p(-p))),
    ("logarithm", POSITIVE, torch.log),
    ("norm", SCALED, lambda x: x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)),
)
"""Implementations of the table that have a floor, without this floor."""


def patterns() -> Iterator[Trial]:
    """Yield each pattern of a bug report whose contract has a formula, and those without a contract."""
    for one in {specimen.function: specimen for specimen in reversed(of("bug report"))}.values():
        if spelled := formula_of(one.contract, one.declares):
            yield Trial(spelled.case(one.function, f"{one.contract}.{one.name}"), (one.dtype,), one.says)
    for name, spelled, dtype, function in OWN:
        yield Trial(spelled.case(function, name), (dtype,), name)


def without_floor() -> Iterator[Trial]:
    """Yield the sound counterparts of the implementations with a floor, in float32 and float64."""
    for name, spelled, function in WITHOUT_FLOOR:
        yield Trial(spelled.case(function, f"no_floor.{name}"), ("float32", "float64"), name)


def mutants() -> Iterator[Trial]:
    """Yield the mutants whose contract has a formula, for the laws of this operation."""
    for mutant in MUTANTS:
        spelled = formula_of(mutant.contract, mutant.declares)
        if mutant.generic or spelled is None:
            continue
        law = next(law for law in contract_named(mutant.contract).laws if law.name == mutant.law)
        case = spelled.case(mutant.function, f"{mutant.contract}.{mutant.name}", mutant.declares)
        yield Trial(case, (mutant.dtype,), mutant.law, lossy=bool(law.lost_digits))


def careful() -> Iterator[Trial]:
    """Yield the careful forms, without the laws on long rows, because some of these forms keep a sum in 16 bits."""
    for form in of("careful"):
        if (spelled := formula_of(form.contract, form.declares)) is None:
            continue
        case = spelled.case(form.function, f"careful.{form.name}", form.declares)
        wrong = {**DEFECTS.get(form.name, {}), **OF_A_BRANCH.get(form.name, {})}
        yield Trial(case, FLOATS, form.contract, breaks=wrong, skips=frozenset({"length"}))


OF_A_BRANCH = {
    "kl_of_what_is_normalised": {
        "gradient_finite_in_q": "xlogy has no slope at zero and zero; the formula has that of its branch: none",
        "gradient_at_switching_points": "the NaN slope of xlogy at zero reaches the other entries through their sum",
    }
}
"""Laws of the formula that a careful form breaks, where the hand-written contract leaves the value open."""


def controls() -> Iterator[Trial]:
    """Yield the correctly rounded and the stable implementations of the contracts."""
    for control in CONTROLS:
        if (spelled := formula_of(control.contract, control.declares)) is None:
            continue
        for which, function in (("rounded", control.rounded), ("stable", control.stable)):
            case = spelled.case(function, f"{which}.{control.contract}", control.declares)
            yield Trial(case, FLOATS, control.contract, skips=WITHOUT.get(case.name, frozenset()))


_NO_GRADIENT = frozenset({"gradient", "gradient_at_infinities"})

WITHOUT = {
    "rounded.add": _NO_GRADIENT,
    "rounded.sgd": _NO_GRADIENT,
    "rounded.squared_error": frozenset({"gradient_in_b", "gradient_finite_in_b", "gradient_digits_not_lost_in_b"}),
    "rounded.kl_divergence_of_probabilities": frozenset({"gradient_finite_in_q"}),
}
"""Groups of laws, and laws, for which a control is not suitable.

It has no backward pass, or none for the second input, or does not define 0 / 0, where the formula gives zero.
"""

NOT_SAID = {
    "fully_masked_row": "a row of which nothing is left: infinity less infinity",
    "infinite_logit": "infinity less infinity",
    "infinite_entry": "infinity less infinity",
    "infinite_terms": "infinity less infinity",
    "infinite_errors": "infinity less infinity",
    "infinite_features": "an infinite value is a convention",
    "infinite_where_only_q_is_zero": "an infinite value is a convention",
    "certain_and_wrong": "an infinite value is a convention",
    "rounded_on_special_numbers": "an infinite value is a convention",
    "value_on_special_numbers": "an infinite value is a convention",
    "zeros_keep_their_sign": "signs of zeros",
    "no_features_give_bias": "rows without entries",
    "column_of_predictions": "other shapes",
    "nan_at_a_kept_entry": "inputs that are no numbers",
    "value_on_many_rows": "how many rows there are: it is judged row by row",
    "gradients_agree_exactly": "that two gradients are the same to the last bit",
}
"""Laws of hand-written contracts that no formula can state, with the reason."""
