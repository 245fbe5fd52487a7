"""Backward passes that the code under test cannot replace."""

from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest
import torch

from harness.calling import bound


def test_gradients_are_those_of_torch() -> None:
    """The function has several outputs and an unused input, and is differentiated twice."""
    x, y, z = (torch.tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(3))
    weights = torch.tensor([1.0, -2.0, 0.5])
    outputs = [x.exp() * y, y.square().sum()[None]]
    cotangents = [weights, torch.ones(1)]
    expected = torch.autograd.grad(outputs, [x, y, z], cotangents, allow_unused=True, retain_graph=True)
    found = bound.grad(outputs, [x, y, z], cotangents, create=True)
    assert found[2] is expected[2] is None
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one is not None
        assert torch.equal(one, other)
    assert found[0] is not None
    bound.backward([found[0]], [torch.ones(3)])
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
    (found,) = bound.grad([x**3], [x], [torch.ones(1)])
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
    spec = spec_from_file_location("bound_again", bound.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    x = torch.tensor([2.0], requires_grad=True)
    (found,) = again.grad([x**3], [x], [torch.ones(1)])
    assert found.item() == 12.0
