"""``with harness.audit() as found:``: whatever runs in the body is followed, and what it got wrong is told."""

import math
import time
import warnings
from types import TracebackType
from typing import Any, Self

import torch

from harness.auditor.course import errors_along
from harness.auditor.end import Kind
from harness.auditor.finding import Findings
from harness.auditor.headroom import headroom
from harness.auditor.operation import Source
from harness.auditor.watching import Watching
from harness.record.audit import Audit, AuditFinding, Headroom, Mode, WhatIf
from harness.record.audit_text import audit_html, audit_text
from harness.work.logbook import notebook

NARROWEST = 20
"""Maximum number of lines whose headroom is recorded."""


class audit:  # noqa: N801 - read as a function: `with harness.audit() as found:`
    """Follow a step of training, or any function that runs torch, and say which of its lines go numerically wrong.

    Parameters
    ----------
    mode
        ``full`` carries every operation out beside a shadow in wider arithmetic; ``events`` looks for what is not
        finite, at rules and at headroom alone, which is quick enough for whole runs. ``balls`` has ball arithmetic
        beside the shadow of every format, as ``full`` has beside that of float64: for small steps, and for what float64
        has too few digits for.
    name
        What the records call the step.
    what_if
        ``float16`` or ``bfloat16``: what is in float32 is computed as if in that format; ``autocast-float16``,
        ``autocast-bfloat16``: within autocast. Parameters, gradients and the batch are given back as they were; what
        Python keeps is not, such as the state that an optimizer makes in its first step.

    Raises
    ------
    UsageError
        If ``what_if`` is none of these.

    Notes
    -----
    But for ``what_if``, what runs in the body is unchanged, bit for bit: the real operations run in the caller's own
    state, and draw what they would have drawn. Code compiled by ``torch.compile`` runs uncompiled in the body. Several
    bodies add nothing up: enter a new one for each step.
    """

    def __init__(self, *, mode: Mode = "full", name: str = "step", what_if: WhatIf | None = None) -> None:
        self.name = name
        self.mode: Mode = mode
        self.what_if = what_if
        asked = {"full": mode != "events", "balls": mode == "balls"}
        self._watching = Watching(**asked, narrow_in=torch.float64, what_if=what_if)
        self._record: Audit | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._stance = torch.compiler.set_stance("force_eager")
        self._stance.__enter__()
        self._began = time.perf_counter()
        # Modules are listened to, of which a compiled one warns.
        warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
        self._filter = warnings.filters[0]
        self._watching.ends.listen()
        self._autocast = self._watching.narrowing.context()
        self._autocast.__enter__()
        self._watching.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what was found is kept, whatever ends it."""
        self._watching.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._autocast.__exit__(kind, error, trace)
        self._watching.ends.stop()
        self._stance.__exit__(kind, error, trace)
        if self._filter in warnings.filters:
            warnings.filters.remove(self._filter)  # type: ignore[attr-defined]
        try:
            self.close()
        finally:
            if self.what_if is not None:
                self._watching.narrowing.put_back()
                for parameter in self._watching.ends.without_gradient:
                    parameter.grad = None

    def returned(self, value: Any) -> None:
        """Take what the step returned for one of its ends."""
        self._returned = value

    _returned: Any = None

    def close(self) -> Audit:
        """Say what was found."""
        watching = self._watching
        if self._record is None:
            with torch._C._DisableAutocast(), torch.no_grad():
                watching.ends.close(self._returned)
            found = Findings(watching)
            losses = [end for end in watching.ends.found if end.kind is Kind.LOSS]
            self._record = Audit(
                case=self.name,
                mode=self.mode,
                what_if=self.what_if,
                findings=tuple(found.listed()),
                headroom=tuple(headroom(watching, most=NARROWEST)),
                notes=tuple(dict.fromkeys(found.notes)),
                blind=dict(watching.blind),
                operations=len(watching.operations),
                ends=len(watching.ends.found),
                errors=tuple(errors_along(watching)) if watching.full else (),
                loss_error=_error_of(losses[-1].state) if losses and watching.full else None,
                loss_in_balls=bool(losses) and losses[-1].in_balls,
                duration_s=time.perf_counter() - self._began,
            )
            watching.shadows.cells.clear()
        return self._record

    @property
    def left(self) -> list[tuple[str, torch.Tensor]]:
        """Parameters and buffers with their names, when the step is over."""
        return self._watching.ends.left

    @property
    def record(self) -> Audit:
        """Everything that was found, as it is kept in a run."""
        return self.close()

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        """The lines that go wrong, the worst first."""
        return self.record.findings

    @property
    def headroom(self) -> tuple[Headroom, ...]:
        """How far lines are from their breaking points on this batch, the narrowest first."""
        return self.record.headroom

    def __str__(self) -> str:
        """Return what a person reads of it."""
        return audit_text(self.record)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        drawing = self.plot()
        return audit_html(self.record) + ("" if drawing is None else drawing.svg)

    def plot(self) -> Any:
        """Return how far lines are from their breaking points as a drawing; ``None`` where there is none near."""
        return notebook().audit_drawing(self.record)


def _error_of(loss: Source) -> float | None:
    """The error of a loss; ``None`` where it is not finite, or should not be."""
    return None if loss.nan or loss.inf or math.isinf(loss.error) else loss.error
