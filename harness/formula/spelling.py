"""The written form of a formula: definition, form and inputs on one line of text, which is the contract's name.

``formula(x: positive, y): log(x / y) | log(x) - log(y)`` has the inputs ``x`` and ``y`` in this order, the first of
them positive. The definition is before the bar; the form that implementations compute is after it. In ``formula(x:
positive, ...)`` and ``formula:`` the remaining inputs are taken from the expression. ``formula of all`` reduces over
all entries instead of row by row; ``formula of mean`` and ``formula of sum`` reduce the results of the rows. This
module does not import torch, and a formula is never evaluated as code.
"""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.error import UsageError, did_you_mean, join_names
from harness.record.storage import quote_value, read_text

_SPELLED = re.compile(r"\s*formula( of (?P<over>all|mean|sum))?\s*(\((?P<inputs>[^()]*)\))?\s*:(?P<body>.*)", re.DOTALL)

DOMAINS = ("real", "positive", "unit", "distribution", "mask", "index")
"""Domains of an input: any number, a positive number, a number from zero to one, a row of these that sums to one before
it is rounded to the dtype, a row of booleans, an index into the row.
"""

PER_ROW = "per_row"
"""Marks an input with one number per row."""

CONSTANT = "constant"
"""Marks an input without a gradient, such as a target."""

WHOLE = "whole"
"""Marks an input of whole numbers, such as a position."""

_RANGE = re.compile(r"(?P<low>[-+.\de]+)\.\.(?P<high>[-+.\de]+)")


@dataclass(frozen=True)
class Domain:
    """The admissible values of an input.

    Parameters
    ----------
    kind
        One of :data:`DOMAINS`, or ``range``.
    per_row
        Whether there is one number per row.
    constant
        Whether the input has no gradient.
    whole
        Whether it is a whole number.
    low, high
        Ends of a range, both included.
    """

    kind: str = "real"
    per_row: bool = False
    constant: bool = False
    whole: bool = False
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        """The domain in the syntax of :func:`domain`; empty for any number."""
        kind = f"{self.low!r}..{self.high!r}" if self.kind == "range" else self.kind * (self.kind != "real")
        per_row = PER_ROW * (self.per_row and self.kind != "index")
        return " ".join(filter(None, [kind, WHOLE * self.whole, per_row, CONSTANT * self.constant]))

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the numbers: of a range, of shares, or infinite ones."""
        if self.kind == "range":
            return self.low, self.high
        return (0.0, 1.0) if self.kind in {"unit", "distribution"} else (-math.inf, math.inf)

    @property
    def is_number(self) -> bool:
        """Whether the input has a derivative; masks and indices have none."""
        return self.kind not in {"mask", "index"}


_WORDS: Mapping[str, Mapping[str, Any]] = {
    **{kind: {"kind": kind} for kind in DOMAINS},
    "index": {"kind": "index", "per_row": True},
    **{word: {word: True} for word in (PER_ROW, CONSTANT, WHOLE)},
}
"""The fields of a domain that a word sets."""


def domain(text: str, name: str) -> Domain:
    """Read the domain of an input, such as ``positive``, ``0.5..2`` or ``mask per_row``.

    Raises
    ------
    UsageError
        If a word is unknown.
    """
    described = Domain()
    for word in text.replace(",", " ").split():
        if word in _WORDS:
            described = replace(described, **_WORDS[word])
        elif (ends := _ends(word)) is not None:
            described = replace(described, kind="range", low=ends[0], high=ends[1])
        else:
            raise UsageError(
                f"unknown domain of the input `{name}`",
                rule=f"known are {join_names(_WORDS)}, or a range such as `0.5..2`",
                value=f"`{word}`",
                remedy=did_you_mean(word, _WORDS),
            )
    return described


def _ends(word: str) -> tuple[float, float] | None:
    match = _RANGE.fullmatch(word)
    try:
        ends = (float(match["low"]), float(match["high"])) if match else None
    except ValueError:
        return None
    return ends if ends and ends[0] < ends[1] else None


@dataclass(frozen=True)
class Spelling:
    """A formula as text.

    Parameters
    ----------
    definition
        The exact formula.
    form
        The formula that implementations compute; empty if it is the definition.
    inputs
        Names in the order of the implementation's parameters, with their domains.
    complete
        Whether these are all inputs.
    whole
        Whether an implementation reduces over all entries rather than rows.
    reduction
        ``mean`` or ``sum`` if an implementation reduces the results of the rows; empty otherwise.
    """

    definition: str
    form: str = ""
    inputs: tuple[tuple[str, Domain], ...] = ()
    complete: bool = False
    whole: bool = False
    reduction: str = ""

    @property
    def statement(self) -> str:
        """The definition, with the reduction of the rows in words."""
        return f"the {self.reduction} over the rows of {self.definition}" if self.reduction else self.definition

    @property
    def text(self) -> str:
        """The line that :func:`spelling` reads, which is also the contract's name."""
        inputs = [f"{name}: {domain}" if str(domain) else name for name, domain in self.inputs]
        stated = f"({', '.join([*inputs, *(['...'] * (not self.complete))])})" if inputs else ""
        over = "all" if self.whole else self.reduction
        form = f" | {self.form}" if self.form else ""
        return f"formula{f' of {over}' if over else ''}{stated}: {self.definition}{form}"


