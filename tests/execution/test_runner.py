"""Every means of carrying out a plan gives the same answers in the same order, and reports failed pieces."""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from samples.counting import Counting

from harness.execution.plan import Answer, from_document, to_document
from harness.execution.runner import Backend, carry_out
from harness.isolation.limits import Limits
from harness.record import Fault

MEANS = ("here", "processes", "isolated", "executor")


@pytest.fixture
def threads() -> Iterator[Executor]:
    """Return an executor with one thread."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


def by(means: str, plan: Counting, executor: Executor) -> AbstractContextManager[Backend]:
    """Return the means to carry out a plan."""
    if means == "here":
        return carry_out(plan)
    if means == "processes":
        return carry_out(plan, processes=2)
    return carry_out(plan, limits=Limits(), executor=executor if means == "executor" else None)


@pytest.mark.parametrize("means", MEANS)
def test_answers_come_in_the_requested_order(means: str, threads: Executor) -> None:
    """The plan is known before the first answer."""
    with by(means, Counting(), threads) as hands:
        assert [piece["number"] for piece in hands.pieces] == list(range(6))
        answers = list(hands.answers([4, 0, 5, 1]))
    assert [(answer.index, answer.reply) for answer in answers] == [(i, {"number": i}) for i in (4, 0, 5, 1)]
    assert all(answer.reason is None and answer.failure is None and answer.noticed is None for answer in answers)


@pytest.mark.parametrize("means", MEANS)
def test_pieces_beyond_the_time_limit_have_neither_answer_nor_reason(means: str, threads: Executor) -> None:
    """Pieces that two workers have started are still awaited."""
    with by(means, Counting(), threads) as hands:
        assert list(hands.answers(range(6), seconds=0.0))[3:] == [Answer(i) for i in range(3, 6)]


@pytest.mark.parametrize("means", ["isolated", "executor"])
def test_a_piece_that_ends_its_process_costs_its_own_answer(means: str, threads: Executor) -> None:
    """Another process continues with the next piece."""
    with by(means, Counting(manners={1: "exits"}), threads) as hands:
        answers = list(hands.answers(range(6)))
    assert [answer.reply is None for answer in answers] == [False, True, False, False, False, False]
    assert answers[1].reason == "case 1 ends the process with exit code 3"


@pytest.mark.parametrize("means", ["isolated", "executor"])
def test_side_effects_of_a_piece_are_noticed(means: str, threads: Executor) -> None:
    """An interrupt raised by its code gives no answer, and costs no process."""
    with by(means, Counting(manners={0: "prints", 2: "interrupts"}), threads) as hands:
        answers = list(hands.answers(range(4)))
    assert answers[0].reply == {"number": 0}
    assert answers[0].noticed is not None
    assert answers[0].noticed[0] is Fault.PRINTED
    assert "`hello`" in answers[0].noticed[1]
    assert answers[2].reply is None
    assert answers[2].reason == "case 0 raises KeyboardInterrupt"
    assert answers[3].reply == {"number": 3}


def test_a_piece_that_does_not_end_is_given_up_after_the_limit(threads: Executor) -> None:
    """The limit is in wall time, because no call was timed."""
    with carry_out(Counting(count=1, manners={0: "sleeps"}), limits=Limits(law_s=0.5, first_call_s=0.5)) as hands:
        (answer,) = hands.answers([0])
    assert answer.failure is not None
    assert answer.failure.fault is Fault.HUNG


def test_an_interrupt_waits_for_started_pieces_of_trusted_processes(workplace: Path) -> None:
    """Started pieces are stored completely; the others do not start."""
    manners = {i: str(i) for i in range(40)}
    with carry_out(Counting(count=40, manners=manners), processes=2) as hands:
        answers = hands.answers(range(40))
        assert next(answers).index == 0
        with pytest.raises(KeyboardInterrupt):
            answers.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert {file.name for file in workplace.iterdir()} >= {"0", "1"}
    assert not (workplace / "39").exists()


def test_one_thread_computes_and_the_others_come_back() -> None:
    """It holds in this process too."""
    torch.set_num_threads(2)
    with carry_out(Counting()) as hands:
        assert torch.get_num_threads() == 1
        list(hands.answers([0]))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("means", MEANS)
def test_log_records_of_libraries_are_ignored(means: str, threads: Executor) -> None:
    """Torch's compiler reports a build with CUDA on a machine without a GPU: that is no output of a check."""
    with by(means, Counting(manners=dict.fromkeys(range(4), "logs")), threads) as hands:
        assert [answer.reply for answer in hands.answers(range(4))] == [{"number": 0}] * 4
    assert logging.getLogger().isEnabledFor(logging.ERROR)


def test_a_plan_is_the_same_in_another_process() -> None:
    """It is sent as a document, and the receiver imports only the modules that it needs."""
    plan = Counting("mine", 3, {1: "exits"})
    assert from_document(to_document(plan)) == plan
