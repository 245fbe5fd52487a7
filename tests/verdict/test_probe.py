"""Properties of an implementation are found before its laws are judged, with one sentence each.

The format of a platform, a convention, and rounding to another dtype are properties, and the laws take them into
account. An error on ordinary inputs is always a defect.
"""

import sys
from collections.abc import Callable
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
from harness.verdict.job import jobs
from harness.verdict.probe import Probe
from harness.wording import property_sentences, verdict_line

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
    """The property is reported once, float32 is judged, and skipped laws have no grade."""
    found = checked(in_float32, "softmax", "value", "output_like_input", dtypes=("float64", "float32"))
    assert properties(found) == {"computes_in": "float32"}
    assert statuses(found, "float64") == {Status.SKIPPED}
    assert statuses(found, "float32") == {Status.HOLDS}
    assert {dtype for _, dtype in grades(found)} == {"float32"}
    (sentence,) = property_sentences(found.properties)
    assert "computes in float32" in sentence
    assert "--declare computes_in=float32" in sentence
    assert "float64" in verdict_line(found)


def test_a_float32_accumulator_of_a_float64_function_is_a_defect() -> None:
    """Its results are no float32 numbers; whoever intends this declares it."""
    found = checked(rms_norm_in_float32, "rms_norm", "value", dtypes=("float64", "float32"))
    assert not found.properties
    assert statuses(found, "float64") == {Status.BROKEN}
    assert statuses(found, "float32") == {Status.HOLDS}
    declared = {"computes_in": "float32"}
    found = checked(rms_norm_in_float32, "rms_norm", "value", dtypes=("float64", "float32"), declares=declared)
    assert statuses(found, "float64") == {Status.SKIPPED}


def test_a_declared_format_is_silent() -> None:
    """No property is reported, and the wider dtype is still skipped."""
    declares = {"computes_in": "float32"}
    found = checked(in_float32, "softmax", "value", dtypes=("float64", "float32"), declares=declares)
    assert not found.properties
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


def test_digits_lost_without_a_narrower_format_are_a_defect() -> None:
    """A constant rounded to float32 in an update of float64 is no format."""

    def sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
        return parameter - torch.tensor(lr, dtype=torch.float32).to(parameter.dtype) * gradient

    found = checked(sgd, "sgd", "value", dtypes=("float64",))
    assert not found.properties
    assert statuses(found, "float64") == {Status.BROKEN}


def test_what_runs_under_autocast_is_judged_in_its_format() -> None:
    """It is judged in the format of autocast, and float32 is skipped."""

    def linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.nn.functional.linear(features, weight, bias)

    found = checked(linear, "linear", "value", "output_like_input", dtypes=("float32", "bfloat16"))
    assert properties(found) == {"computes_in": "bfloat16"}
    assert statuses(found, "float32") == {Status.SKIPPED}
    assert statuses(found, "bfloat16") == {Status.HOLDS}
    assert "under autocast" in property_sentences(found.properties)[0]


def test_a_16_bit_softmax_of_float32_inputs_is_a_defect() -> None:
    """No platform requires it."""
    found = checked(lambda x: x.to(torch.bfloat16).softmax(-1).to(x.dtype), "softmax", "value", dtypes=("float32",))
    assert not found.properties
    assert statuses(found, "float32") == {Status.BROKEN}


def test_what_returns_float32_for_16_bits_is_judged_rounded() -> None:
    """Both dtypes share a property and its sentence, and the law of the dtype holds."""
    found = checked(
        lambda x: x.float().softmax(-1), "softmax", "value", "output_like_input", dtypes=("bfloat16", "float16")
    )
    assert properties(found) == {"returns": "float32"}
    assert statuses(found, "bfloat16") == statuses(found, "float16") == {Status.HOLDS}
    (sentence,) = property_sentences(found.properties)
    assert "returns float32 for bfloat16 and float16" in sentence


def test_what_answers_16_bits_in_float64_is_judged_rounded() -> None:
    """A library without a 16-bit kernel may use the widest format."""
    found = checked(
        lambda x: np.asarray(torch.sigmoid(torch.from_numpy(x).double())) if x.dtype == np.float16 else x,
        "sigmoid",
        "value",
        "output_like_input",
        dtypes=("float16",),
        call="numpy",
    )
    assert properties(found) == {"returns": "float64"}
    assert statuses(found, "float16") == {Status.HOLDS}
    assert "--declare returns=float64" in property_sentences(found.properties)[0]


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


