"""Adapters for other signatures, other arrays, modules and optimizers, and laws that do not apply to these."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import harness
from harness.calling.adapter import ADAPTER_DETACHES, NO_AUTOGRAD, NO_BFLOAT16, adapter_of
from harness.error import UsageError
from harness.record import Fault, Status, Verdict


def stable(x: np.ndarray) -> np.ndarray:
    """Softmax on NumPy arrays, with the sum in float64."""
    e = np.exp(x - x.max(-1, keepdims=True)).astype(np.float64)
    return (e / e.sum(-1, keepdims=True)).astype(x.dtype)


def naive(x: np.ndarray) -> np.ndarray:
    """The definition."""
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def only(verdicts: list[Verdict]) -> Verdict:
    """Return the only verdict."""
    (verdict,) = verdicts
    return verdict


BY_HAND = "lambda f, x: f(x.numpy())"


@pytest.mark.parametrize("call", ["numpy", BY_HAND, lambda f, x: f(x.numpy())], ids=["name", "expression", "function"])
def test_a_numpy_implementation_is_checked_and_what_it_cannot_have_is_skipped(call: object) -> None:
    """Gradient and bfloat16 are skipped with a reason. The verdict line counts the laws that ran."""
    verdicts = harness.check(stable, "softmax", laws=["value", "gradient", "output_like_input"], call=call)  # type: ignore[arg-type]
    found = {(verdict.law, verdict.dtype): verdict for verdict in verdicts}
    assert verdicts.failing == []
    assert found["gradient", "float32"].reason == NO_AUTOGRAD
    assert found["value", "bfloat16"].reason == NO_BFLOAT16
    skipped = {key for key, verdict in found.items() if verdict.status is Status.SKIPPED}
    assert skipped == {key for key in found if key[0] == "gradient" or key[1] == "bfloat16"}
    assert str(verdicts) == (
        "verdict: no defect in 2 laws; nothing was measured in bfloat16 (12 verdicts: 6 hold, 6 skipped)"
    )


def test_a_naive_numpy_implementation_is_broken_at_the_same_threshold() -> None:
    """The replay contains the adapter."""
    verdict = only(harness.check(naive, "softmax", laws=["value"], dtypes=["float32"], call="numpy"))
    assert verdict.violation is not None
    assert "0x1.62e43p+6" in verdict.violation.replay
    assert "--call numpy" in verdict.violation.replay


def test_an_implementation_that_is_none_of_numpys_is_not_excused() -> None:
    """Its own conversion to NumPy fails, which is its fault."""

    def through_numpy(x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy()).softmax(-1)

    verdict = only(
        harness.check(through_numpy, "softmax", laws=["gradient"], dtypes=["float32"], call="lambda f, x: f(x)")
    )
    assert verdict.status is Status.ERROR
    assert "requires grad" in (verdict.reason or "")


def test_another_signature_keeps_its_gradient() -> None:
    """An adapter is no reason to skip the law."""
    verdicts = harness.check(
        torch.softmax, "softmax", laws=["value", "gradient"], dtypes=["float32"], call="lambda f, x: f(x, dim=-1)"
    )
    assert [verdict.status for verdict in verdicts] == [Status.HOLDS] * 2


class Softmax(nn.Module):
    """A module without arguments."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the softmax."""
        return x.softmax(-1)


class Scaled(nn.Module):
    """A module with a parameter in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the softmax."""
        return x.softmax(-1) * self.scale


@pytest.mark.parametrize(
    "module", [Softmax, Softmax(), Scaled, Scaled()], ids=["class", "instance", "its parameters", "copied"]
)
def test_modules_are_called_as_what_they_are(module: object) -> None:
    """A copy has the dtype of the inputs. The given module keeps its dtype."""
    verdicts = harness.check(module, "softmax", laws=["value", "output_like_input"])  # type: ignore[arg-type]
    assert verdicts.failing == []
    if isinstance(module, Scaled):
        assert module.scale.dtype is torch.float32


@pytest.mark.parametrize("contract", ["sgd", "sgd_with_momentum"])
def test_an_optimizer_takes_its_steps(contract: str) -> None:
    """It starts with a fresh state and the settings of the contract."""
    verdicts = harness.check(torch.optim.SGD, contract, laws=["value"], dtypes=["float32"])
    assert only(verdicts).status is Status.HOLDS


