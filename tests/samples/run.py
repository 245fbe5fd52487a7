"""Runs built from the record classes, which the tests of the report read."""

import base64
import math
import random
from pathlib import Path
from typing import Any

import samples.balance
import samples.benchmarks
import samples.gate
import samples.survey

from harness.record import (
    Accumulator,
    Breaking,
    ClassWeights,
    Comparison,
    Confusion,
    DataSource,
    Environment,
    Epoch,
    FitData,
    GateFinding,
    Image,
    LawOutcome,
    LearnedParameter,
    Profile,
    Proof,
    RayTrace,
    Run,
    RunFolder,
    Slices,
    Status,
    TensorText,
    Verdict,
    Violation,
    Witness,
    Worst,
)

DTYPES = ("float64", "float32", "bfloat16", "float16")
LAWS = {
    "value": (
        "value",
        "softmax(X) is the oracle's value within its bound",
        "Blanchard, Higham & Higham (2021), Thm 3.2",
    ),
    "rows_sum_to_one": ("algebra", "each row of softmax(X) sums to one", "definition"),
    "non_negative": ("algebra", "no element is negative", "definition"),
    "shift_invariant": ("algebra", "adding a constant to a row changes nothing", "definition"),
    "permutation_equivariant": ("algebra", "permuting the classes permutes the output", "definition"),
    "finite": ("finite", "the output is finite where the truth is finite", "IEEE 754"),
    "gradient": ("gradient", "the gradient is the analytic one within its bound", "Higham (2002), sec. 3.1"),
    "row_alone": ("equivalence", "a row alone equals the row in a batch", "independence of rows"),
}
CASES = {
    "softmax": [
        "softmax_regression.scratch.softmax",
        "softmax_regression.scratch.shifted_softmax",
        "softmax_regression.concise.softmax",
    ],
    "log_softmax": ["softmax_regression.scratch.log_softmax", "softmax_regression.concise.log_softmax"],
    "cross_entropy": [
        "softmax_regression.scratch.cross_entropy",
        "softmax_regression.scratch.clamped_cross_entropy",
        "softmax_regression.concise.cross_entropy",
    ],
    "squared_error": ["linear_regression.scratch.squared_loss", "linear_regression.concise.mse_loss"],
    "regression": ["linear_regression.scratch.train", "linear_regression.concise.train"],
}
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
STAND_IN = "synthetic stand-in"


def environment(**changes: Any) -> Environment:
    """Return an environment of a two-core machine without accelerator."""
    build = {"BLAS": "mkl", "compiler": "GCC 13.3"}
    facts: dict[str, Any] = {
        "machine": "x86_64",
        "processor": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        "cores": 2,
        "usable_cores": 2.0,
        "memory_bytes": 16 * 2**30,
        "accelerator": None,
        "os": "Debian GNU/Linux 12 (bookworm), Linux 6.1.0",
        "python": "3.11.2 (CPython)",
        "torch": "2.13.0+cpu",
        "torch_threads": 1,
        "torch_build": build | {"CPU capability": "AVX512", "flags": "USE_MKL=ON, USE_OPENMP=ON"},
        "versions": {"numpy": "2.4.6", "pandas": "3.1.1", "matplotlib": "3.11.2", "hypothesis": "6.150.0"},
        "git_commit": "25afba4c1d0e9b7f6a5d4c3b2a19080706050403",
        "git_dirty": False,
    }
    return Environment(**(facts | changes))


def data_source(*, genuine: bool) -> DataSource:
    """Return the published data set, or its stand-in."""
    names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    return DataSource(
        name="Fashion-MNIST" if genuine else STAND_IN,
        origin="system" if genuine else "synthetic",
        location="/usr/share/fashion-mnist" if genuine else "",
        checksums={name: f"{number:x}" * 64 for number, name in enumerate(names, 10)},
        genuine=genuine,
        note="The published files." if genuine else "Fashion-MNIST was not found; a small deterministic set stands in.",
    )


def head(**changes: Any) -> Run:
    """Return the head of a run."""
    facts: dict[str, Any] = {
        "name": "2026-11-24T16-18-28",
        "created": "2026-11-24T16:18:28Z",
        "environment": environment(),
        "seed": 20261124,
        "commands": ("harness check", "harness train", "harness bench"),
    }
    return Run(**(facts | changes))


