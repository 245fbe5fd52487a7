"""Proofs in float32: enclosures against mpmath, counts against single evaluations, and planted defects."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from flint import arb
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.proof.float32.count import Counts, moments
from harness.proof.float32.kernel import LAYOUTS, Kernel
from harness.proof.float32.model import INFINITE, Kind, number, precision, taylor
from harness.proof.float32.operation import OPERATIONS, operation_of
from harness.proof.float32.resolution import _compare, resolve
from harness.proof.float32.rows import WIDTH, rows_of
from harness.proof.float32.sweep import Sweep, _get_judgments
from harness.proof.float32.task import EVERY, Float32
from harness.proof.shards import Shard, Shards, conclude
from harness.proof.tally import Tally

ONE = 0x3F80_0000
"""Code of 1."""

BLOCK = 4 * WIDTH
"""Number of codes of one call of a small proof."""

EITHER = pytest.mark.parametrize("quantity", ["value", "gradient"])

Function = Callable[[Tensor], Tensor]

EXACT: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "gelu_tanh": lambda x: x * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))) / 2,
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "reciprocal": lambda x: 1 / x,
}
"""The definitions in mpmath; other operations have their own name there."""


def exact(name: str, quantity: str, x: float) -> Any:
    """Return the value or the derivative to many digits."""
    function = EXACT.get(name) or getattr(mpmath, name)
    if quantity == "value":
        return function(mpmath.mpf(x))
    return mpmath.diff(function, mpmath.mpf(x), h=mpmath.mpf(2) ** -150 * max(abs(x), 2.0**-126))


def task(
    function: Function, name: str, codes: range, *, quantity: str = "value", layout: int = 0, shards: int = 1
) -> Float32:
    """Return the proof of a function on some codes."""
    case = Case(function, name, style="foreign", name=f"foreign.{name}", target=f"foreign:{name}")
    return Float32(
        case, contract_named("sigmoid"), OPERATIONS[name], LAYOUTS[layout], quantity, codes=codes, shards=shards
    )


def blocks(start: int, count: int = 1) -> range:
    """Return the codes of some blocks."""
    return range(start, start + count * BLOCK)


def facts(tally: Tally) -> Tally:
    """Return a tally without times."""
    return tally.model_copy(update={"duration_s": 0.0, "floor_s": 0.0})


def rounded(function: Function) -> Function:
    """Return a function in float64, rounded to float32."""
    return lambda x: function(x.double()).float()


def planted(function: Function, code: int, ulps: int) -> Function:
    """Return the function with the output for one code off by some ulp."""

    def wrong(x: Tensor) -> Tensor:
        output = function(x)
        bits = output.view(torch.int32)
        return torch.where(x.view(torch.int32) == code, bits + ulps, bits).view(torch.float32)

    return wrong


class _Planted(torch.autograd.Function):
    """The identity with a declared gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Function) -> Tensor:
        """Return the argument."""
        ctx.save_for_backward(x)
        ctx.slope = slope
        return x.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        """Return the gradient."""
        (x,) = ctx.saved_tensors
        return cotangent * ctx.slope(x), None


def computing(outputs: Function, quantity: str) -> Function:
    """Return a function with these outputs as its values or as its gradient."""
    return outputs if quantity == "value" else lambda x: _Planted.apply(x, outputs)


def exponential(outputs: Function, codes: range, quantity: str) -> Tally:
    """Compare outputs with the exponential function, which is its own derivative."""
    return task(computing(outputs, quantity), "exp", codes, quantity=quantity).tally(0)


