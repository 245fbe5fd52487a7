"""From a law and an implementation to a verdict: statuses, counterexamples, determinism."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import harness
from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.contracts.building_blocks.exponential_sums import SOFTMAX, softmax_screen
from harness.error import UsageError
from harness.floats.format import FORMATS, Measurement, compare, format_of, from_ordinal, to_ordinal
from harness.floats.oracle import Oracle
from harness.laws.subject import Subject
from harness.record import Fault, Status, Verdict
from harness.verdict.decide import PATIENCE, decide, is_rechecked, make_larger_job
from harness.verdict.draw import draw_few_examples
from harness.verdict.job import Job, list_jobs
from harness.verdict.replay import list_known_examples, make_json, read_json
from harness.verdict.trial import Census
from harness.wording.verdict import violation_block


def naive(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def shifted(x: Tensor) -> Tensor:
    """The stable form."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    # 65,520 equal classes sum to infinity in float16.
    wide = e.double()
    return (wide / wide.sum(-1, keepdim=True)).to(x.dtype)


def job(case: Case, law: str, dtype: str = "float32") -> Job:
    """Return a job of a case."""
    (found,) = list_jobs([case], laws=[law], dtypes=[dtype])
    return found


def decided(case: Case, law: str, dtype: str = "float32") -> Verdict:
    """Decide a law."""
    return decide(job(case, law, dtype))


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_naive_softmax_is_broken_at_the_exact_threshold(dtype: str) -> None:
    """The minimal example is a single entry: the first float at which exp overflows, which is the closed form."""
    verdict = decided(Case(naive, "softmax"), "finite_on_extreme_logits", dtype)
    assert verdict.status is Status.BROKEN
    assert verdict.violation is not None
    logits = verdict.violation.example["logits"]
    assert isinstance(logits, harness.record.TensorText)
    (text,) = logits.values
    format_ = format_of(dtype)
    found = torch.tensor(float.fromhex(text), dtype=torch.float64).to(format_.dtype)
    below = from_ordinal(to_ordinal(found) - 1, format_)
    assert float(below) <= format_.log_max <= float(found)
    assert "subtract the row maximum" in verdict.violation.cause


def test_a_declared_failure_that_is_found_is_expected() -> None:
    """The verdict has the reason."""
    case = Case(naive, "softmax", breaks={"value": "overflow"})
    verdict = decided(case, "value")
    assert verdict.status is Status.EXPECTED
    assert verdict.reason == "overflow"
    assert not verdict.status.fails


def test_a_declared_failure_that_is_not_found_is_an_error_of_the_declaration() -> None:
    """It is searched for longer than other failures."""
    case = Case(shifted, "softmax", breaks={"value": "overflow"})
    verdict = decided(case, "value")
    assert verdict.status is Status.UNEXPECTED
    assert verdict.status.fails
    known = len(list_known_examples(contract_named("softmax"), job(case, "value").law, FORMATS["float32"]))
    assert verdict.examples == PATIENCE * contract_named("softmax").examples + known


def wrong_the_first_time(x: Tensor) -> Tensor:
    """A softmax that uses uninitialized memory in its first call."""
    calls.append(len(x))
    return shifted(x) + (len(calls) == 1)


calls: list[int] = []


def test_what_is_not_found_again_is_not_passed_over() -> None:
    """The failure disappears when the row is called again: the law is neither broken nor does it hold."""
    calls.clear()
    verdict = decided(Case(wrong_the_first_time, "softmax"), "value")
    assert verdict.status is Status.ERROR
    assert verdict.reason is not None
    assert "a different result when it is called again" in verdict.reason


@pytest.mark.parametrize("right", range(1, 7))
def test_what_is_right_for_a_moment_is_no_fault_of_the_harness(right: int) -> None:
    """One call is right, which may be the confirming call."""
    asked: list[int] = []

    def right_once(x: Tensor) -> Tensor:
        asked.append(len(x))
        return shifted(x) + (len(asked) != right)

    verdict = decided(Case(right_once, "softmax", name="mine.right_once"), "value")
    assert verdict.status in {Status.BROKEN, Status.ERROR}
    assert verdict.fault in {None, Fault.UNREPEATABLE}


