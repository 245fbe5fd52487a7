"""The benchmarks of a run, each with its place in the run.

The report shows the median of the rounds with the interquartile range. All rounds run in a single process, so the range
is the spread of the rounds and not a confidence interval.
"""

from harness.record import RunFolder
from harness.record.bench import Benchmark, RecordT, benchmarks


def list_placed(run: RunFolder, kind: type[RecordT]) -> list[tuple[str, Benchmark[RecordT]]]:
    """Return every benchmark of a suite with its place, as ``bench-steps.json:17``, in the order they ran.

    Raises
    ------
    UsageError
        If a benchmark lacks what its suite promises.
    """
    file = f"bench-{kind.suite}.json"
    document = dict(run.benchmarks()).get(kind.suite)
    read = benchmarks(document, kind, file=f"{run.path}/{file}")
    return [(f"{file}:{number}", benchmark) for number, benchmark in enumerate(read, 1)]
