"""Candidates for a fix: the text of a module with one rule or several applied to one function."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import libcst as cst

from harness.repair.code import Code, Rewrite, find_code, match_operands, match_square, replace_expressions
from harness.repair.rules import SAFE
from harness.repair.unsafe_rules import UNSAFE, rules_of

_SUMS = ("sum", "mean", "cumsum")


def widen_sum(code: Code, node: cst.BaseExpression, dtype: str) -> str | None:
    """Sum in a wider format."""
    call = code.find_direct_call(node, *_SUMS)
    if call is None or "dtype" in call.keywords:
        return None
    text = code.bare(node)
    separator = "" if text[:-1].rstrip().endswith(("(", ",")) else ", "
    wide = f"{text[:-1].rstrip()}{separator}dtype={code.torch}.{dtype})"
    return f"{wide}.to({call.tensor.value}.dtype)" if isinstance(call.tensor, cst.Name) else wide


def widen_square(code: Code, node: cst.BaseExpression, dtype: str) -> str | None:
    """Square in a wider format."""
    is_written = match_operands(node, cst.Power) is not None or isinstance(node, cst.Call)
    x = match_square(code, node) if is_written else None
    is_wide = x is not None and code.find_call(x, "to", "float", "double") is not None
    return None if x is None or is_wide else f"{code.operand(x)}.to({code.torch}.{dtype}) ** 2"


def make_widening_rules(dtype: str) -> tuple[Rewrite, ...]:
    """Return the rules that compute in a wider format."""
    return (
        Rewrite(f"sum in {dtype}", lambda code, node: widen_sum(code, node, dtype)),
        Rewrite(f"square in {dtype}", lambda code, node: widen_square(code, node, dtype)),
    )


MAX_CANDIDATES = 12
"""Candidates that are tried."""

ROUNDS = 6
"""Rewrites in one candidate."""

_FIRST = {
    "divide by n": {"n - 1"},
    "add instead of the mean": {"mean"},
    "take the mean": {"sum"},
    "reduce along the last axis": {"axis", "all", "batch", "whole", "batch mean", "whole mean"},
    "drop the epsilon or the clamp": {"eps", "clamp", "eps added", "eps unshifted", "clamp below", "eps outside"},
    "pass the logits": {"twice"},
    "use the natural logarithm": {"log2", "log10", "base2"},
}
"""The mistakes that each unsafe rule repairs."""


@dataclass(frozen=True)
class Candidate:
    """The text of a module, and the rules that made it."""

    text: str
    titles: tuple[str, ...]
    is_safe: bool
    line: int | None = None
    """The only line that may be rewritten, with the values that it reads; any line where it is None."""


def list_candidates(
    text: str,
    name: str,
    mistakes: Sequence[str] = (),
    *,
    unsafe: bool = False,
    line: int | None = None,
    wider: str | None = None,
) -> list[Candidate]:
    """Return the candidates in the order in which they are tried, each text once.

    A mistake is a name, or the sentence about it, which has numbers and inputs. All safe rules together come first,
    then each alone. Unsafe ones are alone and followed by all safe ones; the rule that repairs a named mistake comes
    before everything. With a line, each rewrite is about that line. `wider` is a format in which sums and squares may
    be computed, after all else.
    """
    unique: dict[str, Candidate] = {}
    start = Candidate(text, (), is_safe=True, line=line)
    last = () if wider is None else (_apply_until_stable(start, name, [rule]) for rule in make_widening_rules(wider))
    for candidate in chain(_try_in_order(start, name, mistakes, unsafe=unsafe), last):
        if candidate.titles and candidate.text != text:
            unique.setdefault(candidate.text, candidate)
    return list(unique.values())[:MAX_CANDIDATES]


def _try_in_order(start: Candidate, name: str, mistakes: Sequence[str], *, unsafe: bool) -> Iterator[Candidate]:
    for rule in rules_of(mistakes) if unsafe else ():
        changed = _apply_everywhere(start, name, rule)
        if changed is not None:
            yield changed
            yield from _apply_singly(start, name, rule)
    rules = sorted(UNSAFE, key=lambda rule: not _FIRST[rule.title] & set(mistakes)) if unsafe else []
    named = [rule for rule in rules if _FIRST[rule.title] & set(mistakes)]
    # An audit does not know the intended result, so only the named operation may change.
    rules = named if start.line is not None else rules
    for rule in named:
        changed = _apply_until_stable(start, name, [rule])
        if changed.titles:
            yield _apply_until_stable(changed, name, SAFE)
            yield changed
    yield _apply_until_stable(start, name, SAFE)
    for rule in SAFE:
        yield _apply_until_stable(start, name, [rule])
    for rule in rules:
        changed = _apply_until_stable(start, name, [rule])
        if changed.titles:
            yield _apply_until_stable(changed, name, SAFE)
            yield changed
            yield from _apply_singly(start, name, rule)


def _apply_until_stable(start: Candidate, name: str, rules: Sequence[Rewrite]) -> Candidate:
    """Apply rules until none applies any more."""
    for _ in range(ROUNDS):
        changed = next(filter(None, (_apply_everywhere(start, name, rule) for rule in rules)), None)
        if changed is None:
            return start
        start = changed
    return start


def _apply_everywhere(start: Candidate, name: str, rule: Rewrite) -> Candidate | None:
    """Apply a rule to all outermost expressions to which it applies."""
    code = find_code(start.text, name)
    texts = {} if code is None else _find_matches(code, rule, start.line)
    if code is None or not texts:
        return None
    return _extend_candidate(start, replace_expressions(code, texts, name), rule)


def _apply_singly(start: Candidate, name: str, rule: Rewrite) -> Iterator[Candidate]:
    """Apply a rule to one expression at a time."""
    code = find_code(start.text, name)
    if code is not None:
        for node, text in _find_matches(code, rule, start.line).items():
            yield _extend_candidate(start, replace_expressions(code, {node: text}, name), rule)


def _find_matches(code: Code, rule: Rewrite, line: int | None) -> dict[cst.CSTNode, str]:
    texts: dict[cst.CSTNode, str] = {}
    covered: set[int] = set()
    for node in code.expressions:
        if id(node) in covered:
            continue
        text = rule.rule(code, node)
        if text is not None and text != code.bare(node) and (line is None or line in code.lines(node)):
            texts[node] = text
            covered |= _find_descendants(node)
    return texts


def _find_descendants(node: cst.CSTNode) -> set[int]:
    """Return the identities of the nodes below a node."""
    return {id(node)}.union(*(_find_descendants(child) for child in node.children))


def _extend_candidate(start: Candidate, text: str, rule: Rewrite) -> Candidate:
    titles = tuple(dict.fromkeys((*start.titles, rule.title)))
    line = None if start.line is None else _move_line(start.text, text, start.line)
    return Candidate(text, titles, start.is_safe and rule.is_safe, line)


def _move_line(before: str, after: str, line: int) -> int:
    """Return the new number of a line; for a removed one, the number of the next changed line."""
    old, new = before.splitlines(), after.splitlines()
    is_removed = False
    for kind, start, stop, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if is_removed and kind != "equal":
            return first + 1
        if start < line <= stop:
            is_removed = kind == "delete"
            if not is_removed:
                return min(first + line - start, last)
    return line
