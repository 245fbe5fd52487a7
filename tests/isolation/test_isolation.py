"""Code in a separate process: the same verdicts, plain messages, no remaining processes or files."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from samples.command import Command
from torch import Tensor

from harness.case import Case
from harness.error import UsageError
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.isolation.lost_worker import OUT_OF_MEMORY, SILENT, describe_failure
from harness.record import Fault, RunFolder, Status, Verdict
from harness.surveyor.plan import Survey
from harness.verdict.campaign import Campaign
from harness.verdict.job import list_jobs

HOMEWORK = """
def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)
"""


@pytest.fixture
def homework(workplace: Path) -> Path:
    """Write a student's file in a folder below the working directory."""
    file = workplace / "week 1" / "homework.py"
    file.parent.mkdir()
    file.write_text(HOMEWORK, encoding="utf-8")
    return file


def test_isolation_changes_no_verdict(homework: Path) -> None:
    """All but durations is equal for any number of processes."""
    laws = ["value", "rows_sum_to_one", "any_cotangent", "calls_agree", "row_alone", "value_on_long_rows"]
    campaign = Campaign("week 1/homework.py:softmax", "softmax", laws=laws, dtypes=["float32", "float16"])
    here, one, two = (
        [verdict.model_dump_json(exclude={"duration_s"}) for verdict in verdicts]
        for verdicts in (campaign.run(), campaign.run(limits=Limits()), campaign.run(processes=2, limits=Limits()))
    )
    assert here == one == two
    assert len(here) == 12


def test_the_side_that_reports_imports_no_torch(homework: Path) -> None:
    """It therefore starts at once."""
    code = (
        "import sys; from harness.verdict.campaign import Campaign; from harness.isolation.limits import Limits; "
        "campaign = Campaign('week 1/homework.py:softmax', 'softmax', laws=['value'], dtypes=['float32']); "
        "(verdict,) = campaign.run(limits=Limits()); "
        "assert verdict.status == 'broken' and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("import os\nos._exit(5)", "the import ends the process with exit code 5"),
        ("while True: pass", "the import does not finish within 4 s"),
    ],
    ids=["exits", "hangs"],
)
def test_a_file_that_cannot_be_imported_is_the_users_error(workplace: Path, body: str, text: str) -> None:
    """The message has the reason; the tests of delegates have the other ways in which an import fails."""
    Path("broken.py").write_text(f"{body}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot import") as caught:
        list(Campaign("broken.py:f", "softmax").run(limits=Limits(load_s=4.0 if "while" in body else 120.0)))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "stream", ["type('Writer', (), {'write': lambda self, text: len(text)})()", "None", "open('/dev/full', 'w')"]
)
def test_a_file_that_replaces_standard_output_is_judged_like_others(workplace: Path, stream: str) -> None:
    """The object need not have the methods of a stream."""
    code = f"import sys\nimport torch\n\nsys.stdout = {stream}\nsys.stdout and sys.stdout.write('loaded')\n\n\n"
    Path("loud.py").write_text(f"{code}def f(x):\n    return torch.softmax(x, -1)\n", encoding="utf-8")
    (verdict,) = Campaign("loud.py:f", "softmax", laws=["value"], dtypes=["float32"]).run(limits=Limits())
    assert verdict.status == "holds", verdict.reason


def test_an_import_that_changes_a_setting_is_noticed_once(workplace: Path) -> None:
    """The setting is restored, so that the laws are decided as for any other file."""
    code = "import torch\n\ntorch.set_default_dtype(torch.float64)\n\n\ndef f(x):\n    return x.softmax(-1)\n"
    Path("wide.py").write_text(code, encoding="utf-8")
    campaign = Campaign("wide.py:f", "softmax", laws=["value", "any_mode"], dtypes=["float32"])
    value, mode = campaign.run(limits=Limits())
    assert value.status is Status.HOLDS
    assert (mode.status, mode.fault) == (Status.ERROR, Fault.STATE)
    words = "the import of wide.f changes torch's default dtype from torch.float32 to torch.float64 (restored)"
    assert mode.reason == words


def test_an_interrupt_ends_the_workers(homework: Path) -> None:
    """Closing the generator of verdicts early ends them too. Warm workers of an earlier test do not count."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    verdicts = Campaign("week 1/homework.py:softmax", "softmax", dtypes=["float32"]).run(limits=Limits())
    assert next(iter(verdicts)).status is Status.BROKEN
    verdicts.close()  # type: ignore[attr-defined]
    left = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert left <= {SERVER.pid}


def test_the_first_call_may_take_the_time_that_compiling_takes(workplace: Path) -> None:
    """The first call has a separate limit, once per compilation. Later calls have the usual limit."""
    sleeps = "import time\ncalls = []\n\ndef f(x):\n    calls.append(x)\n    time.sleep({})\n    return x.softmax(-1)\n"
    Path("early.py").write_text(sleeps.format("2.5 if len(calls) == 1 else 0.0"), encoding="utf-8")
    Path("late.py").write_text(sleeps.format("2.5 if len(calls) == 2 else 0.0"), encoding="utf-8")
    facts: dict[str, Any] = {"laws": ["rows_sum_to_one"], "dtypes": ["float32"]}
    found = {
        file: next(iter(Campaign(f"{file}.py:f", "softmax", **facts).run(limits=Limits(call_s=1.5))))
        for file in ("early", "late")
    }
    assert found["early"].status is Status.HOLDS
    assert found["late"].fault is Fault.HUNG
    assert "a call did not return within 1.5 s" in str(found["late"].reason)


COMPILED = """
import logging, time, torch

def backend(graph, inputs):
    logging.warning("another shape")
    time.sleep(1.6)
    return graph.forward

