"""All data that a report reads from a run and from the runs before it, read once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from harness import record
from harness.record.bench import (
    AgreementRecord,
    BalanceRecord,
    Benchmark,
    LoaderRecord,
    OperationRecord,
    RecordT,
    StepRecord,
)
from harness.record.crossing import DeviceComparison, compare_devices
from harness.record.storage import RowT
from harness.wording.audit import select_informative

from .frame import Frames, frames
from .frame.declaration import list_placed
from .history import Digest, differences

_TIMED = (AgreementRecord, BalanceRecord, LoaderRecord, OperationRecord, StepRecord)


@dataclass(frozen=True)
class Gated:
    """The findings of the gate in a run, and the evidence for its verdicts on time."""

    findings: tuple[record.GateFinding, ...] = ()
    comparisons: tuple[record.Comparison, ...] = ()
    slices: tuple[record.Slices, ...] = ()


@dataclass(frozen=True)
class Surveyed:
    """The records of a survey in a run: breaking points, and the worst inputs."""

    breakings: tuple[record.Breaking, ...] = ()
    worst: tuple[record.Worst, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any records."""
        return bool(self.breakings or self.worst)


@dataclass(frozen=True)
class Learned:
    """What models learned: samples of a fit, weights as images, confused classes."""

    fits: tuple[record.FitData, ...] = ()
    weights: tuple[record.ClassWeights, ...] = ()
    confusions: tuple[record.Confusion, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Head, verdicts, proofs, images and frames of a run, with the results of earlier runs.

    Parameters
    ----------
    head, verdicts, proofs, images, frames
        Contents of the run.
    digests
        Digests of the runs, oldest first, this one last; empty if the report has only one run.
    changes
        Changes since the last run, see :func:`reports.history.differences`; ``None`` without one.
    gate
        Findings of the gate.
    survey
        Records of a survey.
    properties
        Undeclared properties of the cases.
    traces
        Computations of implementations along rays.
    audits
        Training steps, line by line.
    learned
        Parameters and predictions of trained models.
    fixes
        Verified fixes of findings.
    judgments
        Pairs of functions or steps, and whether they are the same.
    compared_lines
        Lines of a test suite that compare with a tolerance.
    epochs, estimates
        Epochs of trainings, and learned parameters.
    timings
        Benchmarks of the suites whose tables are made from records.
    """

    head: record.Run
    verdicts: tuple[record.Verdict, ...]
    proofs: tuple[record.Proof, ...]
    images: tuple[record.Image, ...]
    frames: Frames
    digests: tuple[Digest, ...] = ()
    changes: pd.DataFrame | None = None
    gate: Gated = field(default_factory=Gated)
    survey: Surveyed = field(default_factory=Surveyed)
    properties: tuple[record.Property, ...] = ()
    traces: tuple[record.RayTrace, ...] = ()
    audits: tuple[record.Audit, ...] = ()
    learned: Learned = field(default_factory=Learned)
    fixes: tuple[record.Fix, ...] = ()
    judgments: tuple[record.Judgment, ...] = ()
    compared_lines: tuple[record.ComparedLine, ...] = ()
    epochs: tuple[record.Epoch, ...] = ()
    estimates: tuple[record.LearnedParameter, ...] = ()
    timings: tuple[Benchmark[Any], ...] = ()

    def list_timed(self, kind: type[RecordT]) -> list[Benchmark[RecordT]]:
        """Return the benchmarks with records of a kind, in the order they ran."""
        return [timing for timing in self.timings if isinstance(timing.record, kind)]

    @property
    def comparisons(self) -> list[DeviceComparison]:
        """The steps that were timed on an accelerator, compared with the CPU."""
        return list(compare_devices(self.list_timed(StepRecord)))

    def of(self, column: str, value: str) -> "Reading":
        """Return the part about one contract, family or case; keep records and frames without this column unchanged."""

        def select(group: Any) -> Any:
            if not isinstance(group, tuple):
                return replace(group, **{name: select(records) for name, records in vars(group).items()})
            return tuple(entry for entry in group if getattr(entry, column, value) == value)

        names = ("verdicts", "proofs", "traces", "survey", "learned", "epochs", "estimates")
        selected = {name: select(getattr(self, name)) for name in names}
        timings = tuple(timing for timing in self.timings if getattr(timing.record, column, value) == value)
        return replace(self, frames=_StoredFrames(self.frames, column, value), timings=timings, **selected)

    @property
    def only_measures(self) -> bool:
        """Whether the run has timings but no verdicts."""
        frames = self.frames
        judged = self.verdicts or self.survey or self.proofs or self.audits or self.gate.findings
        return not judged and bool(len(frames.loaders) or len(frames.steps))

    @property
    def before(self) -> record.Run:
        """The head of the previous run, with which the changes compare."""
        return self.digests[-2].head

    @property
    def same_machine(self) -> bool:
        """Whether the previous run used the same kind of processor."""
        return self.before.environment.processor == self.head.environment.processor


class _StoredFrames(Frames):
    """The rows of frames about one subject, selected on first use, since a sheet shows few frames."""

    def __init__(self, whole: Frames, column: str, value: str) -> None:
        super().__init__({})
        self._whole, self._column, self._value = whole, column, value

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_") or name not in self._whole:
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in vars(self):
            frame, column = self._whole[name], self._column
            vars(self)[name] = frame[frame[column] == self._value] if column in frame else frame
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


def read(run: record.RunFolder, earlier: Sequence[record.RunFolder] = ()) -> Reading:
    """Read a run, and earlier runs, oldest first; missing parts are empty.

    Raises
    ------
    UsageError
        If the folder is not a run, or a record in it is damaged.
    """

    def records(kind: type[RowT]) -> tuple[RowT, ...]:
        return tuple(run.read(kind))

    reading = Reading(
        run.head(),
        records(record.Verdict),
        records(record.Proof),
        records(record.Image),
        frames(run),
        gate=Gated(records(record.GateFinding), records(record.Comparison), records(record.Slices)),
        survey=Surveyed(records(record.Breaking), records(record.Worst)),
        properties=records(record.Property),
        traces=records(record.RayTrace),
        audits=tuple(select_informative(run.read(record.Audit))),
        learned=Learned(records(record.FitData), records(record.ClassWeights), records(record.Confusion)),
        fixes=records(record.Fix),
        judgments=records(record.Judgment),
        compared_lines=records(record.ComparedLine),
        epochs=records(record.Epoch),
        estimates=records(record.LearnedParameter),
        timings=tuple(timing for kind in _TIMED for _, timing in list_placed(run, kind)),
    )
    if not earlier:
        return reading
    same = earlier[-1].head().environment.processor == reading.head.environment.processor
    changes = differences(frames(earlier[-1]), reading.frames, same_machine=same)
    return replace(reading, digests=tuple(map(Digest.of, (*earlier, run))), changes=changes)
