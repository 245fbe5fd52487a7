"""An audit as a work item of another process.

Importing this module does not import torch.
"""

import inspect
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.discovery import is_shipped, named
from harness.error import UsageError
from harness.execution.plan import Document
from harness.record.audit import Audit, AuditRun, Mode, WhatIf

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class AuditPlan:
    """A step to audit.

    Parameters
    ----------
    target
        ``file.py:function`` or ``module:function``.
    mode
        Mode of the audit, as in :class:`harness.audit`.
    steps
        Number of calls; each call is audited separately.
    sample
        Interval of the steps that are audited in full. The others are audited for events. Without it, all use ``mode``.
    what_if
        Format to simulate.
    within
        Limit of the CPU time, as a multiple of the plain steps. Without it, every step is audited.
    at
        Numbers of the steps to audit, counted from one. Without it, they are chosen.
    """

    target: str
    mode: Mode = "full"
    steps: int = 1
    sample: int | None = None
    what_if: WhatIf | None = None
    within: float | None = None
    at: tuple[int, ...] = ()

    pays_from: ClassVar[int] = 1

    @property
    def is_foreign(self) -> bool:
        """Whether the code belongs to the user."""
        return not is_shipped(self.target)

    @property
    def name(self) -> str:
        """Name of the step in the records."""
        file, _, function = self.target.rpartition(":")
        return f"{Path(file).stem if file.endswith('.py') else file}.{function}"

    def longest_s(self, call_s: float) -> float:
        """Return the maximum duration of a call, including its report."""
        return 60.0 + 2.0 * call_s

    def load(self) -> "AuditPieces":
        """Load the step.

        Raises
        ------
        UsageError
            If there is no such function, or it needs arguments.
        """
        file, _, name = self.target.rpartition(":")
        if not file or not name:
            raise UsageError(
                f"cannot audit `{self.target}`", rule="name a step as `file.py:function` or `module:function`"
            )
        step = named(file, name)
        if not callable(step):
            kind = type(step).__name__
            raise UsageError(f"cannot audit `{self.target}`", rule="a step must be a function", value=f"`{kind}`")
        if needed := _needed(step):
            raise UsageError(
                f"cannot audit `{self.target}`",
                rule="a step must take no arguments",
                value=f"required arguments {', '.join(f'`{argument}`' for argument in needed)}",
                remedy="write a function that creates its own batch, or put `with harness.audit():` around your call",
            )
        return AuditPieces(self, step) if self.within is None else SampledPieces(self, step)


class AuditPieces:
    """The calls of a step, in the process that runs them."""

    def __init__(self, plan: AuditPlan, step: "Callable[[], Any]") -> None:
        self._plan, self._step = plan, step

    def about(self) -> list[Document]:
        """Return a label for each call."""
        return [{"case": self._plan.name} for _ in range(self._plan.steps)]

    def do(self, index: int) -> Document:
        """Call the step once, and return the findings and the exception, if any."""
        from harness.auditor.audit import audit

        plan = self._plan
        is_between = plan.sample is not None and index % plan.sample != 0
        with audit(mode="events" if is_between else plan.mode, name=plan.name, what_if=plan.what_if) as found:
            raised = self._call(found.returned)
        record = found.record.model_copy(update={"step": index + 1})
        return {"audit": record.model_dump(mode="json"), "raised": raised}

    def _call(self, returned: "Callable[[Any], None]") -> str | None:
        """Call the step and register its result; return the description of an exception."""
        from harness.calling.watch import Trust

        try:
            returned(Trust().call(self._step))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the description is part of the result
            return _described(error)
        return None


class SampledPieces(AuditPieces):
    """The calls of a step, audited as far as the CPU time limit allows."""

    def __init__(self, plan: AuditPlan, step: "Callable[[], Any]") -> None:
        from harness.auditor.run import audit_run

        super().__init__(plan, step)
        assert plan.within is not None
        self._run = audit_run(mode=plan.mode, within=plan.within, steps=plan.steps, at=plan.at, name=plan.name)

    def do(self, _index: int) -> Document:
        """Call the step once, and return the findings, the state of the run, and the losses."""
        run = self._run
        with run.step() as auditing:
            raised = self._call(partial(run.returned, auditing=auditing))
        return {
            "audit": None if run.last is None else run.last.model_dump(mode="json"),
            "raised": raised,
            "run": run.record.model_dump(mode="json"),
            "losses": [loss.hex() for loss in run.losses],
        }


def _needed(step: "Callable[..., Any]") -> list[str]:
    """Return the required arguments of a function."""
    try:
        parameters = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in kinds]


def _described(error: BaseException) -> str:
    """Describe an exception, with the line of the user's code."""
    from harness.exact.tape import place

    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SystemExit):
        return f"ends the program with exit code {error.code}{place(reversed(frames))}"
    return f"raises {type(error).__name__}: {error}{place(reversed(frames))}"


def audit_of(document: Document) -> Audit | None:
    """Return the audit of a call; ``None`` if it was not audited."""
    return None if document["audit"] is None else Audit.model_validate(document["audit"])


def run_of(document: Document) -> AuditRun | None:
    """Return the state of the run; ``None`` if every step is audited."""
    return AuditRun.model_validate(document["run"]) if "run" in document else None
