"""Steps, trainers, loaders and proofs that try to pass are judged out of their reach."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hostile.cunning import delivering, proved, training

from harness.isolation.limits import Limits
from harness.proof.exhaustion import Exhaustion
from harness.record import Fault, Proof, Status, Verdict
from harness.verdict.campaign import Campaign

pytestmark = pytest.mark.judged

LAWS = ["follows_gradient_descent", "inputs_unmodified", "calls_agree", "each_sample_once"]
RIGHT = {"training.right_step", "training.Line"}
DETECTING = {
    *(f"training.{name}_while_ours_is_there" for name in ("right", "loads")),
    *("training.right_while_it_is_called_so", "delivering.whole_while_ours_is_there"),
    *("delivering.whole_while_it_is_called_so", "proved.right_while_ours_is_there"),
}
"""Code that is right only while it is checked, which the documentation does not promise to find."""
FEW: dict[str, Any] = {"dtypes": ["float32"], "examples": 6, "recheck_seed": 7}
LIMITS = Limits(call_s=5.0, first_call_s=8.0, memory_gib=1.0, law_s=30.0)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, list[Verdict]]:
    """Return the verdicts on each step, trainer and loader, by name."""
    found: dict[str, list[Verdict]] = {}
    # On a busy machine, the first imports of torch may take long.
    patient = replace(LIMITS, call_s=10.0)
    for verdict in Campaign("hostile.cunning.training", laws=LAWS, **FEW).run(limits=patient, processes=1):
        found.setdefault(verdict.case, []).append(verdict)
    return found


@pytest.fixture(scope="module")
def delivered() -> dict[str, list[Verdict]]:
    """Return the verdict on each loader, by name, for its first settings; for one loader the verdict on leftovers."""
    limits, ask = replace(LIMITS, law_s=10.0), {"num_workers": 0, "shuffle": False, "drop_last": False}
    every = Campaign("hostile.cunning.delivering", laws=["each_sample_once"], example=json.dumps(ask))
    found = {verdict.case: [verdict] for verdict in every.run(limits=limits, processes=3)}
    one = Campaign("hostile.cunning.delivering:daemonises", "data_loader", laws=["nothing_is_left_behind"])
    found["delivering.daemonises"] = list(replace(one, example='{"num_workers": 0}').run(limits=LIMITS))
    return found


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """Return the proof of each sigmoid by name."""
    folder = tmp_path_factory.mktemp("shards")
    only: dict[str, Any] = {"dtypes": ["float16"], "layouts": ["contiguous"], "quantities": ["value"]}
    every = Exhaustion("hostile.cunning.proved", folder=folder, **only).run(limits=LIMITS, processes=2)
    return {proof.case: proof for proof in every}


@pytest.mark.parametrize("name", [case.name for case in training.CASES])
def test_nothing_that_trains_or_loads_is_called_right(verdicts: dict[str, list[Verdict]], name: str) -> None:
    """Two are right, one of them a model whose parameters the test sets; others are right while they are checked."""
    statuses = {verdict.law: verdict.status for verdict in verdicts[name]}
    if name in RIGHT | DETECTING:
        assert set(statuses.values()) == {Status.HOLDS}
    else:
        assert any(status.fails for status in statuses.values())


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("trains_the_start", "inputs_unmodified"),
        ("scales_the_data", "inputs_unmodified"),
        ("keeps_the_start", "inputs_unmodified"),
        ("reads_unset_memory", "calls_agree"),
    ],
)
def test_what_happens_beside_a_training_is_seen(verdicts: dict[str, list[Verdict]], name: str, law: str) -> None:
    """The training process notices changes to tensors in a tuple, and the use of freed memory."""
    broken = {verdict.law for verdict in verdicts[f"training.{name}"] if verdict.status is Status.BROKEN}
    assert law in broken


def test_a_model_that_fits_one_time_and_not_another_is_not_believed(verdicts: dict[str, list[Verdict]]) -> None:
    """Its parameters decide whether it fits, and they do not change."""
    reasons = [str(verdict.reason) for verdict in verdicts["training.FitsAnotherTime"]]
    assert any("unsuitable inputs on some calls only" in reason for reason in reasons), reasons


def test_one_that_ends_its_process_is_said_to(verdicts: dict[str, list[Verdict]]) -> None:
    """Its earlier output does not matter."""
    faults = {verdict.fault for verdict in verdicts["training.ends_in_a_step"]}
    assert faults <= {Fault.STATE, Fault.EXITED}


@pytest.mark.parametrize("name", [case.name for case in delivering.CASES])
def test_no_loader_that_leaves_a_sample_out_is_called_whole(delivered: dict[str, list[Verdict]], name: str) -> None:
    """A loader that leaves a process or hangs fails too. Only the complete loader holds."""
    statuses = {verdict.status for verdict in delivered[name]}
    is_whole = name in {"delivering.whole", *DETECTING}
    assert (statuses == {Status.HOLDS}) is is_whole
    assert any(status.fails for status in statuses) is not is_whole


def test_a_process_without_a_parent_is_something_that_a_loader_left(delivered: dict[str, list[Verdict]]) -> None:
    """The verdict reports it, and it is ended."""
    (verdict,) = delivered["delivering.daemonises"]
    assert verdict.violation is not None
    assert "processes still running after it was closed" in str(verdict.violation.seen)


def test_what_a_loader_raises_is_said(delivered: dict[str, list[Verdict]]) -> None:
    """Any exception from any place is reported."""
    said = {name: str(verdicts[0].reason) for name, verdicts in delivered.items()}
    assert "loading raises: ValueError: " in said["delivering.clears_the_screen"]
    assert "loading raises: SystemExit: 0" in said["delivering.exits"]
    assert "loading raises: KeyboardInterrupt" in said["delivering.interrupts"]
    assert "ends the process with exit code 0" in said["delivering.ends_with_success"]


@pytest.mark.parametrize("name", [case.name for case in proved.CASES])
def test_nothing_wrong_is_proved_right(proofs: dict[str, Proof], name: str) -> None:
    """The right function is proved by the same command."""
    proof = proofs[name]
    assert (proof.is_proved and not proof.fails) is (name in {"proved.right", *DETECTING})
