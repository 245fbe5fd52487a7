"""The inputs that are damaged: how each is laid out undamaged, and how the harness reads it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import samples.audit
import samples.baseline
import samples.image_files
import samples.run

from harness.data import idx
from harness.data.layout import NAMES
from harness.gate.baseline import Baseline, read_baseline, write_baseline
from harness.gate.policy import read_policy
from harness.record import FILES, Audit, Property, RunFolder, Status, TensorText, Verdict
from harness.record.bench import StepRecord, benchmarks
from harness.verdict.corpus import freeze, known_counterexamples
from harness.verdict.replay import from_text


@dataclass(frozen=True)
class Damaged:
    """One kind of input.

    Parameters
    ----------
    name
        What it is.
    lay_out
        Writes it, undamaged, into a folder.
    file
        The file that is damaged, within that folder.
    read
        Reads it as the harness does; what it returns can be compared.
    guarded
        Whether what was changed must be seen: the file has checksums, or the readers know every part of it.
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


def _records(kind: Any) -> Callable[[Path], Any]:
    """What stands in a run, and what its head says of how it ended."""

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
        baseline = baseline.updated(now)
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
    known_counterexamples.cache_clear()
    return repr([from_text(known.example) for known in known_counterexamples("softmax", folder)])


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


INPUTS: tuple[Damaged, ...] = (
    *(Damaged(file.removesuffix(".jsonl"), _run, file, _records(kind)) for kind, file in FILES.items()),
    Damaged("verdicts again", _run, "verdicts.jsonl", _records(Verdict)),
    Damaged("run.json", _run, "run.json", _head),
    Damaged("benchmark file", _run, "bench-steps.json", _bench),
    Damaged("baseline", _lay_out_baseline, "baseline.jsonl", _baseline),
    Damaged("corpus", _lay_out_corpus, "softmax.jsonl", _corpus, guarded=False),
    Damaged("pyproject.toml", _lay_out_policy, "pyproject.toml", _policy, guarded=False),
    Damaged("IDX images", _lay_out_idx, NAMES[0], _idx, guarded=False),
    Damaged("IDX labels", _lay_out_idx, NAMES[1], _idx, guarded=False),
)
"""Every input that is read from a file which somebody else may have written."""


def laid_out(damaged: Damaged, folder: Path) -> bytes:
    """Lay an input out in an empty folder, and return the bytes of the file that is damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    damaged.lay_out(folder)
    return (folder / damaged.file).read_bytes()
