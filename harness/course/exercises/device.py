"""One function for the CPU and for an accelerator."""

from harness.course.exercise import Command, Exercise


def _explain_missing() -> str:
    import torch

    return "" if torch.cuda.is_available() else "this machine has no GPU that torch can use"


EXERCISE = Exercise(
    number="7.3",
    title="Compute on the device of the data",
    question="A function works on the CPU. Which of its tensors stay there if the data is on a GPU?",
    start='''\
import torch


def cross_entropy(logits, y):
    """Return the mean cross-entropy."""
    one_hot = torch.eye(logits.shape[1], dtype=logits.dtype)[y.cpu()]
    return -(one_hot * torch.log_softmax(logits, dim=1)).sum(1).mean()
''',
    solution='''\
import torch


def cross_entropy(logits, y):
    """Return the mean cross-entropy."""
    rows = torch.arange(len(y), device=y.device)
    return -torch.log_softmax(logits, dim=1)[rows, y].mean()
''',
    hints=(
        "Every function that makes a tensor, such as torch.eye or torch.arange, makes it on the CPU.",
        "Such functions take the argument device. Every tensor has its device in the attribute .device.",
        "The mistake is torch.eye without a device, and y.cpu(), which copies the labels and waits for the GPU. Index "
        "log_softmax with torch.arange(len(y), device=y.device) and y.",
    ),
    learned="New tensors belong on the device of the data: pass device=. Each copy between CPU and GPU makes one wait "
    "for the other.",
    commands=(
        Command(
            "check {file}:cross_entropy --contract cross_entropy --dtypes float32 --devices cpu,cuda --law value "
            "--law gradient"
        ),
    ),
    missing=_explain_missing,
)
