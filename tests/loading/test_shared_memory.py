"""Shared memory that is really exhausted, in a mount of one megabyte that only the process of this test sees."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.loading import fault
from harness.loading.fault import FaultKind, timeout_fault

LARGE = '''
import json, os, sys
import psutil, torch
from torch.utils.data import DataLoader, Dataset
from harness.case import Case
from harness.loading.fault import LoadingError
from harness.loading.supervision import supervise
from harness.tuner.tuning import Tuning
from harness.tuner.search_space import SearchSpace
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

class Large(Dataset):
    """Batches of two megabytes and more."""
    def __len__(self):
        return 16
    def __getitem__(self, i):
        return torch.full((200_000,), float(i)), i

def make_loader(batch_size, num_workers=2):
    return DataLoader(Large(), batch_size, num_workers=num_workers)

case = Case(make_loader, "data_loader", name="large", style="foreign", target="x:y")
verdict, = (decide(job) for job in list_jobs([case], laws=["each_sample_once"]))
space = SearchSpace((8,), (2,))
try:
    with supervise(30):
        list(Tuning(Large(), space, cores=2, seconds=1.0).run())
    tuned = "tuned"
except LoadingError as error:
    tuned = str(error.fault)
alone = Tuning(Large(), SearchSpace((8,), (0, 2)), cores=2, seconds=0.3)
list(alone.run())
print(json.dumps({
    "check": verdict.reason,
    "kind": str(verdict.fault),
    "tune": tuned,
    "alone": [alone.standing.best.workers, *alone.advice.sentences()],
    "processes": len(psutil.Process().children(recursive=True)),
    "segments": os.listdir("/dev/shm"),
}))
'''
MOUNTED = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
SMALL = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
SENTENCE = "shared memory is exhausted: the batches in transit between processes do not fit"


def _is_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*MOUNTED, SMALL], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the results of check and tune for a batch that does not fit, from one process for all tests."""
    if not _is_allowed():
        pytest.skip("no mount of one's own is allowed here")
    script = tmp_path_factory.mktemp("large") / "large.py"
    script.write_text(LARGE, encoding="utf-8")
    command = [*MOUNTED, f'{SMALL} && exec "$0" -W ignore "$1"', sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_check_and_a_tuning_say_that_it_is_exhausted(outcome: Any) -> None:
    """Both print the same message with a remedy, and not that the loader hangs."""
    assert outcome["kind"] == "memory"
    assert outcome["check"].startswith(f"large: {SENTENCE}; use fewer workers")
    assert outcome["tune"].startswith(f"{SENTENCE}; use fewer workers")
    assert "enlarge /dev/shm" in outcome["tune"]


def test_a_tuning_that_may_do_without_workers_does(outcome: Any) -> None:
    """The output has the reason."""
    workers, *sentences = outcome["alone"]
    assert workers == 0
    assert "do not use workers: shared memory has no room for two batches; enlarge /dev/shm" in sentences


def test_nothing_is_left_in_it(outcome: Any) -> None:
    """Neither a process nor a shared-memory file remains."""
    assert outcome["processes"] == 0
    assert [name for name in outcome["segments"] if name.startswith("torch_")] == []


def test_what_hangs_where_little_is_left_is_said_to_lack_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue between processes silently loses a batch that does not fit. With enough memory the fault is a hang."""
    monkeypatch.setattr(fault, "shared_memory_left", lambda: 2**20)
    scarce = timeout_fault(5.0)
    assert scarce.kind is FaultKind.SHARED_MEMORY
    assert scarce.sentence.endswith("no batch arrived within 5 s, and only 1 MB of shared memory are left")
    monkeypatch.setattr(fault, "shared_memory_left", lambda: 2**30)
    assert timeout_fault(5.0).kind is FaultKind.HUNG
    monkeypatch.setattr(fault, "shared_memory_left", lambda: None)
    assert timeout_fault(5.0).kind is FaultKind.HUNG
