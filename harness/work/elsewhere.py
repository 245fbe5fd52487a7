"""Another process as the place in which an implementation is called: a function here that asks, and what can be asked.

The function stands in for the implementation: it takes tensors and returns tensors, through which autograd goes back by
asking again. What is loaded there is never imported here.
"""

import itertools
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from harness.calling.adapter import NO_AUTOGRAD, NO_BFLOAT16, NUMPY_IS_ON_THE_CPU, NotApplicable
from harness.calling.compiler import NO_COMPILER, NO_HEADERS
from harness.calling.device import CPU, MisplacedError
from harness.calling.importing import single_name
from harness.calling.own_cases import SHIPPED, own_cases
from harness.calling.seen import Seen
from harness.calling.surroundings import ElsewhereError, Look, ReshapedError
from harness.calling.trace import Recording, Tape, View
from harness.calling.trace.elsewhere import read_special, read_tape
from harness.calling.watch import Watch
from harness.case import Break, Case
from harness.error import UsageError
from harness.record import Fault
from harness.work.child import Child
from harness.work.limits import GIBIBYTE, Limits

TIMES = 6_000
"""Calls on the same inputs at most of which one is looked at after the other."""

AGAIN_S = 0.4
"""Seconds within which those are made."""

_SMALL = 1_024
"""Bytes of the answers that are asked for so often."""

_SENTENCE = 240


def setup(target: str, call: str | None, limits: Limits) -> dict[str, Any]:
    """Return what the process is told to load, without importing it."""
    from importlib.metadata import entry_points

    from harness.calling.discovery import ENTRY_POINTS

    place, colon, name = target.partition(":")
    own = own_cases() if place.split(".")[0] == SHIPPED else None
    points = [] if colon else [point.value for point in entry_points(group=ENTRY_POINTS) if point.name == place]
    return {
        "target": f"{points[0] if points else place}{colon}{name}",
        "call": call,
        "own": None if own is None else str(own.parent),
        "declares": "harness.case",
        "memory": None if limits.memory_gib is None else int(limits.memory_gib * GIBIBYTE),
    }


