"""Proofs over pairs: thresholds, the count of visited pairs, witnesses, and incomplete proofs."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.proof_space import as_defined, correctly_rounded, small, tallied, task, torch_softmax
from torch import Tensor

from harness.floats.double_double import two_sum
from harness.floats.format import Measurement, format_of, from_ordinal, to_array, to_ordinal
from harness.floats.oracle import confirming
from harness.laws.law import Law
from harness.proof import examination
from harness.proof.operation import OPERATIONS
from harness.proof.pairs import every_pair
from harness.proof.shards import conclude
from harness.proof.sweep import Lookup, Sweep
from harness.proof.tally import LIMITS
from harness.proof.threshold import compare_with_limit
from harness.record import Status, TensorText
from harness.verdict.job import Job
from harness.wording.proof import format_extent

FORMATS = ("float16", "bfloat16")


def measured(contract: str, dtype: str, logits: Tensor, outputs: Tensor, *, law: str = "value") -> Measurement:
    """Measure a law on given outputs."""
    pairs = task(lambda _: outputs, contract, dtype, "rows")
    (found,) = [known for known in pairs.laws if known.name == law]
    return Job(pairs.case, pairs.contract, found, pairs.format_).subject.measure(found, {"logits": logits})


def pairs_near_thresholds(contract: str, dtype: str) -> tuple[Tensor, Tensor]:
    """Return random pairs with small, large and zero gaps, and outputs up to two floats from the nearest."""
    format_, rng = format_of(dtype), np.random.default_rng(11)
    first = rng.normal(size=1500) * np.exp2(rng.integers(-8, 6, size=1500))
    second = np.where(rng.random(1500) < 0.1, first, first - rng.normal(size=1500) * np.exp2(rng.integers(-8, 4, 1500)))
    logits = torch.from_numpy(np.stack([first, second], -1)).to(format_.dtype)
    function = torch.softmax if contract == "softmax" else torch.log_softmax
    nearest = to_ordinal(function(logits.double(), -1).to(format_.dtype))
    moved = nearest + rng.integers(-2, 3, size=nearest.shape)
    return logits, from_ordinal(moved if contract == "softmax" else np.minimum(moved, 0), format_)


@pytest.mark.parametrize("limit", [0.5, 1.0])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("contract", ["softmax", "log_softmax"])
def test_a_code_is_within_its_interval_exactly_where_ball_arithmetic_says_so(
    contract: str, dtype: str, limit: float
) -> None:
    """About half of the pairs exceed the limit. Only pairs with a gap of zero remain undecided."""
    logits, outputs = pairs_near_thresholds(contract, dtype)
    with confirming():
        deviation = measured(contract, dtype, logits, outputs).deviation
    x = to_array(logits)
    gap, codes = two_sum(x[:, 0], -x[:, 1]), outputs.view(torch.int16).numpy().view(np.uint16).astype(np.int64)
    for j, spec in enumerate(OPERATIONS[contract][0].outputs):
        argument = spec.argument.evaluate(gap)
        inside, undecided = compare_with_limit(argument, codes[:, j], spec.interval(format_of(dtype), limit))
        expected = deviation[:, j] <= limit
        assert 100 < np.count_nonzero(expected) < 1400
        np.testing.assert_array_equal(inside[~undecided], expected[~undecided])
        assert not undecided[gap.hi != 0.0].any()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("contract", ["softmax", "log_softmax"])
def test_the_table_passes_only_correctly_rounded_pairs(contract: str, dtype: str) -> None:
    """The table passes nearly all correctly rounded pairs. At a gap of zero, an error can be exactly half an ulp."""
    logits, outputs = pairs_near_thresholds(contract, dtype)
    with confirming():
        right = (measured(contract, dtype, logits, outputs).deviation <= 0.5).all(-1)
    pairs = task(lambda logits: logits, contract, dtype, "rows")
    lookup, passed = Lookup(pairs, 1), np.zeros(len(logits), dtype=bool)
    codes = outputs.view(torch.int16).numpy().view(np.uint16)
    for i, (first, second) in enumerate(to_array(logits)):
        lookup.block(np.array([second]))
        passed[i] = not len(lookup(np.float32(first), codes[i][:, None]))
    assert not (passed & ~right).any()
    right &= to_array(logits[:, 0] - logits[:, 1]) != 0.0
    assert np.count_nonzero(right & ~passed) <= 0.02 * np.count_nonzero(right)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("contract", ["softmax", "log_softmax"])
def test_laws_that_are_not_measured_hold_where_outputs_are_within_one_ulp(contract: str, dtype: str) -> None:
    """Outputs move by up to two floats; those beyond one ulp are restored."""
    logits, outputs = pairs_near_thresholds(contract, dtype)
    with confirming():
        near = (measured(contract, dtype, logits, outputs).deviation <= 1.0).all(-1)
    kept, moved = logits[torch.from_numpy(near)], outputs[torch.from_numpy(near)]
    assert len(kept) > 200
    for law in task(lambda logits: logits, contract, dtype, "rows").laws:
        assert not measured(contract, dtype, kept, moved, law=law.name).broken, law.name


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    ("contract", "quantity"),
    [
        ("cross_entropy", "value, label 0"),
        ("cross_entropy", "gradient, label 1"),
        ("softmax", "gradient"),
        ("log_softmax", "gradient"),
    ],
)
def test_laws_of_losses_and_gradients_hold_where_outputs_are_within_one_ulp(
    contract: str, quantity: str, dtype: str
) -> None:
    """The loss is minus the log-softmax of the label. The entries of a gradient are opposite numbers."""
    is_value, rng = quantity.startswith("value"), np.random.default_rng(13)
    logits, outputs = pairs_near_thresholds("log_softmax", dtype)
    p = torch.softmax(logits.double(), -1)
    exact = {"cross_entropy": p[:, 0], "softmax": p[:, 0] * p[:, 1], "log_softmax": p[:, 1]}[contract]
    nearest = to_ordinal(exact.to(logits.dtype))
    moved = from_ordinal(nearest + rng.integers(-2, 3, size=nearest.shape), format_of(dtype))
    recorded = -outputs[:, :1] if is_value else torch.stack([moved, -moved], -1)
    pairs = task(torch.softmax, contract, dtype, "rows", quantity=quantity)

    def measure(law: Law, rows: Tensor) -> Measurement:
        case = replace(pairs.case, function=pairs.operation.answering(recorded[rows]))
        subject = Job(case, pairs.contract, law, pairs.format_).subject
        return subject.measure(law, pairs.operation.example(logits[rows]))

    every = torch.arange(len(logits))
    with confirming():
        deviation = measure(pairs.main, every).deviation.reshape(len(logits), -1)
    near = every[torch.from_numpy((deviation <= 1.0).all(-1))]
    assert len(near) > 200
    for law in pairs.laws:
        assert not measure(law, near).broken, law.name


@pytest.mark.parametrize(("dtype", "count"), [("float16", 4_030_726_144), ("bfloat16", 4_261_478_400)])
def test_the_space_is_every_pair_of_finite_numbers(dtype: str, count: int) -> None:
    """It includes both zeros, and the blocks and shards cover it."""
    space = every_pair(format_of(dtype))
    assert space.moments[0] == len(space.first) * len(space.second) == count
    assert [place for block in space.blocks for place in block] == list(range(len(space.second)))
    places = [place for number in range(space.shards) for place in space.shard(number)]
    assert sorted(places) == list(range(len(space.first)))
    assert {len(space.shard(number)) for number in range(space.shards)} <= {992, 1020}


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_correctly_rounded_softmax_is_proved_to_be_so(dtype: str) -> None:
    """The proof visits every pair of a small space, for each layout."""
    for layout in ("rows", "transposed", "spread"):
        pairs = task(correctly_rounded, "softmax", dtype, layout)
        proof = conclude(pairs, tallied(pairs))
        assert proof.is_proved
        assert (proof.not_correctly_rounded, proof.not_finite, proof.differing or 0) == (0, 0, 0)
        assert {outcome.status for outcome in proof.laws} == {Status.HOLDS}
        assert "shift_invariant" in {outcome.law for outcome in proof.laws if outcome.follows}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("contract", ["softmax", "log_softmax"])
def test_the_counts_are_those_of_measuring_every_pair(contract: str, dtype: str) -> None:
    """For torch's function on a small space, the counts equal those of ball arithmetic on every pair."""
    function = getattr(torch.nn.functional, contract)
    pairs = task(function, contract, dtype, "narrow")
    proof = conclude(pairs, tallied(pairs))
    space = pairs.pairs
    values = [torch.from_numpy(codes.view(np.int16)).view(pairs.format_.dtype) for codes in (space.first, space.second)]
    logits = torch.cartesian_prod(*values)
    stacked = logits.view(-1, 8, 2).transpose(1, 2).contiguous()
    with confirming():
        outputs = function(stacked, dim=1).transpose(1, 2).reshape(-1, 2)
        deviation = measured(contract, dtype, logits, outputs).deviation.max(-1)
    assert proof.not_correctly_rounded == np.count_nonzero(deviation > 0.5) > 0
    assert list(proof.beyond.values()) == [np.count_nonzero(deviation > limit) for limit in LIMITS]
    assert proof.witness is not None
    assert proof.witness.deviation == deviation.max()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    ("contract", "quantity"),
    [
        *(("cross_entropy", f"{of}, label {label}") for of in ("value", "gradient") for label in (0, 1)),
        *((contract, "gradient") for contract in ("softmax", "log_softmax")),
    ],
)
def test_the_counts_of_losses_and_gradients_are_those_of_measuring_every_pair(
    contract: str, quantity: str, dtype: str
) -> None:
    """For torch's functions on rows, the counts are equal; the loss has no reduction, and both labels are tried."""
    option: dict[str, object] = {"reduction": "none"} if contract == "cross_entropy" else {"dim": -1}
    function = functools.partial(getattr(torch.nn.functional, contract), **option)
    pairs = task(function, contract, dtype, "rows", quantity=quantity)
    proof = conclude(pairs, tallied(pairs))
    space = pairs.pairs
    values = [torch.from_numpy(codes.view(np.int16)).view(pairs.format_.dtype) for codes in (space.first, space.second)]
    example = pairs.operation.example(torch.cartesian_prod(*values))
    with confirming():
        subject = Job(pairs.case, pairs.contract, pairs.main, pairs.format_).subject
        measurement = subject.measure(pairs.main, example)
    deviation = measurement.deviation.reshape(space.moments[0], -1).max(-1)
    assert proof.is_proved
    assert proof.not_correctly_rounded == np.count_nonzero(deviation > 0.5) > 0
    assert list(proof.beyond.values()) == [np.count_nonzero(deviation > limit) for limit in LIMITS]
    assert proof.witness is not None
    assert proof.witness.deviation == deviation.max()
    assert {outcome.law for outcome in proof.laws} >= ({"gradient"} if "gradient" in quantity else {"value"})


