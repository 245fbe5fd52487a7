"""Surveys and proofs of foreign code: adapters work as in a check, and a hang or crash costs one sentence."""

import json
import re
import shlex
import time
from pathlib import Path

import pytest
import torch
from samples.command import Command
from samples.proof_space import small

from harness.calling.adapter import bridge_case, unwrap_bridge
from harness.case import Case
from harness.execution.runner import carry_out
from harness.isolation.limits import Limits
from harness.proof import pairs
from harness.proof.exhaustion import Exhaustion, Proving
from harness.proof.layout import LAYOUTS_WITH_DIM, pair_layouts
from harness.record import RUNS, Breaking, Proof, RunFolder
from harness.surveyor.plan import Survey
from harness.verdict.campaign import Campaign

HOSTILE = """
import time
import torch
from harness.case import Case
from hostile import deadly

def sound(x):
    return x.softmax(-1)

def late(x):
    if x.abs().max() > 500.0:
        time.sleep(60.0)
    return x.softmax(-1)

CASES = [Case(late, "softmax"), Case(deadly.exits_with_3, "softmax"), Case(sound, "softmax")]

def act(x):
    return torch.nn.functional.softplus(x)

def act_exits(x):
    return deadly.exits_with_3(x)

def act_hangs_backwards(x):
    y = torch.nn.functional.softplus(x)
    return deadly.hangs_backwards(x) if x.requires_grad else y

"""

NUMPY = """
import numpy as np

def f(x):
    with np.errstate(all="ignore"):
        return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype)
"""


@pytest.fixture
def command(workplace: Path, harness_command: Command) -> Command:
    """Run the command in a folder with hostile code that its workers find."""
    (workplace / "hostile_mine.py").write_text(HOSTILE, encoding="utf-8")
    return harness_command


def test_a_survey_continues_after_implementations_hang_or_exit(command: Command) -> None:
    """Each failure is a sentence in a record, and earlier results are kept.

    The sound function after them is surveyed.
    """
    words = ("survey", "hostile_mine", "--law", "value", "--ray", "spike", "--dtypes", "float32", "--batches", "0")
    out = command(*words, "--timeout", "1", "--first-call-seconds", "1", "--run", "it", code=1).stdout
    found = {one.case: one for one in RunFolder(RUNS / "it").read(Breaking)}
    assert found["hostile_mine.sound"].reason is None
    late, exits = (str(found[name].reason) for name in ("hostile_mine.late", "hostile.deadly.exits_with_3"))
    assert late.startswith("hostile_mine.late hangs: a call did not return within 1 s (hostile_mine.py, line ")
    assert exits == "hostile.deadly.exits_with_3 ends the process with exit code 3"
    assert out.count("exits_with_3 ends the process with exit code 3\n  concerns  value [float32]") == 1
    assert out.splitlines()[-1].endswith("no answer on 2 rays")


def test_isolation_changes_no_finding(workplace: Path) -> None:
    """The number of processes changes nothing either."""
    (workplace / "mine.py").write_text("def f(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n")
    survey = Survey("mine.py:f", "softmax", laws=["value"], rays=["spike", "ramp"], dtypes=["float16"], batches=2)
    here, apart, two = (
        [one.model_dump_json() for _, found in survey.run(**options) for one in found]
        for options in ({}, {"limits": Limits()}, {"limits": Limits(), "processes": 2})
    )
    assert here == apart == two
    assert {json.loads(one)["kind"] for one in here} == {"breaking", "worst", "profile", "passage", "accumulator"}


def test_a_survey_calls_through_an_adapter_and_replays_with_it(command: Command) -> None:
    """The adapter serves a function with another signature."""
    coarse = "lambda f, x: f(x, dim=1).half().to(x.dtype)"
    words = ("survey", "torch.nn.functional:softmax", "--contract", "softmax", "--call", coarse)
    out = command(*words, "--law", "value", "--ray", "ramp", "--dtypes", "float32", "--batches", "0", code=1).stdout
    assert f"--call '{coarse}'" in out


