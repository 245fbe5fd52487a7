"""The assertion accepts right results, refuses wrong ones, and describes the error."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tolerances.assertions import Comparison, comparisons
from torch.nn import functional as F

import harness
from harness.error import UsageError

ROWS = cache(comparisons)


@pytest.mark.parametrize("name", ROWS())
def test_a_right_result_passes_and_three_mistakes_fail(name: str) -> None:
    """The mistakes are usual ones, such as an added constant, half precision inside, or a wrong divisor."""
    comparison: Comparison = ROWS()[name]
    comparison.check(comparison.right)
    assert len(comparison.mistakes) == 3
    for mistake in comparison.mistakes:
        with pytest.raises(AssertionError, match="a sound implementation stays within"):
            comparison.check(mistake)


def test_the_documents_have_how_many_mistakes_the_constants_accept() -> None:
    """The tolerance of the test itself decides, on what the test compares; one number depends on the processor."""
    which = -1 if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else 0
    table = Path(__file__).parents[2].joinpath("docs/tolerances-in-the-wild.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in table.splitlines() if "`(" in line]
    accepted = {row[0].split("`")[1]: int(re.findall(r"\d+", row[-1])[which]) for row in rows}
    assert accepted == {comparison.place: comparison.accepted for comparison in ROWS().values()}
    assert f"{sum(accepted.values())} of 36" in table


@pytest.mark.parametrize(
    "instructions",
    [{"ATEN_CPU_CAPABILITY": "default"}, {"ATEN_CPU_CAPABILITY": "avx2"}, {"OMP_NUM_THREADS": "1"}],
    ids=str,
)
def test_right_results_pass_with_other_instructions(instructions: dict[str, str]) -> None:
    """The bound is derived for any order of summation, so that it depends on no processor."""
    environment = {**os.environ, **instructions}
    done = subprocess.run(
        [sys.executable, "-m", "tolerances.assertions"],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == list(ROWS()), done.stderr


X = torch.linspace(-3.0, 3.0, 24).reshape(2, 3, 4)


@pytest.mark.parametrize("x", [X, X[0], X[0, 0]], ids=["three axes", "two axes", "one axis"])
def test_any_number_of_leading_axes(x: torch.Tensor) -> None:
    """Rows may have any arrangement, and a single one has no leading axis."""
    harness.assert_within_bound(x.softmax(-1), "softmax", x)
    harness.assert_within_bound(x.logsumexp(-1), "logsumexp", x)
    harness.assert_within_bound(F.silu(x), "x * sigmoid(x)", x=x)
    with pytest.raises(AssertionError, match="the result has the shape"):
        harness.assert_within_bound(x.softmax(-1), "logsumexp", x)


def test_a_reduction_over_all_elements_has_no_rows() -> None:
    """The result is one number, and the input of any shape."""
    harness.assert_within_bound(X.exp().sum().log(), "log(sum(exp(x)))", X, over="all")
    with pytest.raises(AssertionError, match=r"the shape \[\], expected \[2, 3\]"):
        harness.assert_within_bound(X.exp().sum().log(), "log(sum(exp(x)))", X)


def test_a_message_states_the_element_both_values_and_the_error() -> None:
    """The index is that of the result, whatever its shape."""
    wrong = X.softmax(-1)
    wrong[1, 2, 0] += 1e-3
    with pytest.raises(AssertionError) as failure:
        harness.assert_within_bound(wrong, "softmax", X)
    expected = float(X[1, 2].double().softmax(-1)[0])
    assert f"at [1, 2, 0], expected {expected:.10g}"[:30] in str(failure.value)
    assert str(failure.value).startswith(f"softmax: {float(wrong[1, 2, 0])!r} at ")
    assert "1 of 24 elements exceed their bound" in str(failure.value)


def test_conventions_are_named() -> None:
    """Conventions and inputs are keywords, and another convention is another result."""
    x, labels = X.reshape(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    total = F.cross_entropy(x, labels, reduction="sum")
    harness.assert_within_bound(total, "cross_entropy", x, labels=labels, reduction="sum")
    losses = F.cross_entropy(x, labels, reduction="none")
    harness.assert_within_bound(losses, "cross_entropy", x, labels, reduction="none")
    harness.assert_within_bound(total.item() / 6, "cross_entropy", x, labels)
    with pytest.raises(AssertionError, match="cross_entropy: "):
        harness.assert_within_bound(total, "cross_entropy", x, labels)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_bound_is_that_of_the_dtype(dtype: torch.dtype) -> None:
    """A right result in 16 bits is right, although it differs from that in 64 bits."""
    x = X.to(dtype)
    harness.assert_within_bound(x.softmax(-1), "softmax", x)
    with pytest.raises(AssertionError, match=f"ulp of {str(dtype).removeprefix('torch.')}"):
        harness.assert_within_bound(1.05 * x.softmax(-1), "softmax", x)


def test_arrays_of_other_libraries() -> None:
    """An array that can be read without a copy, and a scalar of NumPy."""
    x = np.linspace(-3.0, 3.0, 12, dtype=np.float32).reshape(3, 4)
    x.flags.writeable = False
    weights = np.exp(x)
    harness.assert_within_bound(weights / weights.sum(-1, keepdims=True), "softmax", x)
    harness.assert_within_bound(np.log(weights[0].sum()), "logsumexp", x[0])
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    arrays = jnp.asarray(x, dtype=jnp.bfloat16)
    shifted = jnp.exp(arrays - arrays.max(-1, keepdims=True))
    harness.assert_within_bound(shifted / shifted.sum(-1, keepdims=True), "softmax", arrays)


def test_nan_is_never_within_a_bound() -> None:
    """A comparison with NaN is false, and a result of NaN is refused all the same."""
    with pytest.raises(AssertionError, match="nan at "):
        harness.assert_within_bound(torch.full_like(X, torch.nan), "softmax", X)


MISUSES: dict[str, tuple[Callable[[], Any], str]] = {
    "contract": (lambda: harness.assert_within_bound(X, "softmx", X), "did you mean `softmax`"),
    "missing": (lambda: harness.assert_within_bound(X, "cross_entropy", X), "also takes `labels`"),
    "too many": (lambda: harness.assert_within_bound(X, "softmax", X, X), "takes `logits`, got 2 inputs"),
    "name": (lambda: harness.assert_within_bound(X, "softmax", X, eps=1), "unknown convention `eps`"),
    "dtypes": (lambda: harness.assert_within_bound(X.half(), "softmax", X), "the dtype in which the result was"),
    "rows": (lambda: harness.assert_within_bound(X[0], "add", X, X[0]), r"\[2, 3, 4\] of `a`, \[3, 4\] of `b`"),
    "length": (lambda: harness.assert_within_bound(X, "kl_divergence", X, X[..., :2]), "the axis `k` has one length"),
    "integers": (lambda: harness.assert_within_bound(X, "softmax", X.long()), "`logits` has floating-point numbers"),
    "loader": (lambda: harness.assert_within_bound(X, "loader", X), "it is no function of tensors"),
    "text": (lambda: harness.assert_within_bound("softmax", "softmax", X), "are tensors, arrays or numbers"),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_is_one_sentence(misuse: str) -> None:
    """It is no failed assertion: nothing was compared."""
    call, text = MISUSES[misuse]
    with pytest.raises(UsageError, match=text):
        call()
