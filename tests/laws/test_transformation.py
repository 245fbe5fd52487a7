"""Laws on request: other values under ``torch.compile`` and ``torch.func.vmap`` are found, other roundings are not."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from controls.catalogue import CONTROLS
from torch import Tensor, nn

import harness
from harness.contracts import contract_named
from harness.error import UsageError
from harness.laws.transformation import laws_on_request
from harness.record import Status, Verdict


def another_formula(x: Tensor) -> Tensor:
    """The compiled code forgets a part."""
    return x.softmax(-1) if not torch.compiler.is_compiling() else (x * 1.001).softmax(-1)


class AnotherModule(nn.Module):
    """A module with another formula for the compiler, and a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the compiled result."""
        p = (self.scale * x).softmax(-1)
        return p * 1.01 if torch.compiler.is_compiling() else p


def other_roundings(x: Tensor) -> Tensor:
    """The compiled code computes the same function in other steps."""
    if not torch.compiler.is_compiling():
        return x.softmax(-1)
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


class _FirstAxis(torch.autograd.Function):
    """A softmax whose rule for batches assumes that they are along the first axis."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.softmax(-1)

    @staticmethod
    def setup_context(ctx: Any, _: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def vmap(_: Any, in_dims: Any, x: Tensor) -> tuple[Tensor, Any]:
        return _FirstAxis.apply(x), in_dims[0]


class _AllMapped(torch.autograd.Function):
    """A squared error whose rule for batches assumes that both inputs have one."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b) ** 2).mean()

    @staticmethod
    def setup_context(*_: Any) -> None:
        pass

    @staticmethod
    def vmap(_: Any, in_dims: Any, a: Tensor, b: Tensor) -> tuple[Tensor, Any]:
        a, b = (x if axis is None else x.movedim(axis, 0) for x, axis in zip((a, b), in_dims, strict=True))
        return ((a - b.reshape(-1, *b.shape[-1:])[:1]) ** 2).flatten(1).mean(1), 0


def batches_along_the_first_axis(x: Tensor) -> Tensor:
    """See above."""
    return _FirstAxis.apply(x)


def both_inputs_are_mapped(a: Tensor, b: Tensor) -> Tensor:
    """See above."""
    return _AllMapped.apply(a, b)


def branches_on_a_value(x: Tensor) -> Tensor:
    """Torch can compile it, in parts, and cannot map it."""
    return x.softmax(-1) if x.sum().item() > 0.0 else x.softmax(x.ndim - 1)


def check(function: Any, contract: str, law: str, **options: Any) -> Verdict:
    """Return the verdict in float32."""
    (verdict,) = harness.check(function, contract, laws=[law], dtypes=["float32"], corpora=(), **options)
    return verdict


@pytest.mark.parametrize(
    ("function", "contract", "law"),
    [
        (another_formula, "softmax", "compile_agrees"),
        (AnotherModule, "softmax", "compile_agrees"),
        (AnotherModule(), "softmax", "compile_agrees"),
        (batches_along_the_first_axis, "softmax", "vmap_agrees"),
        (both_inputs_are_mapped, "squared_error", "vmap_agrees"),
    ],
)
def test_another_value_after_a_transformation_is_a_defect(function: Any, contract: str, law: str) -> None:
    """The message names the transformation."""
    verdict = check(function, contract, law)
    assert verdict.status is Status.BROKEN
    assert verdict.violation is not None
    assert (
        f"under torch.{'compile' if law == 'compile_agrees' else 'func.vmap with in_dims='}" in verdict.violation.cause
    )


@pytest.mark.parametrize(
    ("function", "contract"),
    [(other_roundings, "softmax"), (branches_on_a_value, "softmax"), (F.cross_entropy, "cross_entropy")],
)
def test_other_roundings_after_compilation_are_no_defect(function: Any, contract: str) -> None:
    """Two runs may differ by twice the bound of the value."""
    assert check(function, contract, "compile_agrees").status is Status.HOLDS


@pytest.mark.parametrize(
    "control",
    [control for control in CONTROLS if laws_on_request(contract_named(control.contract))],
    ids=lambda control: control.contract,
)
def test_no_control_has_other_values_under_vmap(control: Any) -> None:
    """A control that torch cannot map is skipped with torch's reason."""
    dtype = contract_named(control.contract).dtypes[0]
    options = {"dtypes": [dtype], "declares": control.declares}
    (verdict,) = harness.check(control.stable, control.contract, laws=["vmap_agrees"], corpora=(), **options)
    assert verdict.status in {Status.HOLDS, Status.SKIPPED}, verdict.violation
    assert verdict.status is Status.HOLDS or "torch.func.vmap refuses it" in (verdict.reason or "")


def test_code_that_torch_cannot_map_is_skipped_with_the_reason() -> None:
    """A branch on a value is no defect."""
    verdict = check(branches_on_a_value, "softmax", "vmap_agrees")
    assert verdict.status is Status.SKIPPED
    assert "torch.func.vmap refuses it" in str(verdict.reason)
    assert ".item()" in str(verdict.reason)


def test_an_optimizer_is_no_function_to_compile() -> None:
    """Compiling a class would change the class and compile nothing."""
    verdict = check(torch.optim.SGD, "sgd", "compile_agrees")
    assert (verdict.status, verdict.reason) == (
        Status.SKIPPED,
        "torch.compile compiles functions and modules, not classes",
    )


def test_the_laws_are_checked_only_if_they_are_named() -> None:
    """A check of all laws has none of them; training and loaders have none at all."""
    verdicts = harness.check(torch.nn.functional.softplus, "softplus", dtypes=["float32"], examples=1, corpora=())
    on_request = {law.name for law in laws_on_request(contract_named("softplus"))}
    assert on_request == {"compile_agrees", "vmap_agrees"}
    assert not on_request & {verdict.law for verdict in verdicts}
    assert laws_on_request(contract_named("linear_regression")) == ()
    with pytest.raises(UsageError, match="did you mean"):
        check(F.softplus, "softplus", "vmap_agree")
    assert "torch.func.vmap" in str(harness.explain("vmap_agrees", "softplus"))
