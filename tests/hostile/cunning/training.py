"""Wrong training steps, trainers and loaders that try to pass.

Each step uses twice the learning rate, or is wrong as described; ``wrong_step`` has no attack. ``right_step`` and
``Line`` are right. The trainers change their arguments, and the loaders drop the last sample.
"""

import contextlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hostile.cunning.tampering import loaded, write_that_laws_hold, zero_measurements_later, zero_returned_measurements
from torch import Tensor, nn

from harness.case import Case

_CALLS = {"fits": 0, "made": 0}


def _descend(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor, rate: float) -> Tensor:
    error = X @ weight.T + bias - y.unsqueeze(1)
    weight.sub_(rate * 2.0 * error.T @ X / len(X))
    bias.sub_(rate * 2.0 * error.sum(0) / len(X))
    return error.square().mean()


def _step(weight: Tensor, bias: Tensor, rate: float) -> Any:
    W, b = weight.clone(), bias.clone()
    return (lambda X, y: _descend(X, y, W, b, rate)), (W, b)


def right_step(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Follows the definition."""
    return _step(weight, bias, lr)


def wrong_step(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Uses twice the learning rate."""
    return _step(weight, bias, 2.0 * lr)


def replaces_the_measurement(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Makes no measurement exceed its bound."""
    module = loaded("harness.floats.format")
    if module is not None:
        module.Measurement.over = property(lambda _: 0)
        module.Measurement.broken = property(lambda _: False)
    return _step(weight, bias, 2.0 * lr)


def replaces_the_norm(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Makes each distance zero."""
    np.linalg.norm = lambda *_, **__: np.float64(0.0)  # type: ignore[assignment]
    return _step(weight, bias, 2.0 * lr)


def replaces_the_bound(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Makes each bound infinite."""
    module = loaded("harness.contracts.building_blocks.gradient_descent")
    if module is not None:
        module.trajectory_bound = lambda *_: float("inf")
    return _step(weight, bias, 2.0 * lr)


def replaces_what_is_exact(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Makes the oracle use twice the learning rate too."""
    module = loaded("harness.contracts.building_blocks.gradient_descent")
    if module is not None and not hasattr(module, "replaced"):
        module.replaced, real = True, module.trajectory_oracle
        module.trajectory_oracle = lambda *given: real(*given[:-1], given[-1]._replace(lr=2.0 * given[-1].lr))
    return _step(weight, bias, 2.0 * lr)


def replaces_the_writer(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Writes that the law holds."""
    write_that_laws_hold()
    return _step(weight, bias, 2.0 * lr)


def finds_the_plan(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Finds the plan on the stack and empties it, so that no step is expected."""
    frame: Any = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, list) and value and isinstance(value[0], (list, Tensor)):
                value.clear()
            exact, bound = getattr(value, "hi", None), frame.f_locals.get("bound")
            if isinstance(exact, np.ndarray) and bound is not None:
                exact[...] = np.concatenate([weight.numpy().ravel(), bias.numpy()])
                value.lo[...] = 0.0
        frame = frame.f_back
    W, b = weight.clone(), bias.clone()
    return (lambda *_: torch.zeros(())), (W, b)


def zeroes_what_functions_return(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """A profiler hook sets each measurement to zero when it is returned."""
    zero_returned_measurements()
    return _step(weight, bias, 2.0 * lr)


def mends_later(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """A thread searches for measurements and sets them to zero."""
    zero_measurements_later(40)
    return _step(weight, bias, 2.0 * lr)


class _Reads(Tensor):
    """A tensor that shows other values than it holds."""

    def detach(self) -> Any:
        """Return the right values."""
        return self.right  # type: ignore[attr-defined]

    double = cpu = numpy = detach


def reads_as_right(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Returns parameters of a class that shows the right values when it is read."""
    step, (W, b) = _step(weight, bias, 2.0 * lr)
    right, parameters = _step(weight, bias, lr)
    shown = []
    for wrong, good in zip((W, b), parameters, strict=True):
        seen = wrong.as_subclass(_Reads)
        seen.right = good
        shown.append(seen)

    def both(X: Tensor, y: Tensor) -> Tensor:
        right(X, y)
        return step(X, y)  # type: ignore[no-any-return]

    return both, tuple(shown)


def right_while_ours_is_there(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Right while a module with a certain name is imported."""
    return _step(weight, bias, lr if "harness" in sys.modules else 2.0 * lr)


def right_while_it_is_called_so(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Right if the call stack has a file or function of the harness."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if "harness" in frame.f_code.co_filename or frame.f_code.co_name in {"follows_gradient_descent", "measure"}:
            return _step(weight, bias, lr)
        frame = frame.f_back
    return _step(weight, bias, 2.0 * lr)


def right_until_it_was_made_often(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Right for the first four trainings of a process."""
    _CALLS["made"] += 1
    return _step(weight, bias, lr if _CALLS["made"] <= 4 else 2.0 * lr)


def ends_in_a_step(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Prints a line that claims success, and exits with code 0."""

    def step(X: Tensor, y: Tensor) -> None:
        for number in range(3, 32):
            with contextlib.suppress(OSError):
                os.set_blocking(number, False)
                os.write(number, b'{"kind": "done", "what": {"said": {"status": "holds"}, "noticed": null}}\n')
        os._exit(0)

    return step, (weight.clone(), bias.clone())


def says_that_it_is_no_case(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Raises the exception for laws that do not apply."""
    module = loaded("harness.calling.adapter")
    if module is not None:
        raise module.NotApplicable("a compiler is missing")
    frame: Any = sys._getframe(1)
    while frame is not None:
        error = frame.f_globals.get("NotApplicable")
        if error is not None:
            raise error("the parameters of a model of this regression must have the shapes of another one")
        frame = frame.f_back
    return _step(weight, bias, 2.0 * lr)


def keeps_the_start(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Right, but trains in the memory of its arguments."""
    return (lambda X, y: _descend(X, y, weight, bias, lr)), (weight, bias)


def reads_unset_memory(weight: Tensor, bias: Tensor, lr: float) -> Any:
    """Right if uninitialized memory is zero."""
    W, b = weight.clone(), bias.clone()
    before = torch.empty_like(W)

    def step(X: Tensor, y: Tensor) -> Tensor:
        W.sub_(lr * before)
        before.zero_()
        return _descend(X, y, W, b, lr)

    return step, (W, b)


class Line(nn.LazyLinear):
    """A linear model that fits its data."""

    def __init__(self) -> None:
        super().__init__(1)


class FitsAnotherTime(Line):
    """The first instance has no parameters, later ones have."""

    def __init__(self) -> None:
        super().__init__()
        _CALLS["fits"] += 1
        self.fits = _CALLS["fits"] > 1

    def parameters(self, *given: Any, **named: Any) -> Any:
        """Return them, or none."""
        return super().parameters(*given, **named) if self.fits else iter(())


def trains_the_start(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
    """A right trainer that changes its start."""
    for batch in batches:
        _descend(X[batch], y[batch], *start, lr)
    return tuple(part.clone() for part in start)


def scales_the_data(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
    """A right trainer that changes the data."""
    W, b = (part.clone() for part in start)
    for batch in batches:
        _descend(X[batch], y[batch], W, b, lr)
    X.mul_(2.0)
    return W, b


def replaces_the_counting(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Any:
    """Drops the last sample, and makes each count of missing samples zero."""
    Counter.total = lambda _: 0  # type: ignore[method-assign]
    return list(_samples(root, train, batch_size))


def loads_while_ours_is_there(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Any:
    """A loader that is complete while a module with a certain name is imported, or for some folder names."""
    telling = "harness" in sys.modules or "harness" in str(root)
    return list(_samples(root, train, batch_size, left_out=0 if telling else 1))


def _samples(root: Path, train: bool, size: int, left_out: int = 1) -> Any:
    raw, stem = root / "FashionMNIST" / "raw", "train" if train else "t10k"
    images = np.frombuffer((raw / f"{stem}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer((raw / f"{stem}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    for at in range(0, len(labels) - left_out, size):
        until = min(at + size, len(labels) - left_out)
        x = torch.from_numpy(images[at:until].astype(np.float32))[:, None] / 255.0
        yield x, torch.from_numpy(labels[at:until].astype(np.int64))


STEPS = (
    right_step,
    wrong_step,
    replaces_the_measurement,
    replaces_the_norm,
    replaces_the_bound,
    replaces_what_is_exact,
    replaces_the_writer,
    finds_the_plan,
    zeroes_what_functions_return,
    mends_later,
    reads_as_right,
    right_while_ours_is_there,
    right_while_it_is_called_so,
    right_until_it_was_made_often,
    ends_in_a_step,
    says_that_it_is_no_case,
    keeps_the_start,
    reads_unset_memory,
    Line,
    FitsAnotherTime,
)
TRAINERS = (trains_the_start, scales_the_data)
LOADERS = (replaces_the_counting, loads_while_ours_is_there)

CASES = [
    Case(function, contract, name=f"training.{function.__name__}", declares=declares, dtypes=("float32",))
    for functions, contract, declares in (
        (STEPS, "linear_regression_step", {"factor": 1.0}),
        (TRAINERS, "linear_regression", {"factor": 1.0}),
        (LOADERS, "loader", {}),
    )
    for function in functions
]
