"""Modes in which an implementation is called, compiled or not, and the observation of a call.

Modes must not change the results. In one of them, freed memory is filled with other values, so that code that reads
unset memory cannot be right by chance. Without a compiler, code that needs one is skipped and does not fail.

Functions of torch are looked up here once, before other code is loaded, so that it cannot replace them. Code under test
may replace ``torch.autograd.grad``, or a function that it calls, by code that knows the right gradient. The backward
passes here call the C++ engine directly.
"""

import contextlib
import contextvars
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.compat.torch import (
    drop_object,
    find_device_without_compiler,
    keep_object,
    loaded_compiler,
    run_backward,
)

# Functions that other code cannot replace

_copy_context, _tuple = contextvars.copy_context, tuple

get_rng_state, set_rng_state, equal = torch.get_rng_state, torch.set_rng_state, torch.equal
zeros_like, stack, cat, linspace, tensor = torch.zeros_like, torch.stack, torch.cat, torch.linspace, torch.tensor
no_grad, set_grad_enabled = torch.no_grad, torch.set_grad_enabled
inference_mode, autocast = torch.inference_mode, torch.autocast
detach, clone, to = Tensor.detach, Tensor.clone, Tensor.to
get_num_threads, set_num_threads = torch.get_num_threads, torch.set_num_threads
get_default_dtype, set_default_dtype = torch.get_default_dtype, torch.set_default_dtype


