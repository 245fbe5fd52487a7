"""The options about execution, shared by all commands with several pieces of work."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import Field, dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.panels import EXECUTION
from harness.isolation.limits import Limits

if TYPE_CHECKING:
    from harness.execution.plan import Plan
    from harness.execution.runner import Backend

JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Number of processes, each with one thread.",
        show_default="chosen by the amount of work",
        metavar="N",
        rich_help_panel=EXECUTION,
    ),
]
IsolateOption = Annotated[
    bool,
    typer.Option("--isolate/--no-isolate", help="Run user code in a separate process.", rich_help_panel=EXECUTION),
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="Remote executor: dask://HOST:PORT, or FILE.py:FUNCTION that returns an executor.",
        metavar="EXECUTOR",
        rich_help_panel=EXECUTION,
    ),
]
_LIMITS = [limit for limit in fields(Limits) if limit.metadata]


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
        Name of an executor, in the form of :func:`harness.execution.executor.executor_named`.
    limits
        Limits for user code.
    """

    jobs: int | None
    isolate: bool
    executor: str | None
    limits: Limits

    @contextmanager
    def backend(self, plan: "Plan", *, processes: int = 1) -> "Iterator[Backend]":
        """Start the processes for a plan; ``processes`` is their number if the user passes none."""
        from harness.execution.runner import carry_out

        with ExitStack() as stack:
            executor = limits = None
            if self.executor is not None:
                from harness.execution.executor import executor_named

                executor = stack.enter_context(executor_named(self.executor, self.jobs))
            if executor is not None or (self.isolate and plan.is_foreign):
                limits = replace(self.limits, law_s=plan.longest_s(self.limits.call_s))
            yield stack.enter_context(
                carry_out(plan, processes=self.jobs or processes, limits=limits, executor=executor)
            )


def takes_execution_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter ``execution`` of a command by the execution options.

    Options of the limits are declared in :class:`~harness.isolation.limits.Limits`.
    """
    signature = inspect.signature(command)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        limits = Limits(**{limit.name: given.pop(limit.name) for limit in _LIMITS})
        execution = ExecutionOptions(given.pop("jobs"), given.pop("isolate"), given.pop("executor"), limits)
        command(**given, execution=execution)

    parameters = [
        option
        for parameter in signature.parameters.values()
        for option in (
            _options() if parameter.name == "execution" else [parameter.replace(kind=parameter.KEYWORD_ONLY)]
        )
    ]
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _options() -> list[inspect.Parameter]:
    return [
        _parameter("jobs", JobsOption, None),
        _parameter("isolate", IsolateOption, default=True),
        *(_parameter(limit.name, _option(limit), limit.default) for limit in _LIMITS),
        _parameter("executor", ExecutorOption, None),
    ]


def _option(limit: "Field[Any]") -> Any:
    said = limit.metadata
    if said["least"] is None:
        given = typer.Option(said["option"], help=said["help"], metavar=said["metavar"], rich_help_panel=EXECUTION)
        return Annotated[str | None, given]
    number = typer.Option(
        said["option"], min=said["least"], help=said["help"], metavar=said["metavar"], rich_help_panel=EXECUTION
    )
    return Annotated[float, number]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