def test_the_space_is_every_bit_pattern() -> None:
    """Its moments are the sums over all codes."""
    n = 2**32
    assert task(torch.exp, "exp", EVERY).expected_moments[:2] == (n, n * (n - 1) // 2)
    codes = range(2**31 + 3, 2**31 + 9)
    assert moments(codes) == (6, sum(codes), 0, sum(code**2 for code in codes), 0, 0)


@pytest.mark.parametrize("visited", [(0, 1, 1, 3), (0, 1, 2, 2), (1, 1, 2, 3)])
def test_a_block_that_takes_the_place_of_another_is_no_proof(
    visited: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call adds its codes to the moments."""
    whole = task(torch.exp, "exp", blocks(ONE, 4))
    monkeypatch.setattr("harness.proof.float32.sweep.BLOCK", BLOCK)
    assert conclude(whole, whole.tally(0)).is_proved
    visit = Sweep._visit
    monkeypatch.setattr(Sweep, "_visit", lambda self, side, number: visit(self, side, visited[number]))
    assert not conclude(whole, whole.tally(0)).is_proved


@EITHER
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_rows_enclose_the_exact_values(name: str, quantity: str) -> None:
    """Random numbers and ends of binades are compared with mpmath."""
    operation, rng = OPERATIONS[name], np.random.default_rng(7)
    compared = 0
    with mpmath.workprec(600):
        for binade in rng.choice(np.arange(90, 160), 8, replace=False).tolist():
            for sign in (1, -1):
                codes = range(binade << 23, (binade + 1) << 23)
                rows = rows_of(operation, quantity, codes, sign)
                for place in (0, WIDTH - 1, 2**23 - 1, *rng.integers(0, 2**23, 3).tolist()):
                    row, column = divmod(place, WIDTH)
                    x = sign * number(codes.start + place)
                    if rows.kind[row] != Kind.ORDINARY:
                        continue
                    value = float(rows.coefficients[row] @ rows.powers_at(row)[:, column])
                    assert abs(mpmath.mpf(value) - exact(name, quantity, x)) <= rows.error[row], x
                    compared += 1
    assert compared >= 24


@pytest.mark.parametrize(
    ("name", "quantity", "start"),
    [
        ("gelu", "value", ONE),
        ("sigmoid", "gradient", 0x4100_0000),
        ("sigmoid", "value", 0x41C0_0000),
        ("sin", "value", 0x4B00_0000),
        ("tanh", "value", 0x3800_0000),
        ("softplus", "value", 0x2000_0000),
        ("mish", "value", 0x2000_0000),
    ],
)
def test_the_classes_are_those_of_single_evaluations(name: str, quantity: str, start: int) -> None:
    """Ball arithmetic evaluates each number of a block on its own."""
    codes = range(start, start + 2 * WIDTH)
    one = task(OPERATIONS[name].function, name, codes, quantity=quantity)
    tally = one.tally(0)
    histogram, worst = np.zeros(256, dtype=int), 0.0
    for sign in (1, -1):
        kernel = Kernel(one.case, "contiguous", len(codes), Counts(), is_gradient=quantity == "gradient")
        for place, y in enumerate(kernel(start, sign).tolist()):
            found = resolve(OPERATIONS[name], quantity, sign * number(start + place), y)
            histogram[min(found.eighths, 255)] += 1
            worst = max(worst, found.deviation)
    assert tally.histogram == tuple(np.trim_zeros(histogram, "b").tolist())
    assert tally.witness is not None
    # Among many outputs that deviate by nearly as much, only one is measured.
    assert worst * (1.0 - 2.0**-20) <= tally.witness.deviation <= worst
    assert tally.not_correctly_rounded == histogram[4:].sum()


@EITHER
def test_one_output_that_is_two_ulp_off_is_found(quantity: str) -> None:
    """It is the witness, and the only one of its class."""
    code = ONE + 12345
    right = exponential(rounded(torch.exp), blocks(ONE, 2), quantity)
    wrong = exponential(planted(rounded(torch.exp), code, 2), blocks(ONE, 2), quantity)
    assert right.beyond[0] == 0
    assert wrong.beyond[0] == 1
    assert wrong.witness is not None
    assert wrong.witness.example["x"].values == (number(code).hex(),)  # type: ignore[union-attr]


@EITHER
def test_one_pair_that_is_not_monotone_is_found(quantity: str) -> None:
    """The second number of the pair is named, also across blocks."""
    for code in (ONE + 777, ONE + BLOCK):
        lower = planted(rounded(torch.exp), code, -8)
        departure = exponential(lower, blocks(ONE, 2), quantity).departures["monotone"]
        assert (departure.count, departure.x) == (1, number(code).hex())
    assert "monotone" not in exponential(rounded(torch.exp), blocks(ONE, 2), quantity).departures


@EITHER
def test_one_flushed_subnormal_is_found(quantity: str) -> None:
    """The exponential of -88 is below the smallest normal number."""
    code = 0x42B0_0000 + 99

    def flushes(x: Tensor) -> Tensor:
        return torch.where(x == -number(code), 0.0, rounded(torch.exp)(x))

    departures = exponential(flushes, blocks(0x42B0_0000), quantity).departures
    assert (departures["flushed"].count, departures["flushed"].x) == (1, (-number(code)).hex())
    assert departures["flushed"].expected == pytest.approx(np.exp(-number(code)))
    assert "flushed" not in exponential(rounded(torch.exp), blocks(0x42B0_0000), quantity).departures


@EITHER
def test_one_output_that_is_lost_is_found(quantity: str) -> None:
    """Zero is in place of a normal number."""
    code = ONE + 99
    lost = exponential(lambda x: torch.where(x == number(code), 0.0, rounded(torch.exp)(x)), blocks(ONE), quantity)
    assert (lost.departures["lost"].count, lost.departures["lost"].x) == (1, number(code).hex())
    assert "lost" not in exponential(rounded(torch.exp), blocks(ONE), quantity).departures


@EITHER
def test_one_broken_symmetry_is_found(quantity: str) -> None:
    """The bits of both outputs are compared: the hyperbolic tangent is odd, and its gradient is even."""
    code = ONE + 4242
    exact = rounded(torch.tanh if quantity == "value" else lambda x: 1.0 - torch.tanh(x) ** 2)
    wrong = computing(planted(exact, code, 1), quantity)
    departures = task(wrong, "tanh", blocks(ONE), quantity=quantity).tally(0).departures
    assert (departures["symmetric"].count, departures["symmetric"].x) == (1, number(code).hex())
    right = task(computing(exact, quantity), "tanh", blocks(ONE), quantity=quantity)
    assert "symmetric" not in right.tally(0).departures


SCALED: dict[tuple[str, str], Function] = {
    ("sqrt", "value"): torch.sqrt,
    ("sqrt", "gradient"): lambda x: 0.5 / x.sqrt(),
    ("rsqrt", "value"): lambda x: 1.0 / x.sqrt(),
    ("rsqrt", "gradient"): lambda x: -0.5 / (x * x.sqrt()),
    ("reciprocal", "value"): lambda x: 1.0 / x,
    ("reciprocal", "gradient"): lambda x: -1.0 / (x * x),
}


@pytest.mark.parametrize(("name", "quantity"), SCALED)
def test_scaled_blocks_are_counted_as_if_measured(name: str, quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their outputs are those of an earlier block times a power of two, but for planted ones, which are found."""
    outputs, measured, measure = rounded(SCALED[name, quantity]), list[int](), Sweep._measure
    monkeypatch.setattr(
        Sweep, "_measure", lambda self, block, **how: (measured.append(1), measure(self, block, **how))[1]
    )
    later = blocks(ONE + (OPERATIONS[name].scaling(quantity)[0] << 25), 2)

    def found(outputs: Function, codes: range) -> Tally:
        return facts(task(computing(outputs, quantity), name, codes, quantity=quantity).tally(0))

    _get_judgments.cache_clear()
    alone = found(outputs, later)
    _get_judgments.cache_clear()
    found(outputs, blocks(ONE, 2))
    measured.clear()
    assert found(outputs, later) == alone
    assert len(measured) <= 1  # of positive numbers; the others are undefined or symmetric
    code = later.start + 4321
    wrong = found(planted(outputs, code, 9), later)
    assert wrong.witness is not None
    assert wrong.witness.example["x"].values == (number(code).hex(),)  # type: ignore[union-attr]
    assert (alone.beyond[1], wrong.beyond[1]) == (0, 1)
    assert wrong.departures["monotone"].count == 1
    lost = found(lambda x: torch.where(x == number(code), 0.0, outputs(x)), later)
    assert (lost.departures["lost"].count, lost.departures["lost"].x) == (1, number(code).hex())


def test_gradients_that_become_zero_are_lost() -> None:
    """The gradient y (1 - y) is zero where y is one."""
    start = 0x4188_0000  # 17
    tally = task(torch.sigmoid, "sigmoid", blocks(start), quantity="gradient").tally(0)
    x = torch.from_numpy(np.arange(start, start + BLOCK, dtype=np.int32)).view(torch.float32)
    zeros = torch.sigmoid(x) == 1.0
    assert tally.departures["lost"].count == int(zeros.sum()) > 0
    assert tally.departures["lost"].actual == 0.0


def test_nan_and_infinities_have_expected_results() -> None:
    """They are in no class, and wrong results are found."""
    codes = blocks(INFINITE)
    for function, name in ((torch.sigmoid, "sigmoid"), (torch.sin, "sin")):
        right = task(function, name, codes).tally(0)
        assert right.departures == {}
        assert sum(right.histogram) == 0
    assert task(torch.cos, "cos", blocks(INFINITE - BLOCK, 2)).tally(0).departures == {}
    wrong = task(torch.nan_to_num, "sigmoid", codes).tally(0)
    assert wrong.departures["not_nan"].count == 2 * BLOCK - 2
    assert wrong.departures["limit"].count == 2


def test_overflow_and_poles_have_expected_results() -> None:
    """The exponential of 88.7 is finite, that of 89 is not; the logarithm of zero is minus infinity."""
    assert task(torch.exp, "exp", blocks(0x42B1_0000, 4)).tally(0).departures == {}
    finite = task(lambda x: torch.exp(x).clamp(max=3e38), "exp", blocks(0x42B1_8000, 4)).tally(0)
    assert finite.departures["not_infinite"].count > 0
    assert finite.beyond[-1] > 0
    assert task(torch.log, "log", blocks(0)).tally(0).departures == {}
    assert task(lambda x: torch.log(x + 1e-45), "log", blocks(0)).tally(0).departures["limit"].count == 2


@EITHER
def test_values_that_are_too_large_need_no_polynomial(quantity: str) -> None:
    """The reciprocal overflows next to zero, where it has no polynomial; only the first row has the pole."""
    kinds = rows_of(OPERATIONS["reciprocal"], quantity, range(64 * WIDTH), -1).kind
    assert kinds.tolist() == [Kind.SINGLE] + 63 * [Kind.OVERFLOW]
    exact = torch.reciprocal if quantity == "value" else lambda x: -1.0 / (x.double() * x.double()).float()
    right = task(computing(exact, quantity), "reciprocal", blocks(0), quantity=quantity).tally(0)
    wrong = computing(lambda x: torch.where(x == -number(5000), -3e38, exact(x)), quantity)
    departure = task(wrong, "reciprocal", blocks(0), quantity=quantity).tally(0).departures["not_infinite"]
    assert right.departures == {}
    assert (departure.count, departure.x, departure.expected) == (1, (-number(5000)).hex(), -math.inf)


@pytest.mark.parametrize("layout", [0, 1, 2])
def test_shards_add_up_to_the_whole(layout: int) -> None:
    """The tally does not depend on the division."""
    codes = blocks(ONE - 2 * BLOCK, 4)
    for name, quantity in (("gelu", "value"), ("tanh", "gradient")):
        one = task(OPERATIONS[name].function, name, codes, quantity=quantity, layout=layout)
        parts = replace(one, shards=4)
        total = reduce(add, (parts.tally(shard) for shard in range(4)))
        assert facts(total) == facts(one.tally(0))
        assert conclude(parts, total).is_proved


@EITHER
def test_an_interrupted_proof_continues_with_the_same_result(tmp_path: Path, quantity: str) -> None:
    """Finished shards are read from their files, and an altered one is computed again."""
    parts = task(torch.tanh, "tanh", blocks(ONE, 4), quantity=quantity, shards=4)
    whole = Shards([parts], tmp_path / "whole")
    for shard in whole.every:
        whole.finish(shard)
    first = Shards([parts], tmp_path / "parts")
    for shard in first.every[:2]:
        first.finish(shard)
    file = next((tmp_path / "parts").rglob("0001.json"))
    file.write_text(file.read_text(encoding="utf-8").replace('"resolved":', '"resolved":1'), encoding="utf-8")
    second = Shards([parts], tmp_path / "parts")
    waiting = [shard for shard in second.every if second.read_stored(shard) is None]
    assert waiting == [Shard(0, 1), Shard(0, 2), Shard(0, 3)]
    for shard in waiting:
        second.finish(shard)
    (one, other) = (shards.proof(0) for shards in (whole, second))
    assert one is not None
    assert other is not None
    assert one.is_proved
    assert one.model_dump(exclude={"duration_s", "floor_s"}) == other.model_dump(exclude={"duration_s", "floor_s"})


def test_rows_of_eight_numbers_have_the_bits_of_calls_with_eight() -> None:
    """One call of the layout stands for thousands of calls."""
    for function in (torch.sigmoid, torch.exp, torch.tanh, partial(torch.nn.functional.gelu, approximate="tanh")):
        one = task(function, "sigmoid", blocks(ONE))
        outputs = Kernel(one.case, "few", BLOCK, Counts())(ONE, 1).numpy()[:4096]
        x = torch.from_numpy(np.arange(ONE, ONE + 4096, dtype=np.int32)).view(torch.float32)
        single = torch.cat([function(few.clone()) for few in x.split(8)])
        assert np.array_equal(outputs.view(np.int32), single.view(torch.int32).numpy())


@pytest.mark.parametrize("x", [2.0**-149, -(2.0**-149) * 5, 2.0**-126 * 1.5, -(2.0**-110)])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "mish", "log1p"])
def test_ties_next_to_the_tangent_are_decided_as_by_balls(name: str, x: float) -> None:
    """The value differs from the tangent by far less than an ulp."""
    p, q, _ = OPERATIONS[name].tangent
    near = np.float32(p * x / q)
    for y in (near, np.nextafter(near, np.float32(1)), np.nextafter(near, np.float32(-1))):
        with precision(1024):
            (value,) = taylor(OPERATIONS[name], "value", arb(x), arb(1), 1)
            by_balls = _compare(value, float(y))
        found = resolve(OPERATIONS[name], "value", x, float(y))
        assert by_balls is not None
        assert found.eighths == by_balls.eighths
        assert found.deviation == pytest.approx(by_balls.deviation, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.nonsense, "AttributeError"),
        (lambda x: x.add_(1.0), "changes its argument"),
        (lambda x: x.double(), "does not return a float32 tensor"),
    ],
)
def test_an_implementation_that_gives_no_answer_is_named(function: Any, message: str) -> None:
    """The proof has the error."""
    tally = task(function, "exp", blocks(ONE)).tally(0)
    assert message in (tally.error or "")


def test_formulas_of_torch_have_operations() -> None:
    """The logarithm of torch is checked as a formula."""
    assert operation_of("formula(x: positive): log(x)") is OPERATIONS["log"]
    assert operation_of("softmax") is None


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("gelu", 2.0**127, 2.0**127),
        ("silu", 2.0**127, 2.0**127),
        ("softplus", 2.0**127, 2.0**127),
        ("mish", 2.0**127, 2.0**127),
        ("logsigmoid", -(2.0**127), -(2.0**127)),
    ],
)
def test_a_value_that_no_precision_separates_from_the_output_does_not_deviate(name: str, x: float, y: float) -> None:
    """The neighboring output deviates by one ulp."""
    for scale in (1.0, 1.5):
        found = resolve(OPERATIONS[name], "value", scale * x, scale * y)
        assert (found.deviation, found.eighths, found.expected) == (0.0, 0, scale * y)
    neighbor = resolve(OPERATIONS[name], "value", 1.5 * x, 1.5 * y + math.copysign(2.0**104, y))
    assert neighbor.deviation == pytest.approx(1.0)
    for lost in (math.inf, math.nan):
        assert resolve(OPERATIONS[name], "value", x, lost).deviation == math.inf
