"""Watch the calls of an implementation for side effects: printed text, and changed state of the process.

The state that a function has no business changing is read before a call and put back after it.
"""

import contextlib
import ctypes
import gc
import io
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import torch

from harness.calling import modes
from harness.record.fault import Fault

RESTORED = "(restored)"
"""Suffix for a setting that was restored."""


@dataclass(frozen=True)
class Setting:
    """A piece of global state with its reader, its repair and its sentence.

    Parameters
    ----------
    name
        Display name.
    read
        Returns its value, which can be compared.
    restore
        Puts an earlier value back; ``None`` if that is not possible.
    describe
        Returns the sentence about a change.
    by_libraries
        Whether a library may change it at first use; such a change is undone silently.
    costly
        Whether it is slow to read or harmless, so that it is not compared at each call.
    draws
        Whether it is the state of random numbers.
    at_import
        Whether an import must not change it, since the results of other code depend on it.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object] | None
    describe: Callable[[str, Any, Any], str] = lambda name, before, after: f"changes {name} from {before} to {after}"
    by_libraries: bool = False
    costly: bool = False
    draws: bool = False
    at_import: bool = False

    def change(self, before: Any, after: Any) -> str:
        """Return the sentence about a change, and whether it was undone; empty if the call is not responsible."""
        text = self.describe(self.name, before, after)
        return text and text + (f" {RESTORED}" if self.restore else "")


def _format_change(name: str, _before: Any, _after: Any) -> str:
    return f"changes {name}"


def _format_draw(name: str, _before: Any, _after: Any) -> str:
    return f"seeds or draws {name}"


def _format_keys(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return f"changes {name}: {', '.join(changed)}"


def _format_threads(_name: str, before: int, after: int) -> str:
    """Return the sentence about new threads; threads that end in the meantime do not count."""
    surplus = after - before
    return f"leaves {surplus} thread{'s'[: surplus > 1]} running" if surplus > 0 else ""


def _keeps_subnormals() -> bool:
    """True if subnormal numbers are not flushed to zero."""
    return _SMALLEST_NORMAL * 0.5 != 0.0


_SMALLEST_NORMAL = sys.float_info.min


def _read_rounding() -> str:
    """Return the rounding mode of this thread, read off three sums."""
    if _ONE + _QUARTER_ULP > _ONE:
        return "upward"
    if -_ONE - _QUARTER_ULP < -_ONE:
        return "downward"
    return "toward zero" if _ONE - _QUARTER_ULP / 4.0 < _ONE else NEAREST


NEAREST = "to nearest"
_ONE, _QUARTER_ULP = 1.0, sys.float_info.epsilon / 4.0


def _round_to_nearest(_before: str) -> None:
    """Restore rounding to nearest, the mode in which every process starts."""
    for library in ("libm.so.6", None):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(library).fesetround(0)
            return


def _read_recursion_limit() -> int:
    """Return the limit, ignoring the value to which torch's compiler raises it."""
    return max(sys.getrecursionlimit(), 2000)


