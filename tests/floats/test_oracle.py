"""Both tiers of every oracle agree on hard inputs."""

from contextlib import nullcontext
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest
import torch
from controls.catalogue import ORACLES
from flint import ctx
from samples.tensors import tensor

from harness import contracts as contracts_package
from harness.contracts.building_blocks.exponential_sums import log_softmax_oracle, softmax_oracle, softmax_pullback
from harness.contracts.building_blocks.gradient_descent import TrainingPlan, trajectory_oracle
from harness.contracts.building_blocks.labelled_logits import loss_oracle
from harness.contracts.log_softmax import log_softmax_pullback
from harness.floats import FORMATS, Oracle, exact_sum, oracle, ulp
from harness.floats import double_double as dd
from harness.floats.oracle import Memory, content_of


def every_oracle() -> dict[str, Oracle]:
    """Return every oracle in the modules of contracts and building blocks; imported ones are counted once."""
    modules = walk_packages(contracts_package.__path__, "harness.contracts.")
    names: dict[int, tuple[str, Oracle]] = {id(exact_sum): ("", exact_sum)}
    for module in sorted(modules, key=lambda module: "building_blocks" not in module.name):
        short = module.name.rpartition(".")[2]
        for name, value in vars(import_module(module.name)).items():
            if isinstance(value, Oracle):
                names.setdefault(id(value), (f"{short}.{name}", value))
    return {name: value for name, value in names.values() if name}


