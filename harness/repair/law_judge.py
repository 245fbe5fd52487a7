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
from harness.repair.candidates import Candidate, list_candidates
from harness.repair.search import SECONDS, VerifiedFix, find_best_fix, make_record
from harness.verdict.campaign import Campaign
from harness.wording.finding import explanation, sentence

SCREENED = 3
"""Laws that a candidate is tried on first."""

Judge = Callable[[str, "Sequence[str] | None", "Sequence[str] | None"], Sequence[Verdict]]
"""``judge(text, laws, dtypes)``: the verdicts on a module; on all laws and dtypes where these are None."""


def _describe_result(before: Sequence[Verdict], after: Sequence[Verdict]) -> str:
    """Return the result of the verification."""
    holding, now_holding = (sum(verdict.status is Status.HOLDS for verdict in verdicts) for verdicts in (before, after))
    text = f"verified: {now_holding} of {len(after)} laws hold; was {holding}"
    lost = sorted({law for law, _ in _select_lost(after) - _select_lost(before) - _select_broken(before)})
    broken = sorted({law for law, _ in _select_broken(after)})
    text += f"; still broken: {', '.join(broken)}" if broken else ""
    return text + (f"; now loses digits: {', '.join(lost)}" if lost else "")


def _select_broken(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status.fails}


def _select_lost(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status is Status.LOST}


def find_fix(
    tried: Sequence[Candidate],
    before: Sequence[Verdict],
    judge: Judge,
    *,
    seconds: float = SECONDS,
    untried: list[Candidate] | None = None,
) -> VerifiedFix | None:
    """Return the first candidate after which nothing is broken, else the best one, if any helps.

    `untried` receives the candidates for which there was no time.
    """
    wrong = [finding for finding in findings(before) if finding.status.fails]
    if not wrong:
        return None
    first, reached = wrong[0], dict[str, Sequence[Verdict]]()

    def verify(candidate: Candidate, best: VerifiedFix | None) -> VerifiedFix | None:
        verdicts = None if best is None else reached[best.candidate.text]
        laws, dtype = (first.laws, first.first.dtype) if verdicts is None else _list_remaining_laws(verdicts)
        # A few laws in one dtype show at little cost whether a candidate can help.
        screened = judge(candidate.text, laws[:SCREENED], [dtype])
        if not screened or all(verdict.status.fails for verdict in screened):
            return None
        after = reached[candidate.text] = judge(candidate.text, None, None)
        if not _helps(before, after, first):
            return None
        return VerifiedFix(candidate, _describe_result(before, after), len(_select_broken(after)))

    return find_best_fix(tried, verify, seconds=seconds, untried=untried)


def _list_remaining_laws(after: Sequence[Verdict]) -> tuple[list[str], str]:
    """Return the laws that are left broken in the first of their dtypes: only there can another candidate be better."""
    dtype = next(verdict.dtype for verdict in after if verdict.status.fails)
    return [verdict.law for verdict in after if verdict.status.fails and verdict.dtype == dtype], dtype


def _helps(before: Sequence[Verdict], after: Sequence[Verdict], first: Finding) -> bool:
    """Whether a finding is gone, fewer laws are broken, and none that was not broken before."""
    causes = {_remove_numbers(finding) for finding in findings(after) if finding.status.fails}
    return bool(after) and _remove_numbers(first) not in causes and _select_broken(after) < _select_broken(before)


def _remove_numbers(finding: Finding) -> str:
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
            for index, law in enumerate(unreached)
            if (laws is None or law["law"] in laws) and (dtypes is None or law["dtype"] in dtypes)
        ]
        missing = [index for index in selected if index not in self._reached]
        self._reached |= zip(missing, self._campaign.verdicts(self._pool, indices=missing), strict=True)
        return [self._reached[index] for index in selected]

    def _open(self, text: str) -> None:
        self.close()
        file, _, name = self._campaign.target.partition(":")
        copy = self.enter_context(make_temporary_sibling(Path(file), text))
        planned = replace(self._campaign, target=f"{copy}:{name}")
        self._pool = self.enter_context(WorkerPool(planned, Limits(), 1))
        self._text, self._reached = text, {}


@contextmanager
def make_temporary_sibling(file: Path, text: str) -> Iterator[Path]:
    """Write a module into a temporary folder that has links to everything else in the folder of a file."""
    with tempfile.TemporaryDirectory(prefix="harness-fix-") as folder:
        source = file.resolve()
        for neighbor in source.parent.iterdir():
            if neighbor != source and neighbor.name != "__pycache__":
                (Path(folder) / neighbor.name).symlink_to(neighbor)
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

    def compile_function(self, text: str) -> Callable[..., Any] | None:
        """Return the function of a rewritten module, with the names that the original one sees."""
        names = dict(self.function.__globals__)
        try:
            exec(compile(text, str(self.file), "exec"), names)  # noqa: S102 - the user's function, rewritten
        except Exception:  # noqa: BLE001 - a rewrite that cannot be compiled is no fix
            return None
        function: Callable[..., Any] = names[self.function.__name__]
        return function

    def record(self, verified: VerifiedFix, *, case: str, repairs: str) -> Fix:
        """Return the record of a fix, with the lines of the file."""
        body = textwrap.indent(verified.candidate.text.removeprefix(self.head), self.indent)
        lines = self._read_lines()
        last = self.line - 1 + self.body.count("\n")
        text = "".join([*lines[: self.line - 1], body, *lines[last:]])
        moved = replace(verified, candidate=replace(verified.candidate, text=text))
        file = Path(display_path(self.file)) if self.file.is_file() else Path("cell")
        return make_record(moved, case=case, repairs=repairs, file=file, before="".join(lines))

    def _read_lines(self) -> list[str]:
        """Return the lines of the file; blank lines and the function in a notebook."""
        try:
            return self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            return ["\n"] * (self.line - 1) + self.body.splitlines(keepends=True)


def find_source(function: Any) -> OwnSource | None:
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
    torch_modules = {name: home for name, home in modules.items() if home in {"torch", "torch.nn.functional"}}
    head = "".join(f"import {home} as {name}\n" for name, home in torch_modules.items())
    return OwnSource(function, head, body, source[: source.index(body[0])] if body else "", file, line)


def find_local_fix(
    function: Callable[..., Any],
    verdicts: Sequence[Verdict],
    check: Callable[..., Sequence[Verdict]],
    *,
    unsafe: bool = False,
) -> Fix | None:
    """Return a verified fix of a function of this process; `check(function, laws, dtypes)` reaches verdicts."""
    source, wrong = find_source(function), [finding for finding in findings(verdicts) if finding.status.fails]
    if source is None or not wrong:
        return None
    mistakes = [finding.named for finding in wrong if finding.named is not None]
    names = [text for mistake in mistakes for text in (*mistake.names, mistake.sentence)]

    def judge(text: str, laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> Sequence[Verdict]:
        changed = source.compile_function(text)
        return [] if changed is None else check(changed, laws, dtypes)

    verified = find_fix(list_candidates(source.text, function.__name__, names, unsafe=unsafe), verdicts, judge)
    return None if verified is None else source.record(verified, case=wrong[0].case, repairs=sentence(wrong[0]))
