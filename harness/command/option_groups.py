"""Groups of options that a command takes as one argument: a question, and how its work is executed.

The fields of the classes declare the options of a question and of the limits: see :mod:`harness.calling.question` and
:mod:`harness.isolation.limits`.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_origin

import typer

from harness.calling.question import Option, Question
from harness.command import panels
from harness.command.options import complete_contract, complete_law, read_breaks, read_conventions, split_names
from harness.command.panels import execution_option
from harness.error import UsageError
from harness.isolation.limits import Limits

if TYPE_CHECKING:
    from harness.execution.plan import Plan
    from harness.execution.runner import Backend

Command = Callable[..., None]
QuestionT = TypeVar("QuestionT", bound=Question)


def _read_inputs(texts: list[str]) -> dict[str, str]:
    from harness.formula.spelling import stated_inputs

    return stated_inputs(texts)


class Kind(NamedTuple):
    """A kind of option: the type that typer reads, and the reader of the field."""

    type: Any
    read: Callable[[Any], Any] = lambda value: value


KINDS = {
    "text": Kind(str | None),
    "names": Kind(str | None, split_names),
    "repeated": Kind(list[str] | None, lambda texts: tuple(texts or ())),
    "conventions": Kind(list[str] | None, lambda texts: read_conventions(texts or [])),
    "breaks": Kind(list[str] | None, lambda texts: read_breaks(texts or [])),
    "inputs": Kind(list[str] | None, lambda texts: _read_inputs(texts) if texts else {}),
    "whole": Kind(int | None),
    "number": Kind(float | None),
    "flag": Kind(bool),
    "folder": Kind(Path | None, lambda folder: () if folder is None else (folder,)),
}
COMPLETIONS: dict[str, Callable[..., list[str]]] = {"contract": complete_contract, "laws": complete_law}


def takes_question(*selected: str, **changes: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Replace the parameter ``question`` of a command by the options of its class.

    ``selected`` are the names of its fields; all if there are none. ``changes`` of the option of a field apply to this
    command only.
    """

    def replace_question(command: Command) -> Command:
        kind = inspect.signature(command).parameters["question"].annotation
        option_fields = [
            field for field in fields(kind) if "option" in field.metadata and (not selected or field.name in selected)
        ]

        def read(values: dict[str, Any]) -> Question:
            arguments = {field.name: _get_kind(field).read(values.pop(field.name)) for field in option_fields}
            return set_formula_contract(kind(**arguments))  # type: ignore[no-any-return]

        options = [_make_question_option(field, changes.get(field.name, {})) for field in option_fields]
        return replace_parameter(command, "question", options, read)

    return replace_question


def replace_parameter(
    command: Command, name: str, options: list[inspect.Parameter], read: Callable[[dict[str, Any]], Any]
) -> Command:
    """Replace a parameter of a command by options; ``read`` takes their values from the given ones."""
    signature = inspect.signature(command)

    @functools.wraps(command)
    def run_with_options(**values: Any) -> None:
        value = read(values)
        command(**values, **{name: value})

    parameters = [
        option
        for parameter in signature.parameters.values()
        for option in (options if parameter.name == name else [parameter.replace(kind=parameter.KEYWORD_ONLY)])
    ]
    run_with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run_with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run_with_options


def _get_kind(field: "Field[Any]") -> Kind:
    return KINDS[field.metadata["option"].kind]


def _make_question_option(field: "Field[Any]", changes: Mapping[str, Any]) -> inspect.Parameter:
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
    annotation = Annotated[_get_kind(field).type, option]  # type: ignore[valid-type]  # known at run time only
    return make_parameter(field.name, annotation, default)


def set_formula_contract(question: QuestionT) -> QuestionT:
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
    from harness.formula.grammar import parse
    from harness.formula.spelling import written

    spelling = written(question.formula, question.form, question.inputs, over=question.over)
    parse(spelling)
    return question.claiming(spelling.text)


# Execution

JobsOption = Annotated[
    int | None,
    execution_option(
        "--jobs",
        min=1,
        help="Number of processes, each with one thread.",
        show_default="chosen by the amount of work",
        metavar="N",
    ),
]
IsolateOption = Annotated[bool, execution_option("--isolate/--no-isolate", help="Run user code in a separate process.")]
ExecutorOption = Annotated[
    str | None,
    execution_option(
        "--executor",
        help="Remote executor: dask://HOST:PORT, or FILE.py:FUNCTION that returns an executor.",
        metavar="EXECUTOR",
    ),
]


@dataclass(frozen=True)
class ExecutionOptions:
    """The user's options for the execution of work.

    Parameters
    ----------
    jobs
        Number of processes; ``None`` for the default.
    isolate
        Whether user code runs in separate processes.
    executor
        Name of an executor, in the form of :func:`harness.execution.executor.open_executor`.
    limits
        Limits for user code.
    """

    jobs: JobsOption = None
    isolate: IsolateOption = True
    limits: Limits = field(default_factory=Limits)
    executor: ExecutorOption = None

    @contextmanager
    def backend(self, plan: "Plan", *, processes: int = 1) -> "Iterator[Backend]":
        """Start the processes for a plan; ``processes`` is their number if the user passes none."""
        from harness.execution.runner import carry_out

        with ExitStack() as stack:
            executor = limits = None
            if self.executor is not None:
                from harness.execution.executor import open_executor

                executor = stack.enter_context(open_executor(self.executor, self.jobs))
            if executor is not None or (self.isolate and plan.is_foreign):
                limits = replace(self.limits, law_s=plan.longest_s(self.limits.call_s))
            working = carry_out(plan, processes=self.jobs or processes, limits=limits, executor=executor)
            yield stack.enter_context(working)


def takes_options(command: Command) -> Command:
    """Replace each parameter of a command whose type is a group of options by the options of the group.

    A group is a dataclass with an option as type of each field. Limits declare the options themselves; a command that
    takes only limits measures, so its calls may take as long as they do.
    """
    for name, parameter in inspect.signature(command).parameters.items():
        kind = parameter.annotation
        if kind is Limits:
            measured = [limit for limit in fields(Limits) if limit.name in {"load_s", "memory_gib"}]
            options = [*map(_make_limit_option, measured)]
        elif isinstance(kind, type) and is_dataclass(kind) and not issubclass(kind, Question):
            options = [*_list_options(kind)]
        else:
            continue
        command = replace_parameter(command, name, options, partial(_read_group, kind))
    return command


def _list_options(group: Any) -> Iterator[inspect.Parameter]:
    for option in fields(group):
        if option.type is Limits:
            yield from (_make_limit_option(limit) for limit in fields(Limits) if limit.metadata)
        elif get_origin(option.type) is Annotated:
            yield make_parameter(option.name, option.type, option.default)


def _read_group(group: Any, values: dict[str, Any]) -> Any:
    """Return a group with its options taken from the values."""
    nested = {field.name: _read_group(Limits, values) for field in fields(group) if field.type is Limits}
    return group(**{field.name: values.pop(field.name) for field in fields(group) if field.name in values}, **nested)


def _make_limit_option(limit: "Field[Any]") -> inspect.Parameter:
    stated = limit.metadata
    option = execution_option(stated["option"], min=stated["least"], help=stated["help"], metavar=stated["metavar"])
    kind: Any = str | None if stated["least"] is None else float
    return make_parameter(limit.name, Annotated[kind, option], limit.default)


def make_parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return the parameter of an option."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
