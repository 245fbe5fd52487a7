"""The comparison of two releases of torch: all bits of its elementary operations, at float32 numbers."""

from collections.abc import Iterator
from contextlib import ExitStack

from harness.command.options import reject_unknown, split_names
from harness.command.runner import Work
from harness.execution.release import find_interpreter
from harness.proof.float32 import difference
from harness.proof.float32.difference import Difference, Release
from harness.proof.float32.operation import OPERATIONS
from harness.proof.float32.release import KINKED
from harness.record import Judgment


def compare_releases(
    releases: tuple[str, str], operations: str | None, sample: int, comparison: Work
) -> Iterator[Judgment]:
    """Yield judgments on the values and the gradients of operations.

    Raises
    ------
    UsageError
        If a release cannot be installed, or cannot compute an operation.
    """
    names = split_names(operations) or (*OPERATIONS, *KINKED)
    reject_unknown(names, (*OPERATIONS, *KINKED), "operation")
    compared = [Difference(name, quantity) for name in names for quantity in ("value", "gradient")]
    comparison.begin("comparing", len(compared), shown=(sample + 1) * len(compared))
    blocks = [i * difference.BLOCKS // sample for i in range(sample)]
    with ExitStack() as stack:
        processes = [stack.enter_context(Release(find_interpreter(text))) for text in releases]
        first, second = (process.about() for process in processes)
        for operation in compared:
            for blocks_done in operation.compare(processes, blocks):
                comparison.move(operation.name, by=blocks_done)
            yield operation.judge(first, second)
