"""Executors give the same results as local computation, and report lost workers."""

import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples.command import Command

from harness.error import UsageError
from harness.execution import executor_worker
from harness.execution.executor import ExecutorPool, open_executor
from harness.execution.executor_worker import Order, do_piece, worker_kind
from harness.execution.plan import Answer
from harness.execution.runner import carry_out
from harness.isolation.delegate import Delegate
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.proof.exhaustion import Exhaustion, Proving
from harness.record import Proof, RunFolder, Verdict
from harness.surveyor.plan import Survey
from harness.verdict.campaign import Campaign

HOMEWORK = """
def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)


def sigmoid(x):
    return 1 / (1 + (-x).exp())
"""

LOSING = '''
from concurrent.futures import ThreadPoolExecutor


class Losing(ThreadPoolExecutor):
    """Loses its workers before the fourth piece."""

    given = 0

    def submit(self, function, order, index):
        self.given += 1
        return super().submit(function, order, index) if self.given < 4 else super().submit(_lose)


def _lose():
    raise ConnectionError("the worker\\nis gone")


def losing():
    return Losing(1)


def none():
    return 3


def raising():
    raise ConnectionError("no cluster today")


LIMIT = 3
'''


@pytest.fixture
def homework(workplace: Path) -> Path:
    """Write a user file and a file with executors to the working directory."""
    (workplace / "executors.py").write_text(LOSING, encoding="utf-8")
    file = workplace / "homework.py"
    file.write_text(HOMEWORK, encoding="utf-8")
    return file


@pytest.fixture
def threads() -> Iterator[Executor]:
    """Return two workers in this process, each with a separate process."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


def verdicts(campaign: Campaign, **where: Any) -> list[str]:
    """Decide, and drop the durations."""
    return [verdict.model_dump_json(exclude={"duration_s"}) for verdict in campaign.run(**where)]


# The same, wherever


def test_an_executor_changes_no_verdict(homework: Path, threads: Executor) -> None:
    """It has threads, or processes that it starts."""
    laws = ["value", "rows_sum_to_one"]
    campaign = Campaign("homework.py:softmax", "softmax", laws=laws, dtypes=["float32", "float16"])
    here = verdicts(campaign)
    assert len(here) == 4
    assert verdicts(campaign, limits=Limits(), executor=threads) == here
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert verdicts(campaign, limits=Limits(), executor=processes) == here


def test_shipped_cases_are_decided_as_here(workplace: Path, threads: Executor) -> None:
    """An executor decides them in a separate process; otherwise they are decided in this process."""
    campaign = Campaign("cases.binary", laws=["value"], dtypes=["float32"])
    assert verdicts(campaign, executor=threads) == verdicts(campaign)


def test_an_executor_changes_no_finding_of_a_survey(homework: Path, threads: Executor) -> None:
    """The findings are breaking points, worst cases, and accumulators."""
    survey = Survey("homework.py:softmax", "softmax", laws=["value"], dtypes=["float32"], batches=1)
    found = [
        [[one.model_dump_json() for one in findings] for _, findings in survey.run(limits=Limits(), executor=executor)]
        for executor in (None, threads)
    ]
    assert found[0] == found[1]
    assert sum(map(len, found[0])) > 5


def test_an_executor_changes_no_proof(homework: Path, threads: Executor) -> None:
    """Its workers store the shards in the folder, so that the same command continues with them."""
    found = []
    for name, executor in (("here", None), ("there", threads)):
        only: dict[str, Any] = {"dtypes": ["float16"], "layouts": ["contiguous", "spread"], "quantities": ["value"]}
        plan = Exhaustion("homework.py:sigmoid", "sigmoid", folder=Path(name).absolute(), **only)
        with carry_out(plan, limits=Limits(), executor=executor) as hands:
            proving = Proving(hands)
            list(proving.run())
            found.append([proof.model_dump_json(exclude={"duration_s", "floor_s"}) for proof in proving.proofs()])
            assert not proving.waiting
        with carry_out(plan) as hands:
            assert all(piece["kept"] for piece in hands.pieces)
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a Dask cluster with a worker."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address.removeprefix("tcp://")


def test_the_command_computes_on_a_dask_cluster(homework: Path, scheduler: str, harness_command: Command) -> None:
    """The output is the same as without a cluster."""
    only = ("--law", "value", "--law", "rows_sum_to_one", "--dtypes", "float32")
    asked = ("check", "homework.py:softmax", "--contract", "softmax", *only)
    here = harness_command(*asked, code=1)
    assert harness_command(*asked, "--executor", f"dask://{scheduler}") == here


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
def test_another_process_reports_the_kind_of_this_one() -> None:
    """A process forked from a parent with torch gives the same answer as a worker without torch."""
    with Delegate("harness.execution.executor_worker:find_kind", limits=Limits(), server=SERVER) as other:
        assert other.ask(None, {}, executor_worker.WorkerKind) == executor_worker.find_kind()


# Refusals


def test_a_worker_of_another_kind_is_refused(
    homework: Path, threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the run would attribute its figures to this machine."""
    here = worker_kind()
    versions = tuple((name, "6.0" if name == "hypothesis" else version) for name, version in here.versions)
    campaign = Campaign("homework.py:softmax", "softmax", laws=["value"], dtypes=["float32"])
    for other, named in (
        (replace(here, origin=here.origin.model_copy(update={"capability": "VSX"})), r"torch .*, VSX, "),
        (replace(here, versions=versions), r"6\.0; run the command on a machine "),
    ):
        monkeypatch.setattr("harness.execution.executor.worker_kind", lambda other=other: other)
        with pytest.raises(
            UsageError, match=rf"the worker on .* differs from this machine: it has .*, this machine has {named}"
        ):
            list(campaign.run(limits=Limits(), executor=threads))