def grad(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *,
    keep: bool = False,
    create: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of weighted outputs in some inputs; ``None`` for an input on which they do not depend."""
    gradients: tuple[Tensor | None, ...] = _run(
        outputs, cotangents, keep or create, create, _tuple(inputs), allow_unreachable=True, accumulate=False
    )
    return gradients


def backward(outputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> None:
    """Accumulate the gradients of weighted outputs in all leaves, and retain the graph."""
    _run(outputs, cotangents, True, False, (), allow_unreachable=True, accumulate=True)  # noqa: FBT003 - the engine's


def _run(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor], *flags: Any, allow_unreachable: bool, accumulate: bool
) -> Any:
    if keep_object is not None:
        keep_object("context", _copy_context())
    try:
        return run_backward(
            _tuple(outputs), _tuple(cotangents), *flags, allow_unreachable=allow_unreachable, accumulate_grad=accumulate
        )
    finally:
        if drop_object is not None:
            drop_object("context")


# Memory

_SIZES = tuple(2**power for power in range(4, 17))
_SMALL, _FEW, _MANY = 1024, 4, 12
"""Number of blocks per size; for small ones more than the seven that glibc caches for other calls."""


def overwrite_freed(byte: int, *, sizes: Iterable[int] = (), device: str = "cpu") -> None:
    """Overwrite the memory that the allocator will reuse next; this takes less than a millisecond.

    Notes
    -----
    Blocks are allocated, filled and freed again, through torch and through NumPy, which caches small blocks. Memory
    that a call frees and allocates again is not reached. The first bytes of a block hold links of the allocator, so
    that an unset scalar may look like a small number.
    """
    blocks: list[object] = []
    for size in (*_SIZES, *sizes):
        for _ in range(_MANY if size <= _SMALL else _FEW):
            blocks += [torch.full((size,), byte, dtype=torch.uint8), np.full(size, byte, dtype=np.uint8)]
            if device != "cpu":
                blocks.append(torch.full((size,), byte, dtype=torch.uint8, device=device))


@contextmanager
def unset_is_nan() -> Iterator[None]:
    """Let torch fill unset tensors with NaN, also tensors that a call frees and allocates again.

    Notes
    -----
    It does so where it is to be deterministic, which may change how it adds: nothing but NaN follows from the memory.
    """
    before = torch.get_deterministic_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not `use_deterministic_algorithms`, which loads the compiler.
        torch.set_deterministic_debug_mode("warn")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)


DEFAULT: Mapping[str, Any] = {
    "grad": True,
    **dict.fromkeys(("inference", "eager", "unset", "see", "hear", "switched", "compiled"), False),
    **dict.fromkeys(("autocast", "threads", "dtype")),
}
"""Modes of an ordinary call."""


def enter_modes(modes: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Enter the modes of a request."""
    stack = ExitStack()
    stack.enter_context(set_grad_enabled(modes["grad"]))
    if modes["inference"]:
        stack.enter_context(inference_mode())
    if modes["autocast"] is not None:
        stack.enter_context(autocast("cpu", modes["autocast"]))
    if modes["eager"]:
        stack.enter_context(run_uncompiled())
    if modes["unset"]:
        stack.enter_context(unset_is_nan())
    if modes["threads"] is not None or modes["dtype"] is not None:
        stack.enter_context(settings(threads=modes["threads"], dtype=modes["dtype"]))
    return stack


@contextmanager
def settings(*, threads: int | None = None, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Use another number of threads, or another default dtype, in the body; ``None`` leaves it unchanged."""
    wanted: list[tuple[Callable[[], Any], Callable[[Any], None], Any]]
    wanted = [(get_num_threads, set_num_threads, threads), (get_default_dtype, set_default_dtype, dtype)]
    with ExitStack() as stack:
        for read, write, value in wanted:
            if value is not None:
                stack.callback(write, read())
                write(value)
        yield


def seed_all(seed: int) -> None:
    """Seed torch's random numbers on all devices.

    Without an accelerator, `torch.manual_seed` would record the call stack, which takes a millisecond.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class Observation(TorchFunctionMode):
    """Sees whether tensors become another library's arrays or narrower, and whether autocast is on.

    A mode of dispatch would see what happens inside operations too, and import eight hundred modules for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = False
        """Whether a tensor became an array that autograd does not follow."""
        self.to_float32 = False
        """Whether a float64 tensor became a float32 one."""
        self.autocast = ""
        """The dtype of autocast, where it was on; the last one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and note conversions of its result."""
        self.left |= getattr(func, "__name__", "") in {"numpy", "__array__", "__dlpack__"}
        output = func(*args, **(kwargs or {}))
        source = args[0] if args else None
        if isinstance(output, Tensor) and isinstance(source, Tensor):
            self.to_float32 |= (source.dtype, output.dtype) == (torch.float64, torch.float32)
            if torch.is_autocast_enabled(source.device.type):
                self.autocast = str(torch.get_autocast_dtype(source.device.type)).removeprefix("torch.")
        return output


@contextlib.contextmanager
def collect_warnings(categories: list[str]) -> Iterator[None]:
    """Collect the categories of the body's warnings in a list, which is complete when the body ends."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            categories += [warning.category.__name__ for warning in caught]


# The compiler

NO_COMPILER = "torch.compile finds no compiler on this machine"
"""Reason for skipping a compiled implementation."""

NO_HEADERS = "torch.compile finds no Python.h on this machine"
"""Reason if a compiler exists but the Python headers are not installed."""

NO_VECTORS = "torch.compile of this torch needs vector instructions, which are absent or switched off"
"""Reason if the generated code names vector types that the headers define only with such instructions."""

RECOMPILED = 256
"""Limit of recompilations of a function (dtypes, shapes and modes). The default of eight makes the compiler fall back
to Python, and the laws would check uncompiled code.
"""

_MISSING = {"InvalidCxxCompiler", "TritonMissing"}
"""Exceptions of torch if the C++ compiler for the CPU, or Triton for an accelerator, is missing."""


def explain_missing_compiler(error: BaseException) -> str | None:
    """Return why a compiled implementation cannot run here; ``None`` for another error."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith("torch."):
            if type(cause).__name__ in _MISSING:
                return NO_COMPILER
            if type(cause).__name__ == "CppCompileError" and "Python.h: No such file" in str(cause):
                return NO_HEADERS
            if type(cause).__name__ == "CppCompileError" and "at::vec" in str(cause):
                return NO_VECTORS
            if type(cause).__name__ == "InductorError" and (device := find_device_without_compiler(str(cause))):
                return f"torch.compile does not support {device}"
        cause = cause.__cause__ or cause.__context__
    return None


def run_uncompiled() -> AbstractContextManager[object]:
    """Run compiled functions eagerly in the body.

    Do nothing if the compiler is not loaded, because loading it takes a second.
    """
    if loaded_compiler() is None:
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


def raise_recompile_limit() -> AbstractContextManager[object]:
    """Raise the compiler's limit, if it is loaded, so that it compiles for all inputs of the body."""
    config: Any = getattr(loaded_compiler(), "config", None)
    if config is None:
        return nullcontext()
    limits = {"recompile_limit": RECOMPILED, "accumulated_recompile_limit": 4 * RECOMPILED}
    return config.patch(**limits)  # type: ignore[no-any-return]


def notify_of_compilation(on_start: Callable[[], object], on_end: Callable[[], object]) -> bool:
    """Call a function whenever the loaded compiler starts, and another when it ends.

    Returns
    -------
    Whether it is loaded.
    """
    callback = getattr(loaded_compiler(), "callback", None)
    if callback is None:
        return False
    callback.callback_handler.register_start_callback(lambda *_: on_start())
    callback.callback_handler.register_end_callback(lambda *_: on_end())
    return True
