"""Properties of an implementation are found before its laws are judged, with one sentence each.

The format of a platform, a convention, and rounding to another dtype are properties, and the laws take them into
account. An error on ordinary inputs is always a defect.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import harness
from harness.case import Case
from harness.display.notebook import Verdicts
from harness.findings import grades
from harness.record import Property, Status
from harness.verdict.job import list_jobs
from harness.verdict.probe import Probe
from harness.wording.verdict import property_sentences, verdict_line

FEW: dict[str, Any] = {"examples": 2, "seconds": 1.0}
"""The number of examples that these tests need."""


def checked(function: Callable[..., Any], contract: str, *laws: str, dtypes: tuple[str, ...] = (), **facts: Any) -> Any:
    """Check a function on a few examples."""
    return harness.check(function, contract, laws=laws, dtypes=dtypes, **FEW, **facts)


def properties(found: Verdicts) -> dict[str, str]:
    """Return the properties by name."""
    return {one.name: one.value for one in found.properties}


def statuses(found: Verdicts, dtype: str) -> set[Status]:
    """Return the statuses in a dtype."""
    return {verdict.status for verdict in found if verdict.dtype == dtype}


# The format it computes in


def promoted(x: Any) -> Any:
    """A softmax in float64, for a tensor or an array."""
    y = torch.as_tensor(x).double().softmax(-1)
    return y if isinstance(x, Tensor) else y.numpy()


def in_float32(logits: Tensor) -> Tensor:
    """Behaves like an array framework without float64."""
    return logits.to(torch.float32).softmax(-1).to(logits.dtype if logits.dtype != torch.float64 else torch.float32)


def rms_norm_in_float32(x: Tensor) -> Tensor:
    """Behaves like a mixed-precision layer: statistics in float32, the quotient in the input's dtype."""
    mean_square = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
    return x * torch.rsqrt(mean_square + 1e-5).to(x.dtype)


def test_float64_of_what_computes_in_float32_is_not_judged() -> None:
    """The property is reported once unless it is declared, float32 is judged, and skipped laws have no grade."""
    found = checked(in_float32, "softmax", "value", "output_like_input", dtypes=("float64", "float32"))
    assert properties(found) == {"computes_in": "float32"}
    assert statuses(found, "float64") == {Status.SKIPPED}
    assert statuses(found, "float32") == {Status.HOLDS}
    assert {dtype for _, dtype in grades(found)} == {"float32"}
    (sentence,) = property_sentences(found.properties)
    assert "computes in float32" in sentence
    assert "--declare computes_in=float32" in sentence
    assert "float64" in verdict_line(found)
    declares = {"computes_in": "float32"}
    declared = checked(in_float32, "softmax", "value", dtypes=("float64", "float32"), declares=declares)
    assert not declared.properties
    assert statuses(declared, "float64") == {Status.SKIPPED}


def test_a_float32_accumulator_of_a_float64_function_is_a_defect() -> None:
    """Its results are no float32 numbers; whoever intends this declares it."""
    found = checked(rms_norm_in_float32, "rms_norm", "value", dtypes=("float64", "float32"))
    assert not found.properties
    assert statuses(found, "float64") == {Status.BROKEN}
    assert statuses(found, "float32") == {Status.HOLDS}
    declared = {"computes_in": "float32"}
    found = checked(rms_norm_in_float32, "rms_norm", "value", dtypes=("float64", "float32"), declares=declared)
    assert statuses(found, "float64") == {Status.SKIPPED}