def test_a_wrong_loss_is_wrong_as_a_python_number_too() -> None:
    """It has the digits of float32 inputs, or fewer."""
    found = checked(
        lambda a, b: float(((a - b) ** 2).bfloat16().float().mean()), "squared_error", "value", dtypes=("float32",)
    )
    assert properties(found) == {"returns": "float64"}
    assert statuses(found, "float32") == {Status.BROKEN}


@pytest.mark.parametrize("call", [None, "numpy"])
def test_a_promotion_to_float64_is_a_defect(call: str | None) -> None:
    """A constant of another dtype causes it, for an array or a tensor."""
    found = checked(promoted, "softmax", "output_like_input", dtypes=("float32",), call=call)
    assert not found.properties
    (verdict,) = found
    assert verdict.status is Status.BROKEN
    assert verdict.violation.cause.startswith("it returns torch.float64: ")


def test_a_loss_of_no_dimension_that_is_promoted_is_a_defect() -> None:
    """A scalar tensor has a dtype."""
    found = checked(
        lambda a, b: ((a - b) ** 2).double().mean(), "squared_error", "output_like_input", dtypes=("float32",)
    )
    assert not found.properties
    assert statuses(found, "float32") == {Status.BROKEN}


# Subnormal numbers


def flushed(x: Tensor) -> Tensor:
    """Return zero below the smallest normal number, like a processor that flushes."""
    return torch.where(x.abs() < torch.finfo(x.dtype).tiny, torch.zeros_like(x), x)


def test_flushed_subnormals_are_one_property() -> None:
    """Laws do not require the numbers that are flushed."""
    found = checked(
        lambda x: flushed(flushed(x).softmax(-1)), "softmax", "value", "value_on_extreme_numbers", dtypes=("float32",)
    )
    assert properties(found) == {"subnormals": "flushed"}
    assert statuses(found, "float32") == {Status.HOLDS}


def test_what_is_subnormal_only_beside_nothing_shows_flushing_too() -> None:
    """The subnormal number is the only term of a sum of exponentials, or the larger one."""
    one = checked(lambda x: flushed(x).logsumexp(-1), "logsumexp", "at_least_the_maximum", dtypes=("float32",))
    two = checked(lambda a, b: torch.logaddexp(flushed(a), b), "logaddexp", "nothing_added", dtypes=("float32",))
    assert properties(one) == properties(two) == {"subnormals": "flushed"}
    assert not [verdict for found in (one, two) for verdict in found if verdict.status.fails]


def test_a_sum_that_absorbs_small_numbers_flushes_subnormals_all_the_same() -> None:
    """It returns zero for a few normal numbers, because another term is larger."""

    def logsumexp(x: Tensor) -> Tensor:
        x = flushed(x)
        largest = x.max(-1).values
        return largest + (x - largest[:, None]).exp().sum(-1).log()

    found = checked(logsumexp, "logsumexp", "at_least_the_maximum", dtypes=("bfloat16",))
    assert properties(found) == {"subnormals": "flushed"}
    assert found.failing == []


def flushing_exp(x: Tensor) -> Tensor:
    """A quotient as compiled by an array framework."""
    return flushed(1.0 / (1.0 + (-x).exp()))


def flushing_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """Treats a subnormal probability as zero, however large its term is."""
    p = flushed(p)
    return torch.where(p == 0.0, -p * log_q, p * (p.log() - log_q)).sum(-1)


def test_a_convention_is_seen_where_tiny_numbers_are_flushed() -> None:
    """Both properties are reported."""
    found = checked(lambda x: flushed(rms_norm(1e-6)(flushed(x))), "rms_norm", "value", dtypes=("float32",))
    assert properties(found) == {"convention": "eps=1e-06", "subnormals": "flushed"}
    assert statuses(found, "float32") == {Status.HOLDS}


