"""The pairs that a project keeps: whether two functions or steps that were the same at the base are different now."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.error import UsageError
from harness.gate.base import Base, git, trees
from harness.record import Gate, GateFinding, Judgment, Outcome
from harness.record.storage import PYPROJECT
from harness.sameness.pair import TABLE, Kept, Pair, find_kept, judge_pairs, read_kept

Answers = Mapping[str, Judgment | UsageError]
"""A judgment on each pair by name, or the error."""


def compare_kept(base: Base, root: Path) -> list[GateFinding]:
    """Return a finding on each pair that the working tree or the base keeps; only different ones are judged there.

    Raises
    ------
    UsageError
        If a table cannot be read.
    """
    # A project without own settings has no pairs of a folder above it.
    kept = find_kept(root) if (root / PYPROJECT).is_file() else Kept(root, {}, ())
    before = read_kept(root, base.settings)
    current = _judge(kept, tuple(kept.pairs.values()))
    doubtful = [pair for name, pair in before.pairs.items() if name in current and not _holds(current[name])]
    previous = _judge_at_base(base, before, doubtful) if doubtful else {}
    return [*_report(base, before.pairs, current, previous)]


def _holds(answer: Judgment | UsageError) -> bool:
    return isinstance(answer, Judgment) and not answer.fails


def _judge(kept: Kept, pairs: Sequence[Pair], folder: Path | None = None) -> Answers:
    answers: dict[str, Judgment | UsageError] = {}
    for pair in pairs:
        errors: dict[str, UsageError] = {}
        for judgment in judge_pairs([pair], errors, folder=folder or kept.root, pythonpath=kept.pythonpath):
            answers[pair.name] = judgment
        answers |= errors
    return answers


def _judge_at_base(base: Base, before: Kept, pairs: Sequence[Pair]) -> Answers:
    """Judge pairs in the tree of the base."""
    top = Path(git("rev-parse", "--show-toplevel")).resolve()
    with trees(base.reference) as checkout:
        folder = checkout.base / before.root.resolve().relative_to(top)
        paths = [str(folder / Path(path).relative_to(before.root)) for path in before.pythonpath]
        return _judge(before._replace(pythonpath=paths), pairs, folder)


def _report(base: Base, before: Mapping[str, Pair], current: Answers, previous: Answers) -> Iterator[GateFinding]:
    for name in before.keys() - current.keys():
        yield _make_finding(name, Outcome.REGRESSED, f"The branch removes the pair {name} from {TABLE}.")
    for name, answer in current.items():
        if isinstance(answer, UsageError):
            yield _make_finding(name, Outcome.NO_VERDICT, f"{name} cannot be compared: {answer}.")
            continue
        sentence, earlier = f"{name} is {answer.answer}: {answer.sentence}", previous.get(name)
        if name not in before:
            yield _make_finding(name, Outcome.NEW, f"{sentence}.")
        elif not answer.fails or (isinstance(earlier, Judgment) and earlier.fails):
            yield _make_finding(name, Outcome.UNCHANGED, f"{sentence}.")
        elif isinstance(earlier, Judgment):
            was = f"it was {earlier.answer} at {base.reference}"
            yield _make_finding(name, Outcome.REGRESSED, f"{sentence}; {was}.")
        else:
            was = f"it cannot be compared at {base.reference}: {earlier}"
            yield _make_finding(name, Outcome.NO_VERDICT, f"{sentence}; {was}.")


def _make_finding(name: str, outcome: Outcome, sentence: str) -> GateFinding:
    return GateFinding(gate=Gate.SAMENESS, case=name, subject="same", outcome=outcome, sentence=sentence)