def test_an_adapter_can_be_in_a_file(workplace: Path) -> None:
    """The function may be in another file."""
    Path("mine.py").write_text("def adapter(f, x):\n    return f(x, dim=-1)\n", encoding="utf-8")
    assert (
        only(harness.check(torch.softmax, "softmax", laws=["value"], dtypes=["float32"], call="mine.py:adapter")).status
        is Status.HOLDS
    )


@pytest.mark.parametrize("call", ["numpy(axis=-1)", " numpy ( axis=-1, )", "numpy(**{'axis': -1})"])
def test_a_named_adapter_takes_keywords_for_the_function(call: str) -> None:
    """It works like ``functools.partial``."""

    def softmax(x: np.ndarray, axis: int) -> np.ndarray:
        return stable(x) if axis == -1 else x

    verdicts = harness.check(softmax, "softmax", laws=["value", "gradient"], dtypes=["float32"], call=call)
    assert [verdict.status for verdict in verdicts] == [Status.HOLDS, Status.SKIPPED]


def test_expressions_know_the_usual_names() -> None:
    """The names of torch and NumPy are known, and JAX is imported on demand."""
    for call in (
        "lambda f, x: F.softmax(x, -1)",
        "lambda f, x: nn.Softmax(-1)(x)",
        "lambda f, x: torch.softmax(x, -1)",
    ):
        assert adapter_of(call)(None, torch.ones(1, 2)).tolist() == [[0.5, 0.5]]
    assert "jnp" not in adapter_of("lambda f, x: np.exp(x)").__globals__


@pytest.mark.skipif(find_spec("jax") is not None, reason="JAX is installed")
@pytest.mark.parametrize("call", ["jax", "jax(axis=-1)", "lambda f, x: f(jnp.asarray(x))"])
def test_jax_where_it_is_missing_is_the_users_error(call: str) -> None:
    """It is reported once, not for each law."""
    with pytest.raises(UsageError, match="No module named 'jax'"):
        adapter_of(call)


DETACHING = ["lambda f, x: f(x.detach(), -1)", "lambda f, x: f(x, -1).detach()", "lambda f, x: f(x=x.detach(), dim=-1)"]


@pytest.mark.parametrize("call", DETACHING)
def test_what_an_adapter_detaches_is_no_fault_of_the_function(call: str) -> None:
    """The law about the gradient is skipped."""
    found = harness.check(softmax_along, "softmax", laws=["value", "gradient"], dtypes=["float32"], call=call)
    assert [verdict.status for verdict in found] == [Status.HOLDS, Status.SKIPPED]
    assert found[1].reason == ADAPTER_DETACHES


def softmax_along(x: Tensor, dim: int) -> Tensor:
    """A softmax written in Python, so that it has keywords."""
    return x.softmax(dim)


def test_what_a_function_detaches_stays_its_fault_behind_an_adapter() -> None:
    """The adapter keeps the gradient."""

    def detached(x: Tensor, dim: int) -> Tensor:
        return x.detach().softmax(dim)

    call = "lambda f, x: f(x, -1)"
    verdict = only(harness.check(detached, "softmax", laws=["gradient"], dtypes=["float32"], call=call))
    assert verdict.fault is Fault.NO_GRADIENT


def test_what_computes_on_arrays_has_no_gradient_to_judge() -> None:
    """A session of another runtime may return tensors, with or without an adapter."""

    def session(x: Tensor) -> Tensor:
        return torch.from_numpy(stable(x.detach().numpy()))

    found = harness.check(session, "softmax", laws=["value", "gradient"], dtypes=["float32"])
    assert [verdict.status for verdict in found] == [Status.HOLDS, Status.SKIPPED]
    assert found[1].reason == NO_AUTOGRAD


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("nunpy", "NameError"),
        ("numpy(axis)", "NameError"),
        ("numpy(axis=", "SyntaxError"),
        ("lambda f x: f(x)", "SyntaxError"),
        ("3", "must be callable, got an object of type int"),
        ("none.py:f", "file not found"),
    ],
)
def test_what_stands_for_no_adapter_is_the_users_error(workplace: Path, call: str, text: str) -> None:
    """The message has an example of an adapter."""
    with pytest.raises(UsageError, match=text):
        adapter_of(call)