@pytest.mark.parametrize(("function", "contract"), [(flushing_exp, "sigmoid"), (flushing_divergence, "kl_divergence")])
def test_flushing_is_seen_where_few_answers_are_subnormal(function: Callable[..., Any], contract: str) -> None:
    """The probe searches inputs of an exponential. Functions of subnormal probabilities return normal numbers."""
    found = checked(function, contract, "value", dtypes=("float32",))
    assert properties(found) == {"subnormals": "flushed"}
    assert statuses(found, "float32") == {Status.HOLDS}


def test_flushing_is_seen_of_what_jax_is_called_on_too() -> None:
    """Laws draw few shapes for JAX, but a probe with few shapes would have too few numbers."""
    found = checked(
        lambda x: flushed(x.sigmoid()), "sigmoid", "value", dtypes=("float32",), call="lambda f, x, *, jnp=None: f(x)"
    )
    assert properties(found) == {"subnormals": "flushed"}
    assert statuses(found, "float32") == {Status.HOLDS}


def test_what_is_wrong_on_ordinary_numbers_is_not_explained_by_flushing() -> None:
    """Another likelihood differs on ordinary numbers, although flushed variances also give zero."""

    def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
        scale = (variance / 2.0).sqrt()
        return ((2.0 * scale).log() + (target - mean).abs() / scale).mean()

    found = checked(laplace, "gaussian_nll", "value", dtypes=("float32",))
    assert not found.properties
    assert statuses(found, "float32") == {Status.BROKEN}


def test_an_exponential_that_overflows_is_no_flushing() -> None:
    """Some subnormal results are right, and only those beyond ln(max) are lost."""
    found = checked(lambda x: 1.0 / (1.0 + (-x).exp()), "sigmoid", "value", dtypes=("float32",))
    assert not found.properties
    assert statuses(found, "float32") == {Status.LOST}


def test_labels_are_those_of_the_columns_that_are_looked_at() -> None:
    """No label is out of range, which some frameworks clip to the last class."""

    def clipping(logits: Tensor, labels: Tensor) -> Tensor:
        last = labels.clamp(max=logits.shape[-1] - 1)
        return torch.nn.functional.cross_entropy(logits, last)

    found = checked(clipping, "cross_entropy", "value", dtypes=("float32",))
    assert statuses(found, "float32") == {Status.HOLDS}


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


def test_a_clamp_is_no_flushing() -> None:
    """Normal numbers are lost too."""

    def clamped(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return torch.where(p < 1e-30, torch.zeros_like(p), p)

    found = checked(clamped, "softmax", "value", dtypes=("float32",))
    assert not found.properties
    assert statuses(found, "float32") == {Status.BROKEN}


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


def test_a_convention_is_found_beside_a_defect() -> None:
    """A variance that cancels at an offset is wrong with its eps too, and only for that reason."""

    def fast(x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        variance = (x.square().mean(-1, keepdim=True) - mean.square()).clamp(min=0.0)
        return (x - mean) * (variance + 1e-6).rsqrt()

    found = checked(fast, "layer_norm", "value", dtypes=("float32",))
    assert properties(found) == {"convention": "eps=1e-06"}
    assert statuses(found, "float32") == {Status.BROKEN}


def test_a_declared_convention_is_not_looked_for() -> None:
    """The function is compared with the declaration."""
    found = checked(lambda x: x.var(-1), "variance", "value", dtypes=("float32",), declares={"correction": 0})
    assert not found.properties
    assert statuses(found, "float32") == {Status.BROKEN}


def test_a_declared_break_is_not_explained_by_a_convention() -> None:
    """The failure is expected, as declared."""
    breaks = {"value": "divided by n - 1"}
    found = checked(lambda x: x.var(-1), "variance", "value", dtypes=("float32",), breaks=breaks)
    assert not found.properties
    assert statuses(found, "float32") == {Status.EXPECTED}


def looked_at(function: Callable[..., Any], contract: str, *dtypes: str) -> list[Property]:
    """Return the properties found before the laws are judged."""
    probe = Probe()
    asked = jobs([Case(function, contract, style="foreign")], laws=["value"], dtypes=dtypes)
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


def test_a_property_fails_under_strict_alone() -> None:
    """If it is declared, there is none."""
    (one,) = checked(lambda x: x.var(-1), "variance", "value", dtypes=("float32",)).properties
    assert isinstance(one, Property)
    assert not one.fails(strict=False)
    assert one.fails(strict=True)
