"""Verified fixes: candidates for the code of a broken function, judged by the laws of its contract."""

import inspect
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from harness.diagnosis.blame import display_path
from harness.execution.worker_pool import WorkerPool
from harness.findings import Finding, findings
from harness.isolation.limits import Limits
from harness.record import Fix, Status, Verdict
from harness.repair.candidates import Candidate, candidates
from harness.repair.search import SECONDS, Verified, best_fix, recorded
from harness.verdict.campaign import Campaign
from harness.wording import explanation, sentence

SCREENED = 3
"""Laws that a candidate is tried on first."""

Judge = Callable[[str, "Sequence[str] | None", "Sequence[str] | None"], Sequence[Verdict]]
"""``judge(text, laws, dtypes)``: the verdicts on a module; on all laws and dtypes where these are None."""


def _sentence(before: Sequence[Verdict], after: Sequence[Verdict]) -> str:
    """Return the result of the verification."""
    holding, of = (sum(one.status is Status.HOLDS for one in verdicts) for verdicts in (before, after))
    text = f"verified: {of} of {len(after)} laws hold; was {holding}"
    lost = sorted({law for law, _ in _lost(after) - _lost(before) - _broken(before)})
    left = sorted({law for law, _ in _broken(after)})
    text += f"; still broken: {', '.join(left)}" if left else ""
    return text + (f"; now loses digits: {', '.join(lost)}" if lost else "")


def _broken(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status.fails}


def _lost(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status is Status.LOST}


def found_fix(
    tried: Sequence[Candidate],
    before: Sequence[Verdict],
    judge: Judge,
    *,
    seconds: float = SECONDS,
    untried: list[Candidate] | None = None,
) -> Verified | None:
    """Return the first candidate after which nothing is broken, else the best one, if any helps.

    `untried` receives the candidates for which there was no time.
    """
    wrong = [finding for finding in findings(before) if finding.status.fails]
    if not wrong:
        return None
    first, reached = wrong[0], dict[str, Sequence[Verdict]]()

    def judged(candidate: Candidate, best: Verified | None) -> Verified | None:
        known = None if best is None else reached[best.candidate.text]
        laws, dtype = (first.laws, first.first.dtype) if known is None else _left(known)
        # A few laws in one dtype show at little cost whether a candidate can help.
        screened = judge(candidate.text, laws[:SCREENED], [dtype])
        if not screened or all(verdict.status.fails for verdict in screened):
            return None
        after = reached[candidate.text] = judge(candidate.text, None, None)
        if not _helps(before, after, first):
            return None
        return Verified(candidate, _sentence(before, after), len(_broken(after)))

    return best_fix(tried, judged, seconds=seconds, untried=untried)


def _left(after: Sequence[Verdict]) -> tuple[list[str], str]:
    """Return the laws that are left broken in the first of their dtypes: only there can another candidate be better."""
    dtype = next(verdict.dtype for verdict in after if verdict.status.fails)
    return [verdict.law for verdict in after if verdict.status.fails and verdict.dtype == dtype], dtype


def _helps(before: Sequence[Verdict], after: Sequence[Verdict], first: Finding) -> bool:
    """Whether a finding is gone, fewer laws are broken, and none that was not broken before."""
    remains = any(_general(finding) == _general(first) for finding in findings(after) if finding.status.fails)
    return bool(after) and not remains and _broken(after) < _broken(before)


