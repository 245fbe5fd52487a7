"""Run the plans of an audit, and repeat the steps up to a failure in an unaudited step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.option_groups import ExecutionOptions
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.auditor.plan import AuditPlan
    from harness.execution.plan import Document
    from harness.execution.runner import Backend
    from harness.record import Audit
    from harness.record.audit import AuditRun


class Auditing:
    """The calls of a step by several plans; the first plan does not change the format.

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

    def __init__(self, plans: "Sequence[AuditPlan]", execution: ExecutionOptions) -> None:
        self._plans, self._execution = plans, execution
        self.taken = 0
        self.run: AuditRun | None = None
        self.stopped: list[str] = []
        self.would_stop: list[str] = []
        self._losses: list[list[str]] = []
        self._was_seen = True

    def audits(self) -> "Iterator[Audit | None]":
        """Yield the audit of each call; ``None`` for a call without an audit."""
        from harness.record.audit import in_format

        for planned in self._plans:
            reasons: list[str] = []
            # Each plan has its own process, so that it does not start from weights that another plan changed.
            with self._execution.backend(planned) as backend:
                yield from self._called(planned, backend, reasons)
            if planned.what_if is not None:
                self.would_stop += [f"{planned.name} as if {in_format(planned.what_if)} {reason}" for reason in reasons]
                continue
            yield from self._once_more(planned, raised=bool(reasons))
            self.stopped += reasons
            if reasons:
                return

    def _called(self, planned: "AuditPlan", backend: "Backend", reasons: list[str]) -> "Iterator[Audit | None]":
        from harness.auditor.plan import audit_of, run_of

        for answer in backend.answers(range(len(backend.pieces))):
            if answer.reply is None:
                reasons.append(_reason(str(answer.reason), planned.name))
                return
            found = audit_of(answer.reply)
            self._take(planned, answer.reply, run_of(answer.reply))
            if answer.reply["raised"] is not None:
                reasons.append(answer.reply["raised"])
            elif found is not None and not found.ends:
                raise UsageError(
                    f"nothing to audit in `{planned.target}`",
                    rule=f"its {found.operations:,} operations compute no loss, gradient, update or returned tensor",
                    remedy="call backward in the step, or return the tensor to audit",
                )
            yield found
            if reasons:
                return

    def _take(self, planned: "AuditPlan", document: "Document", run: "AuditRun | None") -> None:
        self._was_seen = document["audit"] is not None
        if planned.what_if is None:
            self.taken += 1
        if run is not None:
            self.run = run
            self._losses.append(document["losses"])

    def _once_more(self, planned: "AuditPlan", *, raised: bool) -> "Iterator[Audit | None]":
        """Repeat the steps up to the failed ones that were not audited, and audit these until one has findings.

        The repetition counts only if all losses up to that step are bit-identical; otherwise nothing is yielded.
        """
        from harness.auditor.plan import audit_of

        run = self.run
        at = () if run is None else tuple(ruin.step for ruin in run.ruins)
        if raised and not self._was_seen:
            at = (*(number for number in at if number < self.taken), self.taken)
        if run is None or not at:
            return
        remaining = replace(planned, steps=at[-1], at=at)
        with self._execution.backend(remaining) as backend:
            for answer in backend.answers(range(len(backend.pieces))):
                if answer.reply is None:
                    return
                if answer.reply["losses"] != self._losses[answer.index]:
                    self.run = run.model_copy(update={"again": "another", "differs_at": answer.index + 1})
                    return
                if (found := audit_of(answer.reply)) is not None:
                    self.run = run.model_copy(update={"again": "the same"})
                    yield found
                    if found.findings:
                        return
                if answer.reply["raised"] is not None:
                    return


def _reason(reason: str, name: str) -> str:
    text = reason.removeprefix(f"{name} ")
    return f"{text}; raise `--first-call-seconds`" if text.startswith("hangs") else text
