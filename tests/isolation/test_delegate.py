"""A function of the harness runs in a process with user code, and gives a valid record or one sentence."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.error import UsageError
from harness.isolation.delegate import Delegate, DelegateError, run_in_child
from harness.isolation.limits import Limits
from harness.record import Gate, GateFinding, Outcome

SERVED = '''"""Stands for a module of the harness that imports user code."""

import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from harness.calling.discovery import attribute
from harness.record import Gate, GateFinding, Outcome


def call(target: str, values: list[float] = [], report=None):
    path, _, name = target.partition(":")
    function = attribute(path, name)
    if report is not None:
        report("imported")
    return function(*values)


def find(outcome: Outcome, folder: Path) -> GateFinding:
    assert isinstance(folder, Path)
    return GateFinding(gate=Gate.COUNTS, case="a", subject="", outcome=outcome, sentence="It is.")


def see() -> dict[str, object]:
    return {
        "environment": dict(os.environ),
        "temporary": tempfile.gettempdir(),
        "arguments": sys.argv,
        "input": sys.stdin.read(),
    }


def look_up(name: str) -> str | None:
    return getattr(import_module(name), "__file__", None)


class Counter:
    def __init__(self, start: int) -> None:
        self.count = start

    def add(self, number: int) -> int:
        self.count += number
        return self.count


def counter(start: int) -> Counter:
    return Counter(start)
'''


@pytest.fixture(autouse=True)
def served(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process import a module that stands for one of the harness."""
    (workplace / "packages").mkdir()
    (workplace / "packages" / "served.py").write_text(SERVED, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(workplace / "packages"))


def call(code: str, result: Any = float, *, name: str = "f", limits: Limits | None = None, **how: Any) -> Any:
    """Have a function of a file called in the process."""
    Path("mine.py").write_text(code, encoding="utf-8")
    arguments = {"target": f"mine.py:{name}"}
    return run_in_child("served:call", arguments, result, target=arguments["target"], limits=limits, **how)


def test_arguments_and_result_are_what_annotations_say() -> None:
    """They travel as JSON, and are enumerations, paths and records at both ends."""
    arguments = {"outcome": Outcome.NEW, "folder": Path("here")}
    finding = run_in_child("served:find", arguments, GateFinding, target="mine")
    assert finding == GateFinding(gate=Gate.COUNTS, case="a", subject="", outcome=Outcome.NEW, sentence="It is.")


def test_numbers_that_are_not_finite_are_kept() -> None:
    """They have names in JSON."""
    assert call("def f(): return [float('inf'), float('nan')]", list[float])[0] == float("inf")


def test_events_come_before_the_result() -> None:
    """A function that reports is heard while it runs."""
    events: list[str] = []
    assert call("def f(): return 2.0", on_event=events.append) == 2.0
    assert events == ["imported"]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os\nos._exit(0)", "cannot import `mine.py`: the import ends the process with exit code 0; put that"),
        ("import os\nos.abort()", "cannot import `mine.py`: the import ends the process with SIGABRT (aborted); put"),
        (
            "import sys\nsys.exit(3)",
            "cannot import `mine.py`: it ends the program at import (SystemExit: 3); put that under `if __name__ == ",
        ),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('data')\np.parse_args()",
            "cannot import `mine.py`: it parses the command line at import (SystemExit: 2); put that under `if __name",
        ),
        ("import time\ntime.sleep(60)", "cannot import `mine.py`: the import does not finish within 2 s; put that"),
        ("import no_such_module", "cannot import `mine.py`: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "import os\nos.write(1, bytes(70 * 2**20))\nimport time\ntime.sleep(60)",
            "the import prints more than 64 MiB",
        ),
        ("import os\nos.closerange(3, 100)\nimport time\ntime.sleep(60)", "the import closes files that it has not op"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(code: str, sentence: str) -> None:
    """It never is a result, whatever the exit code, and it ends in time."""
    start = time.monotonic()
    with pytest.raises(UsageError) as refused:
        call(code, limits=Limits(load_s=2.0 if "within 2 s" in sentence else 60.0))
    assert sentence in str(refused.value)
    assert time.monotonic() - start < 50.0


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def f(): raise ValueError('not today')", "the code raises ValueError: not today"),
        ("import os\ndef f(): os._exit(0)", "the code ends the process with exit code 0"),
        ("import time\ndef f(): time.sleep(60)", "the code does not finish within 1 s"),
        ("def f(): return 'text'", "the code sends a result that is not valid"),
        ("def f(): return object()", "PydanticSerializationError: Unable to serialize unknown type"),
        ("def f(): return 'x' * (65 * 2**20)", "the code sends a message of 68,157,443 bytes"),
        ("def f(): return len(bytearray(2**33))", "the code raises MemoryError"),
    ],
)
def test_a_function_that_gives_no_valid_result_is_one_sentence(code: str, sentence: str) -> None:
    """The import was fine, so the message does not blame it."""
    with pytest.raises(UsageError, match=r"cannot run `mine\.py:f`: ") as refused:
        call(code, limits=Limits(law_s=1.0 if "sleep" in code else 60.0))
    assert sentence in str(refused.value)


