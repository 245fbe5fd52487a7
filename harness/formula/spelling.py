"""How a formula is written down: the definition, the form, the inputs, as one line of text that is a contract's name.

``formula(x: positive, y): log(x / y) | log(x) - log(y)`` has the inputs ``x`` and ``y`` in this order, the first of
them positive, a definition, and, behind the bar, the form in which one computes it. ``formula(x: positive, ...)`` and
``formula:`` leave inputs to be found. ``formula of all`` is reduced over all entries, and not row by row. Nothing here
imports torch, and no formula is ever evaluated as code.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.error import UsageError, did_you_mean, listed
from harness.record.intake import read_text, shown

_SPELLED = re.compile(r"\s*formula(?P<whole> of all)?\s*(\((?P<inputs>[^()]*)\))?\s*:(?P<body>.*)", re.DOTALL)

DOMAINS = ("real", "positive", "unit", "distribution", "mask", "index")
"""Domains of an input: any number, a positive number, a number from zero to one, a row that sums to one, a row of
booleans, an index into the row.
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
    """What an input may be.

    Parameters
    ----------
    kind
        One of :data:`DOMAINS`, or ``range``.
    per_row
        Whether there is one number a row.
    constant
        Whether no gradient is asked in it.
    whole
        Whether it is a whole number.
    low, high
        The ends of a range, both admissible.
    """

    kind: str = "real"
    per_row: bool = False
    constant: bool = False
    whole: bool = False
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        """As :func:`domain` reads it; empty where it is any number."""
        kind = f"{self.low!r}..{self.high!r}" if self.kind == "range" else self.kind * (self.kind != "real")
        per_row = PER_ROW * (self.per_row and self.kind != "index")
        return " ".join(filter(None, [kind, WHOLE * self.whole, per_row, CONSTANT * self.constant]))

    @property
    def is_number(self) -> bool:
        """Whether it has a derivative: masks and places have none."""
        return self.kind not in {"mask", "index"}


def domain(text: str, name: str) -> Domain:
    """Read what an input may be, such as ``positive``, ``0.5..2`` or ``mask per_row``.

    Raises
    ------
    UsageError
        If that is none.
    """
    facts = Domain()
    for word in text.replace(",", " ").split():
        if word == PER_ROW:
            facts = replace(facts, per_row=True)
        elif word == CONSTANT:
            facts = replace(facts, constant=True)
        elif word == WHOLE:
            facts = replace(facts, whole=True)
        elif word == "index":
            facts = replace(facts, kind=word, per_row=True)
        elif word in DOMAINS:
            facts = replace(facts, kind=word)
        elif (ends := _ends(word)) is not None:
            facts = replace(facts, kind="range", low=ends[0], high=ends[1])
        else:
            known = (*DOMAINS, PER_ROW, CONSTANT, WHOLE)
            raise UsageError(
                f"unknown domain of the input `{name}`",
                rule=f"known are {listed(known)}, or a range such as `0.5..2`",
                value=f"`{word}`",
                remedy=did_you_mean(word, known),
            )
    return facts


def _ends(word: str) -> tuple[float, float] | None:
    found = _RANGE.fullmatch(word)
    try:
        ends = (float(found["low"]), float(found["high"])) if found else None
    except ValueError:
        return None
    return ends if ends and ends[0] < ends[1] else None


@dataclass(frozen=True)
class Spelling:
    """A formula as it was written.

    Parameters
    ----------
    definition
        What is true.
    form
        What one computes; the definition where empty.
    inputs
        Names in the order of the implementation's parameters, and what each may be.
    complete
        Whether these are all inputs.
    whole
        Whether an implementation reduces over all that it is given.
    """

    definition: str
    form: str = ""
    inputs: tuple[tuple[str, Domain], ...] = ()
    complete: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """One line that :func:`spelling` reads, and which is the contract's name."""
        inputs = [f"{name}: {facts}" if str(facts) else name for name, facts in self.inputs]
        stated = f"({', '.join([*inputs, *(['...'] * (not self.complete))])})" if inputs else ""
        return f"formula{' of all' * self.whole}{stated}: {self.definition}{f' | {self.form}' if self.form else ''}"