def _read_environment() -> dict[str, str]:
    """Return the environment without the variables that torch's compilers set for themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TORCH", "TRITON"))}


def _restore_environment(before: Mapping[str, str]) -> None:
    for name in _read_environment().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _restore_path(before: Sequence[str]) -> None:
    sys.path[:] = before


def _restore_filters(before: Sequence[Any]) -> None:
    warnings.resetwarnings()
    warnings.filters[:] = before  # type: ignore[index]


def _read_handlers() -> dict[str, Any]:
    return {number.name: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *_ALARM)}


_ALARM = [signal.SIGALRM] if hasattr(signal, "SIGALRM") else []


def _restore_handlers(before: Mapping[str, Any]) -> None:
    for name, handler in before.items():
        if signal.getsignal(signal.Signals[name]) != handler:
            signal.signal(signal.Signals[name], handler)


def _find_blocked_signals() -> list[str]:
    """Return the signals that do not reach this thread; a blocked alarm ends no call."""
    if not hasattr(signal, "pthread_sigmask"):
        return []
    return sorted(signal.Signals(number).name for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _restore_blocked_signals(before: Sequence[str]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.Signals[name] for name in before])


def _read_numpy_draws() -> tuple[Any, ...]:
    state: Any = np.random.get_state()  # noqa: NPY002 - the global generator is compared
    kind, key, *rest = state
    return kind, key.tobytes(), *rest


def _restore_numpy_draws(before: tuple[Any, ...]) -> None:
    kind, key, *rest = before
    np.random.set_state((kind, np.frombuffer(key, dtype=np.uint32), *rest))  # noqa: NPY002


def _read_matmul_precision() -> str:
    # torch 2.9 warns that it reads an old setting, although there is no other public way to this one.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return torch.get_float32_matmul_precision()


SETTINGS = (
    Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, at_import=True),
    Setting("torch's default device", torch.get_default_device, torch.set_default_device, costly=True, at_import=True),
    Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, at_import=True),
    Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting("torch's seed", torch.initial_seed, torch.manual_seed),
    Setting(
        "torch's deterministic algorithms",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    Setting("torch's float32 matmul precision", _read_matmul_precision, torch.set_float32_matmul_precision),
    Setting(
        "autocasting",
        lambda: torch.is_autocast_enabled("cpu"),
        lambda before: torch.set_autocast_enabled("cpu", before),
        costly=True,
    ),
    Setting("whether subnormal numbers are kept", _keeps_subnormals, lambda keeps: torch.set_flush_denormal(not keeps)),
    Setting("the rounding mode", _read_rounding, _round_to_nearest, at_import=True),
    Setting("NumPy's handling of floating-point errors", np.geterr, lambda before: np.seterr(**before)),
    Setting("the working directory", os.getcwd, os.chdir, costly=True),
    Setting("the recursion limit", _read_recursion_limit, sys.setrecursionlimit),
    Setting("garbage collection", gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    Setting("the warning filters", lambda: list(warnings.filters), _restore_filters, _format_change, by_libraries=True),
    Setting("the module search path", lambda: list(sys.path), _restore_path, _format_change, by_libraries=True),
    Setting("signal handlers", _read_handlers, _restore_handlers, _format_change, by_libraries=True, costly=True),
    Setting("the blocked signals", _find_blocked_signals, _restore_blocked_signals, at_import=True),
    Setting("the environment", _read_environment, _restore_environment, _format_keys, by_libraries=True, costly=True),
    Setting("Python's random numbers", random.getstate, random.setstate, _format_draw, costly=True, draws=True),
    Setting("NumPy's random numbers", _read_numpy_draws, _restore_numpy_draws, _format_draw, costly=True, draws=True),
    # Settings that cannot be restored are last, so that the sentence ends with them.
    Setting("threads", threading.active_count, None, _format_threads, by_libraries=True, costly=True),
)
"""Settings that are compared before and after a call."""


AT_IMPORT = [setting for setting in SETTINGS if setting.at_import]
"""Settings that are compared before and after the import of an implementation."""


def read(settings: Sequence[Setting]) -> list[Any]:
    """Read some settings."""
    return [setting.read() for setting in settings]


def restore_settings(settings: Sequence[Setting], before: Sequence[Any], *, imported: bool) -> list[str]:
    """Restore changed settings, and return a phrase for each change that is not a library's."""
    if read(settings) == before:
        return []
    changes = []
    for setting, value in zip(settings, before, strict=True):
        if (after := setting.read()) != value:
            if not (imported and setting.by_libraries) and (text := setting.change(value, after)):
                changes.append(text)
            if setting.restore is not None:
                setting.restore(value)
    return changes


THOROUGH = 2
"""Number of calls after which all settings are compared; later calls compare only the cheap ones."""

MAX_QUOTED = 60
"""Most characters of printed output that a verdict quotes."""

PRINTS = "prints {}; return results instead of printing them"
"""Message for an implementation that prints."""

_limits: list[tuple[int, float]] = []
"""The process with limited calls, and their time limit in seconds; empty without a limit."""
_first: list[float] = []
"""Time limit of the next call in seconds, if it differs; otherwise empty."""
_compiling: list[float] = []
"""Seconds spent in a compiler, which are not counted; empty if compilation counts as part of the call."""