def is_formula(contract: str) -> bool:
    """Return whether a contract's name is a formula."""
    return _SPELLED.fullmatch(contract) is not None


def spelling(text: str) -> Spelling:
    """Read a formula's line.

    Raises
    ------
    UsageError
        If the line is not a formula, or the domain of an input is unknown.
    """
    match = _SPELLED.fullmatch(text)
    if match is None:
        raise UsageError("cannot read the formula", rule="the form is `formula: x * tanh(x)`", value=quote_value(text))
    definition, form = _definition_and_form(match["body"])
    parts = [part.strip() for part in (match["inputs"] or "").split(",") if part.strip()]
    pairs = [part.partition(":") for part in parts if part != "..."]
    inputs = tuple((name.strip(), domain(words, name.strip())) for name, _, words in pairs)
    complete = bool(parts) and "..." not in parts
    return Spelling(_join_lines(definition), _join_lines(form), inputs, complete, *_read_over(match["over"]))


def _read_over(over: str | None) -> tuple[bool, str]:
    """Return whether all entries are reduced, and the reduction of the rows' results."""
    return over == "all", over if over and over in REDUCTIONS else ""


def _definition_and_form(text: str) -> tuple[str, str]:
    """Split a text at the first bar outside of brackets; a bar in brackets joins two conditions."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "|" and depth == 0:
            return text[:position], text[position + 1 :]
    return text, ""


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def written(
    formula: str, form: str | None = None, inputs: Mapping[str, str] | None = None, *, over: str = "rows"
) -> Spelling:
    """Read a user's formula and form, each an expression or ``file.py:function``, and the domains of inputs by name.

    Inputs without a domain may be any number. ``over`` is one of :data:`OVER`.

    Raises
    ------
    UsageError
        If the function does not exist or has other statements than assignments and a return, or a domain is unknown.
    """
    if over not in OVER:
        raise UsageError("unknown value of `--over`", rule=f"choose from {join_names(OVER)}", value=f"`{over}`")
    definition, names = _read_definition(formula)
    of_form, _ = _read_definition(form) if form else ("", ())
    stated = {name: domain(words, name) for name, words in (inputs or {}).items()}
    of_all = dict.fromkeys(names, Domain()) | stated
    return Spelling(definition, of_form, tuple(of_all.items()), bool(names), *_read_over(over))


REDUCTIONS = ("mean", "sum")
"""Reductions of the results of the rows."""

OVER = ("rows", "all", *REDUCTIONS)
"""Elements that a formula reduces: rows or all entries, or rows with a reduction of their results."""


def stated_inputs(texts: Sequence[str]) -> dict[str, str]:
    """Read the values of ``--input``, each ``NAME=DOMAIN``.

    Raises
    ------
    UsageError
        If a value has no equals sign.
    """
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals:
            raise UsageError("cannot read `--input`", rule="use NAME=DOMAIN, such as `x=positive`", value=f"`{name}`")
    return {name.strip(): words for name, _, words in pairs}


_IN_A_FILE = re.compile(r"(?P<file>[^\s():*]+\.py):(?P<name>\w+)")


def _read_definition(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a formula, with its inputs if a function names them."""
    match = _IN_A_FILE.fullmatch(text.strip())
    if match is None:
        return _join_lines(text), ()
    path = Path(match["file"])
    if not path.is_file():
        raise UsageError(f"file not found: `{path}`", remedy="check the path in `--formula` or `--form`")
    source = read_text(path)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UsageError(f"cannot read the formula in `{path}:{error.lineno}`: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        # Null bytes, or brackets nested too deeply for the parser.
        raise UsageError(f"cannot read the formula in `{path}`: {error or 'brackets nested too deeply'}") from error
    functions = {function.name: function for function in tree.body if isinstance(function, ast.FunctionDef)}
    if match["name"] not in functions:
        near = did_you_mean(match["name"], functions)
        raise UsageError(f"no function `{match['name']}` in `{path}`", remedy=near)
    return _read(functions[match["name"]], source, path)


def _read(function: ast.FunctionDef, source: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """Read the body of a function that contains only assignments to names and a return."""

    def value_text(value: ast.expr) -> str:
        return _join_lines(ast.get_source_segment(source, value) or "")

    lines = []
    for statement in function.body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                lines.append(f"{name} = {value_text(value)}")
            case ast.Return(value=ast.expr() as value):
                lines.append(value_text(value))
            case _:
                raise UsageError(
                    f"cannot read the formula in `{path}:{statement.lineno}`",
                    rule="a function that defines a formula contains only assignments to names and a `return`",
                    value=f"`{(ast.get_source_segment(source, statement) or '').splitlines()[0]}`",
                )
    return "; ".join(lines), tuple(argument.arg for argument in function.args.args)
