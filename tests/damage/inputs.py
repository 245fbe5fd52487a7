"""The inputs that are damaged: how to write each undamaged file, and how the harness reads it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import samples.audit
import samples.baseline
import samples.image_files
import samples.run
import torch

from harness.case import Case
from harness.contracts import contract_named
from harness.data import idx
from harness.data.idx import NAMES
from harness.error import UsageError
from harness.formula.spelling import spelling, written
from harness.gate.baseline import Baseline, read_baseline, write_baseline
from harness.gate.policy import read_policy
from harness.proof.shards import Shards
from harness.proof.task import tasks_of
from harness.record import (
    FILES,
    Audit,
    ComparedLine,
    Fix,
    Judgment,
    Property,
    RunFolder,
    Sameness,
    Status,
    TensorText,
    Tolerance,
    Verdict,
)
from harness.record.bench import StepRecord, benchmarks
from harness.record.storage import read_bytes
from harness.verdict.replay import decode_example, freeze, read_counterexamples, reject_damaged


@dataclass(frozen=True)
class Damaged:
    """A kind of input.

    ``lay_out`` writes it undamaged into a folder, and ``file`` is the file to damage there. ``read`` reads it with the
    harness and returns a comparable value. ``guarded`` is true if every change must be noticed: the file has checksums,
    or the readers know every part of it.
    """

    name: str
    lay_out: Callable[[Path], None]
    file: str
    read: Callable[[Path], Any]
    guarded: bool = True


def _run(folder: Path) -> None:
    run = samples.run.full_run(folder)
    names = ("computes_in", "returns", "subnormals")
    run.write(
        Property,
        [Property(case="a.b", name=name, dtype="float16", value="x", sentence="{case} is so.") for name in names],
    )
    run.write(Audit, [samples.audit.audit(f"train.step_{number}") for number in range(3)])
    run.write(Fix, [samples.audit.fix(f"train.step_{number}") for number in range(3)])
    answer = Judgment(first="mine.py:step", answer=Sameness.ROUNDING, sentence="8 of 9 numbers differ")
    run.write(Judgment, [answer.model_copy(update={"under": change}) for change in ("batch", "resume", "threads=1")])
    line = ComparedLine(file="test_mine.py", line=1, function="pytest.approx", answer=Tolerance.SOUND, reason="")
    run.write(ComparedLine, [line.model_copy(update={"line": number}) for number in (1, 2, 3)])


def _records(kind: Any) -> Callable[[Path], Any]:
    """Return the records of a run, and how its head says that it ended."""

    def read(folder: Path) -> Any:
        run = RunFolder(folder)
        return [record.model_dump_json() for record in run.read(kind)]

    return read


def _head(folder: Path) -> Any:
    return RunFolder(folder).head().model_dump_json()


def _bench(folder: Path) -> Any:
    document = dict(RunFolder(folder).benchmarks()).get("steps")
    return repr(benchmarks(document, StepRecord))


def _lay_out_baseline(folder: Path) -> None:
    baseline = Baseline({})
    laws = [samples.baseline.law(law=f"law_{number}", largest=float(number)) for number in range(8)]
    for name in ("one", "two"):
        now = samples.baseline.of(*laws, breakings=(samples.baseline.point(),), counts={"operators": 3}, name=name)
        baseline = baseline.update(now)
    write_baseline(folder / "baseline.jsonl", baseline)


def _baseline(folder: Path) -> Any:
    return repr(read_baseline(folder / "baseline.jsonl"))


def _lay_out_corpus(folder: Path) -> None:
    values = (("0x1.8p+1", "0x0.0p+0"), ("0x1.f4p+9", "0x1.0p+0"), ("-0x1.8p+1", "0x1.0p-3"))
    tensors = [TensorText(dtype="float32", shape=(1, 2), values=pair) for pair in values]
    freeze(
        [
            samples.run.verdict(Status.BROKEN, violation=samples.run.violation(example={"logits": tensor}))
            for tensor in tensors
        ],
        folder,
    )


def _corpus(folder: Path) -> Any:
    read_counterexamples.cache_clear()
    return repr([decode_example(known.example) for known in read_counterexamples("softmax", folder)])


POLICY = """
[project]
name = "mine"