def test_a_worker_that_does_not_see_the_folder_says_which(homework: Path) -> None:
    """Files are searched there."""
    order = Order(Campaign("homework.py:softmax", "softmax"), Limits(), "/there/is/none", worker_kind())
    reply = do_piece(order, 0)
    assert reply.usage is not None
    assert str(reply.usage["problem"]).endswith("cannot see the folder `/there/is/none`")


def test_an_internal_error_keeps_its_remote_traceback(homework: Path, threads: Executor) -> None:
    """The request has an invalid piece."""
    campaign = Campaign("homework.py:softmax", "softmax", laws=["value"], dtypes=["float32"])
    with (
        ExecutorPool(campaign, Limits(), threads) as crew,
        pytest.raises(RuntimeError, match=r"(?s)in a worker .*Traceback.*IndexError"),
    ):
        list(crew.answers([99]))


@pytest.mark.parametrize(
    ("asked", "said", "kind"),
    [
        (("check", "homework.py:softmax", "--dtypes", "float32"), "ended by an error after 3 of ", Verdict),
        (
            ("prove", "homework.py:sigmoid", "--dtypes", "float16", "--layouts", "contiguous,spread"),
            "ended by an error, 1 not started; the same command continues",
            Proof,
        ),
    ],
    ids=["check", "prove"],
)
def test_results_before_the_executor_lost_its_workers_are_kept(
    homework: Path, harness_command: Command, asked: tuple[str, ...], said: str, kind: type[Verdict | Proof]
) -> None:
    """The command prints one plain message, with exit code 2."""
    code, out, err = harness_command(*asked, "--executor", "executors.py:losing", "--run", "lost")
    assert (code, err.count("\n")) == (2, 1), err
    assert "harness: the executor failed: ConnectionError: the worker is gone; check the logs of its workers" in err
    assert said in out
    assert len(RunFolder(Path(".harness", "runs", "lost")).read(kind)) == 3


class Asleep(Executor):
    """An executor that never runs anything."""

    def submit(self, *_: Any, **__: Any) -> "Future[Any]":
        """Accept a piece."""
        return Future()


def test_pieces_that_have_not_started_are_given_up_at_the_time_limit(homework: Path) -> None:
    """These pieces have no answer."""
    campaign = Campaign("homework.py:softmax", "softmax", laws=["value"], dtypes=["float32", "float16"])
    with ExecutorPool(campaign, Limits(), Asleep()) as crew:
        started = time.monotonic()
        assert list(crew.answers([0, 1], seconds=0.2)) == [Answer(0), Answer(1)]
        assert time.monotonic() - started >= 0.2


def test_an_idle_process_ends(homework: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a cluster may live for months; its next piece starts another process."""
    monkeypatch.setattr(executor_worker, "IDLE_S", 0.05)
    campaign = Campaign("homework.py:softmax", "softmax", laws=["value"], dtypes=["float32"])
    order, own = Order(campaign, Limits(), str(Path.cwd()), worker_kind()), executor_worker.PersistentProcess()

    def decided() -> tuple[str, ...]:
        said = own.answer(order, 0).reply
        assert said is not None
        return said["status"], said["largest"], said["rows"]

    first = decided()
    until = time.monotonic() + 20.0
    while own._pool is not None:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert decided() == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "executors.py",
            "cannot read `--executor`: it must be dask://HOST:PORT, or FILE.py:FUNCTION or MODULE:FUNCTION",
        ),
        ("executors.py:none", "the function must return a `concurrent.futures.Executor`, got an object of type int"),
        (
            "executors.py:raising",
            "cannot create the executor `executors.py:raising`: ConnectionError: no cluster today",
        ),
        (
            "executors.py:LIMIT",
            "cannot create the executor `executors.py:LIMIT`: TypeError: 'int' object is not callable",
        ),
        ("executors.py:some", "no `some` in `executors.py`"),
        ("dask://", "it must be dask://HOST:PORT, got `dask://`"),
        ("dask://host", "it must be dask://HOST:PORT, got `dask://host`"),
        ("absent.py:some", "file not found: `absent.py`"),
        ("dask://127.0.0.1:9", "cannot reach the Dask scheduler `dask://127.0.0.1:9`: "),
    ],
)
def test_an_invalid_executor_is_one_plain_message(
    homework: Path, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has a remedy."""
    monkeypatch.setattr("harness.execution.executor.PATIENCE_S", 0.2)
    with pytest.raises(UsageError) as caught, open_executor(text):
        pass
    assert message in str(caught.value)


@pytest.mark.parametrize("command", ["check", "survey", "prove"])
def test_local_processes_and_an_executor_are_refused(homework: Path, harness_command: Command, command: str) -> None:
    """They would have no effect."""
    asked = (command, "homework.py:softmax", "--contract", "softmax", "--jobs", "2", "--executor", "a.py:b")
    refusal = harness_command(*asked).refusal
    assert "cannot use `--jobs` together with `--executor`: an executor has its own workers; leave one out" in refusal


def test_a_cluster_takes_a_package_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional, and the message names it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"install `stability-harness\[dask\]`"), open_executor("dask://host:1"):
        pass
