"""The process in which an implementation is called: this one or another.

Laws call implementations and observe the calls through a host, so that they are written once.
"""

import itertools
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import call_case, change_case, convert_to_tensors, detaches, unwrap_bridge
from harness.calling.device import CPU, call_on
from harness.calling.model import AsStep
from harness.calling.modes import Observation, collect_warnings, overwrite_freed, run_uncompiled, settings, unset_is_nan
from harness.calling.sequence import SEQUENCES
from harness.calling.watch import Watch
from harness.case import Case
from harness.compat.torch import tree_leaves
from harness.exact.tape import Recorder, Tape, View


class Recording:
    """Records calls of this process on a tape."""

    def __init__(self) -> None:
        self._recorder = Recorder(Tape())

    @contextmanager
    def body(self) -> Iterator[None]:
        """Record the calls of the body."""
        with run_uncompiled(), self._recorder:
            yield

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """Return the tape's views of floating-point results of the body: one view, or several for a stacked tensor."""
        return [(self._recorder.view(x),) for x in tensors]

    def tape(self) -> Tape:
        """The tape."""
        return self._recorder.tape


class RemoteError(Exception):
    """An exception of an implementation in another process.

    Its words are the first line of the exception's text, its kind is ``raised``, ``exited``, ``memory`` or ``misfit``,
    and its place is the line of code that is appended to the message.
    """

    def __init__(self, words: str, kind: str = "raised", place: str = "") -> None:
        self.words, self.kind, self.place = words, kind, place
        super().__init__(words)


class GoneError(BaseException):
    """Raised if the process of an implementation is lost. Laws do not catch it."""


class ReshapedError(Exception):
    """Raised if a call changes the shape of its inputs."""


@dataclass
class InputsAfter:
    """The inputs of a call after the call."""

    changed: dict[int, Tensor] = field(default_factory=dict)
    """New values of changed arguments by position, if the call was made in another process."""
    shared: set[int] | None = None
    """Positions of arguments whose memory the output shares; ``None`` if the call was made in this process."""

    def after(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the leaves of the arguments after the call."""
        return [self.changed.get(position, x) for position, x in enumerate(tree_leaves(list(inputs)))]

    def shares(self, inputs: Sequence[Any], output: Tensor) -> int:
        """Return the number of arguments whose memory the output shares."""
        if self.shared is not None:
            return len(self.shared)
        return sum(_memory(x) == _memory(output) for x in inputs if isinstance(x, Tensor) and x.numel())


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


class Host:
    """The process in which an implementation is called: this one, or in a subclass another one."""

    def __init__(self) -> None:
        self._changes: dict[str, bool] = {}

    def watch(self, *, draws: bool) -> Watch:
        """Return the watch for the calls of this process."""
        return Watch(draws=draws)

    def called(
        self, case: Case, inputs: Sequence[Any], of_model: AsStep | None, device: str, sequence: str | None = None
    ) -> tuple[Any, bool]:
        """Call a case, or run a sequence on its result; also return whether the result has another library's arrays."""
        case = change_case(case, **self._changes)

        def call(*given: Any) -> Any:
            return call_case(case, given, of_model)

        action = call if sequence is None else partial(SEQUENCES[sequence], call)
        output = action(*inputs) if device == CPU else call_on(device, action, inputs)
        if case.call is None:
            return output, False
        converted = convert_to_tensors(output)
        return converted, converted is not output

    def called_each(self, case: Case, calls: Sequence[Sequence[Any]], device: str) -> tuple[list[Any], bool]:
        """Call a case on several inputs in one exchange with another process."""
        raise NotImplementedError

    def repeated_calls(self, call: Callable[..., Any], inputs: Sequence[Any]) -> Iterator[tuple[str, Tensor]]:
        """Call repeatedly on the same inputs, here once, and yield the stacked results with their kind."""
        call(*inputs)
        yield from ()

    def overwrite_freed(self, byte: int, *, sizes: Iterable[int] = (), device: str = CPU) -> None:
        """See :func:`harness.calling.modes.overwrite_freed`."""
        overwrite_freed(byte, sizes=sizes, device=device)

    def unset_is_nan(self) -> AbstractContextManager[None]:
        """See :func:`harness.calling.modes.unset_is_nan`."""
        return unset_is_nan()

    def uncompiled(self) -> AbstractContextManager[object]:
        """See :func:`harness.calling.modes.run_uncompiled`."""
        return run_uncompiled()

    @contextmanager
    def modes(
        self,
        *,
        threads: int | None = None,
        dtype: torch.dtype | None = None,
        switched: bool = False,
        compiled: bool = False,
    ) -> Iterator[None]:
        """Call in other modes in the body: threads, torch's default dtype, a module's other mode, or compiled."""
        before, self._changes = self._changes, {"switched": switched, "compiled": compiled}
        try:
            with settings(threads=threads, dtype=dtype):
                yield
        finally:
            self._changes = before

    def seeing(self) -> AbstractContextManager[Observation]:
        """Observe the conversions of tensors in the calls of the body."""
        return Observation()

    @contextmanager
    def hearing(self) -> Iterator[list[str]]:
        """Collect the warnings of the calls in the body."""
        warnings: list[str] = []
        with collect_warnings(warnings):
            yield warnings

    @contextmanager
    def looking(self) -> Iterator[Iterable[InputsAfter]]:
        """Observe the inputs of the calls in the body, in order; here, they show the changes themselves."""
        yield itertools.repeat(InputsAfter())

    def recorder(self) -> Recording:
        """Return the recorder of calls."""
        return Recording()

    def detaches(self, case: Case, inputs: Sequence[Any]) -> bool:
        """See :func:`harness.calling.adapter.detaches`."""
        return detaches(case, inputs)

    def jax_is_narrow(self) -> bool:
        """Whether JAX is loaded there, and has no float64."""
        jax = sys.modules.get("jax")
        return jax is not None and not jax.config.jax_enable_x64

    def changed_at_import(self) -> str:
        """Return the settings that the import of the implementations changed; empty if that is unknown."""
        return ""

    def repeat_start(self) -> None:
        """Seed the global random generators."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the global generator on purpose

    def renew(self) -> None:
        """Make the next call in a new process, if possible."""

    def clock(self) -> float:
        """Return the clock for the duration of calls, in seconds."""
        return time.process_time()

    def spent(self) -> float:
        """Return the processor time of the judge and of the code."""
        return time.process_time()


HERE = Host()
"""This process."""


def clock_of(case: Case) -> Callable[[], float]:
    """Return the clock that measures the calls of a case, in whichever process they run."""
    return host_of(case).clock


def host_of(case: Case) -> Host:
    """Return the process in which a case is called."""
    host: Host = getattr(unwrap_bridge(case).function, "host", HERE)
    return host