def test_tiers_of_an_oracle_that_disagree_are_an_error() -> None:
    """A violation that only the screen finds is a fault of the harness, unless it is at the bound."""
    doubled = Oracle(lambda elementary, x: softmax_screen(elementary, x) * 2.0, SOFTMAX.exact)

    def measure(subject: Subject, logits: Tensor) -> Measurement:
        return compare(subject(logits), doubled(logits), 100.0, subject.format)

    found = job(Case(shifted, "softmax"), "value")
    verdict = decide(replace(found, law=replace(found.law, measure=measure)), corpora=())
    assert verdict.status is Status.ERROR
    assert verdict.reason is not None
    assert verdict.reason.startswith("internal error of the harness: the two tiers of the oracle disagree on value")
    assert len(verdict.reason) < 400
    decided_on_all = decide(replace(found, law=replace(found.law, measure=measure, every_row=False)), corpora=())
    assert decided_on_all.reason is not None
    assert len(decided_on_all.reason) < 400


def raises(x: Tensor) -> Tensor:
    """Raises an exception."""
    raise NotImplementedError("later")


def returns_text(x: Tensor) -> str:
    """Returns no tensor."""
    return "softmax"


def cuts_the_graph(x: Tensor) -> Tensor:
    """Detaches its output."""
    return shifted(x.detach())


@pytest.mark.parametrize(
    ("function", "law", "text"),
    [
        (raises, "value", "raises NotImplementedError: later"),
        (returns_text, "value", "returns str, not a tensor"),
        (cuts_the_graph, "gradient", "autograd cannot follow"),
    ],
)
def test_what_does_not_answer_is_an_error_in_plain_words(function: object, law: str, text: str) -> None:
    """It neither passes nor crashes the check."""
    verdict = decided(Case(function, "softmax"), law)  # type: ignore[arg-type]
    assert verdict.status is Status.ERROR
    assert verdict.reason is not None
    assert text in verdict.reason


@pytest.mark.parametrize(
    "function", [lambda x: shifted(x)[:, :1], lambda x: shifted(x).sum()], ids=["column", "scalar"]
)
def test_another_shape_is_an_error_on_every_law(function: object) -> None:
    """The numbers are right, and the message has both shapes."""
    checked = harness.check(function, "softmax", dtypes=["float32"])  # type: ignore[arg-type]
    # Rows with a single class have this column, unless they lie along another axis.
    verdicts = [verdict for verdict in checked if verdict.law != "any_rank"]
    assert {verdict.status for verdict in verdicts} == {Status.ERROR}
    assert all("the contract requires (logits[n,k]) -> [n,k]" in (verdict.reason or "") for verdict in verdicts)


def test_the_same_seed_gives_the_same_verdict() -> None:
    """Only the duration differs."""
    first, second = (decide(job(Case(naive, "softmax"), "value"), seed=5) for _ in range(2))
    # Compare as JSON, because NaN does not equal itself.
    assert first.model_dump_json(exclude={"duration_s"}) == second.model_dump_json(exclude={"duration_s"})


def test_a_replay_reproduces_the_violation_bit_for_bit() -> None:
    """The example is written as text and read back."""
    target = job(Case(naive, "softmax"), "gradient")
    verdict = decide(target)
    assert verdict.violation is not None
    text = verdict.violation.replay.partition("--example ")[2].strip("'")
    example = read_json(text, target.contract, target.format)
    again = decide(target, example=example)
    assert again.violation is not None
    assert again.violation.deviation == verdict.violation.deviation
    assert make_json(example, target.contract, target.format) == text


def test_an_example_with_too_few_axes_is_a_usage_error() -> None:
    """A row without its batch gets the shape to write."""
    target = job(Case(naive, "softmax"), "value")
    with pytest.raises(UsageError, match=r"`logits` has too few axes: the contract takes logits\[n,k\], got \[2\]"):
        read_json('{"logits": [1.0, 2.0]}', target.contract, target.format)


def test_the_block_of_a_violation_says_what_a_reader_needs() -> None:
    """It has the rule, the value, the place, the replay and the cause."""
    block = violation_block(decided(Case(naive, "softmax"), "rows_sum_to_one"))
    for label in ("statement", "source", "actual", "expected", "deviation", "example", "replay", "look at"):
        assert f"\n  {label}" in block
    assert "breaks rows_sum_to_one [float32]" in block
    assert "0x1.62e43p+6" in block


def test_a_verdict_without_violation_has_no_block() -> None:
    """Requesting it is an internal error, not a user error."""
    with pytest.raises(ValueError, match="does not break"):
        violation_block(decided(Case(shifted, "softmax"), "value"))


def test_verdicts_become_a_frame() -> None:
    """Each verdict has a row."""
    laws = {"value": "broken", "digits_not_lost": "lost digits", "no_drift": "holds"}
    frame = harness.check(naive, "softmax", laws=list(laws), dtypes=["float32"]).to_frame()
    assert dict(zip(frame["law"], frame["status"], strict=True)) == laws


