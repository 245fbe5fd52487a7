"""The benchmark suites on user cases: right cases are stored with their rounds, wrong ones fail."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from samples.apart import run_apart

from harness.bench.option import Settings, Shape
from harness.bench.run import DEFAULT_SUITES, SUITES
from harness.bench.suites import test_operations
from harness.bench.suites.loader_measurement import MAX_ROUNDS, MIN_ROUNDS
from harness.bench.workload import sizes_of, standard_inputs
from harness.calling.modes import NO_COMPILER
from harness.contracts import contract_named
from harness.timing.turns import MIN_TURNS

SPECIMENS = """
import multiprocessing, os, signal, time
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from harness import Case
from harness.data.fashion_mnist import arrays
from harness.loading import supervision

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
    supervision.GOODBYE_S = 1.0  # no loader of these comes after it
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    return loader(*arguments)

def add(a, b):
    return a + b

def add_in_half(a, b):
    return (a.half() + b.half()).float()

def raising(a, b):
    raise RuntimeError("no such luck")
"""


WITHOUT_COMPILER = """
import torch._inductor.config
torch._inductor.config.cpp.cxx = (None, os.environ["CXX"])
"""
"""Patches the compiler's name, which is read at import and possibly before the fork."""


@dataclass(frozen=True)
class Ran:
    """The result of a suite.

    ``code`` is the return value of :func:`harness.bench.run.run_suite`, or 2 for a refusal. ``document`` is the file in
    the folder of the run, or ``None``. ``written`` lists all files in the working directory except the cases.
    """

    code: int
    output: str
    document: Any
    written: list[str]

    @property
    def timed(self) -> dict[str, Any]:
        """Stored benchmarks by the text in brackets."""
        found: dict[str, Any] = {entry["param"]: entry for entry in self.document["benchmarks"]}
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a suite on cases given as text, in an otherwise empty working directory."""

    def run(suite: str, cases: str, *, target: str = "mine", images: int | None = None, first: str = "") -> Ran:
        (tmp_path / "mine.py").write_text(f"{SPECIMENS}\n{first}\nCASES = [{cases}]\n")
        settings = Settings(
            batch_sizes=(4,),
            workers=(0, 1),
            sizes=(8,),
            shapes=(Shape(256, 10), Shape(64, 300)),
            data="synthetic",
            images=images,
            seconds=0.02,
        )
        code, output, document = run_apart(tmp_path, monkeypatch, suite, target=target, settings=settings)
        files = (str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*") if found.is_file())
        written = sorted(f for f in files if not f.startswith(("mine.py", "__pycache__", ".harness")))
        return Ran(code, output, document, written)

    return run


ON_ACCELERATORS = ("launch", "device", "graph", "graph_device", "flushed", "flushed_device", "loop", "pinned_loop")
"""Times of a step that only an accelerator has."""


def test_what_a_wrong_and_a_raising_step_take_is_not_kept(run: Run) -> None:
    """A step without the bias is faster and wrong, and another raises: both have a reason.

    The rounds of the right steps are stored.
    """
    ran = run(
        "steps",
        'Case(made(right), "softmax_regression_step", name="mine.right"),'
        'Case(made(without_bias), "softmax_regression_step", name="mine.wrong"),'
        'Case(raising_step, "softmax_regression_step", name="mine.raising"),'
        'Case(made(right, "linear"), "linear_regression_step", name="mine.line")',
    )
    assert ran.code == 1
    assert "mine.wrong is wrong, so its time is not reported [float32, cpu, batch 4]" in ran.output
    assert "after 64 steps, weight and bias agree with gradient descent" in ran.output
    assert "RuntimeError: not today" in ran.output
    assert "INTERNALERROR" not in ran.output
    assert list(ran.timed) == ["mine.line-cpu-4", "mine.right-cpu-4"]
    account = ran.document["harness"]
    assert (account["complete"], account["collected"], account["passed"]) == (False, 8, 2)
    failed = [f"test_training_step[mine.{name}-cpu-4]" for name in ("wrong", "raising")]
    assert sorted(failure["name"] for failure in account["failed"]) == sorted(failed)
    if torch.accelerator.is_available():
        return
    assert {skip["reason"] for skip in account["skipped"]} == {"no accelerator on this machine"}
    assert len(account["skipped"]) == 4


def test_a_timed_step_carries_its_rounds_and_what_it_is(run: Run, tmp_path: Path) -> None:
    """The only file has the raw rounds and every key that the report reads.

    Another step needs a compiler. Without one it is skipped with a reason, and the suite is complete.
    """
    # Variables set here would differ from the environment of the fork server, and another server would start.
    variables = {"CXX": "/no/such/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / ".harness" / "compiled")}
    ran = run(
        "steps",
        'Case(compiled_step, "softmax_regression_step", name="mine.compiled"),'
        'Case(made(right), "softmax_regression_step", name="mine.right", style="concise")',
        first=f"os.environ.update({variables!r})\n{WITHOUT_COMPILER}",
    )
    assert ran.code == 0, ran.output
    assert list(ran.timed) == ["mine.right-cpu-4"]
    reasons = {skip["name"]: skip["reason"] for skip in ran.document["harness"]["skipped"]}
    assert reasons["test_training_step[mine.compiled-cpu-4]"] == NO_COMPILER
    timed = ran.timed["mine.right-cpu-4"]
    rounds, info = timed["stats"]["rounds"], timed["extra_info"]
    assert len(timed["stats"]["data"]) == rounds >= MIN_TURNS
    assert info.pop("cold_s") > 0.0
    for measured in ("floor_s", "bytes_per_s", "operations_per_s"):
        assert len(found := info.pop(measured)) == rounds
        assert min(found) > 0.0
    assert info.pop("deviation") <= info.pop("bound")
    formats = info.pop("formats")
    assert list(formats) == ["float32", "tf32", "bfloat16", "float16"]
    assert formats["tf32"] == {"absent": "no TF32 on cpu", "rounds_s": []}
    assert len(formats["bfloat16"]["rounds_s"]) == rounds
    assert formats["float32"]["error_ulp"] < 50 < formats["float16"]["error_ulp"] < formats["bfloat16"]["error_ulp"]
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
        "graph_absent": None,
        "remarks": [],
        **{f"{name}_s": None for name in ON_ACCELERATORS},
        **{f"{name}_rounds_s": [] for name in ON_ACCELERATORS},
        **{name: [] for name in ("transfer_s", "clock_mhz", "memory_clock_mhz")},
        **dict.fromkeys(("l2_bytes", "power_limit_w")),
        "steps_compared": 64,
    }
    assert timed["params"] == {"case": "mine.right", "device": "cpu", "batch_size": 4}
    assert ran.document["harness"]["complete"]
    assert ran.written == ["run/bench-steps.json"]


def test_our_times_and_those_of_torchs_timer_are_taken_in_turns(run: Run) -> None:
    """Both have the same number of rounds. The harness's time is stored, with the timer's in addition."""
    ran = run("agreement", 'Case(made(right), "softmax_regression_step", name="mine.right")')
    assert ran.document is not None, ran.output
    timed = ran.timed["mine.right-4"]
    assert len(timed["extra_info"]["timer_s"]) == len(timed["stats"]["data"]) >= MIN_TURNS
    assert timed["extra_info"]["tolerance"] == 0.03


def test_loaders_are_timed_with_and_without_workers(run: Run) -> None:
    """A loader with missing images or wrong labels fails. The right one is stored with all keys."""
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
    assert "each sample is an image of the data" in ran.output
    assert "processes still running after it was closed: 1" in ran.output
    timed = ran.timed["mine.right-4-1"]
    info = timed["extra_info"]
    rounds = [info.pop(name) for name in ("wall_us", "cpu_us", "limit_wall_us", "limit_cpu_us")]
    assert {len(each) for each in rounds} == {timed["stats"]["rounds"]} <= set(range(MIN_ROUNDS, MAX_ROUNDS + 1))
    assert timed["stats"]["data"] == pytest.approx([30e-6 * wall_us for wall_us in rounds[0]])
    parts = info.pop("made_s") + info.pop("iterator_s")
    assert 0.0 < parts < info.pop("first_batch_s")
    assert min(info.pop(name) for name in ("start_cpu_s", "shutdown_s", "pss_bytes", "slice_batches")) > 0
    assert info.pop("shared_bytes") >= 0
    assert {len(info.pop(f"reference_{kind}_us")) for kind in ("wall", "cpu")} == {timed["stats"]["rounds"]}
    assert info.pop("other_load") >= 0.0
    assert sum(info.pop("budget")["loop_s"]) > 0
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
        "reference": "mine.right with no workers",
    }


def test_every_implementation_of_a_contract_is_timed_on_its_standard_input(run: Run) -> None:
    """A wrong implementation fails and is not stored, unless it declares the failure. Loaders are no operations."""
    ran = run(
        "operations",
        'Case(add, "add", name="mine.right"), Case(add_in_half, "add", name="mine.half"),'
        'Case(add_in_half, "add", name="mine.known", breaks={"correctly_rounded": "computes in half"}),'
        'Case(F.softmax, "softmax", name="mine.softmax", call=lambda f, x: f(x, dim=-1)),'
        'Case(loader, "loader", name="mine.loader")',
    )
    assert ran.code == 1
    names = ["mine.right", "mine.known", "mine.softmax"]
    assert list(ran.timed) == [f"{name}-{shape}" for name in names for shape in ("256x10", "64x300")]
    assert "mine.half is wrong, so its time is not reported [float32, shape 256x10]" in ran.output
    assert "mine.half is wrong, so its time is not reported [float32, shape 64x300]" in ran.output
    info = ran.timed["mine.softmax-64x300"]["extra_info"]
    assert info.pop("cold_s") > 0.0
    about = {"case": "mine.softmax", "family": "mine", "style": "foreign", "contract": "softmax"}
    assert info == {**about, "shape": "64x300"}


def test_vectorised_operations_are_held_against_their_laws(run: Run) -> None:
    """A sum in half precision is wrong, and a case that raises is an error. Other cases are still timed."""
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


def test_an_interrupted_suite_keeps_what_it_finished_and_says_so(run: Run) -> None:
    """Groups finished before the interrupt are stored. The exit code shows that the suite is incomplete."""
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
        (
            'Case(add, "add", name="mine.add")',
            "mine",
            "nothing to time in `mine`: this suite times cases of `linear_regression_step` or "
            "`softmax_regression_step` in float32; choose other suites",
        ),
        (
            'Case(made(right), "softmax_regression_step", name="a.b"),'
            'Case(made(right), "linear_regression_step", name="a.b")',
            "mine",
            "two cases have the name `a.b`; give each case its own `name`",
        ),
    ],
)
def test_a_suite_that_measures_nothing_is_no_success(run: Run, cases: str, target: str, message: str) -> None:
    """A missing target, no suitable case, or equal names give exit code 2, a message and no file."""
    ran = run("steps", cases, target=target)
    assert ran.code == 2
    assert message in ran.output
    assert ran.output.count("\n") == 1, "one sentence, and nothing of pytest"
    assert ran.document is None


def test_the_comparison_with_the_timer_of_torch_runs_only_on_request() -> None:
    """The other five suites run by default. The command refuses unknown names."""
    assert (*DEFAULT_SUITES, "agreement") == SUITES
    assert DEFAULT_SUITES == ("loaders", "steps", "balance", "operations", "vectorization")


def test_a_call_that_takes_too_long_at_a_large_shape_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the shape; at the standard shape nothing is skipped."""
    monkeypatch.setattr(test_operations, "LIMIT_S", 0.05)
    with pytest.raises(pytest.skip.Exception, match=r"timing at shape 9x9 took longer than 0\.05 s"):
        test_operations._measure_calls(None, lambda: time.sleep(5.0), Shape(9, 9), 0.0)


def test_a_large_shape_gives_each_kind_of_input_its_lengths() -> None:
    """A vector has as many elements as a matrix; the number of classes is the number of columns."""
    found = {name: contract_named(name) for name in ("add", "softmax", "one_hot")}
    shapes = {
        name: [getattr(value, "shape", value) for value in (standard_inputs(own, sizes_of(own, 6, 7)) or {}).values()]
        for name, own in found.items()
    }
    assert shapes == {"add": [(42,), (42,)], "softmax": [(6, 7)], "one_hot": [(6,), 7]}
