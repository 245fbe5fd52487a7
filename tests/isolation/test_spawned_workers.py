"""Spawned workers are forked from a process that has imported torch, and behave like a fresh interpreter."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from samples.spawned import STATE, tell

from harness.isolation.spawned_workers import fork_spawned_workers
from harness.loading.supervision import spared, supervise_and_count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are spawned")


@pytest.fixture(scope="module")
def told() -> Iterator[list[dict[str, Any]]]:
    """Return the reports and exit codes of two workers.

    This process has changed a list, a variable and its folder before their start.
    """
    context, said = multiprocessing.get_context("spawn"), []
    before = os.getcwd()  # noqa: PTH109
    STATE[0], os.environ["HARNESS_TEST"] = "changed", "set"
    os.chdir("/")
    try:
        with fork_spawned_workers():
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
    """Its parent therefore learns of its end, and its exit handlers run."""
    assert all("harness.isolation.fork_loop" in " ".join(worker["server"]) for worker in told)
    assert [worker["parent"] for worker in told] == [os.getpid()] * 2
    assert [(worker["exit code"], worker["last word"]) for worker in told] == [(7, "goodbye")] * 2


def test_it_inherits_variables_and_folder_and_no_state(told: list[dict[str, Any]]) -> None:
    """A fresh interpreter behaves alike."""
    assert [worker["state"] for worker in told] == ["as it is imported"] * 2
    assert [(worker["variable"], worker["folder"]) for worker in told] == [("set", "/")] * 2


def test_two_of_them_have_other_hashes_and_other_random_numbers(told: list[dict[str, Any]]) -> None:
    """Sets of names have different orders, and unseeded random numbers differ."""
    first, second = told
    assert first["hash"] != second["hash"]
    assert all(own != other for own, other in zip(first["drawn"], second["drawn"], strict=True))


def test_the_processes_that_wait_for_more_are_left_and_what_they_have_forked_is_not(
    told: list[dict[str, Any]],
) -> None:
    """A remaining worker counts, whichever process forked it."""
    assert told
    servers = [server for server in spared if psutil.pid_exists(server)]
    assert len(servers) == 2
    with fork_spawned_workers(), supervise_and_count(20.0, wait_s=0.1) as ended:
        worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
        worker.start()
    assert ended.left == 1
    assert worker.pid is not None
    assert not psutil.pid_exists(worker.pid)
    assert all(psutil.pid_exists(server) for server in servers)


def test_a_worker_of_a_forkserver_that_is_left_is_seen() -> None:
    """It has the same command line as the server, which may stay."""
    with supervise_and_count(20.0, wait_s=0.1) as ended:
        worker = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,), daemon=True)
        worker.start()
    assert ended.left == 1


def test_outside_it_is_spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts as usual."""
    started: list[Any] = []
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", lambda *given: started.append(given) or 0)
    multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,)).start()
    assert len(started) == 1