class Elsewhere:
    """The process, as a place in which implementations are called.

    Parameters
    ----------
    child
        The process.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self._modes: dict[str, Any] = {"eager": False, "unset": False, "see": False}
        self._look: Look | None = None
        self._seen: Seen | None = None
        self._tape: int | None = None
        self.views: list[tuple[int, Any]] = []
        """What the tape has of the tensors that were returned last, by the number of the call."""
        self._rng: tuple[int, bytes] | None = None
        self._alike = False
        self._drop: list[int] = []
        self._answered: set[int] = set()
        self._soaked: set[Any] = set()
        self._watch: ElsewhereWatch | None = None
        self._case = -1

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return the cases, which are called there.

        Raises
        ------
        UsageError
            If they cannot be loaded.
        """
        module, _, name = target.partition(":")
        if not name and module.endswith(".py"):
            raise UsageError(
                rule="a file is named with its function, `file.py:function`",
                value=f"`{target}`",
                remedy="add the function",
            )
        self.child.start()
        facts = self.child.about["cases"]
        if name:
            function = Function(self, 0, facts[0])
            known = {"style": "foreign", "name": single_name(module, name), "target": target}
            return [Case(function, contract or "", **known, **claims)]
        cases = [_declared(Function(self, at, one), one) for at, one in enumerate(facts)]
        cases = [case for case in cases if contract in {None, case.contract}]
        if not cases:
            only = f" of contract `{contract}`" if contract else ""
            raise UsageError(rule=f"a package of cases declares `CASES`{only}", value=f"none in `{target}`")
        return cases

    # Asking

    def ask(self, what: str, special: Callable[[Any], Any] = lambda value: value, **facts: Any) -> dict[str, Any]:
        """Ask the process, and take up what the answer says beside its value."""
        question: dict[str, Any] = {"ask": what, **facts}
        if self._watch is not None:
            question["watch"] = (self._watch.key, self._watch.draws)
        state = torch.get_rng_state()
        if self._rng != (self.child.generation, state.numpy().tobytes()):
            question["rng"] = state
        if self._alike:
            question["alike"], self._alike = True, False
        if self._drop:
            question["drop"], self._drop[:] = list(self._drop), []
        answer = self.child.ask(question, special)
        self._rng = self.child.generation, state.numpy().tobytes()
        drawn = answer.get("rng")
        if isinstance(drawn, Tensor) and drawn.dtype is torch.uint8 and drawn.shape == state.shape:
            torch.set_rng_state(drawn)
            self._rng = self.child.generation, drawn.numpy().tobytes()
        noticed = answer.get("noticed")
        if self._watch is not None and isinstance(noticed, list):
            self._watch.notice(Fault(noticed[0]), str(noticed[1]))
        return answer

    def carried_out(self, what: str, tensors: Iterable[Tensor], device: str, **facts: Any) -> dict[str, Any]:
        """Ask for something of an implementation's, and raise what it raises."""
        modes = {
            **self._modes,
            "grad": torch.is_grad_enabled(),
            "inference": torch.is_inference_mode_enabled(),
            "autocast": torch.get_autocast_dtype(CPU) if torch.is_autocast_enabled(CPU) else None,
        }
        facts |= {"modes": modes, "tape": self._tape, "look": self._look is not None, "device": device}
        answer = self.ask(what, read_special, **facts)
        if "raised" in answer:
            words, kind, place = (str(part)[: 2 * _SENTENCE] for part in answer["raised"])
            raise ElsewhereError(words, kind, place)
        if "misplaced" in answer:
            raise MisplacedError(str(answer["misplaced"])[:_SENTENCE])
        if "inapplicable" in answer:
            self._refuse(str(answer["inapplicable"])[:_SENTENCE], list(tensors), device, facts["case"])
        self._answered.add(facts["case"])
        if self._seen is not None and "seen" in answer:
            left, to_float32, autocast = answer["seen"]
            self._seen.left |= left is True
            self._seen.to_float32 |= to_float32 is True
            self._seen.autocast = str(autocast) or self._seen.autocast
        if answer.get("reshaped"):
            raise ReshapedError
        if self._look is not None and "shared" in answer:
            self._look.changed = dict(answer["changed"])
            self._look.shared = set(answer["shared"])
        return answer

    def _refuse(self, reason: str, tensors: list[Tensor], device: str, case: int) -> None:
        """Raise that there is nothing to check, where that can be so; else it is what the implementation raises."""
        can_be = {
            NO_BFLOAT16: any(x.dtype is torch.bfloat16 for x in tensors),
            NO_AUTOGRAD: any(x.requires_grad for x in tensors),
            NUMPY_IS_ON_THE_CPU: device != CPU,
            # Whoever has answered has been compiled.
            NO_COMPILER: case not in self._answered,
            NO_HEADERS: case not in self._answered,
        }
        if can_be.get(reason, device != CPU):
            raise NotApplicable(reason)
        raise ElsewhereError(f"an exception, which says that {reason}")

    def dropped(self, handle: int, generation: int) -> None:
        """Let go of what was kept of a call."""
        if generation == self.child.generation:
            self._drop.append(handle)

    # What laws ask of surroundings

    def watch(self, *, draws: bool) -> Watch:
        """Return what looks at calls there."""
        return ElsewhereWatch(self, draws=draws)

    @contextmanager
    def watching(self, watch: "ElsewhereWatch") -> Iterator[None]:
        """Let the calls of the body be looked at by one."""
        before, self._watch = self._watch, watch
        try:
            yield
        finally:
            self._watch = before

    def called(
        self, case: Case, inputs: Sequence[Any], of_model: Callable[..., Any] | None, device: str
    ) -> tuple[Any, bool]:
        """Call the implementation."""
        value, answer = case.function.on(device, *inputs)
        return value, answer.get("arrays") is True

    def again(self, call: Callable[..., Any], inputs: Sequence[Any]) -> Iterator[Any]:
        """Call once, and once for each process very often: each answer that is another is yielded."""
        call(*inputs)
        function = self._last
        few = [x[:1] if isinstance(x, Tensor) and x.ndim else x for x in inputs]
        key = function.index, str([x.dtype for x in few if isinstance(x, Tensor)]), self.child.generation
        if self._watch is not None and self._watch.noticed is not None:
            return
        if key in self._soaked or any(x.numel() > _SMALL for x in few if isinstance(x, Tensor)):
            return
        self._soaked.add(key)
        tensors = [x for x in few if isinstance(x, Tensor)]
        answer = self.carried_out(
            "again", tensors, CPU, case=function.index, inputs=few, times=TIMES, seconds=AGAIN_S
        )
        stacked = answer["value"]
        if isinstance(stacked, Tensor) and len(stacked) > 1:
            yield stacked

    def overwrite_freed(self, byte: int, *, sizes: Iterable[int] = (), device: str = CPU) -> None:
        """Overwrite what is freed there."""
        self.ask("fill", byte=byte, sizes=list(sizes), device=device)

    @contextmanager
    def _mode(self, name: str) -> Iterator[None]:
        before, self._modes[name] = self._modes[name], True
        try:
            yield
        finally:
            self._modes[name] = before

    def unset_is_nan(self) -> Any:
        """Let torch fill what it hands out there."""
        return self._mode("unset")

    def uncompiled(self) -> Any:
        """Compile nothing there."""
        return self._mode("eager")

    @contextmanager
    def seeing(self) -> Iterator[Seen]:
        """See what becomes of tensors there."""
        self._seen = seen = Seen()
        try:
            with self._mode("see"):
                yield seen
        finally:
            self._seen = None

    @contextmanager
    def looking(self) -> Iterator[Look]:
        """Look at what became of the inputs of a call there."""
        self._look = look = Look(shared=set())
        try:
            yield look
        finally:
            self._look = None

    @contextmanager
    def recording(self, tape: int) -> Iterator[None]:
        """Have the calls of the body recorded on a tape."""
        before, self._tape = self._tape, tape
        try:
            yield
        finally:
            self._tape = before

    def recorder(self) -> "Recording":
        """Return what records calls there."""
        return RecordingElsewhere(self)

    def detaches(self, case: Case, inputs: Sequence[Any]) -> bool:
        """Ask the adapter there."""
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        asked = self.carried_out("detaches", tensors, CPU, case=case.function.index, inputs=list(inputs))
        return asked["value"] is True

    def jax_is_narrow(self) -> bool:
        """Whether it is there."""
        return self.ask("jax")["value"] is True

    def begin_alike(self) -> None:
        """Have the generators seeded with the next question."""
        self._alike = True

    def clock(self) -> float:
        """Seconds of the day: those of another's processor are its own to tell."""
        return time.monotonic()


