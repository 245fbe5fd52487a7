"""Count unusual phrases, and compare the counts with the budgets and with the recorded ceilings."""

import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prose.phrases import OPENINGS, PHRASES, SPELLING
from prose.text import DOCUMENTS, MESSAGES, Sentence, of_project

ROOT = Path(__file__).parents[2]
CEILINGS = ROOT / "tests" / "recorded" / "prose.txt"

PHRASES_PER_1000_WORDS = 4.0
"""Budget of documents, messages and commit subjects."""

OPENINGS_PER_100_SENTENCES = 2.0
"""Budget for sentences with an unusual opening."""

MAX_COMMITS = 50
"""Latest commits whose subjects are read."""

SUBJECTS = "commit subjects"

Key = tuple[str, str]
"""A file and a kind of prose in it."""


class Hit(NamedTuple):
    """One unusual phrase in one sentence."""

    sentence: Sentence
    found: str
    replacement: str
    is_opening: bool

    def __str__(self) -> str:
        """Return place, phrase, replacement and sentence on one line."""
        text = " ".join(self.sentence.text.split())
        shown = text if len(text) <= 100 else f"{text[:97]}..."
        how = "begins with" if self.is_opening else "has"
        place = f"{self.sentence.file}:{self.sentence.line}"
        return f"{place}: {how} {' '.join(self.found.split())!r}; write {self.replacement}: {shown!r}"


def hits(sentence: Sentence) -> Iterator[Hit]:
    """Yield the unusual phrases of a sentence; a question may begin with any of them."""
    is_question = sentence.text.endswith("?")
    for phrase in (*PHRASES, *SPELLING):
        for match in phrase.pattern.finditer(sentence.text):
            if match.start() or not is_question:
                yield Hit(sentence, match[0], phrase.replacement, is_opening=False)
    if not sentence.is_cell and not is_question:
        for phrase in OPENINGS:
            if opening := phrase.pattern.match(sentence.text):
                yield Hit(sentence, opening[0], phrase.replacement, is_opening=True)


def part(sentence: Sentence) -> str | None:
    """Return the part of the project whose budget counts a sentence; ``None`` without a budget."""
    top = sentence.file.partition("/")[0]
    if sentence.kind == SUBJECTS:
        return SUBJECTS
    if sentence.kind == DOCUMENTS:
        return top
    return f"{MESSAGES} of {top}" if sentence.kind == MESSAGES else None


def over_budget(found: Iterable[Sentence]) -> Iterator[str]:
    """Yield a summary, then each phrase, for each part that is over its budget."""
    parts: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in found:
        if name := part(sentence):
            parts[name].append(sentence)
    for name, members in parts.items():
        every = [hit for sentence in members for hit in hits(sentence)]
        openings = sum(hit.is_opening for hit in every)
        rate = 1000 * (len(every) - openings) / sum(sentence.words for sentence in members)
        share = 100 * openings / len(members)
        if rate > PHRASES_PER_1000_WORDS or share > OPENINGS_PER_100_SENTENCES:
            yield (
                f"{name}: {rate:.1f} phrases per 1,000 words and {share:.1f} % openings, "
                f"at most {PHRASES_PER_1000_WORDS:g} and {OPENINGS_PER_100_SENTENCES:g} %"
            )
            yield from (f"  {hit}" for hit in every)


def over_ceiling(found: Iterable[Sentence], ceilings: Mapping[Key, int], new: Mapping[str, set[int]]) -> Iterator[str]:
    """Yield the phrases of each file that has more than its recorded ceiling.

    If the new lines of a file are known, phrases on its other lines are omitted.
    """
    for (file, kind), every in _by_file(found).items():
        most = ceilings.get((file, kind), 0)
        if len(every) > most:
            yield f"{file}: {len(every)} unusual phrases in {kind}, at most {most}"
            added = [hit for hit in every if hit.sentence.line in new.get(file, set())]
            yield from (f"  {hit}" for hit in added or every)


def _by_file(found: Iterable[Sentence]) -> dict[Key, list[Hit]]:
    result: dict[Key, list[Hit]] = defaultdict(list)
    for sentence in found:
        if sentence.kind != SUBJECTS:
            for hit in hits(sentence):
                result[sentence.file, sentence.kind].append(hit)
    return result


def read(path: Path = CEILINGS) -> dict[Key, int]:
    """Return the recorded ceilings."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {(file, kind): int(count) for count, kind, file in rows}


def record(found: Iterable[Sentence], path: Path = CEILINGS) -> list[str]:
    """Record the present counts as ceilings, and return the reasons for not recording.

    The counts are not recorded if a part of the project has more phrases than before.
    """
    now = {key: len(every) for key, every in _by_file(found).items()}
    if path.is_file():
        before, after = _totals(read(path)), _totals(now)
        raised = [name for name in after if after[name] > before[name]]
        if raised:
            return [f"{name}: {after[name]} unusual phrases, {before[name]} are recorded" for name in raised]
    lines = [f"{count:4} {kind:10} {file}" for (file, kind), count in sorted(now.items())]
    head = "# Unusual phrases that may remain in each file; `python -m prose record` lowers the numbers."
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return []


def _totals(counts: Mapping[Key, int]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for (file, kind), count in counts.items():
        totals[f"{kind} of {file.partition('/')[0]}"] += count
    return totals


def subjects(root: Path = ROOT) -> list[Sentence]:
    """Return the subjects of the commits since this check was added; none without Git or in a shallow clone."""
    first = _git(root, "log", "--diff-filter=A", "--format=%H", "--", "tests/prose/phrases.py")
    if not first:
        return []
    log = _git(root, "log", f"-{MAX_COMMITS}", "--no-merges", "--format=%h %s", f"{first[-1]}^..HEAD")
    rows = [line.partition(" ") for line in log or _git(root, "log", "-1", "--format=%h %s")]
    return [Sentence(subject, f"commit {name}", 1, SUBJECTS) for name, _, subject in rows]


def new_lines(root: Path = ROOT) -> dict[str, set[int]]:
    """Return for each file the lines that the working tree and the last commit have changed; empty without Git."""
    result: dict[str, set[int]] = defaultdict(set)
    file = ""
    for line in _git(root, "diff", "-U0", "--no-color", "--relative", "HEAD~1"):
        if line.startswith("+++ b/"):
            file = line.removeprefix("+++ b/")
        elif line.startswith("@@"):
            start, _, count = line.split("+")[1].split(" ")[0].partition(",")
            result[file] |= set(range(int(start), int(start) + int(count or 1)))
    return result


def _git(root: Path, *arguments: str) -> list[str]:
    """Return the lines that Git prints; none if it fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def complaints(root: Path = ROOT, ceilings: Path = CEILINGS) -> list[str]:
    """Return all complaints about the prose of a checkout."""
    found: Sequence[Sentence] = list(of_project(root))
    return [*over_ceiling(found, read(ceilings), new_lines(root)), *over_budget([*found, *subjects(root)])]