def test_every_oracle_is_tested() -> None:
    """The samples of the controls cover every oracle."""
    assert set(every_oracle()) == set(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_the_screen_agrees_with_ball_arithmetic(name: str) -> None:
    """In float64 every operation agrees to a thousandth of an ulp."""
    agree(every_oracle()[name], ORACLES[name])


def test_the_exact_sum_agrees_with_ball_arithmetic() -> None:
    """The sums cancel heavily."""
    agree(exact_sum, (torch.tensor([[1e300, 1.0, -1e300, 1e-30]], dtype=torch.float64),))


def agree(chosen: Oracle, inputs: tuple[Any, ...], dtype: str = "float64", least: float = 0.0) -> None:
    """Compare both tiers, to a thousandth of an ulp or a smallest difference."""
    screen = chosen(*inputs)
    with oracle.confirming():
        exact = chosen(*inputs)
    assert screen.shape == exact.shape
    error = np.abs((screen.hi - exact.hi) + (screen.lo - exact.lo))
    assert (error <= np.maximum(1e-3 * ulp(exact, FORMATS[dtype]), least)).all()


HARD = {
    "spikes": lambda rng, n, k: np.eye(k)[rng.integers(0, k, n)] * rng.uniform(-800, 800, (n, 1)),
    "offsets": lambda rng, n, k: rng.standard_normal((n, k)) + rng.uniform(-1e5, 1e5, (n, 1)),
    "ties": lambda rng, n, k: rng.integers(0, 2, (n, k)) * rng.uniform(-100, 100, (n, 1)),
    "gaps": lambda rng, n, k: np.cumsum(rng.exponential(size=(n, k)) * 10.0, axis=1),
}


@pytest.mark.parametrize("family", HARD)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("chosen", [softmax_oracle, log_softmax_oracle], ids=["softmax", "log_softmax"])
@pytest.mark.parametrize(("rows", "classes"), [(32_768, 2), (256, 10)])
def test_the_screen_is_right_to_a_thousandth_of_an_ulp_on_a_million_hard_rows(
    chosen: Oracle, dtype: str, family: str, rows: int, classes: int
) -> None:
    """All dtypes that the screen measures are tested; exponentials of subnormal float64 err by up to a unit."""
    format_ = FORMATS[dtype]
    x = torch.from_numpy(HARD[family](np.random.default_rng(rows), rows, classes)).to(format_.dtype)
    agree(chosen, (x.clamp(-format_.max / 16, format_.max / 16),), dtype, classes * FORMATS["float64"].smallest)


@pytest.mark.parametrize("bits", [160, 640])
def test_more_bits_give_the_same_answer(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sufficient precisions agree in all digits of the result."""
    x = torch.from_numpy(HARD["gaps"](np.random.default_rng(1), 64, 5))
    with oracle.confirming():
        usual = log_softmax_oracle(x)
        monkeypatch.setattr(oracle, "_PRECISIONS", (2 * bits, 4 * bits, 20480))
        again = log_softmax_oracle(x)
    assert np.array_equal(usual.hi, again.hi)
    assert (np.abs(usual.lo - again.lo) <= 2.0**-104 * np.abs(usual.hi)).all()


def test_exact_cases_are_exact() -> None:
    """Equal logits, a probability of 1, and a row with one entry need no rounding."""
    for tier in (nullcontext(), oracle.confirming()):
        with tier:
            assert softmax_oracle(torch.zeros(1, 4)).hi.tolist() == [[0.25] * 4]
            assert softmax_oracle(torch.tensor([[-torch.inf, 3.0]])).hi.tolist() == [[0.0, 1.0]]
            assert log_softmax_oracle(torch.tensor([[7.0]])).hi.tolist() == [[0.0]]


@pytest.mark.parametrize("chosen", [softmax_pullback, log_softmax_pullback], ids=["softmax", "log_softmax"])
def test_pullbacks_agree_on_hard_rows(chosen: Oracle) -> None:
    """Gradients agree in float64, where cancellation is worst."""
    agree(chosen, (torch.from_numpy(HARD["gaps"](np.random.default_rng(3), 40, 4)), tensor(40, 4)))


def test_plain_float64_is_not_an_oracle_for_the_loss() -> None:
    """At a gap of 40 torch's loss is zero, but the exact loss is not."""
    logits, labels = torch.tensor([[[0.0, 40.0]]], dtype=torch.float64), torch.tensor([[1]])
    assert torch.nn.functional.cross_entropy(logits[0], labels[0]) == 0.0
    assert loss_oracle(logits, labels, "mean").hi[0] == pytest.approx(np.exp(-40.0), rel=1e-12)


def test_global_precision_is_untouched() -> None:
    """The oracle restores the precision of ball arithmetic for other users."""
    before = ctx.prec
    with oracle.confirming():
        softmax_oracle(tensor(2, 3, scale=1e4))
    assert ctx.prec == before


def test_an_undecidable_value_raises_an_error() -> None:
    """An oracle whose enclosure never shrinks raises an error."""
    from flint import arb

    hopeless = Oracle(lambda *_: None, lambda *_: np.array([arb(0, 1)], dtype=object))  # type: ignore[arg-type]
    with oracle.confirming(), pytest.raises(oracle.UndecidedError):
        hopeless(tensor(1))


def test_a_trajectory_of_softmax_regression_is_that_of_autograd() -> None:
    """The closed-form gradient of the oracle agrees with autograd."""
    X, y = tensor(6, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    weight, bias = tensor(2, 3), tensor(2)
    exact = trajectory_oracle(X, y.double(), weight, bias, TrainingPlan("softmax", ((0, 1, 2), (3, 4, 5)), 0.1, 1.0))
    W, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    for batch in ([0, 1, 2], [3, 4, 5]):
        loss = torch.nn.functional.cross_entropy(X[batch] @ W.T + b, y[batch])
        gW, gb = torch.autograd.grad(loss, [W, b])
        W, b = (W - 0.1 * gW).detach().requires_grad_(), (b - 0.1 * gb).detach().requires_grad_()
    learned = torch.cat([W.flatten(), b]).detach().numpy()
    assert np.allclose(exact.hi, learned, rtol=1e-14, atol=0)


def counted_identity() -> tuple[Oracle, list[Any]]:
    """Return an oracle that returns its input, and the inputs that its screen received."""
    screened: list[Any] = []

    def screen(_: Any, x: Any) -> dd.DoubleDouble:
        screened.append(x)
        return dd.lift(x)

    return Oracle(screen, lambda x: x), screened


def test_an_oracle_answers_once_where_it_remembers() -> None:
    """It recalls results for the same tensors only, and inside the block only."""
    identity, screened = counted_identity()
    x = torch.ones(3)
    with oracle.remembering():
        assert identity(x) is identity(x)
        assert len(screened) == 1
        identity(x.clone())
        assert len(screened) == 2
    assert identity(x) is not identity(x)
    assert len(screened) == 4


def test_an_oracle_recalls_results_for_equal_numbers() -> None:
    """Other tensors with the same numbers recall the result, also in nested blocks. Recalled arrays are read-only."""
    identity, screened = counted_identity()
    with oracle.reuse_results():
        first = identity(torch.ones(3))
    with oracle.reuse_results():
        assert identity(torch.ones(3)) is first
        assert identity(torch.ones(4)) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.hi[0] = 2.0
    identity(torch.ones(3))
    assert len(screened) == 3


def test_ball_arithmetic_recalls_only_its_results() -> None:
    """Ball arithmetic recalls by numbers alone, the screen by tensors too.

    Outside the block, results are computed again.
    """
    worked_out: list[Any] = []

    def exact(x: Any) -> Any:
        worked_out.append(x)
        return x

    identity = Oracle(lambda _, x: dd.lift(x), exact)
    with oracle.reuse_results():
        identity(torch.ones(3))
    with oracle.confirming():
        with oracle.reuse_results():
            first = identity(torch.ones(3))
        with oracle.remembering():
            x = torch.ones(3)
            assert identity(x) is first
            x += 1.0
            assert identity(x).hi.tolist() == [2.0, 2.0, 2.0]
        assert len(worked_out) == 2
        assert identity(torch.ones(3)) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.hi[0] = 2.0
    assert len(worked_out) == 3


def test_a_single_number_is_recalled_too() -> None:
    """A mean is a NumPy scalar without flags."""
    pair = dd.DoubleDouble(np.ones(3).sum(), np.zeros(3).sum())
    total = Oracle(lambda *_: pair, lambda x: x)
    with oracle.reuse_results():
        assert total(torch.ones(3)) is total(torch.ones(3))


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64, torch.bool]
)
def test_equal_tensors_have_equal_keys(dtype: torch.dtype) -> None:
    """The key does not depend on the storage, but on the layout, the values and the type."""
    x = torch.ones(1, 6, dtype=dtype)[:, ::2]
    assert content_of(x) == content_of(torch.ones(1, 6, dtype=dtype)[:, ::2])
    assert content_of(x) != content_of(x.clone())
    assert content_of(x) != content_of(torch.zeros(1, 6, dtype=dtype)[:, ::2])
    assert content_of(x) != content_of(np.ones((1, 3)))


def test_keys_distinguish_signed_zeros_and_types() -> None:
    """Keys depend on the sign of a zero and on the type of a number. Other objects have no key."""
    assert content_of(torch.tensor(0.0)) != content_of(torch.tensor(-0.0))
    assert len({content_of(x) for x in (0, 0.0, -0.0, False, "0", None)}) == 6
    assert content_of(object()) is None
    assert content_of(np.array([object()])) is None


def test_the_least_recently_used_entry_is_removed() -> None:
    """The least recently used entry goes first. An entry that exceeds the limit is not stored."""
    memory: Memory[str] = Memory(100)
    for key in "abcd":
        memory.keep(key, key.upper(), 25)
    assert memory.get("a") == "A"
    memory.keep("e", "E", 25)
    assert [memory.get(key) for key in "abcde"] == ["A", None, "C", "D", "E"]
    memory.keep("e", "large", 26)
    assert memory.get("e") is None