class RecordingElsewhere:
    """What records calls there onto one tape."""

    _tapes = itertools.count()

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere, self._number = elsewhere, next(self._tapes)

    @contextmanager
    def body(self) -> Iterator[None]:
        """Record the calls of the body."""
        self._elsewhere.views = []
        with self._elsewhere.recording(self._number):
            yield

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """What the tape has of the tensors that came of the body; of what was stacked here, all of its parts."""
        known = [view for _, view in sorted(self._elsewhere.views, key=lambda pair: pair[0])]
        if len(known) != len(tensors) and len(tensors) == 1:
            return [tuple(known)]
        return [(view,) for view in known]

    def tape(self) -> Tape:
        """The tape."""
        return read_tape(self._elsewhere.ask("tape", read_special, tape=self._number)["value"])


class ElsewhereWatch(Watch):
    """What the calls of one implementation did there besides answering."""

    _keys = itertools.count()

    def __init__(self, elsewhere: Elsewhere, *, draws: bool) -> None:
        self._elsewhere, self.draws, self.key = elsewhere, draws, next(self._keys)
        self.noticed = None

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry a call out and return what it does."""
        with self._elsewhere.watching(self):
            return action()

    @contextmanager
    def law(self) -> Iterator[None]:
        """Watch all calls of one law."""
        with self._elsewhere.watching(self):
            self._elsewhere.ask("law", begins=True)
        generation = self._elsewhere.child.generation
        yield
        if generation == self._elsewhere.child.generation:
            with self._elsewhere.watching(self):
                self._elsewhere.ask("law", begins=False)

    def notice(self, fault: Fault, sentence: str) -> None:
        """Keep what is noticed first."""
        if self.noticed is None:
            self.noticed = fault, sentence[: 4 * _SENTENCE]


class Function:
    """Stands in for an implementation.

    Parameters
    ----------
    surroundings
        Where it is called.
    index
        Of the case there.
    facts
        What is said of it there.
    """

    def __init__(self, surroundings: Elsewhere, index: int, facts: Mapping[str, Any]) -> None:
        self.surroundings, self.index = surroundings, index
        self.is_adapted = facts["adapted"] is True
        names = facts["parameters"]
        if names is not None:
            parameters = [Parameter(str(name), Parameter.POSITIONAL_OR_KEYWORD) for name in names]
            self.__signature__ = Signature(parameters)

    def __call__(self, *inputs: Any) -> Any:
        """Call it on the CPU."""
        return self.on(CPU, *inputs)[0]

    def on(self, device: str, *inputs: Any) -> tuple[Any, dict[str, Any]]:
        """Call it there on a device; return what it says, and the answer of the process."""
        self.surroundings._last = self
        calling = _Calling(self.surroundings, self.index, device, inputs)
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            leaves = _Forward.apply(calling, *tensors)  # type: ignore[no-untyped-call]
        else:
            leaves = calling.ask(tensors)
        return calling.value(leaves or []), calling.answer


class _Calling:
    """One call, and what was answered."""

    def __init__(self, surroundings: Elsewhere, index: int, device: str, inputs: Sequence[Any]) -> None:
        self.surroundings, self.index, self.device, self.inputs = surroundings, index, device, inputs
        self.answer: dict[str, Any] = {}

    def ask(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Ask, and return the tensors of the answer."""
        given = iter(tensors)
        inputs = [next(given) if isinstance(x, Tensor) else x for x in self.inputs]
        inputs = [_requiring(x, like) for x, like in zip(inputs, self.inputs, strict=True)]
        self.answer = self.surroundings.carried_out(
            "call", [x for x in inputs if isinstance(x, Tensor)], self.device, case=self.index, inputs=inputs
        )
        self._parts, self._tree = tree_flatten(self.answer.pop("value"))
        self.handle = self.answer.get("handle")
        self.generation = self.surroundings.child.generation
        if isinstance(self.handle, int):
            weakref.finalize(self, self.surroundings.dropped, self.handle, self.generation)
        views = self.answer.get("views", [])
        self.surroundings.views += [(self.handle or 0, view) for view in views]
        return [x for x in self._parts if isinstance(x, Tensor)]

    def value(self, leaves: Sequence[Tensor]) -> Any:
        """What was answered, with tensors that autograd knows; they are not kept, since they would keep this one."""
        known, parts = iter(leaves), self._parts
        self._parts = []
        return tree_unflatten([next(known) if isinstance(x, Tensor) else x for x in parts], self._tree)


