"""``harness.audit_run()`` audits as many steps of a loop as a cost limit allows, and checks the others briefly."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from harness.auditor.audit import audit
from harness.auditor.quick_look import QuickLook
from harness.auditor.sampling import WITHIN, Sampling
from harness.findings.headroom_trend import Trend
from harness.record.audit import Audit, AuditFinding, Mode
from harness.record.audit_run import AuditRun, Ruin
from harness.wording.audit import audit_text, run_lines, trend_line

TRENDS = 3
"""Maximum number of lines whose trend towards breaking is reported."""

RUINS = 5
"""Maximum number of recorded steps with a non-finite result."""


class audit_run:  # noqa: N801 - read as a function: `run = harness.audit_run()`
    """Audit as many steps of a loop as a cost limit allows; put ``with run.step():`` around each step.

    Parameters
    ----------
    mode
        As for :class:`harness.audit`.
    within
        Limit of the CPU time of the loop, as a multiple of the CPU time of its plain steps.
    steps
        Number of steps, if known, so that the last step can be audited.
    at
        Numbers of the steps to audit instead, counted from one.
    name
        Name of the step in the records.
    clock
        Function that returns seconds [default: CPU time of the process].

    Attributes
    ----------
    last
        The audit of the last step; ``None`` if it was not audited.
    losses
        The losses of the last step.

    Notes
    -----
    After a step that is not audited, the run checks that the loss and all weights and buffers of the last audit are
    finite. The run does not change the results of any step, bit for bit.
    """

    def __init__(
        self,
        *,
        mode: Mode = "events",
        within: float = WITHIN,
        steps: int | None = None,
        at: Sequence[int] = (),
        name: str = "step",
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.name, self.mode = name, mode
        self.sampling = Sampling(within, steps=steps, at=at)
        self.last: Audit | None = None
        self.losses: tuple[float, ...] = ()
        self._clock, self._quick_look = clock, QuickLook()
        self._telling: Audit | None = None
        self._ruins: list[Ruin] = []
        self._spoiled = 0
        self._was_finite = True
        self._warm()

    def _warm(self) -> None:
        """Run an empty audit, which imports a second's worth of torch modules before timing starts."""
        with audit(mode="events"):
            pass

    @contextmanager
    def step(self) -> Iterator[audit | None]:
        """Enter the next step; yield its audit, or ``None`` if it is not audited."""
        began = self._clock()
        auditing = audit(mode=self.mode, name=self.name) if self.sampling.is_due() else None
        taken_s = 0.0
        try:
            with self._quick_look:
                body_began = self._clock()
                try:
                    if auditing is None:
                        yield None
                    else:
                        with auditing:
                            yield auditing
                finally:
                    taken_s = self._clock() - body_began
        finally:
            self._look(auditing)
            step_s, all_s = taken_s, self._clock() - began
            loss = self.losses[-1] if self.losses else None
            self.sampling.took(step_s, all_s, loss=loss, audit=self.last)

    def returned(self, value: Any, auditing: audit | None = None) -> None:
        """Register the return value of the step as an output to check."""
        self._quick_look.returned(value)
        if auditing is not None:
            auditing.returned(value)

    def _look(self, auditing: audit | None) -> None:
        """Record the losses and the audit of the finished step."""
        number = self.sampling.done + 1
        self.losses = self._quick_look.losses()
        self.last = None
        what = self._not_finite()
        if auditing is not None:
            self.last = auditing.record.model_copy(update={"step": number})
            self._quick_look.follow(auditing.left)
            if self._telling is None or not self._telling.findings:
                self._telling = self.last
        elif what:
            self._spoiled += 1
            if self._was_finite and len(self._ruins) < RUINS:
                self._ruins.append(Ruin(step=number, what=what))
        self._was_finite = not what

    def _not_finite(self) -> str:
        if not all(map(math.isfinite, self.losses)):
            return "the loss"
        name = self._quick_look.ruined()
        return "" if name is None else f"the weight {name}"

    @property
    def record(self) -> AuditRun:
        """Return the number of audited steps, their cost, and the results of the others."""
        sampling = self.sampling
        return AuditRun(
            steps=sampling.done,
            audited=len(sampling.audited),
            within=None if sampling.at else sampling.within,
            cpu_s=sampling.cpu_s,
            step_s=sampling.step_s,
            audited_s=sampling.audited_s if sampling.audited else None,
            ruins=tuple(self._ruins),
            spoiled=self._spoiled,
        )

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        """The lines that go wrong in the first audited step with any, the worst first."""
        return () if self._telling is None else self._telling.findings

    @property
    def trends(self) -> list[Trend]:
        """The lines that come nearer to breaking, the first to be there first."""
        return self.sampling.trends

    def __str__(self) -> str:
        """Return findings, trends and costs as text."""
        told = [] if self._telling is None else [audit_text(self._telling)]
        told += [trend_line(trend) for trend in self.trends[:TRENDS]]
        return "\n".join([*told, *run_lines(self.record)])