@torch.compile(backend=backend)
def f(x):
    return x.softmax(-1)
"""


def test_a_compiler_has_its_own_time_in_every_call_that_it_compiles_in(workplace: Path) -> None:
    """Its log does not count as printing."""
    Path("compiled.py").write_text(COMPILED, encoding="utf-8")
    campaign = Campaign("compiled.py:f", "softmax", laws=["rows_sum_to_one"], dtypes=["float32"], examples=4)
    (verdict,) = campaign.run(limits=Limits(call_s=1.2))
    assert (verdict.status, verdict.reason) == (Status.HOLDS, None)


def test_only_the_shipped_cases_are_not_watched() -> None:
    """They are trusted, and many. A package of another author is watched in this process too."""
    printing = Case(_prints, "softmax")
    for watched, came in ((False, (Status.HOLDS, None)), (True, (Status.ERROR, Fault.PRINTED))):
        (job,) = list_jobs([printing], laws=["calls_agree"], dtypes=["float32"], watched=watched)
        verdict = Campaign().decide(job)
        assert (verdict.status, verdict.fault) == came
    for target in ("cases.binary", "hostile.rude"):
        assert {job.watched for job in Campaign(target).load().jobs} == {target == "hostile.rude"}
        parts = Survey(target).load().parts
        assert {part.job.watched for part in parts} == {target == "hostile.rude"}


def _prints(x: Tensor) -> Tensor:
    print("ours")  # noqa: T201 - that is what is not looked at
    return x.softmax(-1)


REWRITES = """
from pathlib import Path

def softmax(x):
    for file in Path().glob("**/verdicts.jsonl"):
        file.write_text(file.read_text().replace('"broken"', '"holds"'))
    return x.softmax(-1) * 1.25
"""


@pytest.mark.usefixtures("one_worker")
def test_a_run_that_the_code_rewrites_is_refused(workplace: Path, harness_command: Command) -> None:
    """The change is noticed during the run and when the run is read."""
    Path("rewrites.py").write_text(REWRITES, encoding="utf-8")
    laws = ["--law", "value", "--law", "row_alone", "--law", "any_position"]
    refusal = harness_command("check", "rewrites.py:softmax", *laws, "--dtypes", "float32", "--run", "it").refusal
    assert "was altered" in refusal
    with pytest.raises(UsageError, match="altered"):
        list(RunFolder.find("it").read(Verdict))


@pytest.mark.parametrize("does", ["list(hands.answers([0]))", "time.sleep(1000)"], ids=["in a call", "between calls"])
def test_a_killed_command_leaves_no_process_and_no_file(does: str, workplace: Path) -> None:
    """The judge, the sleeping user code and their folder disappear."""
    Path("sleeps.py").write_text("import time\n\ndef f(x):\n    time.sleep(1000)\n", encoding="utf-8")
    scratch = workplace / "scratch"
    scratch.mkdir()
    code = (
        "import time; from harness.verdict.campaign import Campaign; from harness.execution.runner import carry_out; "
        "from harness.isolation.limits import Limits\n"
        "plan = Campaign('sleeps.py:f', 'softmax', laws=['no_rows'], dtypes=['float32'])\n"
        f"with carry_out(plan, limits=Limits(call_s=500.0, first_call_s=500.0)) as hands: print(flush=True); {does}"
    )
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        command.stdout.readline()
        below = _wait_for(lambda: psutil.Process(command.pid).children(recursive=True), 3)
        assert any(scratch.iterdir())
        command.kill()
    _wait_for(lambda: [None] * (not any(_lives(process) for process in below)), 1)
    _wait_for(lambda: [None] * (not any(scratch.iterdir())), 1)


def _wait_for(found: Callable[[], list[Any]], count: int) -> list[Any]:
    deadline = time.monotonic() + 60.0
    while len(seen := found()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return seen


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("code", "fault", "text"),
    [
        (None, Fault.HUNG, "within 120 s"),
        (-14, Fault.HUNG, "within 10 s (homework.py, line 7)"),
        (OUT_OF_MEMORY, Fault.MEMORY, "4 GiB"),
        (SILENT, Fault.STATE, "closes files"),
        (-11, Fault.KILLED, "SIGSEGV (segmentation fault)"),
        (-15, Fault.KILLED, "SIGTERM"),
        (0, Fault.EXITED, "exit code 0"),
    ],
)
def test_each_way_of_losing_a_process_has_its_sentence(code: int | None, fault: Fault, text: str) -> None:
    """The place of a hang is read from the stack dump, without frames of Python and installed packages."""
    stack = (
        "Stack (most recent call first):\n"
        f'  File "{os.__file__}", line 5 in wait\n  File "/home/a/homework.py", line 7 in softmax\n'
    )
    found = describe_failure(code, stack, Limits())
    assert found.fault is fault
    assert text in found.sentence


SHARED_AS_FILES = """
import torch
import torch.multiprocessing
from torch.utils.data import DataLoader

torch.multiprocessing.set_sharing_strategy("file_system")

class Numbers:
    def __len__(self):
        return 64

    def __getitem__(self, i):
        return torch.full((2,), float(i)), i

def loader(batch_size=8, num_workers=0):
    return DataLoader(Numbers(), batch_size, num_workers=num_workers)
"""


def test_a_loader_may_share_memory_as_files(workplace: Path, harness_command: Command) -> None:
    """Torch starts a process for it, which loses its parent with a worker and is needed until the end."""
    (workplace / "files.py").write_text(SHARED_AS_FILES)
    laws = ("--law", "errors_are_not_swallowed", "--law", "memory_does_not_grow")
    done = harness_command("check", "files.py:loader", "--contract", "data_loader", *laws, code=0)
    assert "no defect in 2 laws (2 hold)" in done.stdout