def test_a_survey_reports_what_arrays_cannot_answer(command: Command) -> None:
    """NumPy has neither a gradient nor bfloat16, which is reported and is no error."""
    Path("numpy_mine.py").write_text(NUMPY)
    words = ("survey", "numpy_mine.py:f", "--contract", "sigmoid", "--call", "numpy", "--batches", "0")
    _, out, _ = command(*words, "--dtypes", "float32,bfloat16", "--no-isolate")
    assert "numpy_mine.f: not surveyed, NumPy has no bfloat16: value [bfloat16]" in out
    assert "gradient [float32]" in out


def test_a_declared_failure_of_a_surveyed_function_does_not_fail(command: Command) -> None:
    """A check treats it in the same way."""
    Path("naive.py").write_text("def f(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n")
    line = "survey naive.py:f --contract softmax --law value --ray spike --batches 0 --dtypes float32 --no-isolate"
    command(line, code=1)
    command(line, "--breaks", "value=exp overflows", code=0)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("act_exits", "act_exits ends the process with exit code 3"),
        ("act_hangs_backwards", "hangs: a call did not return within 1 s (hostile/deadly.py, line "),
    ],
)
def test_a_proof_ends_where_the_implementation_does_not(command: Command, name: str, sentence: str) -> None:
    """The proof ends in time. Terminal and record have its sentence once, and finished proofs remain."""
    started = time.monotonic()
    words = ("prove", f"hostile_mine.py:{name}", "--contract", "softplus", "--dtypes", "float16", "--timeout", "1")
    out = command(*words, "--first-call-seconds", "1", "--layouts", "contiguous", code=1).stdout
    assert time.monotonic() - started < 60.0
    assert sentence.replace("hostile/", "") in out
    found = {proof.quantity: proof for proof in RunFolder(RUNS / "prove").read(Proof)}
    assert found["value"].is_proved == (name == "act_hangs_backwards")
    assert "act_" in str(found["gradient"].error)
    assert "without an answer" in out.splitlines()[-1]


def test_the_pairs_of_a_function_that_hangs_end_too(command: Command) -> None:
    """After three calls without an answer, the rest is skipped."""
    Path("pairs.py").write_text("import time\n\ndef f(x):\n    time.sleep(60.0)\n")
    limits = ("--timeout", "1", "--first-call-seconds", "1")
    out = command("prove", "pairs.py:f", "--contract", "softmax", *limits, code=1).stdout
    assert re.search(
        r"pairs.f hangs: a call did not return within 1 s \(pairs.py, line \d\)\n  affects  value \[float16 rows", out
    )
    assert "not tried: 3 earlier calls of pairs.f did not return" in out
    assert out.splitlines()[-1] == "proofs: 0 of 12 proved; 12 without an answer (0 inputs visited)"


def test_an_isolated_proof_is_the_same(workplace: Path) -> None:
    """It continues from stored shards."""
    (workplace / "mine.py").write_text("import torch\n\ndef f(x):\n    return (1 + x.exp()).log()\n")
    here, there = (
        Exhaustion("mine.py:f", "softplus", folder=workplace / name, dtypes=["float16"], layouts=["spread"])
        for name in ("one", "two")
    )
    with carry_out(there, limits=Limits()) as hands:
        proving = Proving(hands)
        assert proving.proofs() == []
        assert proving.waiting == 2
        assert len(list(proving.run())) == 2
        apart = proving.proofs()
    timeless = [
        [proof.model_dump_json(exclude={"duration_s", "floor_s"}) for proof in proofs] for proofs in (here.run(), apart)
    ]
    assert timeless[0] == timeless[1]
    with carry_out(there, limits=Limits()) as hands:
        again = Proving(hands)
        assert list(again.run()) == []
        assert [piece["kept"] for piece in hands.pieces] == [True, True]
        assert [proof.model_dump_json() for proof in again.proofs()] == [proof.model_dump_json() for proof in apart]


