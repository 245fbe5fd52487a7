"""Known defects of torch's functions, each with evidence that does not need the harness.

Formulas found them that were not tuned to them. The kernels of a processor decide which defects it shows, so that each
defect is first checked with torch on one input.

``python -m formula.torch_breaks`` in tests/ checks the whole catalog in the other three formats, which takes minutes.
It prints each broken law that :data:`ELSEWHERE` does not declare, and fails if there is one. Further words are dtypes;
``float32`` is compared with :mod:`formula.catalogued`.
"""

import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
import typer
from formula.catalogued import CATALOGUED
from formula.judging import decided
from torch import Tensor
from torch.nn import functional as F

from harness.api import formula_contract
from harness.case import Case
from harness.record import Status
from harness.verdict.job import list_jobs


class TorchBreak(NamedTuple):
    """One defect of torch.

    ``contract`` is the name of a catalog formula, or a formula. ``dtype``, ``law`` and ``status`` are the place and the
    expected result. ``shows`` returns whether this machine has the defect, from one input. ``why`` explains the defect.
    """

    contract: str
    dtype: str
    law: str
    status: Status
    function: Callable[..., Tensor]
    shows: Callable[[], bool]
    why: str


def _slope(function: Callable[[Tensor], Tensor], *at: float, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.tensor(at, dtype=dtype, requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    return x.grad


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float16)


def group_norm(x: Tensor) -> Tensor:
    """One group that has every entry twice, because torch refuses a group of a single number."""
    return F.group_norm(torch.cat([x, x], -1)[:, None], 1)[:, 0, : x.shape[-1]]


def _smoothed(logit: float) -> Tensor:
    logits = torch.tensor([[logit, 0.0, 0.0, 0.0]], dtype=torch.float16)
    return F.cross_entropy(logits, torch.tensor([2]), label_smoothing=0.1)


def _gelu_error() -> float:
    x = torch.linspace(-2.9, -2.84, 601)
    return float((F.gelu(x) / F.gelu(x.double()) - 1).abs().max())


def _of_the_catalogue(place: str, shows: Callable[[], bool], why: str, status: Status = Status.BROKEN) -> TorchBreak:
    """Return a defect of a function in the catalog; the place is its name, a law and a dtype."""
    name, law, dtype = place.split()
    return TorchBreak(name, dtype.strip("[]"), law, status, CATALOGUED[name].torch, shows, why)


TORCH_BREAKS = {
    "logcumsumexp": _of_the_catalogue(
        "logcumsumexp gradient [float32]",
        lambda: bool((_slope(lambda x: x.logcumsumexp(0), 1e8, 1e8, 1e8) == torch.tensor([0.0, 0.0, 1.0])).any()),
        "its gradient is formed of the difference of logarithms, which cancels",
    ),
    "group_norm": TorchBreak(
        formula_contract(None, "d = x - mean(x); d / sqrt(mean(d ** 2) + 0.00001)", None, None, "rows") or "",
        "float32",
        "value_on_extreme_numbers",
        Status.LOST,
        group_norm,
        lambda: bool(F.group_norm(torch.full((1, 1, 4), -1.75e37), 1).isnan().any()),
        "the sum of squares of a constant row leaves the range, and infinity less infinity is taken for its variance",
    ),
    "normalize": _of_the_catalogue(
        "normalize finite [float16]",
        lambda: bool(F.normalize(_zeros(1, 3)).isnan().any()),
        "its eps rounds to zero: 0 / 0 of a vector of zeros",
    ),
    "cosine_similarity": _of_the_catalogue(
        "cosine_similarity value [float16]",
        lambda: bool(F.cosine_similarity(_zeros(1, 3), _zeros(1, 3)).isnan().any()),
        "its eps rounds to zero: 0 / 0 of a vector of zeros",
    ),
    "gelu": _of_the_catalogue(
        "gelu value [float32]",
        lambda: _gelu_error() > 1e-4,
        "with vectors, one plus an error function near minus one: off by 1.6e-4 at -2.898",
    ),
    "tanh": _of_the_catalogue(
        "tanh gradient_digits_not_lost [float32]",
        lambda: float(_slope(torch.tanh, -10.6)) == 0.0,
        "one less the square of an output that was rounded: zero for 2.5e-9",
        Status.LOST,
    ),
    "label smoothing": _of_the_catalogue(
        "smoothed_cross_entropy value_on_extreme_numbers [float16]",
        lambda: bool(_smoothed(42_130.0).isinf()),
        "the sum of all logarithms is kept in float16, and overflows",
        Status.LOST,
    ),
    "hardsigmoid": _of_the_catalogue(
        "hardsigmoid gradient [float64]",
        lambda: float(_slope(F.hardsigmoid, 0.5, dtype=torch.float64)) == float(torch.tensor(1 / 6)),
        "a sixth is float32's in the backward pass of float64",
    ),
    "adam": _of_the_catalogue(
        "adam_steps finite [float16]",
        lambda: bool((_zeros(1) / (_zeros(1) + 1e-8)).isnan().any()),
        "its eps rounds to zero: 0 / 0 of a gradient of zero",
    ),
    "hyperbolic sine": _of_the_catalogue(
        "sinh finite [float32]",
        lambda: bool(torch.sinh(torch.full((32,), 89.0)).isinf().any()),
        "the vector kernel overflows from 88.72 where the truth does from 89.42",
    ),
    "soft margin": _of_the_catalogue(
        "soft_margin finite [float32]",
        lambda: bool(F.soft_margin_loss(torch.tensor([-100.0]), torch.tensor([1.0])).isinf()),
        "log(1 + exp) is computed as it is written: exp overflows at 88.72",
    ),
}
"""Defects by the name of the function."""

LAWS = ("value", "finite", "gradient", "gradient_finite")
"""Laws whose violation is a defect, for the first input."""

NAN = "not_nan_where_infinite"
"""The law at infinities whose violation is a defect."""

_ZERO = "its eps rounds to zero, and 0 / 0 is no number"
_FINITE = ("finite", "gradient_finite")
_EARLY = dict.fromkeys(_FINITE, "it overflows where exp does, and the truth by a factor of two later")
_WRITTEN = dict.fromkeys(LAWS, "log(1 + exp) is computed as it is written: exp overflows")
_LOGARITHMS = {"gradient": "it is formed of the difference of logarithms, which cancels"}

ELSEWHERE: dict[tuple[str, str], dict[str, str]] = {
    ("normalize", "float16"): {"finite": _ZERO, "value": _ZERO},
    ("cosine_similarity", "float16"): dict.fromkeys(LAWS, _ZERO),
    ("adam_steps", "float16"): {"finite": _ZERO, NAN: _ZERO},
    ("adam_steps_with_decay", "float16"): {"finite": _ZERO},
    ("adamw_steps", "float16"): {"finite": _ZERO},
    ("clip_by_norm", "float16"): {
        "gradient_finite": "one by the eps alone overflows, and its slope is multiplied by zero"
    },
    ("normal_log_prob", "float16"): {"finite": "the square overflows before it is halved"},
    **{("logcumsumexp", dtype): _LOGARITHMS for dtype in ("float64", "bfloat16", "float16")},
    **{("soft_margin", dtype): _WRITTEN for dtype in ("float64", "bfloat16", "float16")},
    **{(name, dtype): _EARLY for name in ("sinh", "cosh") for dtype in ("float64", "bfloat16")},
    ("logmeanexp", "float64"): {"gradient": "it is formed of the output, and shows how that was rounded"},
    ("hardsigmoid", "float64"): {"gradient": "a sixth is float32's in the backward pass"},
}
"""The laws that torch's implementation breaks in other dtypes than float32, by name and dtype, with the reason."""


OF_FLOAT32_AND_BFLOAT16 = {"gelu", "geglu"}
"""Functions that break at infinities only in the vector kernel, which float32 and bfloat16 share."""


def declared() -> dict[tuple[str, str, str], str]:
    """Return the reasons for declared breaks by name, dtype and law.

    :mod:`formula.catalogued` declares the breaks in float32.
    """
    in_float32 = {(name, "float32"): entry.breaks for name, entry in CATALOGUED.items()}
    at_infinities = {
        (name, dtype, NAN): entry.breaks[NAN]
        for name, entry in CATALOGUED.items()
        for dtype in (("bfloat16",) if name in OF_FLOAT32_AND_BFLOAT16 else ("float64", "bfloat16", "float16"))
        if NAN in entry.breaks
    }
    own = {(*at, law): why for at, laws in (in_float32 | ELSEWHERE).items() for law, why in laws.items()}
    return own | at_infinities


def main(*dtypes: str) -> int:
    """Print undeclared breaks and declared laws that hold, and return the exit code."""
    warnings.simplefilter("ignore", UserWarning)
    chosen = dtypes or ("float64", "bfloat16", "float16")
    reasons, broken = declared(), set()
    for name, entry in CATALOGUED.items():
        listed = list_jobs([Case(entry.torch, name)], dtypes=chosen)
        for verdict in decided([job for job in listed if job.law.name in {*LAWS, NAN}], examples=6):
            if verdict.status is Status.HOLDS:
                continue
            at = (name, verdict.dtype, verdict.law)
            broken.add(at)
            if at not in reasons:
                why = verdict.reason or verdict.violation
                typer.echo(f"{name} {verdict.law} [{verdict.dtype}] {verdict.status.value}: {why}")
    for name, dtype, law in sorted(reasons.keys() - broken):
        if dtype in chosen:
            typer.echo(f"{name} {law} [{dtype}] is declared, and holds on these examples")
    return int(not broken <= reasons.keys())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
