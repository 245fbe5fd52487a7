"""Careful forms cause no false alarm: a broken law means lost digits, or is listed with its reason."""

import math

import mpmath
import pytest
import torch
from corpus.careful import DEFECTS, layer_norm_through_its_maximum, layer_norm_without_eps
from corpus.catalogue import of
from corpus.specimen import Specimen

from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs

pytestmark = pytest.mark.judged

FORMS = of("careful")

DTYPES = ("float32", "bfloat16")

OF_ALL_DTYPES = {"value", "gradient", "gradient_at_zero"}
"""Laws that are also decided in float64 and float16."""

GROUPS = {"value", "algebra", "finite", "gradient"}
"""Groups of laws that depend on rounding. The other groups apply to any implementation."""


def decidable(form: Specimen) -> list[Job]:
    """Return the laws of a form that depend on rounding."""
    case = Case(form.function, form.contract, declares=form.declares, name=f"careful.{form.name}")
    rounded = [job for job in list_jobs([case]) if job.law.group in GROUPS]
    return [job for job in rounded if job.format.name in DTYPES or job.law.name in OF_ALL_DTYPES]


def decided(job: Job) -> Verdict:
    """Decide on few examples, without minimizing failures."""
    return decide(job, examples=3, minimal=False)


JOBS = [job for form in FORMS for job in decidable(form)]


def _known(job: Job) -> bool:
    return job.law.name in DEFECTS.get(job.case.name.rpartition(".")[2], {})


@pytest.mark.parametrize(
    "job", [job for job in JOBS if not _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_a_careful_form_is_not_called_wrong(job: Job) -> None:
    """Each law holds or loses digits that a better algorithm keeps.

    A custom backward pass need not be differentiable.
    """
    verdict = decided(job)
    skipped = {Status.SKIPPED} if job.law.name == "second_derivative" else set()
    assert verdict.status in {Status.HOLDS, Status.LOST} | skipped, verdict.violation or verdict.reason


@pytest.mark.parametrize(
    "job", [job for job in JOBS if _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_what_is_wrong_with_a_careful_form_is_found(job: Job) -> None:
    """The rest of the form may be careful."""
    assert decided(job).status is Status.BROKEN


OF_ZEROS = {
    "softmax": 2.0**-16,
    "log_softmax": -math.log(65_536),
    **dict.fromkeys(("logsumexp", "cross_entropy", "entropy"), math.log(65_536)),
    "masked_softmax": 2.0**-16,
}
"""The result of each operation for 65,536 zeros."""

ADDED_IN_FLOAT16 = [
    *("shifted_softmax", "exponential_of_the_log_softmax", "shifted_log_softmax", "logsumexp_of_a_constant_maximum"),
    *("logsumexp_with_its_own_backward", "cross_entropy_of_shifted_logits", "cross_entropy_by_logsumexp"),
    *("entropy_without_log1p", "entropy_of_shifted_logits", "masked_softmax_with_zeros"),
]
"""Forms with another broken law than at the kinks: `value_on_long_rows` in float16."""


@pytest.mark.parametrize("form", [form for form in FORMS if form.name in ADDED_IN_FLOAT16], ids=lambda form: form.name)
def test_a_sum_of_65536_exponentials_is_no_number_of_float16(form: Specimen) -> None:
    """The largest float16 is 65,504: the result is zero or infinite, while float32 keeps nearly all digits."""
    beside = {
        "cross_entropy": (torch.zeros(1, dtype=torch.int64),),
        "masked_softmax": (torch.ones(1, 65_536, dtype=torch.bool),),
    }.get(form.contract, ())
    narrow, wide = (
        float(form.function(torch.zeros(1, 65_536, dtype=dtype), *beside).flatten()[0])
        for dtype in (torch.float16, torch.float32)
    )
    exact = OF_ZEROS[form.contract]
    assert narrow == 0.0 or math.isinf(narrow)
    assert wide == pytest.approx(exact, rel=1e-4)


def test_an_infinite_loss_is_nan_where_zero_is_multiplied_by_infinity() -> None:
    """The prediction is certain and wrong. At the other infinity each form has the limit."""
    of_products, of_logsigmoid = (
        next(form for form in FORMS if form.name == name).function
        for name in ("bce_of_clamp_and_abs", "bce_by_logsigmoid")
    )
    plus, minus = (torch.tensor([x]) for x in (torch.inf, -torch.inf))
    assert of_products(plus, torch.zeros(1)).isnan()
    assert of_products(minus, torch.ones(1)) == torch.inf
    assert of_logsigmoid(minus, torch.ones(1)).isnan()
    assert of_logsigmoid(plus, torch.zeros(1)) == torch.inf


def test_a_row_that_drowns_is_divided_by_the_root_of_eps() -> None:
    """Two neighboring numbers have a variance, but torch's rounded mean leaves none."""
    numbers = [float.fromhex(f"-0x1.7cc7efb2d21a{digit}p+362") for digit in (3, 2)]
    x = torch.tensor([numbers], dtype=torch.float64)
    (form,) = (form for form in FORMS if form.name == "layer_norm_by_division")
    with mpmath.workdps(200):
        row = [mpmath.mpf(number) for number in x[0].tolist()]
        deviation = row[0] - sum(row) / 2
        exact = deviation / mpmath.sqrt(deviation**2 + mpmath.mpf(1e-5))
    assert abs(exact + 1) < 1e-30
    assert form.function(x).abs().max() > 1e90


@pytest.mark.parametrize("name", ["mean_of_squares", "squares_by_pairwise_sums"])
def test_a_column_of_predictions_meets_every_target(name: str) -> None:
    """The loss of an exact prediction is not zero."""
    (form,) = (form for form in FORMS if form.name == name)
    target = torch.tensor([0.0, 1.0])
    assert form.function(target, target) == 0.0
    assert (form.function(target[:, None], target) > 0.0).any()


@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e4])
def test_a_maximum_that_is_divided_out_again_adds_nothing_to_the_gradient(spread: float) -> None:
    """Compared with the derivative in 60 digits, both versions have the same few rounding errors."""
    x = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64)[None] ** 3 * spread
    cotangent = torch.tensor([[1.0, -2.0, 0.5, 3.0, -1.0, 0.25, 2.0]], dtype=torch.float64)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer_norm_through_its_maximum(x), x, cotangent)
    with mpmath.workdps(60):
        row, weights = ([mpmath.mpf(number) for number in t[0].tolist()] for t in (x, cotangent))
        centred = [number - sum(row) / 7 for number in row]
        scale = mpmath.sqrt(sum(d * d for d in centred) / 7 + mpmath.mpf(1e-5))
        along = sum(w * d for w, d in zip(weights, centred, strict=True)) / 7
        exact = [(w - sum(weights) / 7) / scale - d * along / scale**3 for w, d in zip(weights, centred, strict=True)]
        off = max(abs(g - e) for g, e in zip(gradient[0].tolist(), exact, strict=True))
        assert off <= 16 * 2.0**-53 * max(map(abs, weights)) / scale


