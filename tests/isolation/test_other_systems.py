"""Commands without what only Linux has, as on macOS: each measurement and limit has a plain fallback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MACOS = Path(__file__).parents[1] / "samples" / "macos"

FALLBACKS = """
import os, sys
from multiprocessing import popen_spawn_posix, util
from harness.execution.environment import usable_cores
from harness.isolation.callee import _may_fork
from harness.isolation.child import _find_children, _is_stopped, _reap_strays
from harness.isolation.fork_server import ForkServer
from harness.isolation.limits import limit_memory
from harness.isolation.spawned_workers import fork_spawned_workers
from harness.loading.accounting import Computing, cpu_s, measure_bytes_in_use, memory
from harness.loading.fault import shared_memory_left
from harness.loading.stack import Looking

assert sys.platform == "darwin" and not os.path.exists("/proc/self")
assert usable_cores() == os.cpu_count()
assert Computing().measure_wait_s() == 0.0 <= Computing()()
assert cpu_s() > 0.0
assert memory().pss_bytes is None and memory().rss_bytes > 0 < measure_bytes_in_use()
assert shared_memory_left() is None
assert not Looking(print).works
assert ForkServer().fork("", sys.stderr) is None
assert not _may_fork()
limit_memory(1)
_reap_strays()
assert _find_children(os.getpid()) == set() and not _is_stopped(os.getpid())
with fork_spawned_workers():
    assert popen_spawn_posix.util is util
"""

READS = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from harness.loading.supervision import supervise

if __name__ == "__main__":
    # The worker is spawned, and a process of torch keeps the shared memory.
    with supervise(250.0):
        batches = list(DataLoader(TensorDataset(torch.arange(8)), 4, num_workers=1))
    assert torch.equal(torch.cat([numbers for numbers, in batches]), torch.arange(8))
"""


def on_macos(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python without what only Linux has, in all of its processes."""
    path = os.pathsep.join([str(MACOS), os.environ["PYTHONPATH"]])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("program", [FALLBACKS, READS], ids=["measurements", "loaders"])
def test_every_measurement_and_limit_has_a_fallback(program: str) -> None:
    """Values that the system does not tell are missing, and a loader leaves no process behind."""
    done = on_macos("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_check_needs_nothing_that_only_linux_has(workplace: Path) -> None:
    """The process of the code is a fresh one, and the verdict is the same."""
    (workplace / "own.py").write_text("def softmax(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n")
    done = on_macos("-m", "harness", "check", "own.py:softmax", "--law", "value", "--dtypes", "float32")
    assert done.returncode == 1, done
    assert "exp overflows at 88.72283935546875 in float32" in done.stdout
