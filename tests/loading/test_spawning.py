"""Workers that are spawned are forked of a process that has imported torch, and are what a fresh interpreter is."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from samples.spawned import STATE, tell

from harness.loading.fault import bounded
from harness.loading.spawning import servers, spawned_quickly

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are spawned")


@pytest.fixture(scope="module")
def told() -> Iterator[list[dict[str, Any]]]:
    """What two workers say, and their exit codes; this process has changed a list, a variable and its folder since."""
    context, said = multiprocessing.get_context("spawn"), []
    before = os.getcwd()  # noqa: PTH109
    STATE[0], os.environ["HARNESS_TEST"] = "changed", "set"
    os.chdir("/")
    try:
        with spawned_quickly():
            for _ in range(2):
                answers, there = context.Pipe(duplex=False)
                worker = context.Process(target=tell, args=(there,))
                worker.start()
                there.close()
                said.append({**answers.recv(), "server": psutil.Process(worker.pid).cmdline()})
                worker.join()
                said[-1] |= {"exit code": worker.exitcode, "last word": answers.recv()}
        yield said
    finally:
        STATE[0] = "as it is imported"
        del os.environ["HARNESS_TEST"]
        os.chdir(before)


def test_it_is_forked_and_is_a_child_of_whoever_asked(told: list[dict[str, Any]]) -> None:
    """So that its end is heard of, and how it ended: as an interpreter does, with what was to be done at its exit."""
    assert all("harness.loading.spawn_server" in " ".join(worker["server"]) for worker in told)
    assert [worker["parent"] for worker in told] == [os.getpid()] * 2
    assert [(worker["exit code"], worker["last word"]) for worker in told] == [(7, "goodbye")] * 2


def test_it_inherits_variables_and_folder_and_no_state(told: list[dict[str, Any]]) -> None:
    """As a fresh interpreter does."""
    assert [worker["state"] for worker in told] == ["as it is imported"] * 2
    assert [(worker["variable"], worker["folder"]) for worker in told] == [("set", "/")] * 2


def test_two_of_them_have_other_hashes_and_other_random_numbers(told: list[dict[str, Any]]) -> None:
    """A set of names has another order in each, and what is not seeded is drawn anew."""
    first, second = told
    assert first["hash"] != second["hash"]
    assert all(own != other for own, other in zip(first["drawn"], second["drawn"], strict=True))


def test_the_processes_that_wait_for_more_are_left_and_what_they_have_forked_is_not(
    told: list[dict[str, Any]],
) -> None:
    """A worker is somebody's, whichever process it was forked of."""
    assert told
    assert len(servers()) == 2
    with spawned_quickly(), bounded(20.0, wait_s=0.1) as ended:
        worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
        worker.start()
    assert ended.left == 1
    assert worker.pid is not None
    assert not psutil.pid_exists(worker.pid)
    assert all(psutil.pid_exists(server) for server in servers())


def test_a_worker_of_a_forkserver_that_is_left_is_seen() -> None:
    """It has the command line of the server, which stays."""
    with bounded(20.0, wait_s=0.1) as ended:
        worker = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,), daemon=True)
        worker.start()
    assert ended.left == 1


def test_outside_it_is_spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everybody's are."""
    started: list[Any] = []
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", lambda *given: started.append(given) or 0)
    multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,)).start()
    assert len(started) == 1
