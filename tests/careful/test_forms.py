"""No false alarm on a careful engineer's own forms: what breaks on one is lost digits, or listed with its reason."""

import mpmath
import pytest
import torch
from careful.forms import DEFECTS, FORMS, Form, layer_norm_through_its_maximum, layer_norm_without_eps

from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, jobs

DTYPES = ("float32", "bfloat16")

OF_ALL_DTYPES = {"value", "gradient", "gradient_at_zero"}
"""Laws that are decided in float64 and float16, too."""

GROUPS = {"value", "algebra", "finite", "gradient"}
"""What rounding decides; the other groups are those of any implementation."""


def decidable(form: Form) -> list[Job]:
    """The laws of a form that rounding decides."""
    case = Case(form.function, form.contract, declares=dict(form.declares), name=f"careful.forms.{form.name}")
    rounded = [job for job in jobs([case]) if job.law.group in GROUPS]
    return [job for job in rounded if job.format.name in DTYPES or job.law.name in OF_ALL_DTYPES]


def decided(job: Job) -> Verdict:
    """On a few examples, without making what fails smaller."""
    return decide(job, examples=3, minimal=False)


JOBS = [job for form in FORMS for job in decidable(form)]


def _known(job: Job) -> bool:
    return job.law.name in DEFECTS.get(job.case.name.rpartition(".")[2], {})


@pytest.mark.parametrize(
    "job", [job for job in JOBS if not _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_a_careful_form_is_not_called_wrong(job: Job) -> None:
    """It holds, or loses digits that a better algorithm keeps; a backward pass of one's own need not have another."""
    verdict = decided(job)
    skipped = {Status.SKIPPED} if job.law.name == "second_derivative" else set()
    assert verdict.status in {Status.HOLDS, Status.LOST} | skipped, verdict.violation or verdict.reason


@pytest.mark.parametrize(
    "job", [job for job in JOBS if _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_what_is_wrong_with_a_careful_form_is_found(job: Job) -> None:
    """However careful the rest of it is."""
    assert decided(job).status is Status.BROKEN


@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e4])
def test_a_maximum_that_is_divided_out_again_adds_nothing_to_the_gradient(spread: float) -> None:
    """Against the derivative in 60 digits: through the maximum or not, it is off by the same few roundings."""
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
    """It is 0 / 0, or of whatever the rounding of the mean has left of the row; a row that has a spread is judged."""
    case = Case(layer_norm_without_eps, "layer_norm", declares={"eps": 0.0})
    doubled = Case(lambda x: 2.0 * layer_norm_without_eps(x), "layer_norm", declares={"eps": 0.0})
    weights = torch.tensor([cotangent], dtype=getattr(torch, dtype))
    # In neither format is a third of the sum the entry itself.
    constant = torch.full((1, 3), float.fromhex("0x1.f0d064p+0"), dtype=weights.dtype)
    spread = constant * torch.tensor([1.0, 2.0, 4.0], dtype=weights.dtype)
    (job,) = jobs([case], laws=["gradient"], dtypes=[dtype])
    assert decide(job, example={"x": constant, "cotangent": weights}).status is Status.HOLDS
    (wrong,) = jobs([doubled], laws=["gradient"], dtypes=[dtype])
    expected = Status.BROKEN if any(cotangent) else Status.HOLDS
    assert decide(wrong, example={"x": spread, "cotangent": weights}).status is expected


def test_a_maximum_that_the_eps_is_not_divided_by_is_found() -> None:
    """Then another eps is added to each row, and the value is wrong."""

    def unscaled(x: torch.Tensor) -> torch.Tensor:
        d = x - x.mean(-1, keepdim=True)
        z = d / d.abs().amax(-1, keepdim=True).clamp(min=1.0)
        return z / torch.sqrt((z * z).mean(-1, keepdim=True) + 1e-5)

    (job,) = jobs([Case(unscaled, "layer_norm", declares={"eps": 1e-5})], laws=["value"], dtypes=["float32"])
    assert decided(job).status is Status.BROKEN
