"""The simulated accelerator behaves as a real one; each set of tests runs in a process that has it."""

import re
from pathlib import Path

import pytest
from samples.simulated import needs_device, run_python

INSIDE = Path(__file__).parent / "inside"
OPTIONS = ["-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
PARAMETERS = {"launch_s": 1e-3, "kernel_s": 0.1, "transfer_s": 0.01, "l2_bytes": 2**20, "memory_bytes": 2**26}


@needs_device
@pytest.mark.parametrize("name", ["placement", "timeline", "memory", "crossing"])
def test_the_device_behaves_as_a_real_one(name: str) -> None:
    """The tests of each file in the folder ``inside`` hold in a process with the device."""
    done = run_python("-m", "pytest", *OPTIONS, str(INSIDE / f"of_{name}.py"), **PARAMETERS)
    assert done.returncode == 0, done.stdout + done.stderr


SLOW = {
    "launch_s": 1e-3,
    "wait_s": 1e-4,
    "kernel_s": 5e-4,
    "operations_per_s": 1e10,
    "bytes_per_s": 2e7,
    "cached_per_s": 8e7,
    "transfer_s": 1e-3,
    "transfer_per_s": 5e7,
    "pinned_per_s": 2e8,
}
"""A device a thousand times as slow as others, so that what its simulation takes is little."""


@needs_device
def test_throttling_is_waited_for_and_formats_are_compared() -> None:
    """The rest of the process is the same for each."""
    done = run_python("-m", "pytest", *OPTIONS, str(INSIDE / "of_faults.py"), **SLOW)
    assert done.returncode == 0, done.stdout + done.stderr


HALF = """
import torch

def softmax(x):
    return torch.softmax(x if x.device.type == "cpu" else x.bfloat16(), -1).to(x.dtype)
"""
"""Right on the CPU, and computed in 16 bits elsewhere."""

STEP = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))

device = torch.accelerator.current_accelerator()
net = Net().to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
X, y = torch.rand(64, 1, 28, 28), torch.randint(10, (64,))

def step():
    loss = nn.functional.cross_entropy(net(X.to(device)) * 1e4, y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
"""


QUICK = SLOW | {"operations_per_s": 1e11, "bytes_per_s": 2e8, "cached_per_s": 8e8, "transfer_per_s": 5e8}


def run(*words: str) -> tuple[int, str]:
    """Run a command of the harness with the device, and return its exit code and what it prints."""
    done = run_python("-m", "harness", *words, **QUICK)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@needs_device
@pytest.mark.judged
def test_a_failure_of_the_device_alone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check and the gate name the device, the first with the reason that the same code holds elsewhere."""
    monkeypatch.chdir(tmp_path)
    Path("half.py").write_text(HALF)
    options = ["half.py:softmax", "--law", "value", "--dtypes", "float32", "--devices", "cpu,sim"]
    code, printed = run("check", *options, "--run", "half")
    assert code == 1
    assert "breaks value, in float32 on sim" in printed
    assert "the law holds on the CPU" in printed
    code, printed = run("gate", "half.py:softmax", "--run", "half", "--baseline", "baseline.jsonl", "--update")
    assert code == 0, printed
    Path("half.py").write_text(HALF.replace("bfloat16", "clone"))
    assert run("check", *options, "--run", "sound")[0] == 0
    code, printed = run("gate", "half.py:softmax", "--run", "sound", "--baseline", "baseline.jsonl")
    assert (code, "half.softmax value [float32 on sim]: broken in the baseline" in printed) == (0, True), printed
    assert "2 verdicts of 1 case" in printed
    code, printed = run("report", "half")
    assert "in float32 on sim" in Path(".harness/runs/half/report/report.html").read_text()


@needs_device
@pytest.mark.judged
def test_a_step_on_the_device_is_audited_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has the sentence about the batch sizes."""
    monkeypatch.chdir(tmp_path)
    Path("step.py").write_text(STEP)
    code, printed = run("audit", "step.py:step")
    assert "nothing found" in printed, printed
    timing = ["--contract", "softmax_regression_step", "--data", "synthetic", "--seconds", "0.02", "--run", "own"]
    code, printed = run("bench", "steps", "--cases", "step.py:Net", *timing)
    assert (code, "softmax_regression_step, sim: one step" in printed) == (0, True), printed
    code, printed = run("report", "own")
    assert re.search("sim is (not )?faster", Path(".harness/runs/own/report/report.html").read_text())


def test_without_parameters_there_is_no_such_device() -> None:
    """The package alone, as other tests have it on their path, registers nothing."""
    code = "import os; del os.environ['SIMULATED_DEVICE']; import torch; print(torch.accelerator.is_available())"
    assert run_python("-c", code).stdout.strip() == "False"