def test_a_forged_error_is_one_line() -> None:
    """The process may send a usage error with any text, but no escape sequence reaches the terminal."""
    with pytest.raises(UsageError) as refused:
        call("def f(): raise ValueError('\\x1b[2J' + 'x' * 10000)")
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_the_process_has_no_secrets_no_arguments_and_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the CI and names of secrets are left out; the folder for temporary files is removed."""
    for name in ("GITHUB_TOKEN", "GITHUB_PATH", "ACTIONS_RUNTIME_TOKEN", "MY_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("KEYBOARD", "plain")
    seen = run_in_child("served:see", {}, dict[str, Any], target="mine")
    assert "secret" not in seen["environment"].values()
    assert seen["environment"]["KEYBOARD"] == "plain"
    assert (seen["arguments"], seen["input"]) == (["-c"], "")
    assert not Path(seen["temporary"]).exists()


def test_a_file_of_the_project_does_not_replace_a_module_of_the_harness(workplace: Path) -> None:
    """The harness is imported first, so a file named like one of its dependencies is user code's only."""
    (workplace / "src").mkdir()
    for name in ("pydantic", "torch", "served", "ours"):
        (workplace / "src" / f"{name}.py").write_text("", encoding="utf-8")
    files = {
        name: run_in_child("served:look_up", {"name": name}, str, target="mine", pythonpath=[str(workplace / "src")])
        for name in ("pydantic", "served", "ours")
    }
    inside = {name for name, file in files.items() if Path(file).is_relative_to(workplace / "src")}
    assert inside == {"ours"}
    assert str(workplace / "src") not in sys.path


def test_a_process_that_is_left_behind_ends(tmp_path: Path) -> None:
    """A background process of user code does not outlive the command."""
    _require_end(call("import subprocess\ndef f(): return subprocess.Popen(['sleep', '600']).pid", int))


def _require_end(pid: int) -> None:
    """Wait for the end of a killed process, which on a busy machine takes a moment."""
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10.0)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_is_left_behind_by_an_early_end_ends() -> None:
    """The group outlives the process that leads it, until the command ends it."""
    starts = "import os, subprocess\nprocess = subprocess.Popen(['sleep', '600'])\n"
    with pytest.raises(UsageError, match="the import ends the process with exit code 0"):
        call(f"{starts}open('pid', 'w').write(str(process.pid))\nos._exit(0)")
    _require_end(int(Path("pid").read_text(encoding="utf-8")))


def test_the_process_ends_with_the_judge(tmp_path: Path) -> None:
    """A judge that is killed leaves no process behind."""
    Path("hang.py").write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)", encoding="utf-8"
    )
    code = "run_in_child('served:call', {'target': 'hang.py:f'}, int, target='hang.py:f')"
    judge = subprocess.Popen([sys.executable, "-P", "-c", f"from harness.isolation.delegate import *; {code}"])
    try:
        until = time.monotonic() + 60.0
        while not (Path("pid").is_file() and Path("pid").read_text()) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        judge.kill()
        judge.wait()
    pid = int(Path("pid").read_text())
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10.0)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_an_object_answers_several_requests_and_has_a_deadline_for_each() -> None:
    """It keeps its state, and an unknown method is an error of the judge's own."""
    with Delegate("served:counter", {"start": 3}, limits=Limits()) as counter:
        assert counter.ask("add", {"number": 4}, int) == 7
        assert counter.ask("add", {"number": -2}, int) == 5
        with pytest.raises(DelegateError, match=r"raises .*ValidationError: 1 validation error"):
            counter.ask("add", {"number": "many"}, int)
        os.kill(counter.pid, 19)
        with pytest.raises(DelegateError, match=r"does not finish within 0\.5 s"):
            counter.ask("add", {"number": 1}, int, within_s=0.5)