def test_jax_without_float64_is_named_whatever_is_wrong_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arrays are float32, and defects are judged there."""
    without = SimpleNamespace(config=SimpleNamespace(jax_enable_x64=False))
    monkeypatch.setitem(sys.modules, "jax", without)

    def wrong(x: np.ndarray) -> np.ndarray:
        return (0.0 * x).astype(np.float32)

    found = checked(wrong, "softmax", "value", dtypes=("float64", "float32"), call="numpy")
    assert properties(found) == {"computes_in": "float32"}
    assert (statuses(found, "float64"), statuses(found, "float32")) == ({Status.SKIPPED}, {Status.BROKEN})
    assert "JAX_ENABLE_X64" in property_sentences(found.properties)[0]


@pytest.mark.parametrize(
    ("loss", "call"),
    [
        (lambda a, b: float(((a - b) ** 2).mean()), None),
        (lambda a, b: np.mean((a - b) ** 2, dtype=np.float64), "numpy"),
    ],
    ids=["Python", "NumPy"],
)
def test_a_loss_that_is_a_python_number_is_judged_rounded(loss: Callable[..., Any], call: str | None) -> None:
    """Python has no float32: one sentence covers all dtypes, and a declaration silences it."""
    asked: dict[str, Any] = {"dtypes": ("float64", "float32", "float16"), "call": call}
    found = checked(loss, "squared_error", "value", "output_like_input", **asked)
    assert properties(found) == {"returns": "float64"}
    assert statuses(found, "float64") == statuses(found, "float32") == {Status.HOLDS}
    (sentence,) = property_sentences(found.properties)
    assert "returns a Python number (float64) for float32 and float16 inputs" in sentence
    declared = checked(loss, "squared_error", "output_like_input", declares={"returns": "float64"}, **asked)
    assert not declared.properties
    assert not declared.failing


@pytest.mark.parametrize("call", [None, "numpy"])
def test_a_promotion_to_float64_is_a_defect(call: str | None) -> None:
    """A constant of another dtype causes it, for an array or a tensor."""
    found = checked(promoted, "softmax", "output_like_input", dtypes=("float32",), call=call)
    assert not found.properties
    (verdict,) = found
    assert verdict.status is Status.BROKEN
    assert verdict.violation.seen == "it returns torch.float64"


class DecaysByConstant(torch.optim.SGD):
    """Subtracts the rate times the decay from each parameter, independent of the parameter, like a real library."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step without decay, then subtract."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        super().step(closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay
            for parameter in group["params"]:
                parameter.data.add_(decay, alpha=-group["lr"])


def test_a_constant_in_the_place_of_tiny_numbers_is_no_flushing() -> None:
    """After many steps it is no longer subnormal, although flushing could explain it."""
    found = harness.check(
        DecaysByConstant, "sgd_with_momentum", laws=["value"], dtypes=["float16"], examples=8, corpora=()
    )
    assert not found.properties
    assert statuses(found, "float16") == {Status.BROKEN}


# Conventions


def half_squared_error(y_hat: Tensor, y: Tensor) -> Tensor:
    """The chapter's loss for each element."""
    return (y_hat - y) ** 2 / 2


def masked_with_zeros(logits: Tensor, keep: Tensor) -> Tensor:
    """Returns zeros for a fully masked row."""
    filled = logits.masked_fill(~keep, -torch.inf).masked_fill(~keep.any(-1, keepdim=True), 0.0)
    return filled.softmax(-1).masked_fill(~keep, 0.0)


def less_the_logarithm(x: Tensor) -> Tensor:
    """Shifts by a finite maximum; with a logit of +inf, it subtracts infinity from each logit."""
    largest = x.max(-1, keepdim=True).values
    shifted = x - torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def loss_of_the_label(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns one loss per row."""
    return -less_the_logarithm(logits).gather(-1, labels[:, None])[:, 0]


def floored_likelihood(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Torch's form: the variance is raised to a floor that autograd ignores."""
    variance = variance.clone()
    with torch.no_grad():
        variance.clamp_(min=1e-6)
    return 0.5 * (variance.log() + (target - mean) ** 2 / variance).mean()


def rms_norm(eps: float) -> Callable[[Tensor], Tensor]:
    """Return an RMS norm with the given eps."""

    def normalise(x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()

    return normalise


def floored_norm(least: float) -> Callable[[Tensor], Tensor]:
    """Divides by the norm of the row, limited from below."""
    return lambda x: torch.nn.functional.normalize(x, dim=-1, eps=least) * x.shape[-1] ** 0.5


def kl_of_what_is_normalised(p: Tensor, q: Tensor) -> Tensor:
    """Divides both by their sums first."""
    p, q = (x / x.sum(-1, keepdim=True) for x in (p, q))
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


def decoupled_sgd(p: Tensor, gradients: Tensor, lr: float, momentum: float, decay: float, nesterov: bool) -> Tensor:
    """Subtracts the decay separately, without adding it to the buffer."""
    buffer = torch.zeros_like(p)
    for g in gradients:
        buffer = momentum * buffer + g
        p = p - lr * decay * p - lr * (g + momentum * buffer if nesterov else buffer)
    return p


def sgd_of_constant_decay(p: Tensor, gradients: Tensor, lr: float, _: float, decay: float, __: bool) -> Tensor:
    """Has no momentum, and a decay that does not depend on the parameter."""
    return p - lr * gradients.sum(0) - lr * decay * len(gradients)


def normalised_without_eps(x: Tensor) -> Tensor:
    """Uses two passes without an eps in the root."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / centred.square().mean(-1, keepdim=True).sqrt()


def floored_root(x: Tensor) -> Tensor:
    """Divides by the root of the mean square, limited to at least 1e-8."""
    return x / (x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5).clamp(min=1e-8)


@pytest.mark.parametrize(
    ("function", "contract", "declared"),
    [
        (lambda y_hat, y: half_squared_error(y_hat, y).mean(), "squared_error", ["factor=0.5"]),
        (half_squared_error, "squared_error", ["reduction=none", "factor=0.5"]),
        (lambda x: x.var(-1), "variance", ["correction=1"]),
        (rms_norm(1e-6), "rms_norm", ["eps=1e-06"]),
        (floored_likelihood, "gaussian_nll", ["floor=1e-06"]),
        (lambda x: torch.nn.functional.rms_norm(x, x.shape[-1:], eps=0.0), "rms_norm", ["eps=0"]),
        (floored_norm(1e-12), "rms_norm", ["eps=0", "norm_floor=1e-12"]),
        (floored_root, "rms_norm", ["eps=0", "floor=1e-08"]),
        (normalised_without_eps, "layer_norm", ["eps=0"]),
        (kl_of_what_is_normalised, "kl_divergence_of_probabilities", ["normalised=yes"]),
        (decoupled_sgd, "sgd_with_momentum", ["decay=decoupled"]),
        (masked_with_zeros, "masked_softmax", ["fully_masked=zeros"]),
        (less_the_logarithm, "log_softmax", ["infinite_logit=difference"]),
        (loss_of_the_label, "cross_entropy", ["infinite_logit=difference", "reduction=none"]),
    ],
)
def test_the_convention_that_holds_is_named_and_judged(
    function: Callable[..., Any], contract: str, declared: list[str]
) -> None:
    """One sentence names the declaration, and no law breaks."""
    found = checked(function, contract, dtypes=("float32",))
    assert {verdict.law for verdict in found.failing} <= {"value_on_extreme_numbers", "column_of_predictions"}
    assert_declared(found, declared)


def assert_declared(found: Verdicts, declared: list[str]) -> None:
    """Assert that one sentence names the declaration, and nothing else."""
    (sentence,) = property_sentences(found.properties)
    assert all(f"--declare {one}" in sentence for one in declared)
    assert sentence.count("--declare") == len(declared)


@pytest.mark.parametrize(
    ("function", "declared"),
    [
        (rms_norm(3e-4), ["eps=0.0003"]),
        (rms_norm(2.5e-9), ["eps=2.5e-09"]),
        (floored_norm(3e-6), ["eps=0", "norm_floor=3e-06"]),
    ],
    ids=["a large eps", "a small eps", "a large floor"],
)
def test_the_number_of_a_convention_is_found_and_judged(
    function: Callable[[Tensor], Tensor], declared: list[str]
) -> None:
    """Value and gradient hold with any inferred number.

    For one number per convention, the whole contract is checked.
    """
    found = checked(function, "rms_norm", "value", "gradient", dtypes=("float32",))
    assert found.failing == []
    assert_declared(found, declared)


def test_an_addition_in_float32_is_found() -> None:
    """The contract calls the law of its value `correctly_rounded`."""
    found = checked(lambda a, b: a.float() + b.float(), "add", "correctly_rounded", dtypes=("float64",))
    assert [one.name for one in found.properties] == ["computes_in"]
    assert found.failing == []


def looked_at(function: Callable[..., Any], contract: str, *dtypes: str) -> list[Property]:
    """Return the properties found before the laws are judged."""
    probe = Probe()
    asked = list_jobs([Case(function, contract, style="foreign")], laws=["value"], dtypes=dtypes)
    return [one for job in asked for one in probe.properties(job)]


def naive_softmax(x: Tensor) -> Tensor:
    """Softmax as defined."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


@pytest.mark.parametrize(
    ("function", "contract"),
    [
        (naive_softmax, "softmax"),
        (lambda x: x.softmax(-1), "softmax"),
        (lambda x: x.softmax(0), "softmax"),
        (lambda y_hat, y: ((y_hat - y) ** 2).mean() / 3, "squared_error"),
        (lambda x: (x * x).mean(-1) - x.mean(-1) ** 2, "variance"),
        (lambda x: x / (x.abs().mean(-1, keepdim=True) + 1e-5), "rms_norm"),
        (lambda x: torch.nn.functional.normalize(x, dim=-1), "rms_norm"),
        (sgd_of_constant_decay, "sgd_with_momentum"),
    ],
    ids=["naive", "sound", "another axis", "a third", "cancels", "another norm", "no factor", "constant decay"],
)
def test_what_is_wrong_is_not_explained_away(function: Callable[..., Any], contract: str) -> None:
    """No convention makes it right."""
    assert not looked_at(function, contract, "float64", "float32", "bfloat16")


# Properties that a check finds


def sgd_with_a_narrow_rate(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Rounds a constant to float32, which is no format of the update."""
    return parameter - torch.tensor(lr, dtype=torch.float32).to(parameter.dtype) * gradient


def linear_under_autocast(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computes in the format of autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return torch.nn.functional.linear(features, weight, bias)


def sigmoid_of_halves(x: np.ndarray) -> np.ndarray:
    """Uses the widest format for 16 bits, like a library without such a kernel."""
    return np.asarray(torch.sigmoid(torch.from_numpy(x).double())) if x.dtype == np.float16 else x


def flushed(x: Tensor) -> Tensor:
    """Return zero below the smallest normal number, like a processor that flushes."""
    return torch.where(x.abs() < torch.finfo(x.dtype).tiny, torch.zeros_like(x), x)


def absorbing_logsumexp(x: Tensor) -> Tensor:
    """Returns zero for a few normal numbers, because another term is larger."""
    x = flushed(x)
    largest = x.max(-1).values
    return largest + (x - largest[:, None]).exp().sum(-1).log()


def flushing_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """Treats a subnormal probability as zero, however large its term is."""
    p = flushed(p)
    return torch.where(p == 0.0, -p * log_q, p * (p.log() - log_q)).sum(-1)


def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Another likelihood, although flushed variances also give zero."""
    scale = (variance / 2.0).sqrt()
    return ((2.0 * scale).log() + (target - mean).abs() / scale).mean()


def clipping(logits: Tensor, labels: Tensor) -> Tensor:
    """Clips labels to the last class, like some frameworks; the harness gives none out of range."""
    return torch.nn.functional.cross_entropy(logits, labels.clamp(max=logits.shape[-1] - 1))


def clamped(x: Tensor) -> Tensor:
    """Loses normal numbers too."""
    p = x.softmax(-1)
    return torch.where(p < 1e-30, torch.zeros_like(p), p)


def fast_layer_norm(x: Tensor) -> Tensor:
    """Cancels at an offset with its own eps too, and is wrong only for that reason."""
    mean = x.mean(-1, keepdim=True)
    variance = (x.square().mean(-1, keepdim=True) - mean.square()).clamp(min=0.0)
    return (x - mean) * (variance + 1e-6).rsqrt()


@dataclass(frozen=True)
class Look:
    """A function, the properties that a check finds, and the status of its laws in each dtype."""

    function: Callable[..., Any]
    contract: str
    found: dict[str, str]
    statuses: dict[str, Status]
    says: str = ""
    laws: tuple[str, ...] = ("value",)
    asked: dict[str, Any] = field(default_factory=dict)


HOLDS, BROKEN, SKIPPED = Status.HOLDS, Status.BROKEN, Status.SKIPPED
IN_FLOAT32, WRONG_IN_FLOAT32 = {"float32": HOLDS}, {"float32": BROKEN}
IN_16_BITS, UNDER_AUTOCAST = {"bfloat16": HOLDS, "float16": HOLDS}, {"float32": SKIPPED, "bfloat16": HOLDS}
FLUSHED, WIDE = {"subnormals": "flushed"}, {"returns": "float64"}
TYPED, EXTREME = ("value", "output_like_input"), ("value", "value_on_extreme_numbers")
OF_JAX = {"call": "lambda f, x, *, jnp=None: f(x)"}
LOOKS = {
    "a constant in float32": Look(sgd_with_a_narrow_rate, "sgd", {}, {"float64": BROKEN}),
    "autocast": Look(
        linear_under_autocast, "linear", {"computes_in": "bfloat16"}, UNDER_AUTOCAST, "under autocast", TYPED
    ),
    "16 bits inside": Look(lambda x: x.to(torch.bfloat16).softmax(-1).to(x.dtype), "softmax", {}, WRONG_IN_FLOAT32),
    "float32 for 16 bits": Look(
        lambda x: x.float().softmax(-1), "softmax", {"returns": "float32"}, IN_16_BITS, "bfloat16 and float16", TYPED
    ),
    "float64 for 16 bits": Look(
        sigmoid_of_halves, "sigmoid", WIDE, {"float16": HOLDS}, "--declare returns=float64", TYPED, {"call": "numpy"}
    ),
    "a wrong Python number": Look(
        lambda a, b: float(((a - b) ** 2).bfloat16().float().mean()), "squared_error", WIDE, WRONG_IN_FLOAT32
    ),
    "a promoted scalar": Look(
        lambda a, b: ((a - b) ** 2).double().mean(), "squared_error", {}, WRONG_IN_FLOAT32, laws=TYPED[1:]
    ),
    "flushed softmax": Look(lambda x: flushed(flushed(x).softmax(-1)), "softmax", FLUSHED, IN_FLOAT32, laws=EXTREME),
    "the only term is flushed": Look(
        lambda x: flushed(x).logsumexp(-1), "logsumexp", FLUSHED, IN_FLOAT32, laws=("at_least_the_maximum",)
    ),
    "the larger term is flushed": Look(
        lambda a, b: torch.logaddexp(flushed(a), b), "logaddexp", FLUSHED, IN_FLOAT32, laws=("nothing_added",)
    ),
    "small terms are absorbed": Look(
        absorbing_logsumexp, "logsumexp", FLUSHED, {"bfloat16": HOLDS}, laws=("at_least_the_maximum",)
    ),
    "a convention beside flushing": Look(
        lambda x: flushed(rms_norm(1e-6)(flushed(x))), "rms_norm", {"convention": "eps=1e-06"} | FLUSHED, IN_FLOAT32
    ),
    "few flushed results": Look(lambda x: flushed(1.0 / (1.0 + (-x).exp())), "sigmoid", FLUSHED, IN_FLOAT32),
    "flushed inputs": Look(flushing_divergence, "kl_divergence", FLUSHED, IN_FLOAT32),
    "flushed on few shapes": Look(lambda x: flushed(x.sigmoid()), "sigmoid", FLUSHED, IN_FLOAT32, asked=OF_JAX),
    "another likelihood": Look(laplace, "gaussian_nll", {}, WRONG_IN_FLOAT32),
    "an overflow": Look(lambda x: 1.0 / (1.0 + (-x).exp()), "sigmoid", {}, {"float32": Status.LOST}),
    "clipped labels": Look(clipping, "cross_entropy", {}, IN_FLOAT32),
    "a clamp": Look(clamped, "softmax", {}, WRONG_IN_FLOAT32),
    "a convention beside a defect": Look(fast_layer_norm, "layer_norm", {"convention": "eps=1e-06"}, WRONG_IN_FLOAT32),
    "a declared convention": Look(
        lambda x: x.var(-1), "variance", {}, WRONG_IN_FLOAT32, asked={"declares": {"correction": 0}}
    ),
    "a declared break": Look(
        lambda x: x.var(-1), "variance", {}, {"float32": Status.EXPECTED}, asked={"breaks": {"value": "by n - 1"}}
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_property_is_reported_and_any_other_error_is_a_defect(look: Look) -> None:
    """The laws take properties into account: a dtype is skipped, and results are judged rounded or flushed."""
    found = checked(look.function, look.contract, *look.laws, dtypes=tuple(look.statuses), **look.asked)
    assert properties(found) == look.found
    assert {dtype: statuses(found, dtype) for dtype in look.statuses} == {
        dtype: {status} for dtype, status in look.statuses.items()
    }
    assert look.says in " ".join(property_sentences(found.properties))


# Random numbers, and laws without a measurement


def test_what_draws_random_numbers_is_one_broken_law() -> None:
    """No other law is checked."""
    found = checked(lambda x: torch.nn.functional.dropout(x.softmax(-1), 0.5), "softmax", dtypes=("float32",))
    assert properties(found) == {"repeatable": "no"}
    assert [verdict.law for verdict in found.failing] == ["calls_agree"]
    assert "draws random numbers" in property_sentences(found.properties)[0]


def test_no_grade_is_made_where_no_value_was_measured() -> None:
    """NumPy has no bfloat16, so that there is no result for it."""
    found = checked(lambda x: x, "softplus", "value", "monotone", dtypes=("bfloat16",), call="numpy")
    assert not grades(found)
    found = checked(_silent_in_bfloat16, "softmax", "value", "output_like_input", dtypes=("bfloat16", "float32"))
    assert {dtype for _, dtype in grades(found)} == {"float32"}
    line = verdict_line(found)
    assert "bfloat16" in line


def _silent_in_bfloat16(x: Tensor) -> Tensor:
    """Gives no result in bfloat16."""
    if x.dtype == torch.bfloat16:
        from harness.calling.adapter import NotApplicable

        raise NotApplicable("there is no bfloat16 here")
    return x.softmax(-1)
