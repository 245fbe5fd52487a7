"""The benchmark suites, on a user's own cases: what was right is kept with its rounds, what was wrong fails."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import benchmark
from harness.benchmark import SUITES, USUAL, Settings, run_suite
from harness.case import Case
from harness.compiler import NO_COMPILER, no_compiler
from harness.discovery import load
from harness.error import UsageError
from harness.interleaving import FEWEST_ROUNDS
from harness.suites import training
from harness.suites.loader_cell import FEWEST, ROUNDS
from harness.suites.progress import Progress
from harness.suites.test_search import WAYS
from harness.suites.training import disagreement, problem

SPECIMENS = """
import multiprocessing, os, signal, time
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from harness import Case
from harness.dataset import arrays

def made(update, kind="softmax"):
    def factory(weight, bias, lr):
        W, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        def step(X, y):
            scores = X @ W.T + b
            loss = F.cross_entropy(scores, y) if kind == "softmax" else F.mse_loss(scores.squeeze(1), y)
            slopes = torch.autograd.grad(loss, (W, b))
            with torch.no_grad():
                update(W, b, slopes, lr)
            return loss.detach()
        return step, (W, b)
    return factory

def right(W, b, slopes, lr):
    W -= lr * slopes[0]
    b -= lr * slopes[1]

def without_bias(W, b, slopes, lr):
    W -= lr * slopes[0]

def raising_step(weight, bias, lr):
    def step(X, y):
        raise RuntimeError("not today")
    return step, (weight, bias)

def mean_loss(X, y, W, b):
    return F.cross_entropy(X @ W.T + b, y)

def compiled_step(weight, bias, lr):
    W, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    compiled = torch.compile(mean_loss)
    def step(X, y):
        loss = compiled(X, y, W, b)
        loss.backward()
        return loss.detach()
    return step, (W, b)

def interrupting(weight, bias, lr):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

def loader(root, train, batch_size, workers, shuffle):
    images, labels = arrays(root, train=train)
    images, labels = torch.from_numpy(images)[:, None].float() / 255, torch.from_numpy(labels).long()
    return DataLoader(TensorDataset(images, labels), batch_size, shuffle=shuffle, num_workers=workers)

def dropping_the_tail(root, train, batch_size, workers, shuffle):
    whole = loader(root, train, batch_size, workers, shuffle).dataset
    return DataLoader(whole, batch_size, shuffle=shuffle, num_workers=workers, drop_last=True)

class Mislabelled(list):
    def __iter__(self):
        return ((images, (labels + 1) % 10) for images, labels in list.__iter__(self))

def mislabelling(*arguments):
    return Mislabelled(loader(*arguments))

def leaving_a_process(*arguments):
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    return loader(*arguments)

def add(a, b):
    return a + b

def add_in_half(a, b):
    return (a.half() + b.half()).float()

def raising(a, b):
    raise RuntimeError("no such luck")
