"""Counts of a call of a case: operators, bytes of the tensors they return, batches and samples.

Counts are the same on every run with the same version of torch, however noisy the machine is. They show changes that
a clock misses.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor

import harness.verdict.judge  # noqa: F401 - no module of the project replaces what this imports
from harness.bench.workload import is_timed, loads_images, workload
from harness.calling.modes import explain_missing_compiler
from harness.calling.target import Target
from harness.case import Case
from harness.compat.torch import TorchDispatchMode, tree_leaves
from harness.contracts import claimed
from harness.data.images import short_epoch
from harness.execution.plan import Document, from_document
from harness.gate.snapshot import Counts
from harness.timing.clock import threads


class Counter(TorchDispatchMode):
    """Counts the operators that run below autograd, backward passes included, and the bytes of new tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators = 0
        self.bytes = 0
        self._seen: set[int] = set()
        self._held: list[Tensor] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Skip the decorator for torch's compiler, whose import takes longer than all counts."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and count it."""
        self._count_new_bytes(tree_leaves((args, kwargs)))
        result = func(*args, **(kwargs or {}))
        self.operators += 1
        self.bytes += self._count_new_bytes(tree_leaves(result))
        return result

    def _count_new_bytes(self, values: Sequence[Any]) -> int:
        """Return how many bytes of memory are new; keep the tensors, so that their memory is not reused."""
        new = 0
        for value in values:
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() not in self._seen:
                self._seen.add(value.untyped_storage().data_ptr())
                self._held.append(value)
                new += value.untyped_storage().nbytes()
        return new


def count_operations(function: Callable[[], Any]) -> dict[str, int]:
    """Count the operations of a call; the first call, which may do more, is not counted."""
    function()
    with Counter() as counter:
        function()
    return {"bytes": counter.bytes, "operators": counter.operators}


def count(questions: list[Document], data: str | None, report: Callable[[str], object]) -> Counts:
    """Count one call for each timed case of some questions; ``data`` is the folder of the images for loaders.

    This imports user code, so it runs in a process of its own, by :func:`harness.isolation.delegate.run_in_child`.
    """
    totals = Counts()
    cases = [claimed(case) for question in questions for case in cast("Target", from_document(question)).cases()]
    with tempfile.TemporaryDirectory(prefix="harness-images-") as name, threads(1):
        chosen = [case for case in cases if is_timed(case)]
        root = short_epoch(data, Path(name)) if any(map(loads_images, chosen)) else Path(name)
        for case in chosen:
            report(case.name)
            try:
                totals.by_case[case.name] = (
                    _count_batches(case, root) if loads_images(case) else count_operations(workload(case, root))
                )
            except Exception as error:  # noqa: BLE001 - whatever the case does becomes a finding
                if reason := explain_missing_compiler(error):
                    totals.uncompiled[case.name] = reason
                else:
                    totals.failures[case.name] = f"{type(error).__name__}: {error}"
    return totals


def _count_batches(case: Case, root: Path) -> dict[str, int]:
    sizes = [len(labels) for _, labels in case.function(root, False, 100, 0, False)]  # noqa: FBT003 - the signature
    return {"batches": len(sizes), "samples": sum(sizes)}
