"""Functions that the files of the exercises name: exact values, judges of measurements, and a test for a GPU.

They import torch only when they are called.
"""

import math
import statistics
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

TEXTS = Path(__file__).parent / "exercises"
"""Folder of the files with the texts of the exercises."""

MAX_OPERATIONS = 4
"""Most operations of torch for a sum of vectors: it needs one."""

BATCH_SIZE = 32
"""Batch size of the exercise on workers."""

MAX_WORKERS = 3
"""Two workers keep up with the step of that exercise; a third one is a margin."""

MAX_WAITING = 0.25
"""Largest share of the training loop that may wait for data."""


class Threshold(NamedTuple):
    """A bound between numbers of a format, and the first number of the format beyond it; all between are right."""

    value: float
    next: float


Judgment = tuple[bool, str]
"""Whether an exercise is done, and the result in a sentence."""


def read_texts(name: str) -> dict[str, Any]:
    """Return the content of the file of an exercise."""
    return tomllib.loads((TEXTS / f"{name}.toml").read_text(encoding="utf-8"))


def explain_missing_gpu() -> str:
    """Return that there is no GPU; an empty text if there is one."""
    import torch

    return "" if torch.cuda.is_available() else "this machine has no GPU that torch can use"


def has_few_operations(document: Mapping[str, Any]) -> Judgment:
    """Judge an audit by its number of operations, which is equal on every machine."""
    operations = document["audits"][0]["operations"]
    message = f"step runs {operations:,} operations of torch to add 100 numbers"
    is_vectorized = operations <= MAX_OPERATIONS
    return is_vectorized, message if is_vectorized else f"{message}; one is enough"


def is_as_exact_as_its_inputs(document: Mapping[str, Any]) -> Judgment:
    """Judge a check by its errors in units of the inputs: another formula may round a large logit once more."""
    violations = [verdict["violation"] for verdict in document["verdicts"] if verdict["status"] != "holds"]
    is_close = bool(violations) and all(seen and _is_rounding(seen) for seen in violations)
    return is_close, "accepted: the error is a rounding of the largest input" if is_close else ""


def _is_rounding(violation: Mapping[str, Any]) -> bool:
    """Return whether an error is at most four float32 roundings of the largest input."""
    actual, expected, magnitude = (violation[key] for key in ("actual", "expected", "magnitude"))
    return all(isinstance(number, int | float) for number in (actual, expected, magnitude)) and bool(
        abs(actual - expected) <= 4 * 2.0**-24 * magnitude
    )


def keeps_up(tuning: Mapping[str, Any]) -> Judgment:
    """Judge the tuning of a loader by its arguments and by the share of the training loop that waits for data."""
    workers, batch_size = (tuning["choice"].get(name, 0) for name in ("num_workers", "batch_size"))
    if batch_size != BATCH_SIZE:
        return False, f"BATCH_SIZE = {batch_size} is another exercise: it stays {BATCH_SIZE}"
    if workers > MAX_WORKERS:
        return False, f"{workers} are more workers than the step needs: each costs memory, and fewer keep up"
    share = tuning["wait_share"]
    if share is None:
        return False, "the training loop could not be measured"
    message = f"the training loop waits for data {share:.0%} of the time"
    is_fast = bool(share <= MAX_WAITING)
    return is_fast, message if is_fast else f"{message}; it should be at most {MAX_WAITING:.0%}"


def count_batches() -> int:
    """Return the number of batches of 10 in an epoch of 103 rows."""
    return -(-103 // 10)


def count_last_rows() -> int:
    """Return the number of rows in the last of these batches."""
    return 103 - (count_batches() - 1) * 10


def compute_difference_shape() -> list[int]:
    """Return the shape of a column minus a row."""
    import torch

    return list((torch.zeros(5, 1) - torch.zeros(5)).shape)


def find_best_epoch() -> int:
    """Return the epoch with the lowest held-out loss, from the solution."""
    names: dict[str, Any] = {"__name__": "solution"}
    exec(read_texts("epochs")["solution"], names)  # noqa: S102 - our own text
    _, held_out = names["learning_curves"](*names["data"], 2, 200, 0.1)
    return int(held_out.argmin())


def compute_largest_std() -> float:
    """Return the standard deviation above which the first loss is infinite: a label's probability rounds to zero."""
    import torch

    from harness.floats import FORMATS

    generator = torch.Generator().manual_seed(0)
    X = torch.rand(64, 784, generator=generator)
    logits = X.double() @ torch.randn(784, 10, generator=generator).double()
    labels = logits[range(64), torch.arange(64) % 10]
    low, high = 0.0, 10.0
    while high - low > 1e-6:
        std = (low + high) / 2
        # Zero as a quotient, or because the exponential itself is zero.
        logarithms = torch.minimum(std * labels, std * labels - (std * logits).logsumexp(1))
        low, high = (std, high) if float(logarithms.min()) > FORMATS["float32"].log_smallest else (low, std)
    return low


def compute_lost_term() -> float:
    """Return the t from which on 1 + exp(-t) is 1 in float32."""
    from harness.floats import FORMATS

    return -math.log(FORMATS["float32"].u)


def compute_best_constants() -> dict[str, float]:
    """Return the constants with the least squared and the least absolute error."""
    targets = (1.0, 2.0, 3.0, 4.0, 40.0)
    return {"gaussian": statistics.mean(targets), "laplace": statistics.median(targets)}


def pick_probabilities() -> list[float]:
    """Return one entry of each of two rows."""
    import torch

    probabilities = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]], dtype=torch.float64)
    return [float(value) for value in probabilities[[0, 1], [0, 2]]]


def list_overflows() -> dict[str, Threshold]:
    """Return the input from which exp is infinite, by format."""
    from harness.floats import FORMATS

    return {
        name: _find_threshold(name, FORMATS[name].log_max) for name in ("float16", "bfloat16", "float32", "float64")
    }


def _find_threshold(name: str, value: float) -> Threshold:
    """Return a bound with the first number of a format that is not below it."""
    import torch

    from harness.floats import FORMATS

    nearest = torch.tensor(value, dtype=FORMATS[name].dtype)
    above = nearest if float(nearest) >= value else torch.nextafter(nearest, torch.full_like(nearest, torch.inf))
    return Threshold(value, float(above))


def list_underflows() -> dict[str, float]:
    """Return the input below which exp is zero, by format."""
    from harness.floats import FORMATS

    return {name: FORMATS[name].log_smallest for name in ("float16", "float32", "float64")}


def find_finite_exp() -> dict[str, bool]:
    """Return whether exp(50) is finite, by format."""
    return {name: limit.value > 50.0 for name, limit in list_overflows().items()}


def compute_largest_loss() -> float:
    """Return the largest cross-entropy of probabilities that are clamped at 1e-12."""
    return -math.log(1e-12)


def compute_clamped_gradient() -> float:
    """Return the slope of this loss in float64, where the logits are 0 and 100."""
    import torch

    logits = torch.tensor([[0.0, 100.0]], dtype=torch.float64, requires_grad=True)
    (-logits.softmax(1).clamp(min=1e-12).log()[0, 0]).backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0])
