"""Another process as the place of an implementation: a local function sends requests, and autograd works through it.

The function is a proxy. It takes and returns tensors, and its backward pass sends another request. This process never
imports the code.
"""

import itertools
import os
import shutil
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NO_AUTOGRAD, NO_BFLOAT16, NUMPY_IS_ON_THE_CPU, NotApplicable
from harness.calling.device import CPU, MisplacedError
from harness.calling.discovery import get_single_name
from harness.calling.host import Host, InputsAfter, Recording, RemoteError, ReshapedError
from harness.calling.model import UNFIT, AsStep
from harness.calling.modes import DEFAULT, NO_COMPILER, NO_HEADERS, Observation
from harness.calling.target import OBJECTS
from harness.calling.watch import RESTORED, Watch
from harness.case import Case
from harness.compat.torch import tree_leaves
from harness.error import UsageError
from harness.exact.tape import Tape, View
from harness.exact.untrusted_tape import read_special, read_tape
from harness.isolation.child import Child
from harness.isolation.proxy import Proxy, read_case
from harness.record import Fault

TIMES = 6_000
"""Maximum number of repeated calls on the same inputs whose results are compared."""

PASSES = 1_000
"""Maximum number of backward passes, likewise."""

REPEATS_S = 0.4
"""CPU time in seconds for each of these repetitions, but at most a quarter of the time of a call."""

_SMALL = 1_024
"""Maximum size in bytes of answers that are repeated this often."""

_SENTENCE = 240


