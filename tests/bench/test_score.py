"""The score of a kernel: correctness by tier, and its speed relative to a reference that it cannot influence."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from samples.command import Command

from harness.bench.scoring import pairs
from harness.bench.scoring.pairs import Couples, Timed, UntimedError
from harness.bench.scoring.scoring import ScoreRequest, broken_while_timed, score, with_speed
from harness.contracts import contract_named
from harness.error import UsageError
from harness.isolation.limits import Limits
from harness.record import Score, Tier
from harness.verdict.campaign import Campaign

PROBLEM = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()

    def forward(self, x):
        return torch.softmax(x, dim=-1)


def get_inputs():
    return [torch.randn(64, 33)]


def get_init_inputs():
    return [33]
"""
"""A problem as in public kernel benchmarks, with smaller sizes."""

KERNELS = """
import sys
import time

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, width=None):
        super().__init__()
        assert width == 33

    def forward(self, x):
        return torch.softmax(x, dim=-1)


def get_init_inputs():
    return [33]


def twice(x):
    torch.softmax(x, dim=-1)
    return torch.softmax(x, dim=-1)


def slow(x):
    time.sleep(0.002)
    return torch.softmax(x, dim=-1)


def lazy(x):
    return torch.softmax(x, dim=-1) if x.shape != (64, 33) else torch.zeros_like(x)


def refusing(x):
    if x.shape == (64, 33):
        raise ValueError("too\\nlarge")
    return torch.softmax(x, dim=-1)


def hanging(x):
    while True:
        pass


def rough(x):
    return torch.softmax(x, dim=-1) * 1.001


class Unmade(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        return torch.softmax(x, dim=-1)


def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)


def inputs_of_callers():
    frame, found = sys._getframe(1), []
    while frame is not None:
        for value in list(frame.f_locals.values()):
            parts = value.values() if type(value) is dict else [value]
            found += [x for part in parts if type(part) is list for one in part if type(one) is list for x in one]
        frame = frame.f_back
    return [x for x in found if isinstance(x, torch.Tensor)]


class Early(nn.Module):
    def __init__(self, width=None):
        super().__init__()
        self.known = [(x, torch.softmax(x, dim=-1)) for x in inputs_of_callers()]

    def forward(self, x):
        for given, answer in self.known:
            if given.data_ptr() == x.data_ptr():
                return answer
        time.sleep(0.002)
        return torch.softmax(x, dim=-1)


pending = {}


class Pending(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            for y in args:
                if id(y) in pending:
                    torch.softmax(pending.pop(id(y)), dim=-1, out=y.as_subclass(torch.Tensor))
            return func(*args, **(kwargs or {}))


def late(x):
    y = torch.zeros_like(x).as_subclass(Pending)
    pending[id(y)] = x
    return y
"""

LAWS = ("--dtypes", "float32", "--seconds", "0.1")


@pytest.fixture
def files(workplace: Path, one_worker: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a problem and some kernels, timed in short turns, because the expected effects are large."""
    monkeypatch.setattr(pairs, "TURN_S", 1e-3)
    (workplace / "problem.py").write_text(PROBLEM, encoding="utf-8")
    (workplace / "kernels.py").write_text(KERNELS, encoding="utf-8")
    return workplace


def asked(target: str, *, reference: str = "problem.py:Model") -> ScoreRequest:
    """Return a request for the speed of a kernel."""
    campaign = Campaign(target, "softmax")
    return ScoreRequest(campaign, reference, inputs="problem.py:get_inputs", seconds=0.01)


def correct(target: str) -> Score:
    """Return the score of a kernel that keeps all laws."""
    return Score(
        candidate=target,
        source=None,
        reference="problem.py:Model",
        contract="softmax",
        seed=0,
        late_seed=1,
        correct=True,
        tier=Tier.HOLDS,
        verdict="",
        laws={},
        findings=(),
        speed=None,
    )


def test_a_model_is_timed_as_public_benchmarks_give_it(files: Path) -> None:
    """Its file defines the arguments and the inputs."""
    said = with_speed(correct("kernels.py:ModelNew"), asked("kernels.py:ModelNew"))
    assert said.correct
    assert said.speed is not None, said.reason
    assert said.speed.inputs == {"logits": (64, 33)}
    assert 0.0 <= said.speed.low <= said.speed.ratio <= said.speed.high
    assert said.speed.seconds > 0.0


def test_lazy_while_timed_is_a_defect(files: Path) -> None:
    """Every law holds on its inputs, which never have the shape of the timed input."""
    said = with_speed(correct("kernels.py:lazy"), asked("kernels.py:lazy"))
    assert (said.correct, said.tier, said.speed) == (False, Tier.DEFECT, None)
    assert said.findings == (
        "kernels.py:lazy behaves differently while it is timed: its timed results break the law `value`",
    )


def test_another_right_answer_than_the_references_is_right(files: Path) -> None:
    """The law decides if torch's tolerances find a difference."""
    said = with_speed(correct("kernels.py:ModelNew"), asked("kernels.py:ModelNew", reference="kernels.py:rough"))
    assert said.correct
    assert said.speed is not None, said.reason


def test_what_is_wrong_is_not_timed(files: Path, harness_command: Command) -> None:
    """The exit code is 1, the output has the cause, and the document is written."""
    words = ("--reference", "problem.py", "--contract", "softmax", "--json", "score.json")
    done = harness_command("score", "kernels.py:naive", *words, *LAWS, code=1)
    assert done.stdout == ""
    said = json.loads(Path("score.json").read_text(encoding="utf-8"))
    assert (said["correct"], said["tier"], said["speed"]) == (False, "defect", None)
    assert said["findings"][0].startswith("exp overflows at 88.72283935546875 in float32")
    assert said["reason"] == "not timed because it is not correct"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--size k=0 --contract softmax", "cannot read `--size`: it must be an axis and its length"),
        ("--size 1=2 --contract softmax", "`1=2`"),
    ],
    ids=["length", "name"],
)
def test_what_cannot_be_answered_is_one_line(files: Path, harness_command: Command, words: str, text: str) -> None:
    """The exit code is 2, and there is no document."""
    done = harness_command(f"score kernels.py --reference problem.py {words}", code=2)
    assert done.stdout == ""
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


