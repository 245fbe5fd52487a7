"""``harness.audit_run()`` audits as many steps of a loop as a cost limit allows, and checks the others briefly."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor

from harness.auditor.audit import audit
from harness.auditor.end import EngineHook
from harness.auditor.sampling import WITHIN, Sampling
from harness.compat.torch import foreach_norm
from harness.exact.tape import is_followed, is_wrapped, tensors
from harness.findings.headroom_trend import Trend
from harness.record.audit import Audit, AuditFinding, AuditRun, Mode, Ruin
from harness.wording.audit import format_audit, format_trend, run_lines


class QuickCheck(EngineHook):
    """Context manager that records the losses of a step.

    Notes
    -----
    A loss is the root of a backward pass, or a returned number. It is stored without its graph and read after the step.
    A single norm checks all weights with the same format.
    """

    def __init__(self) -> None:
        self._roots: list[Tensor] = []
        self._ends: list[tuple[str, Tensor]] = []
        self._formats: list[list[Tensor]] = []

    def __enter__(self) -> Self:
        """Start."""
        self._roots.clear()
        return super().__enter__()

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        self._keep(roots)
        return self._engine(roots, *args, **kwargs)

    def add_returned(self, value: Any) -> None:
        """Use the returned value as a loss if there was no backward pass."""
        if not self._roots:
            self._keep(tensors(list(value.values()) if isinstance(value, dict) else value))

    def _keep(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, Tensor) and not is_wrapped(value) and is_followed(value) and value.dim() == 0:
                self._roots.append(value.detach())

    def losses(self) -> tuple[float, ...]:
        """Return the losses in the order of their backward passes."""
        return tuple(map(float, self._roots))

    def follow(self, ends: Iterable[tuple[str, Tensor]]) -> None:
        """Check these weights and buffers from now on, except the ones that are already not finite."""
        candidates = ((name, tensor.detach()) for name, tensor in ends if tensor.numel())
        self._ends = [(name, tensor) for name, tensor in candidates if _is_finite(tensor)]
        formats: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for _, tensor in self._ends:
            formats.setdefault((tensor.device, tensor.dtype), []).append(tensor)
        self._formats = list(formats.values())

    def find_ruined(self) -> str | None:
        """Return the name of the first tensor that is no longer finite, or ``None``."""
        if all(map(_are_finite, self._formats)):
            return None
        # The norm may overflow although every element is finite.
        return next((name for name, tensor in self._ends if not _is_finite(tensor)), None)


def _are_finite(row: list[Tensor]) -> bool:
    return math.isfinite(float(torch.stack(foreach_norm(row)).sum()))


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


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
        self._clock, self._quick_check = clock, QuickCheck()
        self._most_informative: Audit | None = None
        self._ruins: list[Ruin] = []
        self._spoiled = 0
        self._was_finite = True
        # An empty audit imports a second's worth of torch modules before timing starts.
        with audit(mode="events"):
            pass

    @contextmanager
    def step(self) -> Iterator[audit | None]:
        """Enter the next step; yield its audit, or ``None`` if it is not audited."""
        began = self._clock()
        auditing = audit(mode=self.mode, name=self.name) if self.sampling.is_due() else None
        taken_s = 0.0
        try:
            with self._quick_check:
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
            self._record_step(auditing)
            step_s, all_s = taken_s, self._clock() - began
            loss = self.losses[-1] if self.losses else None
            self.sampling.record_step(step_s, all_s, loss=loss, audit=self.last)

    def returned(self, value: Any, auditing: audit | None = None) -> None:
        """Register the return value of the step as an output to check."""
        self._quick_check.add_returned(value)
        if auditing is not None:
            auditing.returned(value)

    def _record_step(self, auditing: audit | None) -> None:
        """Record the losses and the audit of the finished step."""
        number = self.sampling.done + 1
        self.losses = self._quick_check.losses()
        self.last = None
        reason = self._not_finite()
        if auditing is not None:
            self.last = auditing.record.model_copy(update={"step": number})
            self._quick_check.follow(auditing.left)
            if self._most_informative is None or not self._most_informative.findings:
                self._most_informative = self.last
        elif reason:
            self._spoiled += 1
            if self._was_finite and len(self._ruins) < RUINS:
                self._ruins.append(Ruin(step=number, what=reason))
        self._was_finite = not reason

    def _not_finite(self) -> str:
        if not all(map(math.isfinite, self.losses)):
            return "the loss"
        name = self._quick_check.find_ruined()
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
        return () if self._most_informative is None else self._most_informative.findings

    @property
    def trends(self) -> list[Trend]:
        """The lines that come nearer to breaking, the first to be there first."""
        return self.sampling.trends

    def __str__(self) -> str:
        """Return findings, trends and costs as text."""
        lines = [] if self._most_informative is None else [format_audit(self._most_informative)]
        lines += [format_trend(trend) for trend in self.trends[:TRENDS]]
        return "\n".join([*lines, *run_lines(self.record)])