class RemoteHost(Host):
    """The process, as a place in which implementations are called.

    Parameters
    ----------
    child
        The process.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self._modes = dict(DEFAULT)
        self._heard: list[str] = []
        self._looks: list[InputsAfter] | None = None
        self._seen: Observation | None = None
        self._tape: int | None = None
        self.views: list[tuple[int, Any]] = []
        """The tape's records of the last returned tensors, by call number."""
        self._rng: tuple[int, bytes] | None = None
        self._alike = False
        self._drop: list[int] = []
        self._answered: set[int] = set()
        self._unfit: set[tuple[Any, ...]] = set()
        """Cases that do not fit a start, as reported by the process."""
        self._soaked: set[Any] = set()
        self._watch: RemoteWatch | None = None
        self._last = 0
        """The case that was called last."""

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return the cases, which are called there.

        Raises
        ------
        UsageError
            If they cannot be loaded.
        """
        module, _, name = target.partition(":")
        if not name and module.endswith(".py"):
            raise UsageError(f"no function given for `{target}`", remedy="add its name, as in `file.py:function`")
        if contract in OBJECTS and not self.child.has_loaders:
            self.child.read_loaders()
        self.child.start()
        arguments = self.child.about["cases"]
        if name:
            function = Proxy(self, 0, arguments[0])
            short_name = get_single_name(module, name)
            return [Case(function, contract or "", style="foreign", name=short_name, target=target, **claims)]
        cases = [read_case(Proxy(self, index, description), description) for index, description in enumerate(arguments)]
        cases = [case for case in cases if contract in {None, case.contract}]
        if not cases:
            only = f" of contract `{contract}`" if contract else ""
            raise UsageError(f"no cases{only} in `{target}`", remedy="declare them in a list `CASES` in the package")
        return cases

    def begins_to_read_loaders(self) -> bool:
        """Let the process read loaders when cases are loaded again; return whether that is new."""
        if self.child.has_loaders:
            return False
        self.child.read_loaders(named=False)
        return True

    # Asking

    def ask(self, what: str, special: Callable[[Any], Any] = lambda value: value, **arguments: Any) -> dict[str, Any]:
        """Send a request, and process the additional parts of the reply."""
        request: dict[str, Any] = {"ask": what, **arguments}
        if self._watch is not None:
            request["watch"] = (self._watch.key, self._watch.draws)
        state = torch.get_rng_state()
        state_bytes = state.numpy().tobytes()
        if self._rng != (self.child.generation, state_bytes):
            request["rng"] = state
        if self._alike:
            request["alike"], self._alike = True, False
        if self._drop:
            request["drop"], self._drop[:] = list(self._drop), []
        reply = self.child.ask(request, special)
        self._rng = self.child.generation, state_bytes
        drawn = reply.get("rng")
        if isinstance(drawn, Tensor) and drawn.dtype is torch.uint8 and drawn.shape == state.shape:
            torch.set_rng_state(drawn)
            self._rng = self.child.generation, drawn.numpy().tobytes()
        noticed = reply.get("noticed")
        if self._watch is not None and isinstance(noticed, list):
            self._watch.notice(Fault(noticed[0]), str(noticed[1]))
        return reply

    def carry_out(self, what: str, inputs: Sequence[Any], device: str, case: int, **arguments: Any) -> dict[str, Any]:
        """Send a request to an implementation, and raise its exceptions."""
        tensors = [x for x in tree_leaves(list(inputs)) if isinstance(x, Tensor)]
        return self.each(what, tensors, device, case, [{"inputs": list(inputs), **arguments}])[0]

    def each(
        self, what: str, tensors: Sequence[Tensor], device: str, case: int, parts: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Send several requests to an implementation in one message, and raise its exceptions."""
        modes = {
            **self._modes,
            "grad": torch.is_grad_enabled(),
            "inference": torch.is_inference_mode_enabled(),
            "autocast": torch.get_autocast_dtype(CPU) if torch.is_autocast_enabled(CPU) else None,
        }
        arguments: dict[str, Any] = {"device": device, "case": case}
        # Usual values are not sent.
        if changed := {name: mode for name, mode in modes.items() if mode != DEFAULT[name]}:
            arguments["modes"] = changed
        if self._tape is not None:
            arguments["tape"] = self._tape
        if self._looks is not None:
            arguments["look"] = True
        reply = self.ask("each", read_special, of=what, parts=list(parts), **arguments)
        answers, warnings = reply.get("each"), reply.get("heard")
        if not isinstance(answers, list) or not isinstance(warnings, list):
            raise RemoteError("an exception that cannot be decoded")
        self._heard += [str(warning)[:_SENTENCE] for warning in warnings]
        for answer in answers:
            self._process_answer(answer, tensors, device, case)
        if len(answers) != len(parts):
            raise RemoteError("an exception that cannot be decoded")
        return answers

    def _process_answer(self, answer: dict[str, Any], tensors: Sequence[Tensor], device: str, case: int) -> None:
        """Raise the exceptions of a reply, and store its observations."""
        if "raised" in answer:
            words, kind, place = (str(part)[: 2 * _SENTENCE] for part in answer["raised"])
            raise RemoteError(words, kind, place)
        if "misplaced" in answer:
            raise MisplacedError(str(answer["misplaced"])[:_SENTENCE])
        if "inapplicable" in answer:
            self._reject(str(answer["inapplicable"])[:_SENTENCE], tensors, device, case)
        if _start_key(case, tensors) in self._unfit:
            raise RemoteError("an error about unsuitable inputs on some calls only")
        self._answered.add(case)
        if self._seen is not None and "seen" in answer:
            left, to_float32, autocast = answer["seen"]
            self._seen.left |= left is True
            self._seen.to_float32 |= to_float32 is True
            self._seen.autocast = str(autocast) or self._seen.autocast
        if answer.get("reshaped"):
            raise ReshapedError
        if self._looks is not None and "shared" in answer:
            self._looks.append(InputsAfter(dict(answer["changed"]), set(answer["shared"])))

    def _reject(self, reason: str, tensors: Sequence[Tensor], device: str, case: int) -> None:
        """Raise that the law is not applicable if this is possible, and otherwise an error of the implementation."""
        can_be = {
            NO_BFLOAT16: any(x.dtype is torch.bfloat16 for x in tensors),
            NO_AUTOGRAD: any(x.requires_grad for x in tensors),
            NUMPY_IS_ON_THE_CPU: device != CPU,
            # A case that has replied has been compiled.
            NO_COMPILER: case not in self._answered and (device != CPU or not _has_compiler()),
            NO_HEADERS: case not in self._answered and not Path(sysconfig.get_path("include"), "Python.h").is_file(),
        }
        if reason.startswith(UNFIT) and self.child.about["cases"][case]["model"] is True:
            self._unfit.add(_start_key(case, tensors))
            raise NotApplicable(reason)
        if can_be.get(reason, device != CPU):
            raise NotApplicable(reason)
        raise RemoteError(f"an exception: {reason}")

    @property
    def generation(self) -> int:
        """Number of the process; it changes after a loss, and for each case."""
        return self.child.generation

    def drop(self, handle: int, generation: int) -> None:
        """Release the stored data of a call."""
        if generation == self.child.generation:
            self._drop.append(handle)

    # Interface for the laws

    def watch(self, *, draws: bool) -> Watch:
        """Return a watch for the side effects of remote calls."""
        return RemoteWatch(self, draws=draws)

    @contextmanager
    def _set_attributes(self, **attributes: Any) -> Iterator[None]:
        """Set attributes for the body."""
        before = {name: getattr(self, name) for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(before)

    def use_watch(self, watch: "RemoteWatch") -> AbstractContextManager[None]:
        """Let a watch observe the calls in the body."""
        return self._set_attributes(_watch=watch)

    def called(
        self, case: Case, inputs: Sequence[Any], of_model: AsStep | None, device: str, sequence: str | None = None
    ) -> tuple[Any, bool]:
        """Call the implementation, or carry out a sequence with its result."""
        if sequence is None:
            (value,), arrays = self.called_each(case, [inputs], device)
            return value, arrays
        function: Any = case.function
        self._last = function.index
        arguments = {"sequence": sequence, "squared": None if of_model is None else of_model.squared}
        answer = self.carry_out("call", inputs, device, function.index, **arguments)
        return answer["value"], answer.get("arrays") is True

    def called_each(self, case: Case, calls: Sequence[Sequence[Any]], device: str) -> tuple[list[Any], bool]:
        """Call the implementation on each of some inputs, in one exchange."""
        function: Any = case.function
        self._last = function.index
        return function.on(device, calls)  # type: ignore[no-any-return]

    def repeated_calls(self, call: Callable[..., Any], inputs: Sequence[Any]) -> Iterator[tuple[str, Tensor]]:
        """Repeat a call and its backward pass many times, once for each process, and yield all results."""
        call(*inputs)
        index = self._last
        if self._watch is not None and self._watch.noticed is not None:
            return
        first_rows = [x[:1] if isinstance(x, Tensor) and x.ndim else x for x in inputs]
        if any(x.numel() > _SMALL for x in first_rows if isinstance(x, Tensor)):
            return
        for kind, times in (("calls", TIMES), ("backward passes", PASSES)):
            key = kind, index, str([x.dtype for x in first_rows if isinstance(x, Tensor)]), self.child.generation
            if key in self._soaked:
                continue
            arguments = {"times": times, "seconds": min(REPEATS_S, self.child.call_s / 4.0), "back": kind != "calls"}
            stacked = self.carry_out("again", first_rows, CPU, index, **arguments)["value"]
            # Inputs on which there is nothing but zeros to differ are left to others.
            if not isinstance(stacked, Tensor) or len(stacked) > 1 or kind == "calls":
                self._soaked.add(key)
            if isinstance(stacked, Tensor) and len(stacked) > 1:
                yield kind, stacked

    def overwrite_freed(self, byte: int, *, sizes: Iterable[int] = (), device: str = CPU) -> None:
        """Overwrite freed memory there."""
        self.ask("fill", byte=byte, sizes=list(sizes), device=device)

    def _mode(self, **modes: Any) -> AbstractContextManager[None]:
        return self._set_attributes(_modes={**self._modes, **modes})

    @contextmanager
    def modes(
        self,
        *,
        threads: int | None = None,
        dtype: torch.dtype | None = None,
        switched: bool = False,
        compiled: bool = False,
    ) -> Iterator[None]:
        """Change the settings of that process while it is called."""
        with self._mode(threads=threads, dtype=dtype, switched=switched, compiled=compiled):
            yield

    def unset_is_nan(self) -> Any:
        """Fill new memory with NaN there."""
        return self._mode(unset=True)

    def uncompiled(self) -> Any:
        """Run the body without compilation in the process."""
        return self._mode(eager=True)

    @contextmanager
    def seeing(self) -> Iterator[Observation]:
        """Observe conversions of tensors in the process."""
        seen = Observation()
        with self._set_attributes(_seen=seen), self._mode(see=True):
            yield seen

    @contextmanager
    def hearing(self) -> Iterator[list[str]]:
        """Collect the warnings that are issued there."""
        warnings: list[str] = []
        self._heard = warnings
        with self._mode(hear=True):
            yield warnings

    @contextmanager
    def looking(self) -> Iterator[list[InputsAfter]]:
        """Observe the inputs of each call there."""
        looks: list[InputsAfter] = []
        with self._set_attributes(_looks=looks):
            yield looks

    def recording(self, tape: int) -> AbstractContextManager[None]:
        """Record the calls of the body on a tape."""
        return self._set_attributes(_tape=tape)

    def recorder(self) -> "Recording":
        """Return the recorder of calls in the process."""
        return RecordingRemoteHost(self)

    def detaches(self, case: Case, inputs: Sequence[Any]) -> bool:
        """Return whether the adapter detaches its result."""
        function: Any = case.function
        return self.carry_out("detaches", inputs, CPU, function.index)["value"] is True

    def jax_is_narrow(self) -> bool:
        """Return whether JAX computes in 32 bits there."""
        return self.ask("jax")["value"] is True

    def changed_at_import(self) -> str:
        """Return the changes that were reported there."""
        changes = self.child.about.get("changes")
        return " and ".join(str(change)[:_SENTENCE] for change in changes) if isinstance(changes, list) else ""

    def repeat_start(self) -> None:
        """Seed the generators with the next request."""
        self._alike = True

    def renew(self) -> None:
        """Use another process from now on."""
        self.child.renew()

    def spent(self) -> float:
        """Return the processor time of this process and of the other one, which the kernel counts."""
        return time.process_time() + self.child.processor_time

    def clock(self) -> float:
        """Return the wall-clock time in seconds, because the other process could misreport its CPU time."""
        return time.monotonic()


def _start_key(case: int, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """Return the key for whether a model fits: its initial parameters, which come last."""
    return case, *(x.shape for x in tensors[-2:])


def _has_compiler() -> bool:
    """Return whether this machine has a C++ compiler."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++"))


class RecordingRemoteHost(Recording):
    """Records remote calls on one tape."""

    _tapes = itertools.count()

    def __init__(self, host: RemoteHost) -> None:
        self._remote, self._number = host, next(self._tapes)

    @contextmanager
    def body(self) -> Iterator[None]:
        """Record the calls of the body."""
        self._remote.views = []
        with self._remote.recording(self._number):
            yield

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """Return the tape's views of the tensors from the body; all parts of a tensor that was stacked here."""
        views = [view for _, view in sorted(self._remote.views, key=lambda pair: pair[0])]
        if len(views) != len(tensors) and len(tensors) == 1:
            return [tuple(views)]
        return [(view,) for view in views]

    def tape(self) -> Tape:
        """Return the tape."""
        return read_tape(self._remote.ask("tape", read_special, tape=self._number)["value"])


class RemoteWatch(Watch):
    """Side effects of the calls of an implementation there."""

    _keys = itertools.count()

    def __init__(self, host: RemoteHost, *, draws: bool) -> None:
        self._remote, self.draws, self.key = host, draws, next(self._keys)
        self.noticed = None

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry out a call and return its result."""
        with self._remote.use_watch(self):
            return action()

    @contextmanager
    def law(self) -> Iterator[None]:
        """Observe all calls of a law."""
        with self._remote.use_watch(self):
            self._remote.ask("law", begins=True)
        generation = self._remote.child.generation
        yield
        if generation == self._remote.child.generation:
            with self._remote.use_watch(self):
                self._remote.ask("law", begins=False)

    def notice(self, fault: Fault, sentence: str) -> None:
        """Keep the first observation."""
        self._remote.child.is_spoilt |= fault is Fault.STATE and not sentence.endswith(RESTORED)
        if self.noticed is None:
            self.noticed = fault, sentence[: 4 * _SENTENCE]
