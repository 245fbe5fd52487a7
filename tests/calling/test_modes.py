"""Without a compiler, implementations that need one are skipped; other failures stay failures. Seeds set all states.

Backward passes cannot be replaced by the code under test.
"""

from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

import harness
from harness.calling import modes
from harness.calling.modes import NO_COMPILER, NO_HEADERS, NO_VECTORS, explain_missing_compiler, seed_all
from harness.calling.watch import Watch
from harness.record import Status


def test_a_missing_compiler_is_seen_through_what_wraps_it() -> None:
    """The error is the cause of another one, or is raised directly."""
    error = RuntimeError("backend failed")
    error.__cause__ = InvalidCxxCompiler()
    assert explain_missing_compiler(error) == NO_COMPILER
    assert explain_missing_compiler(InvalidCxxCompiler()) == NO_COMPILER


def test_another_error_is_another_error() -> None:
    """An error with the same name from another module does not count."""

    class TritonMissing(Exception):  # noqa: N818 - torch's name
        pass

    assert explain_missing_compiler(RuntimeError("no")) is None
    assert explain_missing_compiler(TritonMissing()) is None


def test_a_compiler_without_the_headers_of_python_is_none() -> None:
    """Code that does not compile for another reason is wrong."""
    missing = "main.cpp:1:10: fatal error: Python.h: No such file or directory"
    assert explain_missing_compiler(CppCompileError(["g++"], missing)) == NO_HEADERS
    assert explain_missing_compiler(CppCompileError(["g++"], "error: expected ';'")) is None


def test_code_with_vector_types_needs_vector_instructions() -> None:
    """Torch 2.13's compiler uses these types although the headers lack them for such a processor."""
    undefined = "main.cpp:17:17: error: 'at::vec' has not been declared"
    assert explain_missing_compiler(CppCompileError(["g++"], undefined)) == NO_VECTORS


def test_laws_of_what_cannot_be_compiled_are_skipped_with_the_reason() -> None:
    """No law is broken, and none holds."""

    def compiled(logits: Tensor) -> Tensor:
        raise InvalidCxxCompiler

    verdicts = harness.check(compiled, "softmax", dtypes=["float32"])
    assert {verdict.status for verdict in verdicts} == {Status.SKIPPED}
    assert {verdict.reason for verdict in verdicts} == {NO_COMPILER}


def test_so_are_those_of_a_step_that_compiles_when_it_is_called() -> None:
    """A law that makes the steps itself is skipped too."""

    def training_step(weight: Tensor, bias: Tensor, lr: float) -> object:
        def step(X: Tensor, y: Tensor) -> Tensor:
            raise InvalidCxxCompiler

        return step, (weight, bias)

    verdicts = harness.check(training_step, "softmax_regression_step", dtypes=["float32"])
    assert {verdict.reason for verdict in verdicts} == {NO_COMPILER}


@pytest.mark.parametrize("error", [ValueError("mine"), torch.OutOfMemoryError("full")])
def test_what_raises_for_another_reason_is_an_error(error: Exception) -> None:
    """It is not skipped."""

    def raising(logits: Tensor) -> Tensor:
        raise error

    verdicts = harness.check(raising, "softmax", dtypes=["float32"])
    assert Status.ERROR in {verdict.status for verdict in verdicts}
    assert Status.SKIPPED not in {verdict.status for verdict in verdicts}


def test_whatever_is_asked_in_a_law_is_compiled() -> None:
    """By default the compiler stops after eight recompilations, and Python would run instead."""
    counter = CompileCounter()

    @torch.compile(backend=counter)
    def powered(x: Tensor, form: str) -> Tensor:
        return x + len(form)

    x = torch.ones(2)
    with Watch(draws=True).law():
        for at in range(12):
            powered(x, "x" * at)
    assert counter.frame_count == 12
    assert torch._dynamo.config.recompile_limit == 8


@pytest.mark.parametrize("accelerated", [False, True])
def test_random_numbers_are_those_of_the_seed(monkeypatch: pytest.MonkeyPatch, *, accelerated: bool) -> None:
    """They do not depend on an accelerator."""
    torch.manual_seed(7)
    expected = torch.rand(4)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerated)
    seed_all(7)
    assert torch.initial_seed() == 7
    assert torch.equal(torch.rand(4), expected)


def test_gradients_are_those_of_torch() -> None:
    """The function has several outputs and an unused input, and is differentiated twice."""
    x, y, z = (torch.tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(3))
    weights = torch.tensor([1.0, -2.0, 0.5])
    outputs = [x.exp() * y, y.square().sum()[None]]
    cotangents = [weights, torch.ones(1)]
    expected = torch.autograd.grad(outputs, [x, y, z], cotangents, allow_unused=True, retain_graph=True)
    found = modes.grad(outputs, [x, y, z], cotangents, create=True)
    assert found[2] is expected[2] is None
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one is not None
        assert torch.equal(one, other)
    assert found[0] is not None
    modes.backward([found[0]], [torch.ones(3)])
    assert x.grad is not None
    assert torch.equal(x.grad, weights * x.exp() * y)


def test_a_patch_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code replaces functions of torch and the functions that they call."""

    def patched(*_: Any, **__: Any) -> Any:
        raise AssertionError("it is not called")

    for module, name in (
        (torch.autograd, "grad"),
        (torch.autograd, "backward"),
        (torch.autograd, "_engine_run_backward"),
        (torch.autograd.graph, "_engine_run_backward"),
    ):
        monkeypatch.setattr(module, name, patched)
    x = torch.tensor([2.0], requires_grad=True)
    (found,) = modes.grad([x**3], [x], [torch.ones(1)])
    assert found is not None
    assert found.item() == 12.0


def test_a_context_is_kept_only_where_torch_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In torch 2.9, the function that keeps it frees objects that are in use, and torch does not call it."""

    def like_torch_2_9(outputs: Any, *arguments: Any, **options: Any) -> Any:
        return torch.autograd.Variable._execution_engine.run_backward(outputs, *arguments, **options)

    def frees_too_early(*_: Any) -> Any:
        raise AssertionError("it is not called")

    monkeypatch.setattr(torch.autograd.graph, "_engine_run_backward", like_torch_2_9)
    monkeypatch.setattr(torch._C, "_stash_obj_in_tls", frees_too_early)
    spec = spec_from_file_location("bound_again", modes.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    x = torch.tensor([2.0], requires_grad=True)
    (found,) = again.grad([x**3], [x], [torch.ones(1)])
    assert found.item() == 12.0
