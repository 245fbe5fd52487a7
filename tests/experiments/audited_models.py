"""Audits of models in float32, in 16 bits and under autocast, and forecasts from float32.

``python tests/experiments/audited_models.py [MODEL ...]`` prints a line for each model and format with its findings. It
states whether the forecast named the same lines for the same reasons. It also states whether an audit changed a bit of
the step or of the next step. Each model takes a step from its initial weights; all models together take minutes.
"""

import contextlib
import sys
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, mobilenet_v3_small, resnet18

import harness
from harness.bench.suites.audited import SMALL, Audited
from harness.record.audit import WHAT_IF, AuditFinding, Mode, WhatIf


def _of_images(model: nn.Module, size: int) -> Audited:
    batch = torch.randn(4, 3, size, size), torch.arange(4)
    return Audited(model, batch, torch.optim.AdamW(model.parameters(), 1e-3))


class _Translating(nn.Module):
    """``torch.nn.Transformer`` with the target shifted by one, as a sequence model."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 64)
        self.layers = nn.Transformer(64, 4, 2, 2, 128, batch_first=True)
        self.head = nn.Linear(64, 50)

    def forward(self, x: Tensor) -> Tensor:
        """Map the indices of words to logits."""
        embedded = self.words(x)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=embedded.dtype)
        logits: Tensor = self.head(self.layers(embedded, embedded.roll(1, 1), tgt_mask=mask, tgt_is_causal=True))
        return logits


def _translating() -> Audited:
    model = _Translating()
    batch = torch.randint(50, (4, 20)), torch.randint(50, (4, 20))
    return Audited(model, batch, torch.optim.AdamW(model.parameters(), 1e-3))


MODELS: Mapping[str, Callable[[], Audited]] = {
    "transformer": _translating,
    "resnet18": lambda: _of_images(resnet18(), 64),
    "mobilenet_v3_small": lambda: _of_images(mobilenet_v3_small(dropout=0.0), 64),
    "vit": lambda: _of_images(VisionTransformer(32, 8, 2, 2, 32, 64), 32),
    **SMALL,
}


def made(name: str, what_if: WhatIf | None) -> tuple[Audited, contextlib.AbstractContextManager[object]]:
    """Make the step of a model in a format, and the context in which it is taken."""
    torch.manual_seed(0)
    step = MODELS[name]()
    if what_if is None:
        return step, contextlib.nullcontext()
    dtype = getattr(torch, what_if.removeprefix("autocast-"))
    if what_if.startswith("autocast-"):
        return step, torch.autocast("cpu", dtype)
    step.model.to(dtype)
    X, y = step.batch
    batch = X.to(dtype) if X.is_floating_point() else X, y
    return Audited(step.model, batch, step.optimizer), contextlib.nullcontext()


def audited(name: str, what_if: WhatIf | None) -> tuple[AuditFinding, ...]:
    """Take the step of a model in a format, and return the findings."""
    step, autocast = made(name, what_if)
    torch.manual_seed(1)
    with harness.audit() as found, autocast:
        step()
    return found.findings


def left_behind(name: str, what_if: WhatIf | None, mode: Mode | None) -> list[Tensor]:
    """Take two steps, the first with an audit, and return all tensors and the next random numbers."""
    step, autocast = made(name, what_if)
    torch.manual_seed(1)
    with contextlib.nullcontext() if mode is None else harness.audit(mode=mode), autocast:
        step()
    with autocast:
        step()
    state = [value for values in step.optimizer.state.values() for value in values.values()]
    gradients = [parameter.grad for parameter in step.model.parameters()]
    return [x for x in (*step.model.state_dict().values(), *gradients, *state, torch.rand(4)) if isinstance(x, Tensor)]


def is_unchanged(name: str, what_if: WhatIf | None) -> bool:
    """Return whether an audit changes no bit of a step and of the next step; NaNs compare equal."""
    plain = left_behind(name, what_if, None)
    for mode in ("full", "events"):
        after = left_behind(name, what_if, mode)
        if len(plain) != len(after) or not all(map(_are_same, plain, after)):
            return False
    return True


def _are_same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.view(-1).view(torch.uint8), b.view(-1).view(torch.uint8))


def forecast(name: str, what_if: WhatIf) -> tuple[AuditFinding, ...]:
    """Take the step in float32 and forecast another format."""
    torch.manual_seed(0)
    step = MODELS[name]()
    torch.manual_seed(1)
    with harness.audit(what_if=what_if) as found:
        step()
    return found.findings


def named(findings: tuple[AuditFinding, ...]) -> list[tuple[str, int, str]]:
    """Return place and kind of the findings."""
    return [(finding.file, finding.line, finding.kind.value) for finding in findings]


def main(names: list[str]) -> None:
    """Print the result for each model."""
    warnings.simplefilter("ignore")
    agreed = total = same = steps = 0
    for name in names or MODELS:
        for what_if in (None, *WHAT_IF):
            try:
                findings = audited(name, what_if)  # type: ignore[arg-type]
            except RuntimeError as error:  # torch has no kernel for this format on this device
                print(f"{name:20} {what_if:18} torch refuses: {str(error).partition(chr(10))[0][:80]}")
                continue
            unchanged = is_unchanged(name, what_if)  # type: ignore[arg-type]
            same, steps = same + unchanged, steps + 1
            verdict = "" if unchanged else ", CHANGED by the audit"
            if what_if is not None:
                agrees = named(forecast(name, what_if)) == named(findings)  # type: ignore[arg-type]
                agreed, total = agreed + agrees, total + 1
                verdict += ", forecast" if agrees else ", NOT as forecast"
            print(f"{name:20} {what_if or 'float32':18} {len(findings)} findings{verdict}")
            for finding in findings:
                print(f"    {finding.file.rpartition('/')[2]}:{finding.line} {finding.kind.value}: {finding.sentence}")
    print(f"forecast as it came: {agreed} of {total}; unchanged bit for bit, in full and for events: {same} of {steps}")


if __name__ == "__main__":
    main(sys.argv[1:])