def violation(**changes: Any) -> Violation:
    """Return the overflow of a softmax as defined."""
    facts: dict[str, Any] = {
        "place": (0, 0),
        "actual": math.nan,
        "expected": 1.0,
        "deviation": math.inf,
        "bound": 64.0,
        "over": 1,
        "of": 2,
        "magnitude": 1000.0,
        "example": {"logits": TensorText(dtype="float32", shape=(1, 2), values=("0x1.f400000000000p+9", "0x0.0p+0"))},
        "replay": "harness check softmax_regression.scratch.softmax --law finite --dtype float32",
        "cause": "exp overflows above 88.7 in float32: subtract the row maximum first",
    }
    return Violation(**(facts | changes))


def verdict(status: Status = Status.HOLDS, **changes: Any) -> Verdict:
    """Return a verdict; failures have a violation, skips and errors a reason."""
    facts: dict[str, Any] = {
        "case": "softmax_regression.scratch.softmax",
        "family": "softmax_regression",
        "style": "scratch",
        "contract": "softmax",
        "law": "rows_sum_to_one",
        "group": "algebra",
        "dtype": "float32",
        "device": "cpu",
        "status": status,
        "statement": "each row of softmax(X) sums to one",
        "source": "definition",
        "examples": 100,
        "rows": 4096,
        "deviation": 3.2,
        "bound": 12.0,
        "duration_s": 0.25,
    }
    broken: dict[str, Any] = {"deviation": math.inf, "bound": 64.0, "violation": violation()}
    unmeasured: dict[str, Any] = {"deviation": None, "bound": None}
    declared = {"reason": "exp overflows above log(max)"}
    of_status: dict[Status, dict[str, Any]] = {
        Status.BROKEN: broken,
        Status.EXPECTED: broken | declared,
        Status.UNEXPECTED: declared,
        Status.SKIPPED: unmeasured | {"examples": 0, "rows": 0, "reason": "the contract has no gradient in this dtype"},
        Status.ERROR: unmeasured | {"reason": "RuntimeError: expected a floating-point tensor"},
    }
    return Verdict(**(facts | of_status.get(status, {}) | changes))


def verdicts() -> list[Verdict]:
    """Return verdicts on twelve cases, eight laws and four dtypes, with declared failures and skips."""
    draw = random.Random(1)
    found = []
    for contract, cases in CASES.items():
        for case in cases:
            for law, (group, statement, source) in LAWS.items():
                for dtype in DTYPES:
                    status = _status(case, law, dtype)
                    bound = draw.choice([4.0, 12.0, 34.0, 64.0])
                    facts: dict[str, Any] = {"case": case, "contract": contract, "law": law, "group": group}
                    if status is Status.HOLDS:
                        exact = law in {"non_negative", "row_alone"}
                        measured = 0.0 if exact else bound * draw.betavariate(1.2, 4)
                        facts |= {"bound": 0.0 if exact else bound, "deviation": measured}
                    family, style, _ = case.split(".")
                    facts |= {"family": family, "style": style, "dtype": dtype}
                    found.append(verdict(status, **facts, statement=statement, source=source))
    return found


def _status(case: str, law: str, dtype: str) -> Status:
    """Return the status of a law in the sample."""
    naive = {"softmax_regression.scratch.softmax", "softmax_regression.scratch.cross_entropy"}
    if case in naive and law in {"finite", "gradient", "value"}:
        return Status.EXPECTED
    if case.endswith("clamped_cross_entropy") and law == "gradient" and dtype != "float64":
        return Status.EXPECTED
    if case.startswith("linear_regression") and law == "gradient" and dtype == "float16":
        return Status.SKIPPED
    return Status.HOLDS


