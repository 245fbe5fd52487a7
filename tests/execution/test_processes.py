"""Worker processes are prepared before they work, and end with their parent."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

PREPARED = """
import torch
from harness.execution.processes import workers
TOLD = []
def remember(word):
    TOLD.append(word)
def told(_):
    return TOLD, torch.get_num_threads()
if __name__ == "__main__":
    with workers(1, remember, "a word") as pool:
        print(list(pool.map(told, range(3))))
"""


def test_a_worker_is_prepared_once_and_computes_on_one_thread(tmp_path: Path) -> None:
    """All its tasks share the preparation."""
    script = tmp_path / "prepared.py"
    script.write_text(PREPARED, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([(["a word"], 1)] * 3)


KILLED = """
import os, sys
from harness.execution.processes import workers
if __name__ == "__main__":
    with workers(2, print, "ready") as pool:
        for future in [pool.submit(os.getpid) for _ in range(8)]:
            print(future.result(), file=sys.stderr, flush=True)
        print("done", file=sys.stderr, flush=True)
        pool.submit(__import__("time").sleep, 600).result()
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    """The killed process cannot notify them, but neither idle nor busy workers wait for more work."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        seen = [line.strip() for line in iter(child.stderr.readline, "done\n")]
        found = {psutil.Process(int(line)) for line in seen if line.isdecimal()}
        assert found
        child.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs(found, timeout=30)
    assert not alive
    assert len(gone) == len(found)