def test_a_clamped_loss_breaks_the_laws_of_value_and_gradient() -> None:
    """The loss stops growing, and its gradient becomes zero in place of one."""

    def clamped(logits: Tensor, labels: Tensor) -> Tensor:
        probabilities = torch.softmax(logits.float(), -1).clamp_min(1e-3)
        return -probabilities[torch.arange(len(labels)), labels].log().to(logits.dtype)

    for quantity, law in (("value, label 0", "value"), ("gradient, label 0", "gradient")):
        pairs = task(clamped, "cross_entropy", "bfloat16", "spread", quantity=quantity)
        proof = conclude(pairs, tallied(pairs))
        (broken,) = [outcome for outcome in proof.laws if outcome.law == law]
        assert broken.status is Status.BROKEN
        assert broken.violation is not None
        assert set(broken.violation.example) == {"logits", "labels"}
        assert proof.differing == 0


def test_one_wrong_pair_is_found_and_is_the_witness() -> None:
    """A single wrong pair in a small space is found, and it becomes the witness."""
    space = small("float16")
    first, second = (float(space.values(codes)[5]) for codes in (space.first, space.second))

    def off_once(logits: Tensor) -> Tensor:
        output = correctly_rounded(logits)
        wrong = (logits[:, 0] == first) & (logits[:, 1] == second)
        output[wrong, 0] = from_ordinal(to_ordinal(output[wrong, 0]) + 4, format_of("float16"))
        return output

    pairs = task(off_once, "softmax", "float16", "rows", space)
    proof = conclude(pairs, tallied(pairs))
    assert (proof.not_correctly_rounded, proof.beyond["2"]) == (1, 1)
    assert proof.witness is not None
    (logits,) = proof.witness.example.values()
    assert isinstance(logits, TensorText)
    assert [float.fromhex(value) for value in logits.values] == [first, second]