def _requiring(x: Any, like: Any) -> Any:
    """What the function of autograd is given requires nothing; what it was given from may have."""
    if isinstance(x, Tensor) and x.requires_grad != like.requires_grad:
        return x.detach().requires_grad_(like.requires_grad)
    return x


class _Forward(torch.autograd.Function):
    """A call through which autograd goes back."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, *tensors: Tensor) -> Any:
        """Ask for the value."""
        with torch.enable_grad():
            leaves = calling.ask(tensors)
        flags = [x.requires_grad for x in leaves]
        leaves = [x.detach() for x in leaves]
        ctx.calling = calling
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*(x for x, flag in zip(leaves, flags, strict=True) if not flag))
        return tuple(leaves) if leaves else None

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        """Ask for the gradient, in a way that can be differentiated where that is wanted."""
        tensors = ctx.saved_tensors
        create = torch.is_grad_enabled()
        found = _Backward.apply(ctx.calling, create, len(tensors), *tensors, *cotangents)  # type: ignore[no-untyped-call]
        return None, *(found if isinstance(found, tuple) else (found,))


class _Backward(torch.autograd.Function):
    """The backward pass of a call."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, create: Any, count: int, *tensors: Any) -> Any:
        """Ask for the gradients of the inputs that require one."""
        cotangents = [x if create or x is None else x.detach() for x in tensors[count:]]
        wanted = [x for x in calling.inputs if isinstance(x, Tensor)]
        with torch.enable_grad():
            answer = calling.surroundings.carried_out(
                "backward",
                [],
                calling.device,
                case=calling.index,
                handle=calling.handle,
                cotangents=cotangents,
                create=create,
            )
        found = iter(_gradients(answer, [x for x in wanted if x.requires_grad]))
        gradients = [next(found) if like.requires_grad else None for like in wanted]
        calling.surroundings.views += [(calling.handle or 0, view) for view in answer.get("views", [])]
        ctx.calling, ctx.handle, ctx.generation = calling, answer.get("handle"), calling.surroundings.child.generation
        ctx.cotangents = [g is not None for g in cotangents]
        flags = [x is not None and x.requires_grad for x in gradients]
        gradients = [None if x is None else x.detach() for x in gradients]
        ctx.mark_non_differentiable(
            *(x for x, flag in zip(gradients, flags, strict=True) if x is not None and not flag)
        )
        return tuple(gradients)

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> Any:
        """Ask for the second derivative."""
        calling = ctx.calling
        wanted = [x for x in calling.inputs if isinstance(x, Tensor)]
        kept = [g for g, like in zip(directions, wanted, strict=True) if like.requires_grad]
        with torch.enable_grad():
            answer = calling.surroundings.carried_out(
                "twice", [], calling.device, case=calling.index, handle=ctx.handle, cotangents=kept
            )
        found = list(answer["value"])
        of_inputs = [found.pop(0) if x.requires_grad and found else None for x in wanted]
        of_cotangents = [found.pop(0) if known and found else None for known in ctx.cotangents]
        return None, None, None, *of_inputs, *of_cotangents


