"""The run of a target in another process: with other variables of the environment, or with another release of torch."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from harness.compat.installed import package_folders
from harness.error import UsageError, join_names
from harness.exact.tape import dtype_name
from harness.execution.processor import emulate_processors
from harness.execution.release import find_interpreter
from harness.isolation.delegate import Delegate, DelegateError
from harness.isolation.limits import Limits
from harness.record import Record
from harness.sameness.change import Change
from harness.sameness.inputs import choose_inputs
from harness.sameness.place import list_operations
from harness.sameness.recording import Measured, Recording, Result
from harness.sameness.rounding import measure
from harness.sameness.side import Side

MAX_SENT = 1_000_000
"""Numbers of the operations of a recording that are sent; of a larger one, only the results are."""


class SentTensor(Record):
    """A tensor as text."""

    dtype: str
    shape: tuple[int, ...]
    data: str

    def read(self) -> Tensor:
        """Return the tensor."""
        values = torch.tensor([], dtype=torch.uint8)
        if self.data:
            values = torch.frombuffer(bytearray(base64.b64decode(self.data)), dtype=torch.uint8)
        return values.view(getattr(torch, self.dtype)).reshape(self.shape)


def _write_tensor(x: Tensor) -> SentTensor:
    data = x.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return SentTensor(dtype=dtype_name(x.dtype), shape=tuple(x.shape), data=base64.b64encode(data).decode())


class SentResult(Record):
    """A result with its sampled errors."""

    call: int
    kind: int
    value: SentTensor
    error: SentTensor


class SentRecording(Record):
    """The results of a recording, and its operations."""

    is_step: bool
    is_trained: bool
    calls: int
    results: Mapping[str, SentResult]
    trace: tuple[tuple[str, tuple[SentTensor, ...]], ...]

    def read(self) -> Recording:
        """Return it as a recording that cannot be repeated."""
        recording = Recording(self.is_step, calls=self.calls, is_trained=self.is_trained)
        values = {name: x.value.read() for name, x in self.results.items()}
        recording.results = {name: Result(values[name], x.call, x.kind, 0, None) for name, x in self.results.items()}
        recording.measured = {
            name: Measured(values[name], values[name].double(), x.error.read()).as_computed()
            for name, x in self.results.items()
        }
        recording.trace = [(operation, [x.read() for x in results]) for operation, results in self.trace]
        return recording


def record_elsewhere(
    target: str, contract: str | None, declares: Mapping[str, Any], shapes: Sequence[Sequence[int]],
    report: Callable[[str], object],
) -> SentRecording:  # fmt: skip
    """Record a target in this process, and return what can be sent."""
    side = Side(target, contract, declares)
    report(target)
    choose_inputs([side], shapes)
    recording = side.record()
    results = {
        name: SentResult(
            call=recording.results[name].call,
            kind=recording.results[name].kind,
            value=_write_tensor(x.value),
            error=_write_tensor(x.error),
        )
        for name, x in measure(recording).items()
    }
    operations = list_operations(recording)
    is_short = sum(x.numel() for _, values in operations for x in values) <= MAX_SENT
    trace = [(name, tuple(map(_write_tensor, values))) for name, values in operations if is_short]
    return SentRecording(
        is_step=recording.is_step,
        is_trained=recording.is_trained,
        calls=recording.calls,
        results=results,
        trace=tuple(trace),
    )


@contextmanager
def begin_elsewhere(side: Side, change: Change, shapes: Sequence[Sequence[int]]) -> Iterator[Callable[[], Recording]]:
    """Begin to record a target in another process, which ends with the context; yield a function that waits for it.

    Raises
    ------
    UsageError
        If the process cannot be made, or does not return a recording.
    """
    arguments = {"target": side.target, "contract": side.contract, "declares": side.declares, "shapes": shapes}
    # The process inherits the memory limit of this one, and is not allowed to raise it.
    with Delegate(
        "harness.sameness.elsewhere:record_elsewhere", limits=Limits(memory_gib=None), **_make_options(change)
    ) as process:
        process.send(None, arguments)

        def receive() -> Recording:
            try:
                return process.receive(SentRecording).read()
            except DelegateError as error:
                last = process.printed.strip().rpartition("\n")[2]
                rule = f"the process {error}" + (f": {last}" if last else "")
                raise UsageError(f"cannot run `{side.target}` under `{change}`", rule=rule) from None

        yield receive


def _make_options(change: Change) -> dict[str, Any]:
    """Return the options of the process."""
    if change.kind == "seed":
        return {"variables": {"PYTHONHASHSEED": "1"}}
    if change.kind == "release":
        # The packages of its environment come first.
        return {"interpreter": find_interpreter(change.value), "packages": package_folders()}
    emulated = emulate_processors()
    if change.value not in emulated:
        rule = f"this processor can emulate {join_names(sorted(emulated)) or 'none'}"
        raise UsageError(f"cannot apply `{change}`", rule=rule)
    return {"variables": emulated[change.value]}