def test_a_softmax_that_overflows_breaks_laws_on_a_pair_that_is_named() -> None:
    """NaN results are counted, and the violation is confirmed."""
    pairs = task(as_defined, "softmax", "float16", "rows")
    proof = conclude(pairs, tallied(pairs))
    assert proof.fails
    broken = {outcome.law: outcome.violation for outcome in proof.laws if outcome.status is Status.BROKEN}
    assert {"value", "finite_on_extreme_logits"} <= set(broken)
    assert proof.not_finite > 0
    assert proof.beyond["1024"] >= proof.not_finite
    found = broken["finite_on_extreme_logits"]
    assert found is not None
    assert np.isnan(found.actual)
    assert not any(outcome.follows for outcome in proof.laws)


def test_an_early_failure_does_not_hide_a_later_failure_of_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pairs are wrong but finite; one of the last is NaN."""
    monkeypatch.setattr(examination, "_MANY", 16)
    space = small("float16", shards=1)
    last = float(space.values(space.first)[-2])

    def wrong(logits: Tensor) -> Tensor:
        output = torch_softmax(logits) * 0.9
        return torch.where(logits[:, :1] == last, torch.nan, output)

    pairs = task(wrong, "softmax", "float16", "rows", space)
    proof = conclude(pairs, tallied(pairs))
    statuses = {outcome.law: outcome.status for outcome in proof.laws}
    assert statuses["value"] is statuses["finite_on_extreme_logits"] is Status.BROKEN
    assert proof.not_finite == len(space.second)


def test_an_answer_in_the_same_memory_each_time_is_not_taken_for_the_other_layouts() -> None:
    """Rows are right, and the same rows in another layout are wrong."""
    memory = torch.empty(64, 2, dtype=torch.float16)

    def reusing(logits: Tensor) -> Tensor:
        memory.copy_(torch_softmax(logits))
        if not logits.is_contiguous():
            memory[0, 0] = 2.0
        return memory

    pairs = task(reusing, "softmax", "float16", "spread")
    proof = conclude(pairs, tallied(pairs))
    assert proof.differing == len(pairs.pairs.first)
    assert proof.beyond["1"] == len(pairs.pairs.first)


def test_a_shard_that_is_dropped_or_visited_twice_is_noticed() -> None:
    """The check notices it even if the number of pairs is right."""
    pairs = task(torch_softmax, "softmax", "float16", "rows", small("float16", first=16))
    shards = [Sweep(pairs).tally(number) for number in range(pairs.shards)]
    assert {shard.visited for shard in shards} == {4 * 64}
    assert conclude(pairs, sum(shards[1:], start=shards[0])).is_proved
    dropped = conclude(pairs, shards[0] + shards[1] + shards[2])
    assert not dropped.is_proved
    assert format_extent(dropped) == "partial, 75.0%"
    twice = conclude(pairs, shards[0] + shards[1] + shards[2] + shards[2])
    assert twice.visited == twice.inputs
    assert not twice.is_proved
    assert format_extent(twice).startswith("not proved")


def test_an_implementation_that_changes_its_input_proves_nothing() -> None:
    """The visited pairs are counted in the input buffer after the call."""

    def in_place(logits: Tensor) -> Tensor:
        output = torch_softmax(logits)
        logits.add_(1.0)
        return output

    pairs = task(in_place, "softmax", "float16", "rows")
    assert not conclude(pairs, tallied(pairs)).is_proved


def test_kernels_of_a_function_differ_in_their_bits() -> None:
    """Short inputs and tails use a scalar loop, which rounds after each operation."""
    space = small("float16", first=24, second=256)
    found = {}
    for layout in ("columns", "rows", "narrow", "tails"):
        pairs = task(torch.nn.functional.softmax, "softmax", "float16", layout, space)
        found[layout] = conclude(pairs, tallied(pairs))
    assert found["columns"].differing is None
    assert found["narrow"].differing == found["tails"].differing
    assert (found["narrow"].differing or 0) > 100
    assert found["narrow"].not_correctly_rounded > 10 * found["columns"].not_correctly_rounded
    assert (found["rows"].differing or 0) < 10


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda logits: logits.sum(-1), "returns shape"),
        (lambda logits: logits.float(), "torch.float32"),
        (lambda logits: float(logits.numel()), "returns float instead of a tensor"),
        (lambda logits: logits.nonsense, "raises AttributeError"),
    ],
)
def test_an_implementation_without_a_result_is_named(function: Callable[..., object], message: str) -> None:
    """The proof fails with the message, and no law has an outcome."""
    pairs = task(function, "softmax", "float16", "rows")
    proof = conclude(pairs, tallied(pairs))
    assert proof.fails
    assert not proof.is_proved
    assert proof.laws == ()
    assert message in (proof.error or "")