def _gradients(answer: dict[str, Any], likes: list[Tensor]) -> list[Tensor | None]:
    """The gradients that were answered: tensors, or none."""
    found = answer["value"]
    if not isinstance(found, list) or len(found) != len(likes):
        raise ElsewhereError("no gradient for each input")
    return [x if isinstance(x, Tensor) else None for x in found]


def _declared(function: Function, facts: Mapping[str, Any]) -> Case:
    """A case as its package declares it."""
    texts = {name: str(facts[name]) for name in ("name", "contract", "style", "target")}
    call = facts["call"]
    return Case(
        function,
        **texts,
        dtypes=tuple(map(str, facts["dtypes"])),
        attains=tuple(map(str, facts["attains"])),
        declares={str(name): value for name, value in facts["declares"].items()},
        breaks={str(law): _reason(why) for law, why in facts["breaks"].items()},
        breaks_at={(str(law), str(ray)): _reason(why) for law, ray, why in facts["breaks_at"]},
        call=call if isinstance(call, str) else (_adapted if function.is_adapted else None),
    )


def _reason(why: Any) -> str | Break:
    return str(why) if isinstance(why, str) else Break(str(why[0]), tuple(map(str, why[1])))


def _adapted(*_: Any) -> Any:
    """Stand for an adapter that is known there."""
    raise AssertionError("it is called where it was loaded")