def test_conventions_are_part_of_the_claim() -> None:
    """Half of the squared error is right only if this factor is declared or inferred."""

    def half(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b.reshape(a.shape)) ** 2 / 2).mean()

    found = harness.check(half, "squared_error", dtypes=["float32"])
    laws = ["value", "gradient", "value_on_long_rows"]
    whole, declared = (
        harness.check(half, "squared_error", laws=laws, dtypes=["float32"], declares={"factor": factor})
        for factor in (1.0, 0.5)
    )
    assert [one.value for one in found.properties] == ["factor=0.5"]
    assert found.failing == declared.failing == []
    assert declared.properties == []
    assert {*laws} == {verdict.law for verdict in whole.failing}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_every_reduction_can_be_declared(reduction: str) -> None:
    """The contracts of these losses leave it open."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)

    verdicts = harness.check(
        loss, "cross_entropy", dtypes=["float32"], declares={"reduction": reduction}, breaks={"loss_not_lost": "torch"}
    )
    assert verdicts.failing == []


def test_a_huge_bound_does_not_hide_the_others() -> None:
    """A bound above 2**40 counts as 2**40, so that doubling the other one changes the mean."""
    zero = np.zeros(2)

    def typical(bound: float) -> float | None:
        census = Census()
        census.note(Measurement(zero, np.array([sys.float_info.max, bound]), zero, zero))
        return census.typical_bound

    assert typical(16.0) == 2.0**22
    assert typical(64.0) == 2.0**23


def test_a_bound_that_is_no_number_admits_nothing() -> None:
    """The bound depends on the answer, which is NaN: the law still has a verdict."""
    found = harness.check(
        lambda x: x / 0.0 * 0.0,
        "rms_norm",
        laws=["mean_square_at_most_one"],
        dtypes=["float32"],
        examples=2,
        corpora=(),
    )
    (verdict,) = found
    assert verdict.status is Status.BROKEN
    assert verdict.bound == 0.0
    assert verdict.violation is not None
    assert verdict.violation.bound == 0.0


def test_the_final_re_check_does_not_count() -> None:
    """Its seed is new each time, so that its examples are no figures of the run."""

    def checked(late: int | None) -> Verdict:
        (job,) = list_jobs([Case(lambda x: x.softmax(-1), "softmax")], laws=["value"], dtypes=["float32"])
        return decide(job, examples=4, corpora=(), recheck_seed=late)

    without, once, again = checked(None), checked(1), checked(2)
    assert without.rows > 0
    assert figures(without) == figures(once) == figures(again)


def test_the_final_re_check_still_finds_what_only_it_sees() -> None:
    """An implementation that is right at first and wrong later is broken."""
    calls = 0

    def softmax(x: Tensor) -> Tensor:
        nonlocal calls
        calls += len(x) > 512
        return x.softmax(-1) * (1.0 if calls < 2 else 1.5)

    (job,) = list_jobs([Case(softmax, "softmax")], laws=["value"], dtypes=["float32"])
    assert decide(job, examples=4, corpora=()).status is Status.HOLDS
    calls = 0
    assert decide(job, examples=4, corpora=(), recheck_seed=3).status in {Status.BROKEN, Status.ERROR}


@pytest.mark.parametrize("name", [name for name, contract in contracts().items() if contract.form == "function"])
def test_the_final_re_check_has_equally_many_rows_in_each_input(name: str) -> None:
    """The gradients of an optimizer have their elements at the second axis."""
    case = Case(lambda *_: None, name)
    for each in filter(is_rechecked, list_jobs([case], dtypes=["float32"])):
        for example in draw_few_examples(make_larger_job(each).inputs, each.format):
            axes = [(x.shape, each.contract.axes[key].names) for key, x in example.items() if key in each.contract.axes]
            assert len({shape[names.index("n")] for shape, names in axes if "n" in names}) <= 1


def test_the_final_re_check_passes_an_optimizer() -> None:
    """It is the recursion of the contract."""

    def descend(p: Tensor, gradients: Tensor, lr: float, mu: float, decay: float, *, nesterov: bool) -> Tensor:
        b = torch.zeros_like(p)
        for g in gradients:
            d = g + decay * p
            b = mu * b + d
            p = p - lr * (d + mu * b if nesterov else b)
        return p

    case = Case(lambda *run: descend(*run[:-1], nesterov=run[-1]), "sgd_with_momentum")
    assert decide(job(case, "value"), examples=4, corpora=(), recheck_seed=3).status is Status.HOLDS


def figures(verdict: Verdict) -> tuple[object, ...]:
    """Return the figures that a baseline stores."""
    return verdict.examples, verdict.rows, verdict.largest, verdict.typical_bound, verdict.inputs
