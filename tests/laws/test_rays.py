"""Rays of the contracts beyond the softmax family lead to known breaking points, exact to the float."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.floats import format_of
from harness.laws import Law, list_rays
from harness.record import Breaking
from harness.surveyor.breaking import breaking, follows
from harness.surveyor.explore import explorations
from harness.surveyor.search import Budget
from harness.verdict.job import Job

Function = Callable[..., Tensor]
Trips = Callable[..., Any]
"""``trips(*inputs)``: the rows on which an implementation fails."""


def failing(sound: Function, trips: Trips) -> Function:
    """Return a right implementation that gives NaN on the tripping rows."""

    def function(*inputs: Any) -> Tensor:
        output = sound(*inputs)
        spoilt = torch.as_tensor(trips(*inputs))
        return torch.where(spoilt.reshape([*spoilt.shape, *[1] * (output.ndim - spoilt.ndim)]), torch.nan, output)

    return function


def widened(function: Function) -> Function:
    """Compute in float64, and round once."""

    def wide(*inputs: Any) -> Tensor:
        given = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        return function(*given).to(inputs[0].dtype)

    return wide


def any_of(condition: Callable[[Tensor], Tensor]) -> Trips:
    """Trip on rows in which an entry of the first input meets a condition."""
    return lambda x, *_: condition(x).flatten(1).any(1) if x.ndim > 1 else condition(x)


@widened
def bce(x: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy without cancellation."""
    wrong = torch.where(x < 0, -x * y, x * (1 - y))
    return (wrong + torch.log1p(torch.exp(torch.where(x < 0, x, -x)))).mean()


@widened
def kl(log_q: Tensor, p: Tensor) -> Tensor:
    """The definition."""
    return (p * (p.log() - log_q)).sum(1)


OF_TWO = "kl_divergence_of_probabilities"


def kl_of_two(p: Tensor, q: Tensor) -> Tensor:
    """The definition."""
    return (p * (p.log() - q.log())).sum(1)


def masked(x: Tensor, keep: Tensor) -> Tensor:
    """The masked softmax by selection."""
    return x.double().masked_fill(~keep, -torch.inf).softmax(1).to(x.dtype)


def layer_norm(x: Tensor) -> Tensor:
    """The layer norm in float64."""
    return torch.nn.functional.layer_norm(x.double(), x.shape[1:], eps=1e-5).to(x.dtype)


@widened
def rms_norm(x: Tensor) -> Tensor:
    """The RMS norm in float64."""
    return x / ((x**2).mean(1, keepdim=True) + 1e-5).sqrt()


@widened
def variance(x: Tensor) -> Tensor:
    """The variance in float64."""
    return x.var(1, correction=0)


@widened
def nll(p: Tensor, labels: Tensor) -> Tensor:
    """The definition."""
    return -p[torch.arange(len(p)), labels].log()


def momentum(parameter: Tensor, gradients: Tensor, lr: float, mu: float, *_: Any) -> Tensor:
    """Momentum in float64, without decay."""
    p, buffer = parameter.double(), torch.zeros_like(parameter, dtype=torch.float64)
    for gradient in gradients.double():
        buffer = mu * buffer + gradient
        p = p - lr * buffer
    return p.to(parameter.dtype)


SMALL, BEFORE = 2.0**-10, math.nextafter
"""Breaking points of falling rays."""