def is_formula(contract: str) -> bool:
    """Whether the name of a contract is a formula."""
    return _SPELLED.fullmatch(contract) is not None


def spelling(text: str) -> Spelling:
    """Read a formula's line.

    Raises
    ------
    UsageError
        If an input is none.
    """
    found = _SPELLED.fullmatch(text)
    if found is None:
        raise UsageError("cannot read the formula", rule="the form is `formula: x * tanh(x)`", value=shown(text))
    definition, _, form = found["body"].partition("|")
    parts = [part.strip() for part in (found["inputs"] or "").split(",") if part.strip()]
    pairs = [part.partition(":") for part in parts if part != "..."]
    inputs = tuple((name.strip(), domain(words, name.strip())) for name, _, words in pairs)
    complete = bool(parts) and "..." not in parts
    return Spelling(_on_one_line(definition), _on_one_line(form), inputs, complete, found["whole"] is not None)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def written(
    formula: str, form: str | None = None, inputs: Mapping[str, str] | None = None, *, over: str = "rows"
) -> Spelling:
    """Read what a user gives: formulas, or functions in files that say them; and what is said of inputs.

    Parameters
    ----------
    formula, form
        A formula, or ``file.py:function``.
    inputs
        What each may be, by name; those that are left out may be any number.
    over
        Whether an implementation reduces over ``rows``, or over ``all`` that it is given.

    Raises
    ------
    UsageError
        If there is no such function, it is more than assignments and a result, or an input is none.
    """
    if over not in OVER:
        raise UsageError("unknown value of `--over`", rule=f"choose from {listed(OVER)}", value=f"`{over}`")
    definition, names = _defined(formula)
    of_form, _ = _defined(form) if form else ("", ())
    stated = {name: domain(words, name) for name, words in (inputs or {}).items()}
    of_all = dict.fromkeys(names, Domain()) | stated
    return Spelling(definition, of_form, tuple(of_all.items()), bool(names), over == "all")


OVER = ("rows", "all")
"""Axes over which a formula reduces."""


def stated_inputs(texts: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=DOMAIN``, as the command takes it.

    Raises
    ------
    UsageError
        If there is no sign of equality.
    """
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals:
            raise UsageError("cannot read `--input`", rule="use NAME=DOMAIN, such as `x=positive`", value=f"`{name}`")
    return {name.strip(): words for name, _, words in pairs}


_IN_A_FILE = re.compile(r"(?P<file>[^\s():*]+\.py):(?P<name>\w+)")


def _defined(text: str) -> tuple[str, tuple[str, ...]]:
    """A formula, and its inputs where a function names them."""
    found = _IN_A_FILE.fullmatch(text.strip())
    if found is None:
        return _on_one_line(text), ()
    path = Path(found["file"])
    if not path.is_file():
        raise UsageError(f"file not found: `{path}`", remedy="check the path in `--formula` or `--form`")
    source = read_text(path)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UsageError(f"cannot read the formula in `{path}:{error.lineno}`: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        # Bytes that are zero, and more brackets in brackets than the parser descends into.
        raise UsageError(f"cannot read the formula in `{path}`: {error or 'brackets nested too deeply'}") from error
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    if found["name"] not in functions:
        near = did_you_mean(found["name"], functions)
        raise UsageError(f"no function `{found['name']}` in `{path}`", remedy=near)
    return _read(functions[found["name"]], source, path)


def _read(function: ast.FunctionDef, source: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """The statements of a function, which are assignments to names and a result."""

    def said(value: ast.expr) -> str:
        return _on_one_line(ast.get_source_segment(source, value) or "")

    lines = []
    for statement in function.body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                lines.append(f"{name} = {said(value)}")
            case ast.Return(value=ast.expr() as value):
                lines.append(said(value))
            case _:
                raise UsageError(
                    f"cannot read the formula in `{path}:{statement.lineno}`",
                    rule="a function that defines a formula contains only assignments to names and a `return`",
                    value=f"`{(ast.get_source_segment(source, statement) or '').splitlines()[0]}`",
                )
    return "; ".join(lines), tuple(argument.arg for argument in function.args.args)