class Unasked:
    """A substitute for a campaign without laws to decide."""

    pieces: ClassVar = [{"unreached": {"contract": "softmax"}}]

    def answers(self, *_: object, **__: object) -> Any:
        """Fail the test."""
        raise AssertionError


@pytest.mark.parametrize("absent", ["reference", "inputs"])
def test_a_problem_that_is_not_there_is_said_before_any_law_is_decided(files: Path, absent: str) -> None:
    """The sentence names the file, even if the implementation is wrong."""
    absences: dict[str, Any] = {absent: "gone.py:Model"}
    backend: Any = Unasked()
    with pytest.raises(UsageError, match=r"gone\.py"):
        score(replace(asked("kernels.py:naive"), **absences), backend)


# Timing


@pytest.fixture
def timed(files: Path) -> Callable[[str], Timed]:
    """Return a function that prepares a kernel for timing by its name."""
    return lambda name: Timed(f"{files}/kernels.py:{name}", "softmax", call=None, limits=Limits(), device="cpu")


def fresh(count: int) -> list[Sequence[Any]]:
    """Return new inputs."""
    import torch

    return [[torch.randn(64, 33)] for _ in range(count)]


def raced(candidate: Timed, reference: Timed) -> Couples:
    """Time a couple."""
    with candidate, reference:
        return pairs.couples(candidate, reference, fresh, seconds=0.01, seed=1)


def test_twice_the_work_is_half_as_fast_and_sleep_is_seen(timed: Callable[[str], Timed]) -> None:
    """Another process measures the time. Every result agrees with that of the reference."""
    found = raced(timed("slow"), timed("twice"))
    assert found.ratio.point < 0.5
    assert found.candidate_s >= 0.002
    assert found.doubtful == ()


def test_an_answer_that_is_another_while_it_is_timed_is_kept(timed: Callable[[str], Timed]) -> None:
    """The law of the value then decides about it."""
    found = raced(timed("lazy"), timed("twice"))
    assert found.doubtful
    inputs, answer = found.doubtful[0]
    assert tuple(inputs[0].shape) == (64, 33)
    assert not answer.any()


def test_one_wrong_answer_among_many_that_differ_is_seen() -> None:
    """A rough reference differs from many right results, among which the wrong one is found."""
    contract, question = contract_named("softmax"), asked("kernels.py:ModelNew")
    right = [(inputs, inputs[0].softmax(-1)) for inputs in fresh(20)]
    (wrong,) = fresh(1)
    assert broken_while_timed(question, contract, Couples((0.0,), 1.0, 1.0, tuple(right))) is None
    doubtful = (*right, (wrong, wrong[0].softmax(-1) * 1.001))
    assert broken_while_timed(question, contract, Couples((0.0,), 1.0, 1.0, doubtful)) == "value"


def test_what_does_not_answer_while_it_is_timed_says_so(timed: Callable[[str], Timed]) -> None:
    """One sentence reports a call that raises, or an object that cannot be made."""
    with pytest.raises(UntimedError, match="raises ValueError: too") as raised:
        raced(timed("refusing"), timed("twice"))
    assert "\n" not in str(raised.value)
    with timed("Unmade") as unmade, pytest.raises(UntimedError, match="raises TypeError"):
        unmade.turn(fresh(1))


def test_an_instance_knows_no_inputs(timed: Callable[[str], Timed]) -> None:
    """It is made before they exist: what it computes ahead is of no use."""
    with timed("Early") as early:
        early.renew()
        early.turn(fresh(1))
        assert early.turn(fresh(100)) > 0.15


def test_results_that_are_completed_after_the_time_was_taken_are_refused(timed: Callable[[str], Timed]) -> None:
    """They do not have the checksums that were returned within the time."""
    with timed("late") as late:
        late.turn(fresh(4))
        with pytest.raises(UntimedError, match="changes its results after the time has been taken"):
            late.reported(1)


def test_a_call_that_does_not_return_is_given_up(files: Path) -> None:
    """It is stopped after the limit."""
    limits = Limits(call_s=0.2, first_call_s=0.5, law_s=0.5)
    hanging = Timed(f"{files}/kernels.py:hanging", "softmax", call=None, limits=limits, device="cpu")
    with hanging, pytest.raises(UntimedError, match=re.escape("hanging")):
        hanging.turn(fresh(1))