TABLE = [
    ("binary_cross_entropy_with_logits", "positive logit of class 1", "value", bce, lambda x, _: (x > 40).any(), 40.0),
    ("binary_cross_entropy_with_logits", "positive logit of class 0", "value", bce, lambda x, _: (x > 40).any(), 40.0),
    ("binary_cross_entropy_with_logits", "negative logit of class 1", "value", bce, lambda x, _: (x < -40).any(), 40.0),
    ("binary_cross_entropy_with_logits", "negative logit of class 0", "value", bce, lambda x, _: (x < -40).any(), 40.0),
    ("binary_cross_entropy_with_logits", "rows", "value", bce, lambda x, _: len(x) > 256, 256.0),
    ("kl_divergence", "unlikely class", "value", kl, any_of(lambda x: x < -40), 40.0),
    ("kl_divergence", "rare class", "value", kl, lambda _, p: (p < SMALL).any(1), SMALL),
    (OF_TWO, "unlikely class", "value", kl_of_two, lambda _, q: (q < SMALL).any(1), SMALL),
    (OF_TWO, "rare class", "value", kl_of_two, lambda p, _: (p < SMALL).any(1), SMALL),
    ("masked_softmax", "masked spike", "value", masked, lambda x, keep: ((x > 40) & ~keep).any(1), 40.0),
    ("masked_softmax", "kept spike", "value", masked, lambda x, keep: ((x > 40) & keep).any(1), 40.0),
    ("masked_softmax", "kept negative spike", "value", masked, lambda x, keep: ((x < -40) & keep).any(1), 40.0),
    ("masked_softmax", "uniform offset", "value", masked, lambda x, _: (x > 40).all(1), 40.0),
    ("layer_norm", "size", "value", layer_norm, any_of(lambda x: x > 40), 40.0),
    ("layer_norm", "large size", "gradient_digits_not_lost", layer_norm, any_of(lambda x: x > 40), 40.0),
    ("layer_norm", "extreme size", "value_on_extreme_numbers", layer_norm, any_of(lambda x: x > 40), 40.0),
    ("layer_norm", "offset", "drowned_rows_stay_bounded", layer_norm, any_of(lambda x: x > 40), 39.0),
    ("layer_norm", "neighbours", "drowned_rows_stay_bounded", layer_norm, lambda x: (x > 40).all(1), 40.0),
    ("rms_norm", "size", "value", rms_norm, any_of(lambda x: x > 40), 40.0),
    ("rms_norm", "large size", "gradient_digits_not_lost", rms_norm, any_of(lambda x: x > 40), 40.0),
    ("rms_norm", "extreme size", "value_on_extreme_numbers", rms_norm, any_of(lambda x: x > 40), 40.0),
    ("variance", "size", "value", variance, any_of(lambda x: x > 40), 40.0),
    ("variance", "offset", "value", variance, any_of(lambda x: x > 40), 39.0),
    ("nll_of_probabilities", "rare class", "value", nll, any_of(lambda p: p < SMALL), SMALL),
    ("add", "beside one", "correctly_rounded", torch.add, lambda _, b: b < SMALL, SMALL),
    (
        "sgd_with_momentum",
        "learning rate against weight",
        "value",
        momentum,
        lambda _, g, *__: (g < SMALL).all(0),
        SMALL,
    ),
    (
        "sgd_with_momentum",
        "many steps against weight",
        "updates_accumulate",
        momentum,
        lambda _, g, *__: (g < SMALL).all(0),
        SMALL,
    ),
]
"""Contract, ray, law, sound implementation, tripping rows, and the last parameter that does not fail."""


NAMES = [f"{contract} along {ray}" for contract, ray, *_ in TABLE]


def followed(case: Case, law: str, ray: str, dtype: str) -> Breaking:
    """Follow a law along a ray."""
    contract = contract_named(case.contract)
    chosen = next(candidate for candidate in list_rays(contract) if candidate.name == ray)
    laws: dict[str, Law] = {law.name: law for law in (*contract.laws, *chosen.laws)}
    job = Job(case, contract, laws[law], format_of(dtype))
    assert follows(job, chosen)
    return breaking(job, chosen)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("contract", "ray", "law", "sound", "trips", "last"), TABLE, ids=NAMES)
def test_a_ray_leads_to_the_number_from_which_an_implementation_fails(
    contract: str, ray: str, law: str, sound: Function, trips: Trips, last: float, dtype: str
) -> None:
    """It is the next float in the direction of the ray, confirmed by ball arithmetic."""
    record = followed(Case(failing(sound, trips), contract, style="foreign", attains=(law,)), law, ray, dtype)
    format_ = format_of(dtype)
    towards = 0.0 if last == SMALL else format_.max
    ends = torch.tensor([last, towards], dtype=format_.dtype)
    beyond = last + 1.0 if ray == "rows" else float(torch.nextafter(ends[0], ends[1]))
    assert record.reason is None
    assert (record.value, record.confirmed) == (beyond, True)
    assert record.actual is not None
    # NaN is a constant here, so that its gradient is zero.
    assert record.actual == 0.0 if "gradient" in law else math.isnan(record.actual)
    assert not record.expected_break


@pytest.mark.parametrize(("contract", "ray", "law", "sound"), [row[:4] for row in TABLE], ids=NAMES)
def test_a_sound_implementation_holds_to_the_end_of_the_ray(contract: str, ray: str, law: str, sound: Function) -> None:
    """A breaking point on this ray is therefore a fault of the implementation."""
    record = followed(Case(sound, contract, style="foreign"), law, ray, "bfloat16")
    assert (record.value, record.reason) == (None, None)


def test_every_ray_of_these_contracts_is_in_the_table() -> None:
    """Every contract with rows or vectors has a ray."""
    named = {(row[0], row[1]) for row in TABLE}
    assert named == {(name, ray.name) for name in dict(named) for ray in list_rays(contract_named(name))}
    without = {name for name, one in contracts().items() if not list_rays(one)}
    trained = {name for name in contracts() if "regression" in name or name in {"least_squares", "learning_curves"}}
    assert without == {*trained, "accuracy", "data_loader", "loader", "one_hot"}


def test_a_law_about_other_inputs_is_followed_only_where_a_ray_names_it() -> None:
    """The largest numbers are not searched along a ray that ends before them."""
    (exploration,) = explorations([Case(rms_norm, "rms_norm")], Budget(batches=0), dtypes=["float16"])
    pairs = {(part.job.law.name, part.ray.name) for part in exploration.parts if part.what == "ray"}
    usual = {(law, "size") for law in ("value", "gradient")}
    others = {("gradient_digits_not_lost", "large size"), ("value_on_extreme_numbers", "extreme size")}
    assert pairs == usual | others
