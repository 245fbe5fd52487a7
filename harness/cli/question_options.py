"""The options of a question: a command takes them as one argument.

The fields of the question declare them; see :mod:`harness.calling.question`.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from harness.calling.question import Option, Question
from harness.cli import panels
from harness.cli.options import complete_contract, complete_law, conventions, declared_breaks, names
from harness.error import UsageError

Command = Callable[..., None]
QuestionT = TypeVar("QuestionT", bound=Question)


def _stated_inputs(texts: list[str]) -> dict[str, str]:
    from harness.formula.spelling import stated_inputs

    return stated_inputs(texts)


class Kind(NamedTuple):
    """A kind of option: the type that typer reads, and the reader of the field."""

    type: Any
    read: Callable[[Any], Any] = lambda value: value


KINDS = {
    "text": Kind(str | None),
    "names": Kind(str | None, names),
    "repeated": Kind(list[str] | None, lambda texts: tuple(texts or ())),
    "conventions": Kind(list[str] | None, lambda texts: conventions(texts or [])),
    "breaks": Kind(list[str] | None, lambda texts: declared_breaks(texts or [])),
    "inputs": Kind(list[str] | None, lambda texts: _stated_inputs(texts or [])),
    "whole": Kind(int | None),
    "number": Kind(float | None),
    "flag": Kind(bool),
    "folder": Kind(Path | None, lambda folder: () if folder is None else (folder,)),
}
COMPLETIONS: dict[str, Callable[..., list[str]]] = {"contract": complete_contract, "laws": complete_law}


def takes_question(
    *selected: str, **changes: Mapping[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the parameter ``question`` of a command by the options of its class.

    ``selected`` are the names of its fields; all if there are none. ``changes`` of the option of a field apply to this
    command only.
    """

    def replaced(command: Command) -> Command:
        signature = inspect.signature(command)
        kind = signature.parameters["question"].annotation
        asked = [field for field in fields(kind) if "option" in field.metadata]
        asked = [field for field in asked if not selected or field.name in selected]

        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            facts = {field.name: _kind(field).read(values.pop(field.name)) for field in asked}
            command(**values, question=with_contract(kind(**facts)))

        parameters = [
            option
            for parameter in signature.parameters.values()
            for option in (
                [_parameter(field, changes.get(field.name, {})) for field in asked]
                if parameter.name == "question"
                else [parameter.replace(kind=parameter.KEYWORD_ONLY)]
            )
        ]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return replaced


def _kind(field: "Field[Any]") -> Kind:
    return KINDS[field.metadata["option"].kind]


def _parameter(field: "Field[Any]", changes: Mapping[str, Any]) -> inspect.Parameter:
    stated: Option = replace(field.metadata["option"], **changes)
    option = typer.Option(
        stated.name,
        help=stated.help,
        metavar=stated.metavar,
        min=stated.least,
        show_default=stated.shown or True,
        rich_help_panel=stated.panel and getattr(panels, stated.panel),
        autocompletion=COMPLETIONS.get(field.name),
    )
    default = None if field.default is MISSING else field.default
    if isinstance(default, tuple):
        default = ",".join(default) or None
    annotation = Annotated[_kind(field).type, option]  # type: ignore[valid-type]  # known at run time only
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def with_contract(question: QuestionT) -> QuestionT:
    """Return a question with its formula as its contract.

    Raises
    ------
    UsageError
        If the user states both, or if the formula cannot be read.
    """
    if question.formula is None:
        for name, value in (("--form", question.form), ("--input", question.inputs)):
            if value:
                raise UsageError(f"cannot use `{name}` without `--formula`")
        return question
    if question.contract is not None:
        raise UsageError("cannot use `--contract` together with `--formula`", remedy="leave one out")
    from harness.formula.grammar import parsed
    from harness.formula.spelling import written

    spelled = written(question.formula, question.form, question.inputs, over=question.over)
    parsed(spelled)
    return question.claiming(spelled.text)
