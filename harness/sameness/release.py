"""The comparison of two releases of torch: all bits of its elementary operations, at float32 numbers."""

from contextlib import ExitStack

from harness.command.options import console, reject_unknown, say, split_names
from harness.command.runner import Work, run
from harness.execution.release import find_interpreter
from harness.proof.float32 import difference
from harness.proof.float32.difference import Difference, Release
from harness.proof.float32.display import print_rows
from harness.proof.float32.operation import OPERATIONS


def compare_releases(releases: tuple[str, str], operations: str | None, sample: int) -> int:
    """Print the changed results of operations, and return 1 if one is worse than before.

    Raises
    ------
    UsageError
        If a release cannot be installed, or cannot compute an operation.
    """
    reject_unknown(split_names(operations), OPERATIONS, "operation")
    compared = [Difference(OPERATIONS[name]) for name in split_names(operations) or OPERATIONS]
    blocks = [i * difference.BLOCKS // sample for i in range(sample)]
    finished: list[Difference] = []
    about: list[str] = []

    def work(comparison: Work) -> None:
        comparison.begin("comparing", len(compared), shown=sample * len(compared))
        with ExitStack() as stack:
            pythons = [find_interpreter(text) for text in releases]
            processes = [stack.enter_context(Release(python)) for python in pythons]
            about.extend(f"{process.about()} ({python})" for process, python in zip(processes, pythons, strict=True))
            for operation in compared:
                for blocks_done in operation.compare(processes, blocks):
                    comparison.move(operation.operation.name, by=blocks_done)
                finished.append(operation)
                comparison.opened.done += 1

    def show(comparison: Work) -> int:
        if finished:
            print_rows(console(), [each.row for each in finished])
        say(*(f"{role}: {release}" for role, release in zip(("before", "after"), about, strict=False)))
        worse = [each.operation.name for each in finished if each.counts["worse"]]
        result = f"results of {', '.join(worse)} are worse" if worse else "no result is worse"
        say(f"same: {result}{comparison.early and f' -- {comparison.early}'}")
        return int(bool(worse))

    return run(work, show, kept=finished, unit="operation")