[tool.harness.gate]
target = "cases"
margin = 0.02
timed = ["a.*", "b.c"]

[tool.harness.gate.cases]
"a.b" = { growth = 1.0 }
"""


def _lay_out_policy(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(POLICY, encoding="utf-8")


def _policy(folder: Path) -> Any:
    return repr(read_policy(folder))


def _lay_out_idx(folder: Path) -> None:
    samples.image_files.lay_out(folder)


def _idx(folder: Path) -> Any:
    images, labels = idx.read_pair(folder / NAMES[0], folder / NAMES[1])
    return images.tobytes(), labels.tobytes(), images.shape


FORMULA = '''
def gelu(x):
    """Smoothly gated."""
    t = 1.702 * x
    return x * sigmoid(t)
'''


def _lay_out_formula(folder: Path) -> None:
    (folder / "mine.py").write_text(FORMULA, encoding="utf-8")


def _formula(folder: Path) -> Any:
    contract = contract_named(written(f"{folder / 'mine.py'}:gelu").text)
    return contract.name, contract.signature, [law.name for law in contract.laws]


def _lay_out_line(folder: Path) -> None:
    (folder / "line").write_text("formula(x: positive, y: 0.5..2): log(x / y) | log(x) - log(y)", encoding="utf-8")


def _line(folder: Path) -> Any:
    """Return the result of any bytes as a word on the command line."""
    contract = contract_named(spelling(os.fsdecode(read_bytes(folder / "line"))).text)
    return contract.name, contract.signature


def _own_corpus(folder: Path) -> Any:
    """Return the corpus for ``--corpus``; a damaged corpus is refused before a check starts."""
    reject_damaged(folder)
    return _corpus(folder)


def _shards(folder: Path) -> Shards:
    case = Case(torch.nn.functional.softplus, "softplus")
    return Shards(tasks_of([case], "mine", dtypes=["float16"], layouts=["contiguous"], quantities=["value"]), folder)


def _lay_out_shard(folder: Path) -> None:
    shards = _shards(folder / "shards")
    shards.finish(shards.every[0])
    (file,) = (folder / "shards").rglob("*.json")
    file.rename(folder / "shard.json")


def _shard(folder: Path) -> Any:
    """Return whether an altered shard is discarded and computed again."""
    shards = _shards(folder / "again")
    file = shards._get_file(shards.every[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.symlink_to((folder / "shard.json").absolute())
    kept = shards.read_stored(shards.every[0])
    if kept is None:
        raise UsageError("a shard that was altered is found again")
    return kept.model_dump_json()


INPUTS: tuple[Damaged, ...] = (
    *(Damaged(file.removesuffix(".jsonl"), _run, file, _records(kind)) for kind, file in FILES.items()),
    Damaged("verdicts again", _run, "verdicts.jsonl", _records(Verdict)),
    Damaged("run.json", _run, "run.json", _head),
    Damaged("benchmark file", _run, "bench-steps.json", _bench),
    Damaged("baseline", _lay_out_baseline, "baseline.jsonl", _baseline),
    Damaged("corpus", _lay_out_corpus, "softmax.jsonl", _corpus),
    Damaged("pyproject.toml", _lay_out_policy, "pyproject.toml", _policy, guarded=False),
    Damaged("--corpus", _lay_out_corpus, "softmax.jsonl", _own_corpus),
    Damaged("formula in a file", _lay_out_formula, "mine.py", _formula, guarded=False),
    Damaged("formula", _lay_out_line, "line", _line, guarded=False),
    Damaged("shard of a proof", _lay_out_shard, "shard.json", _shard),
    Damaged("IDX images", _lay_out_idx, NAMES[0], _idx, guarded=False),
    Damaged("IDX labels", _lay_out_idx, NAMES[1], _idx, guarded=False),
)
"""Every file that the harness reads and another person may have written."""


def laid_out(damaged: Damaged, folder: Path) -> bytes:
    """Write an undamaged input into an empty folder, and return the bytes of its file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    damaged.lay_out(folder)
    return (folder / damaged.file).read_bytes()