def epochs(*, data: str = "Fashion-MNIST") -> list[Epoch]:
    """Return ten epochs of softmax and linear regression, and thirty of a model that overfits."""
    softmax = ("softmax regression on Fashion-MNIST", "softmax_regression", data)
    linear = ("linear regression on y = Xw + b + noise", "linear_regression", "y = Xw + b + noise")
    over = ("a model with more parameters than samples", "overfitting", "y = Xw + b + noise")
    found = []
    for style, shift in [("scratch", 0.0), ("concise", 0.004)]:
        for epoch in range(31):
            loss = 0.43 + (2.302 - 0.43) * math.exp(-1.1 * epoch) + 0.12 / (epoch + 1) + shift
            right = 0.85 - 0.75 * math.exp(-0.9 * epoch) - shift
            fit, held_out = 2 * math.exp(-0.16 * epoch), 0.9 + math.exp(-0.4 * epoch) + 0.025 * epoch + shift
            curves = [
                (softmax, (loss, loss + 0.03), (right, right - 0.012)),
                (linear, (16.2 * 0.012**epoch + 5e-5, None), (None, None)),
                (over, (fit, held_out), (None, None)),
            ]
            found += [
                _epoch(style, epoch, *subject, losses=losses, accuracies=accuracies)
                for subject, losses, accuracies in curves
                if epoch <= 10 or subject is over
            ]
    return found


def _epoch(style: str, epoch: int, experiment: str, family: str, data: str, **values: Any) -> Epoch:
    """Return one epoch."""
    return Epoch(
        case=f"{family}.{style}.train",
        family=family,
        style=style,
        experiment=experiment,
        data=data,
        **dict(zip(("train_loss", "held_out_loss"), values["losses"], strict=True)),
        **dict(zip(("train_accuracy", "held_out_accuracy"), values["accuracies"], strict=True)),
        epoch=epoch,
        duration_s=0.0 if epoch == 0 else 0.21,
    )


def estimates() -> list[LearnedParameter]:
    """Return weight and bias of linear regression, from scratch and concise."""
    true = {"w[0]": (2.0, 2.0004), "w[1]": (-3.4, -3.3991), "b": (4.2, 4.1992)}
    return [
        LearnedParameter(
            case=f"linear_regression.{style}.train",
            family="linear_regression",
            style=style,
            parameter=name,
            true=value,
            learned=learned,
            standard_error=3.2e-4,
        )
        for style in ("scratch", "concise")
        for name, (value, learned) in true.items()
    ]


def images(*, data: str = "Fashion-MNIST") -> list[Image]:
    """Return 24 samples, of which every seventh is classified wrongly."""
    found = []
    for number in range(24):
        label = CLASSES[number % 10]
        predicted = CLASSES[(number + 2) % 10] if number % 7 == 3 else label
        grey = bytes(
            min(255, int(255 * abs(math.sin(0.06 * (row + number) * (1 + (column * number) % 3) + 0.1 * column))))
            if 4 < row < 24 and 6 < column < 22
            else 0
            for row in range(28)
            for column in range(28)
        )
        pixels = base64.b64encode(grey).decode()
        found.append(Image(data=data, label=label, predicted=predicted, height=28, width=28, pixels=pixels))
    return found