"""


@dataclass(frozen=True)
class Ran:
    """What a suite left behind.

    Parameters
    ----------
    code
        What :func:`harness.benchmark.run_suite` returned; ``None`` where it raised.
    output
        All that was written to the terminal.
    document
        The file in the run's folder; ``None`` where there is none.
    written
        All files in the working directory afterwards, that of the cases excepted.
    """

    code: int | None
    output: str
    document: Any
    written: list[str]

    @property
    def timed(self) -> dict[str, Any]:
        """The benchmarks that were kept, by what stands between the brackets."""
        found: dict[str, Any] = {entry["param"]: entry for entry in self.document["benchmarks"]}
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a suite on cases given as text, from a working directory that holds no more."""

    def run(suite: str, cases: str, *, target: str = "mine", images: int | None = None) -> Ran:
        (tmp_path / "mine.py").write_text(SPECIMENS + f"\nCASES = [{cases}]\n")
        settings = (
            f"Settings(batch_sizes=(4,), workers=(0, 1), sizes=(8,), data='synthetic', images={images}, "
            "seconds=0.02, seeds=2)"
        )
        command = f"""
            from pathlib import Path
            from harness.benchmark import Settings, run_suite
            raise SystemExit(run_suite({suite!r}, target={target!r}, run_folder=Path("run"), settings={settings}))
        """
        done = subprocess.run(
            [sys.executable, "-P", "-c", textwrap.dedent(command)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip
        file = tmp_path / "run" / f"bench-{suite}.json"
        document = json.loads(file.read_text()) if file.exists() else None
        files = (str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*") if found.is_file())
        written = sorted(f for f in files if not f.startswith(("mine.py", "__pycache__", ".harness")))
        return Ran(done.returncode, done.stdout, document, written)

    return run


def test_a_wrong_step_fails_the_suite_and_its_timing_is_not_kept(run: Run) -> None:
    """A step that skips the bias is faster and wrong: the reason is shown, the right one's rounds are kept."""
    ran = run(
        "steps",
        'Case(made(right), "softmax_regression_step", name="mine.right"),'
        'Case(made(without_bias), "softmax_regression_step", name="mine.wrong"),'
        'Case(made(right, "linear"), "linear_regression_step", name="mine.line")',
    )
    assert ran.code == 1
    assert "mine.wrong was timed and is wrong [float32, cpu, batch 4]" in ran.output
    assert "after 64 steps weight and bias are those of gradient descent" in ran.output
    assert list(ran.timed) == ["mine.line-cpu-4", "mine.right-cpu-4"]
    account = ran.document["harness"]
    assert (account["complete"], account["collected"], account["passed"]) == (False, 6, 2)
    assert [failure["name"] for failure in account["failed"]] == ["test_training_step[mine.wrong-cpu-4]"]
    if torch.accelerator.is_available():
        return
    assert {skip["reason"] for skip in account["skipped"]} == {"no accelerator on this machine"}
    assert len(account["skipped"]) == 3


def test_a_timed_step_carries_its_rounds_and_what_it_is(run: Run) -> None:
    """Raw rounds and every key that the report reads are in the file, and there is no other file."""
    ran = run("steps", 'Case(made(right), "softmax_regression_step", name="mine.right", style="concise")')
    assert ran.code == 0, ran.output
    timed = ran.timed["mine.right-cpu-4"]
    rounds, info = timed["stats"]["rounds"], timed["extra_info"]
    assert len(timed["stats"]["data"]) == rounds >= FEWEST_ROUNDS
    assert info.pop("cold_s") > 0.0
    for measured in ("floor_s", "bytes_per_s", "operations_per_s"):
        assert len(found := info.pop(measured)) == rounds
        assert min(found) > 0.0
    assert info.pop("deviation") <= info.pop("bound")
    assert info == {
        "case": "mine.right",
        "family": "mine",
        "style": "concise",
        "contract": "softmax_regression_step",
        "device": "cpu",
        "batch_size": 4,
        "dtype": "float32",
        "threads": 1,
        "phases_s": {},
        "bytes": 4 * (4 * 784 + 2 * 7850 + 1) + 4 * 8,
        "operations": 4 * 4 * 784 * 10,
        "launch_s": None,
        "device_s": None,
        "graph_s": None,
        "graph_device_s": None,
        "graph_absent": None,
        "steps_compared": 64,
    }
    assert timed["params"] == {"case": "mine.right", "device": "cpu", "batch_size": 4}
    assert ran.document["harness"]["complete"]
    assert ran.written == ["run/bench-steps.json"]


def test_a_step_that_raises_leaves_the_turns_to_the_others(run: Run) -> None:
    """Its own benchmark fails with what it raised; the one beside it is measured and kept."""
    ran = run(
        "steps",
        'Case(raising_step, "softmax_regression_step", name="mine.raising"),'
        'Case(made(right), "softmax_regression_step", name="mine.right")',
    )
    assert ran.code == 1
    assert list(ran.timed) == ["mine.right-cpu-4"]
    assert "RuntimeError: not today" in ran.output
    assert "INTERNALERROR" not in ran.output


def test_a_step_that_needs_a_compiler_is_skipped_where_there_is_none(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reason is plain, and the suite is complete."""
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / ".harness" / "compiled"))
    ran = run(
        "steps",
        'Case(compiled_step, "softmax_regression_step", name="mine.compiled"),'
        'Case(made(right), "softmax_regression_step", name="mine.right")',
    )
    assert ran.code == 0, ran.output
    assert list(ran.timed) == ["mine.right-cpu-4"]
    reasons = {skip["name"]: skip["reason"] for skip in ran.document["harness"]["skipped"]}
    assert reasons["test_training_step[mine.compiled-cpu-4]"] == NO_COMPILER


def test_our_times_and_those_of_torchs_timer_are_taken_in_turns(run: Run) -> None:
    """Both have as many rounds; what is kept is ours, with the timer's beside it."""
    ran = run("agreement", 'Case(made(right), "softmax_regression_step", name="mine.right")')
    assert ran.document is not None, ran.output
    timed = ran.timed["mine.right-4"]
    assert len(timed["extra_info"]["timer_s"]) == len(timed["stats"]["data"]) >= FEWEST_ROUNDS
    assert timed["extra_info"]["tolerance"] == 0.03


def test_loaders_are_timed_with_and_without_workers(run: Run) -> None:
    """A loader that delivers fewer images, or other labels, fails; the right one is kept with all its keys."""
    ran = run(
        "loaders",
        'Case(loader, "loader", name="mine.right"), Case(dropping_the_tail, "loader", name="mine.short"),'
        'Case(mislabelling, "loader", name="mine.wrong"), Case(leaving_a_process, "loader", name="mine.careless")',
        images=30,
    )
    assert ran.code == 1
    assert list(ran.timed) == ["mine.right-4-0", "mine.right-4-1"]
    assert "28 samples in 7 batches" in ran.output
    assert "30 samples in 8 batches" in ran.output
    assert "a sample is an image of the data" in ran.output
    assert "1 of its processes still run when it is let go" in ran.output
    timed = ran.timed["mine.right-4-1"]
    info = timed["extra_info"]
    rounds = [info.pop(name) for name in ("wall_us", "cpu_us", "limit_wall_us", "limit_cpu_us")]
    assert {len(each) for each in rounds} == {timed["stats"]["rounds"]} <= {FEWEST, ROUNDS}
    assert timed["stats"]["data"] == pytest.approx([30e-6 * wall_us for wall_us in rounds[0]])
    parts = info.pop("made_s") + info.pop("iterator_s")
    assert 0.0 < parts < info.pop("first_batch_s")
    assert min(info.pop(name) for name in ("start_cpu_s", "shutdown_s", "pss_bytes", "slice_batches")) > 0
    assert info.pop("shared_bytes") >= 0
    assert info == {
        "case": "mine.right",
        "family": "mine",
        "style": "foreign",
        "loader": "torch.utils.data.dataloader.DataLoader",
        "batch_size": 4,
        "workers": 1,
        "prefetch": 2,
        "persistent": True,
        "pin": False,
        "start_method": None,
        "samples": 30,
        "batches": 8,
        "data": "synthetic stand-in",
        "remark": None,
    }


def test_operations_are_timed_and_held_against_their_laws(run: Run) -> None:
    """A sum in half precision is found wrong and a case that raises is an error; neither stops the others."""
    ran = run(
        "vectorization",
        'Case(raising, "add", name="mine.raising"), Case(add_in_half, "add", name="mine.half"),'
        'Case(add, "add", name="mine.right"), Case(F.linear, "linear", name="mine.linear")',
    )
    assert ran.code == 1
    assert list(ran.timed) == ["mine.right-8", "mine.linear-8"]
    assert "RuntimeError: no such luck" in ran.output
    assert "add(a, b) is a + b, correctly rounded." in ran.output
    info = ran.timed["mine.right-8"]["extra_info"]
    assert info.pop("cold_s") > 0.0
    assert info == {"case": "mine.right", "family": "mine", "style": "foreign", "contract": "add", "n": 8}


def test_ways_of_searching_are_compared_in_equal_time(run: Run) -> None:
    """Each way and seed has its score; a search of ours in ordinal space sees more than random rows do."""
    ran = run("search", 'Case(lambda x: x.softmax(-1), "softmax", name="mine.softmax")')
    assert ran.code == 0
    scores = {(it["extra_info"]["way"], it["extra_info"]["seed"]): it["extra_info"] for it in ran.timed.values()}
    ways = {way for way, _ in scores}
    assert ways == {*WAYS, "longer"}
    assert {seed for way, seed in scores if way in WAYS} == {0, 1}
    for seed in (0, 1):
        assert scores["evolved in ordinal space", seed]["score"] > 2 * scores["random normal", seed]["score"]
        assert scores["Hypothesis", seed]["rows"] > 0
    assert scores["longer", 0]["seconds"] == pytest.approx(4 * scores["Hypothesis", 0]["seconds"])
    assert all(info["objective"] == "deviation" for info in scores.values())


def test_an_interrupted_suite_keeps_what_it_finished_and_says_so(run: Run) -> None:
    """What was measured in turns before the interrupt is kept; the code says that the suite is not whole."""
    ran = run(
        "steps",
        'Case(made(right, "linear"), "linear_regression_step", name="mine.right"),'
        'Case(interrupting, "softmax_regression_step", name="mine.interrupting")',
    )
    assert ran.code == 2
    assert list(ran.timed) == ["mine.right-cpu-4"]
    assert not ran.document["harness"]["complete"]
    assert "1 of 4 benchmarks were measured and kept; 0 failed" in ran.output


@pytest.mark.parametrize(
    ("cases", "target", "message"),
    [
        ("", "absent", "no module named `absent`"),
        ('Case(add, "add", name="mine.add")', "mine", "skipped"),
        (
            'Case(made(right), "softmax_regression_step", name="a.b"),'
            'Case(made(right), "linear_regression_step", name="a.b")',
            "mine",
            "cases have different names, got `a.b` twice",
        ),
    ],
)
def test_a_suite_that_measures_nothing_is_no_success(run: Run, cases: str, target: str, message: str) -> None:
    """No such target, no case of the suite's contracts, two cases of one name: code 2, a plain message, no file."""
    ran = run("steps", cases, target=target)
    assert ran.code == 2
    assert message in ran.output
    assert "selection.py" not in ran.output, "no traceback, be it pytest's own"
    assert ran.document is None


def test_there_are_nine_suites_and_no_other() -> None:
    """A name that is none is refused with those there are; the three comparisons are only made on request."""
    usual = ("steps", "loaders", "balance", "operations", "vectorization", "screening")
    assert (usual, (*usual, "agreement", "tuner", "search")) == (USUAL, SUITES)
    with pytest.raises(UsageError, match=r"a suite is `steps`, `loaders`, .*`tuner`, `search`, got `step`"):
        run_suite("step", run_folder=Path("run"))


def test_only_what_is_set_is_handed_on() -> None:
    """An absent setting leaves the suite's own."""
    assert Settings().arguments() == []
    assert Settings(workers=(0, 2), images=5).arguments() == ["--harness-workers=0,2", "--harness-images=5"]


def test_a_suite_beyond_its_limit_is_stopped_gently(capfd: pytest.CaptureFixture[str]) -> None:
    """It is interrupted, has time to write down what it finished, and its own code is returned."""
    child = (
        "import time\nprint('started', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
    )
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) == 7
    said = capfd.readouterr()
    assert "started" in said.out
    assert "stopped after 2 s, as limited" in said.err


def test_a_suite_that_does_not_let_go_is_killed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ignores the interrupt loses what it has, and that is said."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 0.2)
    child = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) < 0
    assert "nothing it measured is kept" in capfd.readouterr().err


def test_an_interrupt_that_is_lost_is_said_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that meets a destructor is printed and forgotten by Python; the suite then has time all the same."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 2.0)
    child = (
        "import time\n"
        "for code in (None, 7):\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        if code: raise SystemExit(code)"
    )
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) == 7


def test_how_far_a_suite_is_reaches_whoever_started_it() -> None:
    """What runs, how many are done, and how many there are, until the suite closes its end."""
    source, sink = os.pipe()
    telling = Progress(sink)
    telling._tell(total=2)
    for nodeid in ("suite.py::test_it[a]", "suite.py::test_it[b]"):
        telling.pytest_runtest_logstart(nodeid)
        telling.pytest_runtest_logfinish()
    telling._stream.close()
    seen: list[tuple[str, int, int]] = []
    benchmark._listen(source, lambda *told: seen.append(told))
    assert seen == [
        ("", 0, 2),
        ("test_it[a]", 0, 2),
        ("test_it[a]", 1, 2),
        ("test_it[b]", 1, 2),
        ("test_it[b]", 2, 2),
    ]


@pytest.mark.parametrize(("code", "shown"), [(0, False), (1, True)])
def test_what_pytest_writes_is_shown_where_something_went_wrong(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, code: int, shown: bool
) -> None:
    """And held back where all is well; the end of the suite does not wait for its progress."""
    child = f"print('a long story'); raise SystemExit({code})"
    assert benchmark._watched([sys.executable, "-S", "-c", child], None, lambda *_: None, tmp_path) == code
    assert ("a long story" in capfd.readouterr().out) is shown


def test_a_document_cut_short_is_not_kept(tmp_path: Path) -> None:
    """The run's file stays as it was."""
    result, file = tmp_path / "result.json", tmp_path / "bench-steps.json"
    result.write_text('{"benchmarks": [')
    file.write_text("before")
    assert benchmark._keep(result, file) == 0
    assert file.read_text() == "before"


def test_starting_a_suite_imports_no_torch() -> None:
    """The process that starts it is light."""
    code = "import sys, harness.benchmark; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False, timeout=60).returncode == 0


SHIPPED_STEPS = [case for case in load("cases") if case.contract in training.CONTRACTS]

MUTATED = [case for case in SHIPPED_STEPS if case.name.endswith((".training_step", ".closed_form_step"))]
"""Those that others vary by an option are not made wrong again."""


@pytest.mark.parametrize("batch_size", [1, 5, 256])
@pytest.mark.parametrize("case", SHIPPED_STEPS, ids=lambda case: case.name)
def test_the_shipped_steps_follow_gradient_descent(case: Case, batch_size: int) -> None:
    """The validation finds nothing to complain of in a right step."""
    try:
        found = disagreement(case, problem(case, batch_size), "cpu")
    except Exception as error:
        if reason := no_compiler(error):
            pytest.skip(reason)
        raise
    assert found is None


def _mutant(base: Case, change: Callable[..., Any]) -> Case:
    """A case whose step is another's, with the parameters and the loss passed through a change."""

    def factory(weight: Any, bias: Any, lr: float) -> Any:
        step, (W, b) = base.function(weight, bias, lr)

        def changed(X: Any, y: Any) -> Any:
            before = (W.clone(), b.clone())
            loss = step(X, y)
            with torch.no_grad():
                return change(before, (W, b), loss)

        return changed, (W, b)

    return Case(factory, base.contract, declares=base.declares, name="mutant.step")


def _skips_the_bias(before: Any, after: Any, loss: Any) -> Any:
    after[1].copy_(before[1])
    return loss


def _skips_the_weight(before: Any, after: Any, loss: Any) -> Any:
    after[0].copy_(before[0])
    return loss


def _steps_a_hundredth_too_far(before: Any, after: Any, loss: Any) -> Any:
    for old, new in zip(before, after, strict=True):
        new.add_(0.01 * (new - old))
    return loss


def _rounds_to_bfloat16(_: Any, after: Any, loss: Any) -> Any:
    for part in after:
        part.copy_(part.bfloat16().float())
    return loss


def _returns_no_loss(_: Any, __: Any, loss: Any) -> Any:
    return torch.zeros_like(loss)


def _returns_half_the_loss(_: Any, __: Any, loss: Any) -> Any:
    return loss / 2


def _loses_itself(_: Any, after: Any, loss: Any) -> Any:
    after[0].fill_(float("nan"))
    return loss


@pytest.mark.parametrize("batch_size", [1, 32, 1024])
@pytest.mark.parametrize(
    "change",
    [
        _skips_the_bias,
        _skips_the_weight,
        _steps_a_hundredth_too_far,
        _rounds_to_bfloat16,
        _returns_no_loss,
        _returns_half_the_loss,
        _loses_itself,
    ],
    ids=lambda change: change.__name__.strip("_"),
)
@pytest.mark.parametrize("base", MUTATED, ids=lambda case: case.name)
def test_every_wrong_step_is_found(base: Case, change: Callable[..., Any], batch_size: int) -> None:
    """Each mutant is refused at every batch size that is timed."""
    mutant = _mutant(base, change)
    found = disagreement(mutant, problem(mutant, batch_size), "cpu")
    assert found is not None
    assert found.deviation > found.bound
