"""An audit as a work item of another process, and the run of several: repeated up to a failure in an unaudited step.

Importing this module does not import torch.
"""

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.discovery import find_attribute, is_shipped
from harness.error import UsageError
from harness.execution.plan import Document
from harness.record.audit import Audit, AuditRun, Mode, WhatIf, name_format

if TYPE_CHECKING:
    from harness.execution.runner import Backend

SHORT_S = 10.0
"""A single step that takes longer is not called a second time."""


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
        # Before the step's module, which may change the path or the files of an import.
        import harness.auditor.audit
        import harness.auditor.run  # noqa: F401 - as above

        file, _, name = self.target.rpartition(":")
        if not file or not name:
            raise UsageError(
                f"cannot audit `{self.target}`", rule="name a step as `file.py:function` or `module:function`"
            )
        step = find_attribute(file, name)
        if not callable(step):
            kind = type(step).__name__
            raise UsageError(f"cannot audit `{self.target}`", rule="a step must be a function", value=f"`{kind}`")
        if needed := _list_required(step):
            raise UsageError(
                f"cannot audit `{self.target}`",
                rule="a step must take no arguments",
                value=f"required arguments {', '.join(f'`{argument}`' for argument in needed)}",
                remedy="write a function that creates its own batch, or put `with harness.audit():` around your call",
            )
        return AuditPieces(self, step) if self.within is None else SampledPieces(self, step)


class AuditPieces:
    """The calls of a step, in the process that runs them."""

    def __init__(self, plan: AuditPlan, step: Callable[[], Any]) -> None:
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
        if plan.steps == 1 and plan.what_if is None and raised is None and found.record.duration_s < SHORT_S:
            found.call_again(lambda: self._call(lambda _: None))  # an exception of the second call is no result
        record = found.record.model_copy(update={"step": index + 1})
        return {"audit": record.model_dump(mode="json"), "raised": raised}

    def _call(self, returned: Callable[[Any], None]) -> str | None:
        """Call the step and register its result; return the description of an exception."""
        from harness.calling.watch import TimeOnlyWatch

        try:
            returned(TimeOnlyWatch().call(self._step))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the description is part of the result
            return _describe_error(error)
        return None


class SampledPieces(AuditPieces):
    """The calls of a step, audited as far as the CPU time limit allows."""

    def __init__(self, plan: AuditPlan, step: Callable[[], Any]) -> None:
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


def _list_required(step: Callable[..., Any]) -> list[str]:
    """Return the required arguments of a function."""
    try:
        parameters = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in kinds
    ]


def _describe_error(error: BaseException) -> str:
    """Describe an exception, with the line of the user's code."""
    from harness.exact.tape import place

    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SystemExit):
        return f"ends the program with exit code {error.code}{place(reversed(frames))}"
    return f"raises {type(error).__name__}: {error}{place(reversed(frames))}"


def read_audit(document: Document) -> Audit | None:
    """Return the audit of a call; ``None`` if it was not audited."""
    return None if document["audit"] is None else Audit.model_validate(document["audit"])


def read_run(document: Document) -> AuditRun | None:
    """Return the state of the run; ``None`` if every step is audited."""
    return AuditRun.model_validate(document["run"]) if "run" in document else None


class Auditing:
    """The calls of a step by several plans; the first plan does not change the format.

    Each plan has the ``backend`` of its own process, so that it does not start from weights that another plan changed.

    Attributes
    ----------
    taken
        Number of steps taken without a change of format.
    run
        Result of these steps, if not every step is audited.
    stopped
        How the step ended the audit, if it did.
    would_stop
        How the step would end it in another format, in a sentence each.
    """

    def __init__(
        self, plans: Sequence[AuditPlan], backend: Callable[[AuditPlan], "AbstractContextManager[Backend]"]
    ) -> None:
        self._plans, self._backend = plans, backend
        self.taken = 0
        self.run: AuditRun | None = None
        self.stopped: list[str] = []
        self.would_stop: list[str] = []
        self._losses: list[list[str]] = []
        self._was_seen = True

    def audits(self) -> Iterator[Audit | None]:
        """Yield the audit of each call; ``None`` for a call without an audit."""
        for planned in self._plans:
            reasons: list[str] = []
            with self._backend(planned) as backend:
                yield from self._run_calls(planned, backend, reasons)
            if planned.what_if is not None:
                self.would_stop += [
                    f"{planned.name} as if {name_format(planned.what_if)} {reason}" for reason in reasons
                ]
                continue
            yield from self._repeat_steps(planned, raised=bool(reasons))
            self.stopped += reasons
            if reasons:
                return

    def _run_calls(self, planned: AuditPlan, backend: "Backend", reasons: list[str]) -> Iterator[Audit | None]:
        for answer in backend.answers(range(len(backend.pieces))):
            if answer.reply is None:
                reasons.append(_format_reason(str(answer.reason), planned.name))
                return
            audit_record = read_audit(answer.reply)
            self._take(planned, answer.reply, read_run(answer.reply))
            if answer.reply["raised"] is not None:
                reasons.append(answer.reply["raised"])
            elif audit_record is not None and not audit_record.ends:
                raise UsageError(
                    f"nothing to audit in `{planned.target}`",
                    rule=f"its {audit_record.operations:,} operations compute no loss, gradient, update or "
                    "returned tensor",
                    remedy="call backward in the step, or return the tensor to audit",
                )
            yield audit_record
            if reasons:
                return

    def _take(self, planned: AuditPlan, document: Document, run: AuditRun | None) -> None:
        self._was_seen = document["audit"] is not None
        if planned.what_if is None:
            self.taken += 1
        if run is not None:
            self.run = run
            self._losses.append(document["losses"])

    def _repeat_steps(self, planned: AuditPlan, *, raised: bool) -> Iterator[Audit | None]:
        """Repeat the steps up to the failed ones that were not audited, and audit these until one has findings.

        The repetition counts only if all losses up to that step are bit-identical; otherwise nothing is yielded.
        """
        run = self.run
        numbers = () if run is None else tuple(ruin.step for ruin in run.ruins)
        if raised and not self._was_seen:
            numbers = (*(number for number in numbers if number < self.taken), self.taken)
        if run is None or not numbers:
            return
        remaining = replace(planned, steps=numbers[-1], at=numbers)
        with self._backend(remaining) as backend:
            for answer in backend.answers(range(len(backend.pieces))):
                if answer.reply is None:
                    return
                if answer.reply["losses"] != self._losses[answer.index]:
                    self.run = run.model_copy(update={"again": "another", "differs_at": answer.index + 1})
                    return
                if (audit_record := read_audit(answer.reply)) is not None:
                    self.run = run.model_copy(update={"again": "the same"})
                    yield audit_record
                    if audit_record.findings:
                        return
                if answer.reply["raised"] is not None:
                    return


def _format_reason(reason: str, name: str) -> str:
    text = reason.removeprefix(f"{name} ")
    return f"{text}; raise `--first-call-seconds`" if text.startswith("hangs") else text
