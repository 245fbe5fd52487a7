"""The options of ``harness check``: contracts, limits, output files, and watching a file."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from samples.command import Command

from harness.cli import app
from harness.command.options import complete_contract, complete_law
from harness.command.runner import run_on_change
from harness.contracts import contracts
from harness.execution.interrupt import INTERRUPTED, interruptible
from harness.record import RUNS, Property, RayTrace, RunFolder

NAIVE = "def softmax(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n"
STABLE = "def softmax(x):\n    return x.softmax(-1)\n"
ONE_LAW = ("--law", "value", "--dtypes", "float32")


@pytest.fixture
def harness(harness_command: Command, one_worker: None) -> Command:
    """Return the command; it checks foreign code in a separate process."""
    return harness_command


@pytest.fixture
def homework(workplace: Path) -> Path:
    """Write a naive softmax to a file."""
    file = workplace / "homework.py"
    file.write_text(NAIVE, encoding="utf-8")
    return file


def test_a_declared_break_is_expected_in_the_dtypes_it_names(harness: Command, homework: Path) -> None:
    """A declared failure that does not occur fails like a broken law."""
    check = ("check", "homework.py:softmax", "--contract", "softmax", "--law", "value")
    some = harness(*check, "--dtypes", "float32,float16", "--breaks", "value:float16=exp overflows", code=1)
    assert (
        "verdict: 1 defect in homework.softmax breaks 1 of 1 law (2 verdicts: 0 hold, 1 expected failure, 1 broken)"
        in some.stdout
    )
    harness(*check, "--dtypes", "float32,float16", "--breaks", "value=exp overflows", code=0)
    assert "`value:float8=no`" in harness(*check, "--breaks", "value:float8=no").refusal


def test_the_formats_are_written_where_the_user_says(harness: Command, homework: Path) -> None:
    """The table is printed besides."""
    files = ("--json", "out/v.json", "--junit", "out/v.xml", "--markdown", "out/v.md")
    done = harness("check", "homework.py:softmax", "--contract", "softmax", *ONE_LAW, *files, code=1)
    line = done.stdout.splitlines()[-2]
    document = json.loads(Path("out/v.json").read_text(encoding="utf-8"), parse_constant=_refused)
    assert document["verdict"] == line
    assert [one["violation"]["actual"] for one in document["verdicts"]] == ["NaN"]
    assert "<failure" in Path("out/v.xml").read_text(encoding="utf-8")
    assert Path("out/v.md").read_text(encoding="utf-8").startswith("**verdict")


def _refused(constant: str) -> None:
    """Fail, because JSON has no such number and other languages reject it."""
    raise AssertionError(constant)


def test_fail_fast_stops_at_the_first_failure(harness: Command, homework: Path) -> None:
    """The output states that it stopped. There is no grade, because not all laws were checked."""
    done = harness("check homework.py:softmax --contract softmax --dtypes float32 --fail-fast", code=1)
    assert re.search(r"^grade: none, stopped at the first failure after 1 of \d+ verdicts$", done.stdout, re.MULTILINE)
    assert "checked: homework.py:softmax, 1 case, 1 verdict" in done.stdout
    assert re.search(
        r"verdict: stopped at the first failure after 1 of \d+ verdicts, the rest was not checked; 1 d", done.stdout
    )


def test_a_function_of_no_lines_that_warns_is_judged_in_this_process_too(harness: Command, workplace: Path) -> None:
    """A warning is no failure, and lines of the harness are no place in the function."""
    words = ("--dtypes", "float32", "--no-isolate")
    call = "lambda var, x: var(x, -1)"
    warned = harness("check", "torch:var", "--contract", "variance", "--call", call, *words, "--law", "value")
    assert (warned.returncode, warned.stderr) == (0, "")
    small = ("--law", "value", "--example", '{"x": ["-0x1.62e43p+6"]}')
    lost = harness("check", "torch:sigmoid", "--contract", "sigmoid", *words, *small, "-v", code=0)
    assert "sigmoid underflows at -88.72283935546875 in float32" in lost.stdout
    assert ".py:" not in lost.stdout


def test_seconds_bound_the_search_of_a_law(harness: Command, workplace: Path) -> None:
    """At least one example is checked. Time on a processor counts, wherever the function runs."""
    busy = "end = time.process_time() + 0.05\n    while time.process_time() < end: pass"
    code = f"import time\n\ndef softmax(x):\n    {busy}\n    return x.softmax(-1)\n"
    Path("slow.py").write_text(code, encoding="utf-8")
    done = harness("check slow.py:softmax --contract softmax", *ONE_LAW, "--seconds", "0.125", "--no-replay", code=0)
    examples = int(done.stdout.split(" example")[0].split()[-1])
    assert 1 <= examples <= 5


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_a_replay_reproduces_what_an_adapter_was_needed_for(harness: Command, workplace: Path, isolate: str) -> None:
    """The replay has the adapter, the convention, a file in another folder and hexadecimal floats."""
    Path("week 2").mkdir()
    code = "def loss(prediction, target, half):\n    return ((prediction - target) ** 2).mean() / half\n"
    Path("week 2/loss.py").write_text(code, encoding="utf-8")
    call = "lambda f, a, b: f(a, b, 2.5)"
    words = ("week 2/loss.py:loss", "--contract", "squared_error", "--declare", "factor=0.5", "--call", call)
    done = harness("check", *words, *ONE_LAW, isolate, "-v", code=1)
    replay = next(line for line in done.stdout.splitlines() if line.startswith("  replay     harness"))
    assert "0x1p+0" in replay
    again = harness(*shlex.split(replay.removeprefix("  replay"))[1:], code=1)
    deviation = next(line for line in done.stdout.splitlines() if line.startswith("  deviation"))
    assert deviation in again.stdout


def test_a_dtype_that_everything_is_skipped_in_gives_no_answer(harness: Command, workplace: Path) -> None:
    """The exit code is 2, because a silent skip would look like a pass."""
    Path("array.py").write_text("import numpy as np\n\nsoftmax = np.exp\n", encoding="utf-8")
    words = ("array.py:softmax", "--contract", "softmax", "--dtypes", "bfloat16", "--law", "value", "--call", "numpy")
    done = harness("check", *words, code=2)
    assert "skipped: NumPy has no bfloat16 (1: value in bfloat16)" in done.stdout
    assert "verdict: none, every law was skipped (1 skipped)" in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--devices cuda", "there is no accelerator here"),
        ("--call nunpy", "NameError"),
        ("--breaks valu", "`valu`"),
    ],
    ids=["device", "adapter", "break"],
)
def test_an_option_that_cannot_be_met_is_one_plain_line(
    harness: Command, homework: Path, words: str, text: str
) -> None:
    """The exit code is 2, even if only the worker finds the mistake."""
    assert text in harness(f"check homework.py:softmax --contract softmax {words}").refusal


def test_a_property_is_printed_once_stored_and_fails_under_strict(harness: Command, workplace: Path) -> None:
    """Without `--strict` it fails nothing. A declared property is not printed."""
    Path("mine.py").write_text("def spread(x):\n    return x.var(-1)\n", encoding="utf-8")
    check = ("check", "mine.py:spread", "--contract", "variance", *ONE_LAW)
    done = harness(*check, "--strict", "--run", "it", code=1)
    said = "mine.spread agrees with `--declare correction=1`"
    assert done.stdout.count(said) == 1
    assert done.stdout.splitlines()[-1] == "verdict: no defect in 1 law (1 holds)"
    assert [one.value for one in RunFolder(RUNS / "it").read(Property)] == ["correction=1"]
    declared = harness(*check, "--strict", "--declare", "correction=1", code=0)
    assert said not in declared.stdout


def test_watching_checks_again_when_the_file_is_saved(homework: Path, python: str) -> None:
    """The law breaks, holds after an edit, and the exit code after Ctrl-C is that of the last check."""
    words = ("check", "homework.py:softmax", "--contract", "softmax", *ONE_LAW, "--watch")
    command = [python, "-c", "from harness.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        verdicts = []
        for line in process.stdout:
            if line.startswith("verdict"):
                verdicts.append(line)
            if line.startswith("watching") and len(verdicts) == 1:
                homework.write_text(STABLE, encoding="utf-8")
            elif line.startswith("watching"):
                process.send_signal(signal.SIGINT)
                break
        assert process.wait(30.0) == 0
    assert "1 defect in homework.softmax" in verdicts[0]
    assert "no defect in" in verdicts[1]


@pytest.mark.parametrize("moment", ["waiting", "checking"])
def test_a_watch_ends_with_the_code_of_another_signal(homework: Path, moment: str) -> None:
    """SIGTERM ends the command, whether it waits for a change or checks; Ctrl-C during a check does, too."""

    def checked() -> int:
        if moment == "waiting":
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            return 0
        return INTERRUPTED

    with interruptible() as interrupt:
        if moment == "checking":
            assert run_on_change("homework.py:softmax", checked) == INTERRUPTED
            return
        with pytest.raises(KeyboardInterrupt):
            run_on_change("homework.py:softmax", checked)
    assert interrupt.received is signal.SIGTERM


def test_a_change_during_a_check_is_checked_too(homework: Path) -> None:
    """The second check begins at once."""
    checks: list[str] = []

    def checked() -> int:
        checks.append(homework.read_text(encoding="utf-8"))
        if len(checks) == 1:
            homework.write_text(STABLE, encoding="utf-8")
            return 1
        raise KeyboardInterrupt

    assert run_on_change("homework.py:softmax", checked) == 1, "the exit code of the last check that ended"
    assert checks == [NAIVE, STABLE]


def test_a_closed_pipe_loses_neither_a_file_nor_the_exit_code(homework: Path, python: str) -> None:
    """``harness check ... --json h.json | head -1`` writes the files first, and the verdict decides the exit code."""
    reader, writer = os.pipe()
    os.close(reader)
    words = ("check", "homework.py:softmax", "--contract", "softmax", *ONE_LAW, "--json", "h.json", "--no-isolate")
    done = subprocess.run(
        [python, "-m", "harness", *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(Path("h.json").read_text(encoding="utf-8"))


def test_a_file_that_cannot_be_written_loses_no_result(harness: Command, homework: Path) -> None:
    """The verdict is printed before the error."""
    done = harness("check homework.py:softmax --contract softmax", *ONE_LAW, "--json", "homework.py/h.json", code=2)
    assert done.stdout.splitlines()[-2].startswith("verdict: 1 defect")
    assert done.stderr.startswith("harness: cannot write `homework.py/h.json`: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_shell_completes_contracts_and_laws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test uses the protocol of typer's completion scripts."""
    assert {"softmax", "softplus"} <= set(complete_contract("soft"))
    assert complete_contract("") == list(contracts())
    words = {"COMP_WORDS": "harness check --contract masked_s", "COMP_CWORD": "3"}
    for name, value in {**words, "_HARNESS_COMPLETE": "complete_bash"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        app(prog_name="harness")
    assert capsys.readouterr().out.split() == ["masked_softmax"]


def test_laws_are_completed_for_the_contract_that_is_given() -> None:
    """Without a contract, the laws of all contracts are offered."""

    class Context:
        def __init__(self, contract: str | None) -> None:
            self.params = {"contract": contract}

    assert complete_law(Context("softmax"), "rows_") == ["rows_sum_to_one"]  # type: ignore[arg-type]
    assert len(complete_law(Context(None), "value")) > 1  # type: ignore[arg-type]


def test_a_recorded_check_has_a_picture(harness: Command, homework: Path) -> None:
    """What the function returns along the rays on which it breaks, in float32; the run stays whole."""
    harness("check", "homework.py:softmax", "--contract", "softmax", "--dtypes", "float32", "--run", "mine", code=1)
    run = RunFolder(Path(".harness/runs/mine"))
    traces = run.read(RayTrace)
    assert {trace.breaks_at for trace in traces if trace.ray == "spike"} == {88.72283935546875}
    assert [work.sentence.partition(" ")[0] for work in run.head().work] == ["finished"]