def limit_calls(seconds: float, first: float | None = None, compiling: float | None = None) -> None:
    """Raise SIGALRM in this process if a call, the first call or a compilation exceeds its time limit."""
    _limits[:] = [(os.getpid(), seconds)]
    _first[:] = [] if first is None else [first]
    if compiling is not None and not _compiling:

        def go_on() -> None:
            _set_running_timer([seconds for _, seconds in _limits])

        if modes.notify_of_compilation(lambda: _set_running_timer(_compiling), go_on):
            _compiling[:] = [compiling]


def _set_running_timer(to: Sequence[float]) -> None:
    """Change the remaining time of a running call; outside of calls, no timer is started."""
    for seconds in to:
        if signal.getitimer(signal.ITIMER_REAL)[0] > 0.0:
            signal.setitimer(signal.ITIMER_REAL, seconds)


class Watch:
    """Notices the side effects of an implementation's calls.

    Parameters
    ----------
    draws
        Whether drawing global random numbers is noticed, as for a function of its inputs.

    Notes
    -----
    Changes are undone after each call, so that they affect neither laws nor later calls. If a call imports modules, the
    setup of a library at first use stays, and is no fault.
    """

    def __init__(self, *, draws: bool) -> None:
        self._all = [setting for setting in SETTINGS if draws or not setting.draws]
        self._quick = [setting for setting in self._all if not setting.costly]
        self._calls = 0
        self._output = _TruncatedStream()
        self._text = io.TextIOWrapper(
            cast("BinaryIO", self._output), encoding="utf-8", errors="replace", write_through=True
        )
        self.noticed: tuple[Fault, str] | None = None

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry out a call and return its result."""
        settings = self._all if self._calls < THOROUGH else self._quick
        self._calls += 1
        streams = sys.stdout, sys.stderr
        modules, before = len(sys.modules), read(settings)
        sys.stdout = sys.stderr = self._text
        try:
            with limit_time():
                return action()
        finally:
            replaced = sys.stdout is not self._text or sys.stderr is not self._text
            sys.stdout, sys.stderr = streams
            self._restore(settings, before, modules)
            if replaced:
                self._notice(Fault.STATE, "replaces sys.stdout or sys.stderr (restored)")
            if self._output.text:
                self._notice(Fault.PRINTED, PRINTS.format(quote_output(self._output.text)))

    @contextmanager
    def law(self) -> Iterator[None]:
        """Watch all calls of a law, so that their changes are undone before the next law."""
        modules, before = len(sys.modules), read(self._all)
        try:
            with modes.raise_recompile_limit():
                yield
        finally:
            self._restore(self._all, before, modules)

    def _restore(self, settings: Sequence[Setting], before: Sequence[Any], modules: int) -> None:
        if changes := restore_settings(settings, before, imported=len(sys.modules) > modules):
            self._notice(Fault.STATE, " and ".join(changes))

    def _notice(self, fault: Fault, sentence: str) -> None:
        if self.noticed is None:
            self.noticed = fault, sentence


class TimeOnlyWatch(Watch):
    """Watches only the time, for shipped implementations and for very many calls."""

    def __init__(self) -> None:
        super().__init__(draws=False)

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry out a call and return its result."""
        with limit_time():
            return action()

    @contextmanager
    def law(self) -> Iterator[None]:
        """Do nothing."""
        yield


@contextmanager
def limit_time() -> Iterator[None]:
    """Limit the time of a call, or of other code of an implementation, such as the text of an exception."""
    for _, seconds in _limits:
        signal.setitimer(signal.ITIMER_REAL, _first.pop() if _first else seconds)
    try:
        yield
    finally:
        for process, _ in _limits:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if os.getpid() != process:
                os._exit(0)  # a copy of the process, which the call has made; the original goes on


def quote_output(text: bytes) -> str:
    """Quote the beginning of printed text."""
    line = " ".join(text.decode("utf-8", errors="replace").split())
    return f"`{line[:MAX_QUOTED]}{'...' if len(line) > MAX_QUOTED else ''}`"


class _TruncatedStream(io.BufferedIOBase):
    """A stream that keeps only the beginning of the text, so that endless printing fills no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.text = b""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: object) -> int:
        """Keep the beginning of the data, up to the limit."""
        written = bytes(data)  # type: ignore[call-overload]
        self.text += written[: max(0, 4 * MAX_QUOTED - len(self.text))]
        return len(written)
