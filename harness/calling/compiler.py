"""The compiler for ``torch.compile``. Without one, code that needs it is skipped and does not fail.

If there is a compiler, its time does not count as time of a call.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

NO_COMPILER = "torch.compile finds no compiler on this machine"
"""Why a compiled implementation is skipped."""

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


def no_compiler(error: BaseException) -> str | None:
    """Return why a compiled implementation cannot run here; ``None`` where the error is another one."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith("torch."):
            if type(cause).__name__ in _MISSING:
                return NO_COMPILER
            if type(cause).__name__ == "CppCompileError" and "Python.h: No such file" in str(cause):
                return NO_HEADERS
            if type(cause).__name__ == "CppCompileError" and "at::vec" in str(cause):
                return NO_VECTORS
        cause = cause.__cause__ or cause.__context__
    return None


def uncompiled() -> AbstractContextManager[object]:
    """Run compiled functions eagerly in the body.

    Do nothing if the compiler is not loaded, because loading it takes a second.
    """
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    import torch

    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def whatever_comes() -> Iterator[None]:
    """Let the compiler, where it is loaded, compile for all inputs of the body, however different they are."""
    config = getattr(sys.modules.get("torch._dynamo"), "config", None)
    if config is None:
        yield
        return
    with config.patch(recompile_limit=RECOMPILED, accumulated_recompile_limit=4 * RECOMPILED):
        yield


def tell(on_start: Callable[[], object], on_end: Callable[[], object]) -> bool:
    """Call a function whenever the loaded compiler starts, and another when it ends.

    Returns
    -------
    Whether it is loaded.
    """
    callback = getattr(sys.modules.get("torch._dynamo"), "callback", None)
    if callback is None:
        return False
    callback.callback_handler.register_start_callback(lambda *_: on_start())
    callback.callback_handler.register_end_callback(lambda *_: on_end())
    return True