def fits() -> list[FitData]:
    """Return samples near the book's line, off by a hundredth."""
    draw = random.Random(2)
    inputs = tuple((draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(30))
    targets = tuple(2.0 * x - 3.4 * z + 4.2 + draw.gauss(0, 0.01) for x, z in inputs)
    return [FitData(family="linear_regression", data="y = Xw + b + noise", inputs=inputs, targets=targets)]


MODEL: dict[str, Any] = {"case": "softmax_regression.scratch.train", "family": "softmax_regression", "style": "scratch"}


def weights(*, data: str = "Fashion-MNIST") -> list[ClassWeights]:
    """Return a ramp of weights for each class."""
    levels = base64.b64encode(bytes((place % 255 - 127) % 256 for place in range(28 * 28))).decode()
    facts: dict[str, Any] = {**MODEL, "data": data, "height": 28, "width": 28, "largest": 0.5, "levels": levels}
    return [ClassWeights(**facts, label=label) for label in CLASSES]


def confusions(*, data: str = "Fashion-MNIST") -> list[Confusion]:
    """Return a model that takes every shirt for a coat, without other errors."""
    coat, shirt = CLASSES.index("coat"), CLASSES.index("shirt")
    counts = [[100 * int(row == column) for column in range(10)] for row in range(10)]
    counts[shirt][shirt], counts[shirt][coat] = 0, 100
    return [Confusion(**MODEL, data=data, labels=CLASSES, counts=tuple(map(tuple, counts)))]


def proof(**changes: Any) -> Proof:
    """Return the proof of every pair of a two-class softmax in float16."""
    logits = TensorText(dtype="float16", shape=(1, 2), values=("-0x1.0d4p+3", "-0x1.064p-11"))
    facts: dict[str, Any] = {
        "case": "softmax_regression.concise.softmax",
        "family": "softmax_regression",
        "style": "concise",
        "contract": "softmax",
        "quantity": "value",
        "dtype": "float16",
        "device": "cpu",
        "layout": "rows",
        "kernel": "classes along the last axis, (n, 2)",
        "space": "every pair of finite float16 numbers",
        "inputs": 4_030_726_144,
        "visited": 4_030_726_144,
        "checksum": "f0400000-0-0",
        "expected_checksum": "f0400000-0-0",
        "witness": Witness(
            example={"logits": logits}, place=(0, 0), actual=2.2e-4, expected=2.2e-4, deviation=0.500918
        ),
        "not_correctly_rounded": 381_596,
        "beyond": {"1": 0, "2": 0, "4": 0, "8": 0, "16": 0, "64": 0, "1024": 0},
        "not_finite": 0,
        "laws": (
            LawOutcome(law="value", status=Status.HOLDS, statement=LAWS["value"][1]),
            LawOutcome(law="shift_invariant", status=Status.HOLDS, statement=LAWS["shift_invariant"][1], follows=True),
        ),
        "threads": 1,
        "cpu_capability": "AVX512",
        "torch": "2.13.0+cpu",
        "duration_s": 113.1,
        "floor_s": 23.8,
    }
    return Proof(**(facts | changes))


def proofs() -> list[Proof]:
    """Return a complete proof and a partial proof."""
    visited = {"visited": 440_860_672, "checksum": "1a470000-0-0"}
    return [
        proof(),
        proof(layout="spread", kernel="(n, 2), every second entry", reference="rows", differing=252, **visited),
    ]


def refutation() -> Proof:
    """Return the proof record of an implementation that breaks a law."""
    broken = LawOutcome(law="value", status=Status.BROKEN, statement=LAWS["value"][1], violation=violation())
    return proof(case="homework.softmax", family="homework", style="foreign", laws=(broken,), not_finite=1_450_000_000)


def full_run(path: Path, *, genuine: bool = True, **changes: Any) -> RunFolder:
    """Write a run with every kind of record.

    ``genuine`` is false for a stand-in data set, which labels its results. ``changes`` replace fields of the head.
    """
    run = RunFolder(path)
    data = "Fashion-MNIST" if genuine else STAND_IN
    run.write_head(head(data=data_source(genuine=genuine), **changes))
    run.write(Verdict, verdicts())
    run.write(Proof, proofs())
    run.write(Epoch, epochs(data=data))
    run.write(LearnedParameter, estimates())
    run.write(FitData, fits())
    run.write(ClassWeights, weights(data=data))
    run.write(Confusion, confusions(data=data))
    run.write(Image, images(data=data))
    samples.benchmarks.write_suite(run, "steps", samples.benchmarks.step_entries())
    samples.benchmarks.write_suite(run, "agreement", samples.benchmarks.agreement_entries())
    samples.benchmarks.write_suite(run, "loaders", samples.benchmarks.loader_entries(data=data))
    samples.benchmarks.write_suite(run, "balance", samples.balance.balance_entries(data=data))
    samples.benchmarks.write_suite(run, "operations", samples.benchmarks.operation_entries())
    samples.benchmarks.write_suite(run, "vectorization", samples.benchmarks.vectorization_entries())
    run.write(Breaking, samples.survey.breakings())
    run.write(Worst, samples.survey.worst())
    run.write(Profile, samples.survey.profiles())
    run.write(RayTrace, samples.survey.traces())
    run.write(Accumulator, samples.survey.accumulators())
    run.write(GateFinding, samples.gate.findings())
    run.write(Comparison, samples.gate.comparisons())
    run.write(Slices, samples.gate.slices())
    return run