def test_a_proof_of_a_loss_needs_it_row_by_row_and_says_how(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of many rows gives no result for a row. An adapter returns the loss of each row."""
    monkeypatch.setattr(pairs, "every_pair", lambda format_: small(format_.name, first=8, shards=1))
    line = "prove torch.nn.functional:cross_entropy --contract cross_entropy --dtypes float16 --of value --no-isolate"
    out = command(line, "--fresh", "--call", "lambda f, x, y: f(x, y)", code=1).stdout
    assert "returns one number for 64 rows, but a proof needs the loss of each row: pass for example `--call" in out
    for options in (("--call", "lambda f, x, y: f(x, y, reduction='none')"), ()):
        _, out, _ = command(line, "--fresh", *options)
        assert "proofs: all 6 proved" in out
        assert "without an answer" not in out


def test_a_proof_reports_what_arrays_cannot_answer(command: Command) -> None:
    """No result is stored for these dtypes and quantities."""
    Path("numpy_mine.py").write_text(NUMPY)
    words = ("prove", "numpy_mine.py:f", "--contract", "sigmoid", "--call", "numpy", "--layouts", "contiguous")
    _, out, _ = command(*words, "--no-isolate")
    assert "not proved, NumPy has no bfloat16: value [bfloat16], gradient [bfloat16]" in out
    assert "autograd cannot follow back to the input: gradient [float16]" in out
    (kept,) = RunFolder(RUNS / "prove").read(Proof)
    assert (kept.quantity, kept.dtype, kept.is_proved) == ("value", "float16", True)


def test_a_violation_of_a_proof_is_replayed_through_its_adapter(command: Command) -> None:
    """The replay has the user's adapter, and a note that torch may choose another kernel."""
    Path("mine.py").write_text("def f(x):\n    return (1 + x.exp()).log()\n")
    words = ("prove", "mine.py:f", "--contract", "softplus", "--call", "lambda f, x: f(x)", "--dtypes", "float16")
    _, out, _ = command(*words, "--layouts", "few", "--of", "value", "--no-isolate")
    replay = next(line for line in out.splitlines() if line.startswith("  replay"))
    assert "--call 'lambda f, x: f(x)'" in replay
    assert "the replay has this input only: torch may choose another kernel" in out
    again = command(*shlex.split(replay.removeprefix("  replay"))[1:], "--no-isolate", code=1).stdout
    assert "mine.f breaks value [float16]" in again


def test_a_bridge_has_the_signature_of_its_adapter() -> None:
    """An adapter with ``dim`` reaches every layout, and a module is called like a module."""
    x = torch.tensor([[1.0, 2.0]])
    adapted = Case(torch.softmax, "softmax", call="lambda f, x, dim=-1: f(x, dim)")
    bridge = bridge_case(adapted)
    assert torch.equal(bridge.function(x, dim=0), torch.ones(1, 2))
    assert pair_layouts(bridge.function) is LAYOUTS_WITH_DIM
    module = Case(torch.nn.Softmax, "softmax", call="lambda f, x: f(dim=-1)(x)")
    assert torch.equal(bridge_case(module).function(x), x.softmax(-1))
    assert unwrap_bridge(bridge) is adapted
    assert bridge_case(Case(torch.softmax, "softmax")).function is torch.softmax


def test_a_subpackage_of_the_reference_cases_is_not_foreign() -> None:
    """It runs in the process of the command. A package with a similar name is foreign."""
    targets = ("cases", "cases.softmax_regression", "cases.softmax_regression.concise:softmax", "casesx:f", "mine.py:f")
    for plan in (Campaign, Survey, Exhaustion):
        assert [plan(target).is_foreign for target in targets] == [False, False, False, True, True]
