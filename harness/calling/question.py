"""Questions about an implementation: each field has its default and its option of the command line.

``harness.command.option_groups`` makes the options of a command from the fields. The plans of a check, a survey and a
proof are questions, so a new option is a field here or in a plan, and the code that uses it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Self

from harness.case import Break

CALLING, FORMULA, KNOWN, THOROUGH = "CALLING", "FORMULA", "KNOWN", "THOROUGH"
"""Panels of ``--help``, whose titles are in ``harness.command.panels``."""


@dataclass(frozen=True)
class Option:
    """The option of a field: its name, help text, placeholder and panel.

    Parameters
    ----------
    kind
        How the command line states the value: ``text``, ``names`` (comma-separated), ``repeated``, ``conventions``,
        ``breaks``, ``inputs``, ``whole`` (a number), ``number``, ``flag`` or ``folder``.
    shown
        Text for the default in the help, if the default itself says nothing.
    least
        Smallest number.
    """

    name: str
    help: str
    kind: str = "text"
    metavar: str | None = None
    panel: str | None = None
    shown: str | None = None
    least: float | None = None


_METAVARS = {"names": "NAME,...", "repeated": "NAME", "whole": "N", "number": "SECONDS", "folder": "FOLDER"}
"""Placeholders of values, by kind."""


def option_field(name: str, help_: str, kind: str = "text", *, default: Any = None, **options: Any) -> Any:
    """Declare a field and its option, by default with the placeholder of its kind; objects share no dictionary."""
    option = Option(name, help_, kind, **{"metavar": _METAVARS.get(kind), **options})
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"option": option})
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True)
class Question:
    """A question about any target: its claims, and the formula, laws and dtypes to check it against.

    Parameters
    ----------
    target, contract
        As :func:`harness.calling.target.load` takes them.
    declares, breaks, call
        Claims of a single function: see :class:`harness.case.Case`.
    formula, form, inputs, over
        Formula instead of a contract; see :func:`harness.api.formula_contract`.
    dtypes, laws
        Names to select; all if empty.
    """

    target: str = ""
    contract: str | None = option_field(
        "--contract", "Contract to check against.", metavar="NAME", shown="from the function's name"
    )
    declares: Mapping[str, Any] = option_field(
        "--declare",
        "Convention that the function follows where the contract allows several, such as factor=0.5.",
        "conventions",
        metavar="NAME=VALUE",
        panel=KNOWN,
        default={},
    )
    breaks: Mapping[str, str | Break] = option_field(
        "--breaks",
        "Known failure. The check fails if it does not occur.",
        "breaks",
        metavar="LAW[:DTYPE,...][=REASON]",
        panel=KNOWN,
        default={},
    )
    call: str | Callable[..., Any] | None = option_field(  # noqa: RUF009 - it declares a field
        "--call",
        "Adapter for another signature or another array library: numpy, jax(axis=-1), file.py:adapter, or an "
        "expression such as 'lambda f, x: f(x, dim=-1)'.",
        metavar="ADAPTER",
        panel=CALLING,
    )
    _: KW_ONLY
    formula: str | None = option_field(
        "--formula", "Formula to check against, such as 'x * tanh(x)'; or file.py:function.", metavar="EXPR"
    )
    form: str | None = option_field(
        "--form",
        "The formula as the code evaluates it, if it is written differently. Error bounds follow this form.",
        metavar="EXPR",
        panel=FORMULA,
    )
    inputs: Mapping[str, str] = option_field(
        "--input",
        "Values that an input may have: x=positive, p=distribution, t=-1..1, keep=mask.",
        "inputs",
        metavar="NAME=KIND",
        panel=FORMULA,
        default={},
    )
    over: str = option_field(
        "--over",
        "Elements that reductions cover: rows, or all; with mean or sum, the results of the rows are reduced as well.",
        metavar="rows|all|mean|sum",
        panel=FORMULA,
        default="rows",
    )
    dtypes: Sequence[str] = option_field("--dtypes", "Dtypes, comma-separated.", "names", shown="all", default=())
    laws: Sequence[str] = option_field("--law", "Check only this law.", "repeated", default=())

    def claiming(self, contract: str | None) -> Self:
        """Return the question about a contract, in place of a formula."""
        return replace(self, contract=contract, formula=None, form=None, inputs={}, over="rows")