@pytest.mark.parametrize("cotangent", [[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_is_asked_of_the_gradient_of_a_constant_row_without_eps(dtype: str, cotangent: list[float]) -> None:
    """Such a gradient is 0 / 0, or depends on the rounding of the mean. A row that is not constant is judged."""
    case = Case(layer_norm_without_eps, "layer_norm", declares={"eps": 0.0})
    doubled = Case(lambda x: 2.0 * layer_norm_without_eps(x), "layer_norm", declares={"eps": 0.0})
    weights = torch.tensor([cotangent], dtype=getattr(torch, dtype))
    # In neither format is a third of the sum the entry itself.
    constant = torch.full((1, 3), float.fromhex("0x1.f0d064p+0"), dtype=weights.dtype)
    spread = constant * torch.tensor([1.0, 2.0, 4.0], dtype=weights.dtype)
    (job,) = list_jobs([case], laws=["gradient"], dtypes=[dtype])
    assert decide(job, example={"x": constant, "cotangent": weights}).status is Status.HOLDS
    (wrong,) = list_jobs([doubled], laws=["gradient"], dtypes=[dtype])
    expected = Status.BROKEN if any(cotangent) else Status.HOLDS
    assert decide(wrong, example={"x": spread, "cotangent": weights}).status is expected


def test_a_maximum_that_the_eps_is_not_divided_by_is_found() -> None:
    """Each row then has another eps, and the value is wrong."""

    def unscaled(x: torch.Tensor) -> torch.Tensor:
        d = x - x.mean(-1, keepdim=True)
        z = d / d.abs().amax(-1, keepdim=True).clamp(min=1.0)
        return z / torch.sqrt((z * z).mean(-1, keepdim=True) + 1e-5)

    (job,) = list_jobs([Case(unscaled, "layer_norm", declares={"eps": 1e-5})], laws=["value"], dtypes=["float32"])
    assert decided(job).status is Status.BROKEN
