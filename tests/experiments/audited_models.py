"""What the audit says of models: in float32, in 16 bits and under autocast, and what is forecast of each from float32.

``python tests/experiments/audited_models.py [MODEL ...]`` prints a line for each model and format, with its findings
below it, and whether the forecast named the same lines for the same reasons. Each takes one step from its initial
weights; all of them take a few minutes.
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
from harness.record.audit import WHAT_IF, AuditFinding, WhatIf


def _of_images(model: nn.Module, size: int) -> Audited:
    batch = torch.randn(4, 3, size, size), torch.arange(4)
    return Audited(model, batch, torch.optim.AdamW(model.parameters(), 1e-3))


class _Translating(nn.Module):
    """``torch.nn.Transformer``, which is given its target shifted by one, as a sequence to follow from the source."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 64)
        self.layers = nn.Transformer(64, 4, 2, 2, 128, batch_first=True)
        self.head = nn.Linear(64, 50)

    def forward(self, x: Tensor) -> Tensor:
        """Of the numbers of words."""
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


def audited(name: str, what_if: WhatIf | None) -> tuple[AuditFinding, ...]:
    """Take the step of a model in a format, and return the findings."""
    torch.manual_seed(0)
    step, autocast = MODELS[name](), contextlib.nullcontext()
    if what_if is not None:
        dtype = getattr(torch, what_if.removeprefix("autocast-"))
        if what_if.startswith("autocast-"):
            autocast = torch.autocast("cpu", dtype)  # type: ignore[assignment]
        else:
            step.model.to(dtype)
            X, y = step.batch
            step = Audited(step.model, (X.to(dtype) if X.is_floating_point() else X, y), step.optimizer)
    torch.manual_seed(1)
    with harness.audit() as found, autocast:
        step()
    return found.findings


def forecast(name: str, what_if: WhatIf) -> tuple[AuditFinding, ...]:
    """Take it in float32, as if in a format."""
    torch.manual_seed(0)
    step = MODELS[name]()
    torch.manual_seed(1)
    with harness.audit(what_if=what_if) as found:
        step()
    return found.findings


def named(findings: tuple[AuditFinding, ...]) -> list[tuple[str, int, str]]:
    """Where findings are, and of what kind."""
    return [(finding.file, finding.line, finding.kind.value) for finding in findings]


def main(names: list[str]) -> None:
    """Print what is said of each model."""
    warnings.simplefilter("ignore")
    agreed = total = 0
    for name in names or MODELS:
        for what_if in (None, *WHAT_IF):
            try:
                findings = audited(name, what_if)  # type: ignore[arg-type]
            except RuntimeError as error:  # torch has no such kernel on this device
                print(f"{name:20} {what_if:18} torch refuses: {str(error).partition(chr(10))[0][:80]}")
                continue
            verdict = ""
            if what_if is not None:
                agrees = named(forecast(name, what_if)) == named(findings)  # type: ignore[arg-type]
                agreed, total = agreed + agrees, total + 1
                verdict = ", forecast" if agrees else ", NOT as forecast"
            print(f"{name:20} {what_if or 'float32':18} {len(findings)} findings{verdict}")
            for finding in findings:
                print(f"    {finding.file.rpartition('/')[2]}:{finding.line} {finding.kind.value}: {finding.sentence}")
    print(f"forecast as it came: {agreed} of {total}")


if __name__ == "__main__":
    main(sys.argv[1:])
