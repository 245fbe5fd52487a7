"""Carrying an audit out: plan after plan, and a run in which a step went wrong unseen once more, up to that step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.means import Means
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.auditor.plan import AuditPlan
    from harness.record import Audit
    from harness.record.audit_run import AuditRun
    from harness.work.carry_out import Hands
    from harness.work.plan import Document


class Auditing:
    """The calls of a step by some plans, of which the first takes it as it is.

    Parameters
    ----------
    plans
        What to do, one after the other.
    means
        Who does it.

    Attributes
    ----------
    taken
        Steps that were taken as they are.
    run
        What became of those, where not each is audited.
    stopped
        How the step ended the audit, if it did.
    would_stop
        The same of what is as if in another format, in a sentence each.
    """

    def __init__(self, plans: "Sequence[AuditPlan]", means: Means) -> None:
        self._plans, self._means = plans, means
        self.taken = 0
        self.run: AuditRun | None = None
        self.stopped: list[str] = []
        self.would_stop: list[str] = []
        self._losses: list[list[str]] = []
        self._was_seen = True

    def audits(self) -> "Iterator[Audit | None]":
        """Yield what each call came to; ``None`` of one that was not audited."""
        from harness.record.audit import in_format

        for planned in self._plans:
            ended: list[str] = []
            # Each is a process of its own: what one call has done to the weights is not what the next begins from.
            with self._means.hands(planned) as hands:
                yield from self._called(planned, hands, ended)
            if planned.what_if is not None:
                self.would_stop += [f"{planned.name} as if {in_format(planned.what_if)} {reason}" for reason in ended]
                continue
            yield from self._once_more(planned, raised=bool(ended))
            self.stopped += ended
            if ended:
                return

    def _called(self, planned: "AuditPlan", hands: "Hands", ended: list[str]) -> "Iterator[Audit | None]":
        from harness.auditor.plan import audit_of, run_of

        for answer in hands.answers(range(len(hands.pieces))):
            if answer.said is None:
                ended.append(_reason(str(answer.reason), planned.name))
                return
            found = audit_of(answer.said)
            self._take(planned, answer.said, run_of(answer.said))
            if answer.said["raised"] is not None:
                ended.append(answer.said["raised"])
            elif found is not None and not found.ends:
                raise UsageError(
                    rule="a step ends in a loss, gradients, an update or a tensor that it returns",
                    value=f"none of these in {found.operations:,} operations",
                    place=f"`{planned.target}`",
                    remedy="call backward in it, or return what is to be looked at",
                )
            yield found
            if ended:
                return

    def _take(self, planned: "AuditPlan", said: "Document", run: "AuditRun | None") -> None:
        self._was_seen = said["audit"] is not None
        if planned.what_if is None:
            self.taken += 1
        if run is not None:
            self.run = run
            self._losses.append(said["losses"])

    def _once_more(self, planned: "AuditPlan", *, raised: bool) -> "Iterator[Audit | None]":
        """Take the steps up to those that went wrong unseen once more, and audit these until one tells why.

        They are the same where all losses up to them are the same bit for bit; of others nothing is yielded.
        """
        from harness.auditor.plan import audit_of

        run = self.run
        at = () if run is None else tuple(ruin.step for ruin in run.ruins)
        if raised and not self._was_seen:
            at = (*(number for number in at if number < self.taken), self.taken)
        if run is None or not at:
            return
        again = replace(planned, steps=at[-1], at=at)
        with self._means.hands(again) as hands:
            for answer in hands.answers(range(len(hands.pieces))):
                if answer.said is None:
                    return
                if answer.said["losses"] != self._losses[answer.index]:
                    self.run = run.model_copy(update={"again": "another", "differs_at": answer.index + 1})
                    return
                if (found := audit_of(answer.said)) is not None:
                    self.run = run.model_copy(update={"again": "the same"})
                    yield found
                    if found.findings:
                        return
                if answer.said["raised"] is not None:
                    return


def _reason(reason: str, name: str) -> str:
    said = reason.removeprefix(f"{name} ")
    return f"{said}; `--first-call-seconds` gives it longer" if said.startswith("hangs") else said
