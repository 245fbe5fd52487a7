"""``python -m formula`` in tests/: the wrong implementations that a formula alone detects, and its false alarms.

``python -m formula patterns mutants`` judges only these two sets. Further words are names of implementations. ``all``
also prints correct judgments.
"""

import sys
import time
from collections.abc import Iterator

import typer
from formula import patterns
from formula.judging import Outcome, judged

SETS = {"patterns": True, "mutants": True, "careful": False, "controls": False}
"""The sets, and whether their implementations are wrong."""


def outcomes(chosen: str, names: list[str]) -> Iterator[Outcome]:
    """Judge one set. For a wrong implementation, stop at the first law that breaks."""
    for trial in getattr(patterns, chosen)():
        if not names or trial.case.name in names:
            yield judged(trial, wrong=SETS[chosen])


def main(words: list[str]) -> None:
    """Print each wrong judgment, and the counts."""
    chosen = [word for word in words if word in SETS] or list(SETS)
    verbose, names = "all" in words, [word for word in words if word not in SETS and word != "all"]
    for name in chosen:
        started, right, said, total, outside = time.process_time(), 0, 0, 0, 0
        for outcome in outcomes(name, names):
            total += 1
            right += outcome.as_it_is
            said += outcome.said
            outside += not outcome.as_it_is and outcome.says in patterns.NOT_SAID
            if verbose or names or not outcome.as_it_is:
                typer.echo(f"{name:9} {outcome.name:44} {outcome.says:28} {outcome.text}")
        missed = f"caught ({outside} of the others are about what no formula says), of {said} something is said"
        kept = f"not called wrong, but for what is known to be wrong with {said - (total - right)} of them"
        verb = missed if SETS[name] else kept
        typer.echo(f"{name}: {right} of {total} {verb}, {time.process_time() - started:.0f} CPU-s")


if __name__ == "__main__":
    main(sys.argv[1:])