def _general(finding: Finding) -> str:
    """Return the cause without numbers, which depend on the example and on the line; the law if no cause is known."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", explanation(finding) or finding.first.law)


class IsolatedJudge(ExitStack):
    """A judge that checks a module in separate processes, next to links to the neighboring files.

    The processes stay for all questions about one module, and no law is decided twice. A counterexample is not made
    minimal, because nobody reads it. As a context manager, it ends the processes.
    """

    def __init__(self, campaign: Campaign) -> None:
        super().__init__()
        self._campaign = replace(campaign, recheck_seed=None, corpora=(), minimal=False)
        self._text: str | None = None
        self._pool: WorkerPool | None = None
        self._reached: dict[int, Verdict] = {}

    def __call__(self, text: str, laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> Sequence[Verdict]:
        """Return the verdicts on some laws and dtypes, or on all."""
        if text != self._text:
            self._open(text)
        assert self._pool is not None, "it was opened"
        unreached = [piece["unreached"] for piece in self._pool.pieces]
        selected = [
            index
            for index, one in enumerate(unreached)
            if (laws is None or one["law"] in laws) and (dtypes is None or one["dtype"] in dtypes)
        ]
        missing = [index for index in selected if index not in self._reached]
        self._reached |= zip(missing, self._campaign.verdicts(self._pool, indices=missing), strict=True)
        return [self._reached[index] for index in selected]

    def _open(self, text: str) -> None:
        self.close()
        file, _, name = self._campaign.target.partition(":")
        copy = self.enter_context(temporary_sibling(Path(file), text))
        planned = replace(self._campaign, target=f"{copy}:{name}")
        self._pool = self.enter_context(WorkerPool(planned, Limits(), 1))
        self._text, self._reached = text, {}


@contextmanager
def temporary_sibling(file: Path, text: str) -> Iterator[Path]:
    """Write a module into a temporary folder that has links to everything else in the folder of a file."""
    with tempfile.TemporaryDirectory(prefix="harness-fix-") as folder:
        source = file.resolve()
        for other in source.parent.iterdir():
            if other != source and other.name != "__pycache__":
                (Path(folder) / other.name).symlink_to(other)
        copy = Path(folder) / source.name
        copy.write_text(text, encoding="utf-8", newline="")
        yield copy


@dataclass(frozen=True)
class OwnSource:
    """The source of a function of this process, below imports of its modules."""

    function: Callable[..., Any]
    head: str
    """Imports that give the modules of the function the names that they have here."""
    body: str
    indent: str
    file: Path
    line: int
    """The first line of the function in its file, or in its cell of a notebook."""

    @property
    def text(self) -> str:
        """A module with the function alone."""
        return self.head + self.body

    def rewritten(self, text: str) -> Callable[..., Any] | None:
        """Return the function of a rewritten module, with the names that the original one sees."""
        names = dict(self.function.__globals__)
        try:
            exec(compile(text, str(self.file), "exec"), names)  # noqa: S102 - the user's function, rewritten
        except Exception:  # noqa: BLE001 - a rewrite that cannot be compiled is no fix
            return None
        found: Callable[..., Any] = names[self.function.__name__]
        return found

    def record(self, verified: Verified, *, case: str, repairs: str) -> Fix:
        """Return the record of a fix, with the lines of the file."""
        body = textwrap.indent(verified.candidate.text.removeprefix(self.head), self.indent)
        lines = self._lines()
        last = self.line - 1 + self.body.count("\n")
        text = "".join([*lines[: self.line - 1], body, *lines[last:]])
        moved = replace(verified, candidate=replace(verified.candidate, text=text))
        file = Path(display_path(self.file)) if self.file.is_file() else Path("cell")
        return recorded(moved, case=case, repairs=repairs, file=file, before="".join(lines))

    def _lines(self) -> list[str]:
        """Return the lines of the file; blank lines and the function in a notebook."""
        try:
            return self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            return ["\n"] * (self.line - 1) + self.body.splitlines(keepends=True)


def own_source(function: Any) -> OwnSource | None:
    """Return the source of a function; None for a closure, a method, or a function without source."""
    if not isinstance(function, FunctionType) or function.__code__.co_freevars or function.__name__ == "<lambda>":
        return None
    try:
        lines, line = inspect.getsourcelines(function)
        file = Path(inspect.getsourcefile(function) or "")
    except (OSError, TypeError):
        return None
    source = "".join(lines)
    body = textwrap.dedent(source)
    modules = {name: value.__name__ for name, value in function.__globals__.items() if isinstance(value, ModuleType)}
    known = {name: home for name, home in modules.items() if home in {"torch", "torch.nn.functional"}}
    head = "".join(f"import {home} as {name}\n" for name, home in known.items())
    return OwnSource(function, head, body, source[: source.index(body[0])] if body else "", file, line)


def local_fix(
    function: Callable[..., Any],
    verdicts: Sequence[Verdict],
    check: Callable[..., Sequence[Verdict]],
    *,
    unsafe: bool = False,
) -> Fix | None:
    """Return a verified fix of a function of this process; `check(function, laws, dtypes)` reaches verdicts."""
    source, wrong = own_source(function), [finding for finding in findings(verdicts) if finding.status.fails]
    if source is None or not wrong:
        return None
    mistakes = [finding.named for finding in wrong if finding.named is not None]
    names = [text for mistake in mistakes for text in (*mistake.names, mistake.sentence)]

    def judge(text: str, laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> Sequence[Verdict]:
        changed = source.rewritten(text)
        return [] if changed is None else check(changed, laws, dtypes)

    found = found_fix(candidates(source.text, function.__name__, names, unsafe=unsafe), verdicts, judge)
    return None if found is None else source.record(found, case=wrong[0].case, repairs=sentence(wrong[0]))
