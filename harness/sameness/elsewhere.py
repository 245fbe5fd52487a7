"""The run of a target in another process: with other variables of the environment, or with another release of torch."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from harness.compat.installed import package_folders
from harness.error import UsageError, join_names
from harness.execution.processor import emulate_processors
from harness.execution.release import find_interpreter
from harness.isolation.delegate import Delegate, DelegateError
from harness.isolation.limits import Limits
from harness.sameness.change import Change
from harness.sameness.inputs import choose_inputs
from harness.sameness.place import list_operations
from harness.sameness.recording import Measured, Recording, Result
from harness.sameness.rounding import measure
from harness.sameness.side import Side


def _read_recording(text: str) -> Recording:
    """Return a recording that cannot be repeated; torch reads it without running code."""
    sent = io.BytesIO(base64.b64decode(text))
    is_step, calls, is_trained, results, trace = torch.load(sent, weights_only=True)
    recording = Recording(is_step, calls=calls, is_trained=is_trained, trace=trace)
    recording.results = {n: Result(value, call, kind, 0, None) for n, (call, kind, value, _) in results.items()}
    recording.measured = {n: Measured(x, x.double(), error) for n, (*_, x, error) in results.items()}
    return recording


def record_elsewhere(
    target: str, contract: str | None, declares: Mapping[str, Any], shapes: Sequence[Sequence[int]],
    report: Callable[[str], object],
) -> str:  # fmt: skip
    """Record a target in this process, and return the results and the operations as text."""
    side = Side(target, contract, declares)
    report(target)
    choose_inputs([side], shapes)
    recording, file = side.record(), io.BytesIO()
    kept, operations = recording.results, list_operations(recording)
    results = {n: (kept[n].call, kept[n].kind, x.value, x.error) for n, x in measure(recording).items()}
    trace = [(name, list(values)) for name, values in operations]
    torch.save((recording.is_step, recording.calls, recording.is_trained, results, trace), file)
    return base64.b64encode(file.getvalue()).decode()


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
                return _read_recording(process.receive(str))
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
