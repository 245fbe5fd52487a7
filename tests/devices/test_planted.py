"""What is planted in the simulated device, or in a step, is seen in what ``harness bench steps`` prints."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samples.simulated import needs_device, run_python

pytestmark = [needs_device, pytest.mark.judged]

STEPS = Path(__file__).parent / "timed" / "steps.py"

CONFIGURATIONS = [
    {"launch_s": launch_s, "kernel_s": kernel_s, "bytes_per_s": bytes_per_s, "wait_s": 1e-4, "l2_bytes": 0}
    for launch_s, kernel_s, bytes_per_s in [
        (5e-4, 1e-4, 1e7),
        (7e-4, 5e-4, 2e7),
        (1e-3, 5e-4, 1e7),
        (2e-3, 5e-4, 1e8),
        (4e-3, 1e-3, 2e7),
        (5e-4, 1e-3, 5e6),
        (7e-4, 2e-3, 7e6),
        (5e-4, 2e-3, 1e7),
        (1e-3, 3e-3, 2e7),
        (1e-3, 5e-3, 1e8),
    ]
]


def bench(step: str, *options: str, **parameters: Any) -> tuple[int, str]:
    """Time a step on a device, and return the exit code and what is printed."""
    words = ["--cases", f"{STEPS}:{step}", "--contract", "linear_regression_step", "--seconds", "0.02", *options]
    done = run_python("-m", "harness", "bench", "steps", *words, **parameters)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def crossings() -> list[int]:
    """Return the true crossings, which the parameters give without the harness."""
    done = run_python(str(STEPS), json.dumps(CONFIGURATIONS))
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_the_printed_interval_has_the_true_crossing(
    number: int, crossings: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times of all operations vary."""
    monkeypatch.chdir(tmp_path)
    code, printed = bench("sound_step", **CONFIGURATIONS[number], jitter=0.03)
    assert code == 0, printed
    row = re.search(r"│ sound_step │ sim │ [^│]* │ [\d,]+ \[([\d,]+), ([\d,]+)\] │", printed)
    assert row, printed
    low, high = (int(end.replace(",", "")) for end in row.groups())
    assert low <= crossings[number] <= high
    assert high < 2 * low


DEVICE = {
    "launch_s": 1e-3,
    "wait_s": 1e-4,
    "kernel_s": 3e-3,
    "operations_per_s": 1e12,
    "bytes_per_s": 1e9,
    "cached_per_s": 8e9,
    "transfer_s": 1e-3,
    "jitter": 0.02,
}
"""A device that works longer than the host needs for the launches."""

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("sound_step", {"synchronizes": False}, "so the accelerator was not waited for"),
    ("sound_step", {"fills_cached": False}, "so the cache was not flushed"),
    ("sound_step", {"asynchronous": False}, "the accelerator computes on the host's time"),
    ("heating_step", {}, "do not count, because the accelerator ran at 40.0 % of its clock"),
    ("copying_step", {}, "the step copies from the host to sim"),
    ("two_stream_step", {}, "of its time on another stream"),
]
"""Steps, parameters, and what is printed."""


@pytest.mark.parametrize(("step", "changes", "words"), [*FAULTS, ("sound_step", {}, "")], ids=range(7))
def test_a_fault_is_printed_and_no_other(
    step: str, changes: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of a sound step on a sound device; a time without a wait or a flush is not reported."""
    monkeypatch.chdir(tmp_path)
    code, printed = bench(step, "--batch-sizes", "1024", **DEVICE | changes)
    assert [fault for *_, fault in FAULTS if fault in printed] == [words][: bool(words)], printed
    is_wrong = "not reported" in printed
    assert (code, is_wrong) == ((1, True) if {"synchronizes", "fills_cached"} & changes.keys() else (0, False)), printed
